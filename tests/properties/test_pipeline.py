"""The law of reconciliation over random piles of good, bad and foreign files."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crowdsky.pipeline import stack_paths
from crowdsky.simulate import Flaw, simulate_session
from tests.pipeline.nights import check_products, frames_below, plan, pole_plan, reconcile

FOREIGN = {
    "page.fits": b"<html>",
    "empty.fit": b"",
    "noise.fit": bytes(range(256)) * 12,
    "notes.txt": b"seeing was poor",
    ".hidden.fit": b"x",
    "Lunar_1.fit": b"x",
    "picture.jpg": b"\xff\xd8",
    "film.mp4": b"",
    "packed.fit.gz": b"\x1f\x8b",
}


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Frames of two targets, some bad, some cut short."""
    folder = tmp_path_factory.mktemp("pool")
    flaws = ((1, Flaw.BLACK), (2, Flaw.DOME), (3, Flaw.CLOUD))
    simulate_session(plan(n_frames=5, flaws=flaws), folder)
    simulate_session(pole_plan(n_frames=2, start_utc=plan().start_utc.replace(minute=14)), folder)
    whole = [path.read_bytes() for path in frames_below(folder)]
    return [*whole, whole[0][:-1], whole[0][: len(whole[0]) // 2], whole[1][:2880]]


@given(
    picks=st.lists(st.integers(0, 9), max_size=7),
    foreign=st.sets(st.sampled_from(sorted(FOREIGN))),
    folders=st.lists(st.sampled_from(["", "one", "two/three"]), min_size=7, max_size=7),
)
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_file_is_accounted_for_once(
    pool: list[bytes], picks: list[int], foreign: set[str], folders: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        top, out = Path(name, "in"), Path(name, "out")
        top.mkdir()
        for number, (pick, folder) in enumerate(zip(picks, folders, strict=False)):
            (top / folder).mkdir(parents=True, exist_ok=True)
            (top / folder / f"{number}.fit").write_bytes(pool[pick])
        for file in foreign:
            (top / file).write_bytes(FOREIGN[file])
        given_files = [path for path in top.rglob("*") if path.is_file()]
        told: list[tuple[int, int]] = []
        report = stack_paths([top], out, on_progress=lambda i, n, _: told.append((i, n)))
        reconcile(report, given_files)
        n_frames = sum(len(block.frames) for block in report.blocks)
        assert told == [(i, n_frames) for i in range(n_frames + 1)]
        assert all(frame.used == (frame.reason == "") for b in report.blocks for frame in b.frames)
        json.dumps(report.as_dict(), allow_nan=False)
        check_products(out)
        again = stack_paths([top], out)
        reconcile(again, given_files)
        assert [b.unchanged for b in again.blocks] == [b.output is not None for b in report.blocks]
