"""Fixtures that every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import real_data
from tests.databases import archive, database_url, postgresql_server, sqlite_template

__all__ = ["archive", "database_url", "postgresql_server", "sqlite_template"]


# Folders whose tests share one server.
_SHARED = ("browser", "pages_server")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have those tests run in one process that share a server, so that it is started once.

    Nor do two Hubs ever run at once that give their users the same numbers.
    """
    for item in items:
        if item.get_closest_marker("enable_socket"):
            folder = item.path.parent.name
            group = (
                folder if folder in _SHARED else item.path.relative_to(real_data.ROOT).as_posix()
            )
            item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The top folder of the checkout."""
    return real_data.ROOT


@pytest.fixture(scope="session")
def real_data_dir() -> Path:
    """The folder of real frames; skips where there is none."""
    folder = real_data.real_data_dir()
    if not folder.is_dir():
        pytest.skip(f"no real frames: set CROWDSKY_REAL_DATA (looked in {folder})")
    return folder


@pytest.fixture(scope="session")
def real_frames(real_data_dir: Path) -> list[Path]:
    """Every real frame, in a fixed order; skips where there is none."""
    frames = real_data.real_frames()
    if not frames:
        pytest.skip(f"no .fit files below {real_data_dir}")
    return frames
