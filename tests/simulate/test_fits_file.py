"""Files as the telescopes write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from crowdsky.errors import SimulationError
from crowdsky.frames import MountMode, read_frame, read_frame_header
from crowdsky.simulate import Flaw, Mount, SessionPlan, simulate_session
from tests.simulate.sessions import START, plan


def one_frame(folder: Path, **changes: object) -> Path:
    truth = simulate_session(plan(n_frames=1, flaws=((0, Flaw.DARK),), **changes), folder)
    return truth.folder / truth.frames[0].file


def test_an_s50_sub_has_the_size_and_name_of_a_real_one(tmp_path: Path) -> None:
    path = one_frame(tmp_path, target="M 94")
    assert path.stat().st_size == 4_152_960
    # Local time of saving: thirteen seconds after the start, four hours West.
    assert path.relative_to(tmp_path).as_posix() == (
        "M 94_sub/Light_M 94_10.0s_IRCUT_20250326-212046.fit"
    )


def test_astropy_reads_it_without_a_warning(tmp_path: Path) -> None:
    path = one_frame(tmp_path)
    with fits.open(path) as hdus:
        hdus.verify("exception")
        assert len(hdus) == 1
        assert hdus[0].data.shape == (1920, 1080)
        assert hdus[0].data.dtype == np.uint16
        np.testing.assert_array_equal(hdus[0].data, read_frame(path).mosaic)


def test_cards_have_the_types_of_real_ones(tmp_path: Path) -> None:
    cards = fits.getheader(one_frame(tmp_path, target="M 94"))
    assert cards["DATE-OBS"] == "2025-03-27T01:20:32.955368"
    assert cards["EXPTIME"] == cards["EXPOSURE"] == cards["TOTALEXP"] == 10.0
    assert cards["XPIXSZ"] == 2.90000009536743
    assert (cards["BITPIX"], cards["BZERO"], cards["BSCALE"]) == (16, 32768, 1)
    assert (cards["GAIN"], cards["FOCALLEN"]) == (80, 250)
    assert (cards["IMAGETYP"], cards["FILTER"], cards["BAYERPAT"]) == ("Light", "IRCUT", "GRBG")
    assert (cards["OBJECT"], cards["PROGRAM"]) == ("M 94", "4.27")
    assert "ROWORDER" not in cards
    assert "CRVAL1" not in cards
    assert "EQUINOX" not in cards


@pytest.mark.parametrize(
    ("changes", "telescop", "instrume", "shape"),
    [
        ({"firmware": "2.76"}, "Seestar S50", "Seestar S50", (1920, 1080)),
        ({"firmware": "4.27"}, "S50_51a0c0de", "Seestar S50", (1920, 1080)),
        ({"model": "S30", "serial": "0badcafe"}, "S30_0badcafe", "Seestar S30", (1920, 1080)),
        ({"model": "S30 Pro"}, "S30 Pro_51a0c0de", "imx585", (3840, 2160)),
    ],
)
def test_dialects(
    tmp_path: Path, changes: dict[str, str], telescop: str, instrume: str, shape: tuple[int, int]
) -> None:
    path = one_frame(tmp_path, **changes)
    cards = fits.getheader(path)
    assert (cards["TELESCOP"], cards["INSTRUME"]) == (telescop, instrume)
    header = read_frame_header(path)
    assert header.telescope.name == changes.get("model", "S50")
    assert (header.ny, header.nx) == shape
    assert header.start_utc == START


def test_only_late_firmware_tells_the_mount(tmp_path: Path) -> None:
    silent = read_frame_header(one_frame(tmp_path / "a", firmware="4.27"))
    altaz = read_frame_header(one_frame(tmp_path / "b", firmware="4.70"))
    equatorial = read_frame_header(
        one_frame(tmp_path / "c", firmware="4.70", mount=Mount.EQUATORIAL)
    )
    assert [h.mount for h in (silent, altaz, equatorial)] == [
        MountMode.UNKNOWN,
        MountMode.ALTAZ,
        MountMode.EQUATORIAL,
    ]


@pytest.mark.parametrize("target", ["../../etc", "..", "a/b", "a\\b", "  "])
def test_a_target_is_never_a_path(tmp_path: Path, target: str) -> None:
    path = one_frame(tmp_path, target=target)
    assert path.resolve().parent.parent == tmp_path.resolve()
    assert str(fits.getheader(path)["OBJECT"]).strip() == target.strip()


def test_a_quote_in_a_name_is_doubled(tmp_path: Path) -> None:
    assert fits.getheader(one_frame(tmp_path, target="Barnard's star"))["OBJECT"] == (
        "Barnard's star"
    )


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"model": "S51"}, "S51: model must be one of"),
        ({"target": ""}, "target must be 1 to 60 printable ASCII characters"),
        ({"dec_deg": 91.0}, "91.0: Dec must be within -90 and 90 degrees"),
        ({"n_frames": 0}, "0: a session has at least one frame"),
        ({"satellites": (7,)}, "7: no such frame in a session of this length"),
        ({"start_utc": START.replace(tzinfo=None)}, "start must carry a time zone"),
    ],
)
def test_a_plan_that_cannot_be_drawn_says_why(changes: dict[str, object], rule: str) -> None:
    with pytest.raises(SimulationError, match=rule):
        plan(**changes)


def test_the_plan_is_a_value() -> None:
    assert plan() == plan()
    assert plan(seed=1) != plan()
    assert isinstance(hash(plan()), int)
    assert isinstance(plan(), SessionPlan)
