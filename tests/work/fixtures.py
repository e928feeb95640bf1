"""A field drawn once, and warm processes started once, for all tests of the worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crowdsky.simulate import simulate_session
from crowdsky.work.pool import StackingPool
from tests.pipeline.nights import frames_below, plan
from tests.work.nights import Sky

__all__ = ["pool", "sky"]


@pytest.fixture(scope="session")
def sky(tmp_path_factory: pytest.TempPathFactory) -> Sky:
    folder = tmp_path_factory.mktemp("sky")
    simulate_session(plan(n_frames=3), folder)
    return Sky(tuple(frames_below(folder)))


@pytest.fixture(scope="session")
def pool() -> Iterator[StackingPool]:
    started = StackingPool(1)
    started.start()
    yield started
    started.close()
