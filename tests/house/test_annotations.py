"""Every function says its types; only a compiled kernel may go without."""

from __future__ import annotations

import ast
from pathlib import Path

KERNELS = {"njit", "jit", "vectorize", "guvectorize", "overload", "intrinsic"}


def bare_functions(source: str) -> list[str]:
    """Functions that leave a type unsaid and are not numba kernels."""
    found = []
    for node in ast.walk(ast.parse(source)):
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if is_function and not _is_kernel(node) and not _is_annotated(node):
            found.append(node.name)
    return found


def _is_kernel(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    decorators = [d.func if isinstance(d, ast.Call) else d for d in node.decorator_list]
    names = {d.attr if isinstance(d, ast.Attribute) else getattr(d, "id", "") for d in decorators}
    return bool(names & KERNELS)


def _is_annotated(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    spec = node.args
    arguments = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs]
    arguments += [a for a in (spec.vararg, spec.kwarg) if a is not None]
    unsaid = [a for a in arguments if a.annotation is None and a.arg not in {"self", "cls"}]
    return node.returns is not None and not unsaid


def test_the_check_sees_a_bare_function() -> None:
    assert bare_functions("def f(a): ...") == ["f"]
    assert bare_functions("def f(a: int): ...") == ["f"]
    assert bare_functions("@numba.njit(cache=True)\ndef f(a): ...") == []
    assert bare_functions("def f(self, a: int, *b: int) -> int: ...") == []


def test_only_kernels_go_without_types(repo_root: Path) -> None:
    bare = {
        path.relative_to(repo_root).as_posix(): names
        for package in ("crowdsky", "flows")
        for path in sorted((repo_root / package).rglob("*.py"))
        if (names := bare_functions(path.read_text(encoding="utf-8")))
    }
    assert bare == {}
