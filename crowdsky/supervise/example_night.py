"""A night to try the site with, for people who have no frames at hand.

``python -m crowdsky.supervise.example_night FOLDER`` draws it once, as FOLDER/example-night.zip;
the pages offer it to everybody, and it can be dropped back on the page for uploads as it is.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from crowdsky.aside import written_aside
from crowdsky.simulate import Flaw, Session, SessionPlan
from crowdsky.simulate.fits_file import folder_name, write_frame

__all__ = ["EXAMPLE_NIGHT", "draw_example_night", "example_plans"]

EXAMPLE_NIGHT = "example-night.zip"
_NIGHT = datetime(2025, 6, 20, 22, 1, 5, tzinfo=UTC)
_TOP = "example-night"
# Raw frames are half noise: harder work takes four times as long and saves one percent.
_LEVEL = 1


def example_plans(n_frames: int = 12) -> list[SessionPlan]:
    """A galaxy and a nebula, a block each; a cloud and a trail, so that frames are refused too."""
    common = {
        "n_frames": n_frames,
        "serial": "51e8a391",
        "site_lat_deg": 46.95,
        "site_lon_deg": 7.45,
        "utc_offset_h": 2.0,
        "seed": 2025,
    }
    return [
        SessionPlan(
            target="M 101",
            ra_deg=210.8023,
            dec_deg=54.3490,
            start_utc=_NIGHT,
            rotation_deg=31.0,
            satellites=(3,),
            flaws=((5, Flaw.CLOUD),),
            **common,  # type: ignore[arg-type]
        ),
        SessionPlan(
            target="IC 5146",
            ra_deg=328.3708,
            dec_deg=47.2667,
            start_utc=_NIGHT + timedelta(minutes=30),
            rotation_deg=-64.0,
            flaws=((4, Flaw.TRAILED),),
            **common,  # type: ignore[arg-type]
        ),
    ]


def draw_example_night(
    path: Path, plans: Sequence[SessionPlan], *, before_each: Callable[[], None] = lambda: None
) -> None:
    """Draw sessions into one ZIP, laid out as on the telescope's disk; whole or not at all.

    Parameters
    ----------
    path : Path
        Its folder exists.
    plans : sequence of SessionPlan
    before_each : callable
        Called before each frame; what it raises ends the drawing.
    """
    with (
        written_aside(path) as stream,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive,
        tempfile.TemporaryDirectory(dir=path.parent, prefix=".example-") as scratch,
    ):
        frame_file = Path(scratch) / "frame.fit"
        for plan in plans:
            for frame in Session(plan):
                before_each()
                write_frame(frame_file, frame.mosaic, frame.cards)
                archive.write(frame_file, f"{_TOP}/{folder_name(plan)}/{frame.truth.file}")


def main(words: Sequence[str]) -> int:
    """Draw the night unless it is there."""
    path = Path(words[0]) / EXAMPLE_NIGHT
    if path.exists():
        return 0
    asked_to_stop: list[int] = []
    # Not in the middle of a file: a ZIP that is half written cannot even be closed.
    signal.signal(signal.SIGTERM, lambda number, _: asked_to_stop.append(number))

    def before_each() -> None:
        if asked_to_stop:
            raise SystemExit(128 + asked_to_stop[0])

    for left in path.parent.glob(".example-*"):  # by one that was killed
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    with suppress(OSError):
        os.nice(15)  # whoever waits for an answer comes first
    draw_example_night(path, example_plans(), before_each=before_each)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
