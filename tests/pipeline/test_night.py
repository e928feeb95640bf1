"""A night of two targets, from files to stacks, ledger and cards."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from crowdsky.errors import StackError
from crowdsky.frames.sphere import angle_deg, direction
from crowdsky.pipeline import stack_paths
from crowdsky.simulate import simulate_session
from tests.pipeline.conftest import Night
from tests.pipeline.nights import (
    SERIAL,
    START,
    copied,
    frames_below,
    plan,
    planes_of,
    reconcile,
)


def test_two_targets_give_two_stacks(night: Night) -> None:
    blocks = night.report.blocks
    assert [(b.target, len(b.frames), b.n_used) for b in blocks] == [
        ("Pole field", 3, 3),
        ("M 52", 4, 3),
    ]
    for block in blocks:
        assert block.name.startswith("20250326.84_")
        assert block.tile.startswith("20250326.84_HP")
        assert block.start_utc == START.replace(minute=0)
        assert (block.telescope, block.filter, block.exposure_s) == (f"S50_{SERIAL}", "IRCUT", 10)
        assert not block.unchanged
        assert Path(str(block.output)).name == f"{block.label}.fits"
        assert Path(str(block.preview)).is_file()
        assert Path(str(block.thumbnail)).is_file()


def test_every_file_is_accounted_for(night: Night) -> None:
    files = [path for path in night.folder.rglob("*") if path.is_file()]
    reconcile(night.report, files)
    reasons = {entry.file.name: entry.reason for entry in night.report.skipped}
    assert "not a FITS file" in reasons["page.fits"]
    assert reasons["Light_thn.jpg"] == "picture or thumbnail"


def test_the_centre_is_where_the_simulator_pointed(night: Night) -> None:
    for block in night.report.blocks:
        # The stack lies on the frame that was not moved.
        reference = min((f for f in block.frames if f.used), key=lambda f: f.shift_px)
        assert reference.shift_px < 1e-3
        (truth,) = [t for t in night.truths if t.target == block.target]
        wcs = truth.frame(reference.file).wcs
        away_deg = angle_deg(
            direction(block.solution["ra_deg"], block.solution["dec_deg"]),
            direction(wcs.ra_deg, wcs.dec_deg),
        )
        assert away_deg * 3600 < 2.0
        assert block.solution["scale_arcsec_per_px"] == pytest.approx(
            wcs.scale_arcsec_per_px, rel=2e-4
        )


def test_the_cards_agree_with_the_ledger(night: Night) -> None:
    for block in night.report.blocks:
        cards = fits.getheader(str(block.output))
        used = [frame for frame in block.frames if frame.used]
        assert cards["NIMAGES"] == block.n_used == len(used)
        assert cards["NFRAMES"] == len(block.frames)
        # The sum over the frames that were used, not over all.
        assert cards["EXPTIME"] == pytest.approx(block.exposure_s * len(used))
        assert cards["SUBEXP"] == block.exposure_s
        assert (cards["OBJECT"], cards["FILTER"]) == (block.target, block.filter)
        assert (cards["BLOCKNAM"], cards["BLOCKTIL"]) == (block.name, block.tile)
        first = min(frame.start_utc for frame in used if frame.start_utc)
        seconds = (datetime.fromisoformat(cards["DATE-OBS"] + "+00:00") - first).total_seconds()
        assert abs(seconds) < 0.001
        assert cards["PLTSOLVD"] is True
        assert cards["RA"] == pytest.approx(block.solution["ra_deg"], abs=1e-6)
        assert cards["DEC"] == pytest.approx(block.solution["dec_deg"], abs=1e-6)
        footprint = planes_of(str(block.output))[3]
        assert footprint.max() == block.n_used


def test_progress_tells_of_each_frame_once(night: Night) -> None:
    assert [(done, total) for done, total, _ in night.progress] == [(i, 7) for i in range(8)]


def test_a_report_on_disk_says_what_was_returned(night: Night) -> None:
    for block in night.report.blocks:
        stored = json.loads((night.stacks / f"{block.label}.json").read_text(encoding="utf-8"))
        assert stored == json.loads(json.dumps(block.as_dict(), allow_nan=False))


def test_no_serial_and_no_exact_site_in_a_stack(night: Night, tmp_path: Path) -> None:
    for block in night.report.blocks:
        content = Path(str(block.output)).read_bytes()
        assert SERIAL.encode() not in content
        cards = fits.getheader(str(block.output))
        assert (cards["SITELAT"], cards["SITELONG"]) == (48.2, 16.4)
        for picture in (block.preview, block.thumbnail):
            assert SERIAL.encode() not in Path(str(picture)).read_bytes()


def test_the_target_of_a_stack_is_that_of_most_frames(tmp_path: Path) -> None:
    simulate_session(plan(n_frames=1, target="One"), tmp_path / "in")
    later = START.replace(second=30)
    simulate_session(plan(n_frames=2, target="Most", start_utc=later), tmp_path / "in")
    (block,) = stack_paths([tmp_path / "in"], tmp_path / "out").blocks
    assert block.target == "Most"
    assert fits.getval(str(block.output), "OBJECT") == "Most"


def test_the_output_folder_may_lie_among_the_frames(night: Night, tmp_path: Path) -> None:
    copied(frames_below(night.folder)[:2], tmp_path)
    first = stack_paths([tmp_path], tmp_path / "stacks")
    again = stack_paths([tmp_path], tmp_path / "stacks")
    assert [b.label for b in again.blocks] == [b.label for b in first.blocks]
    assert all(block.unchanged for block in again.blocks)
    reconcile(again, [path for path in tmp_path.rglob("*") if path.is_file()])
    beside = stack_paths([tmp_path], tmp_path)
    assert [b.label for b in beside.blocks] == [b.label for b in first.blocks]


def test_an_output_folder_that_is_a_file_is_refused(night: Night, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match="output folder cannot be made"):
        stack_paths([night.folder], tmp_path / "file")


def test_nothing_at_all_gives_an_empty_report(tmp_path: Path) -> None:
    report = stack_paths([tmp_path, tmp_path / "absent"], tmp_path / "out")
    assert report.blocks == ()
    assert [entry.reason for entry in report.skipped] == ["no such file or folder"]


def test_names_that_are_no_text_and_hostile_ones(night: Night, tmp_path: Path) -> None:
    frames = frames_below(night.folder)[:3]
    names = [b"a\xff\xfe.fit", "\u202e\U0001f52d' OR 1=1.fit".encode(), b"b\n\x1b[2J .fit"]
    for frame, name in zip(frames, names, strict=True):
        (copy,) = copied([frame], tmp_path / "in")
        copy.rename(Path(str(copy.parent), name.decode("utf-8", "surrogateescape")))
    for unchanged in (False, True):
        report = stack_paths([tmp_path / "in"], tmp_path / "out")
        reconcile(report, (tmp_path / "in").iterdir())
        assert {block.unchanged for block in report.blocks} == {unchanged}


def test_links_that_loop_and_frames_that_hang_in_the_air(night: Night, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    copied(frames_below(night.folder)[:1], folder)
    (folder / "loop").symlink_to(folder)
    (folder / "nowhere.fit").symlink_to(tmp_path / "gone.fit")
    (folder / "self.fit").symlink_to(folder / "self.fit")
    (folder / "folder.fit").mkdir()
    report = stack_paths([folder], tmp_path / "out")
    assert sum(len(block.frames) for block in report.blocks) == 1
    reasons = {entry.file.name: entry.reason for entry in report.skipped}
    assert set(reasons) >= {"nowhere.fit", "self.fit"}
    assert all("cannot be opened" in reasons[name] for name in ("nowhere.fit", "self.fit"))


def _sky_noise(plane: np.ndarray) -> float:
    sky = plane[700:1200, 300:800]
    return float(np.median(np.abs(sky - np.median(sky))))


def test_the_stack_of_two_is_their_mean(night: Night, tmp_path: Path) -> None:
    frames = copied(frames_below(night.folder / "Pole field_sub")[:2], tmp_path)
    stacks = [stack_paths([path], tmp_path / path.stem).blocks[0] for path in frames]
    single = [planes_of(str(one.output))[1] for one in stacks]
    (both,) = stack_paths(frames, tmp_path / "both").blocks
    assert both.n_used == 2
    assert all(frame.rejected_fraction < 0.02 for frame in both.frames)
    pair = planes_of(str(both.output))[1]
    noise = [_sky_noise(p) for p in (*single, pair)]
    assert noise[2] < 0.85 * min(noise[:2])
