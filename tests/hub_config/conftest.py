"""Fixtures of the Hub's tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def open_folder() -> Iterator[Path]:
    """A folder that other users of this machine can pass through, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="crowdsky-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
