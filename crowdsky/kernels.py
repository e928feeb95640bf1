"""Compiled kernels, kept on disk under a key of all kernel sources.

Numba's cache looks at the age of the file a kernel stands in, not of the kernels it calls: after a
change to one file, kernels of others would go on running its old code. Here the cache folder is
named by the content of every file of the package that holds kernels, so any change makes a new one.
It lies in the cache of CrowdSky, so a package installed read-only is compiled once, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numba

from crowdsky.settings import load_settings

__all__ = ["kernel_cache_dir", "njit"]

Function = TypeVar("Function", bound=Callable[..., Any])


@lru_cache(maxsize=1)
def kernel_cache_dir() -> Path:
    """Folder of the compiled kernels of this state of the sources."""
    key = hashlib.blake2b(numba.__version__.encode(), digest_size=8)
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        source = path.read_bytes()
        if b"njit" in source:
            key.update(source)
    return load_settings().cache_dir / f"kernels-{key.hexdigest()}"


def njit(**options: Any) -> Callable[[Function], Function]:
    """`numba.njit`, cached as this module says and without the interpreter's lock."""

    def compiled(function: Function) -> Function:
        config: Any = numba.config
        before = config.CACHE_DIR
        config.CACHE_DIR = str(kernel_cache_dir())
        try:
            kernel: Function = numba.njit(cache=True, nogil=True, **options)(function)
        finally:
            config.CACHE_DIR = before
        return kernel

    return compiled
