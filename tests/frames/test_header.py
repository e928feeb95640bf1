"""What cards mean, dialect by dialect."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from crowdsky.errors import MissingHeaderCard
from crowdsky.frames import TELESCOPES, MountMode, read_frame_header
from tests.frames.fits_files import SUB_CARDS, card, write_sub


def test_a_raw_sub_of_firmware_4(tmp_path: Path) -> None:
    pixels = np.zeros((1920, 1080), np.uint16)
    header = read_frame_header(write_sub(tmp_path / "a.fit", pixels=pixels))
    assert (header.nx, header.ny, header.n_planes) == (1080, 1920, 1)
    assert header.telescope is TELESCOPES["S50"]
    assert header.telescope_id == "S50_1d3fe189"
    assert header.firmware == "4.27"
    assert (header.filter, header.exposure_s, header.gain) == ("IRCUT", 10.0, 80.0)
    assert (header.binning, header.bayer) == (1, "GRBG")
    assert header.start_utc == datetime(2025, 3, 27, 1, 20, 32, 955368, UTC)
    assert (header.mid_utc - header.start_utc).total_seconds() == 5.0
    assert header.epoch_jyear == pytest.approx(2025.23355, abs=1e-5)
    assert (header.target, header.mount) == ("M 94", MountMode.UNKNOWN)
    assert (header.n_stacked, header.is_stack) == (1, False)
    assert (header.site_lat_deg, header.site_lon_deg) == (32.8965, -79.7625)
    assert header.ccd_temp_c == 25.125
    assert header.scale_arcsec_per_px == TELESCOPES["S50"].scale_arcsec_per_px
    assert header.notes == ()
    assert header.pointing is not None
    assert header.pointing.ra_card_deg == 193.04166


@pytest.mark.parametrize(
    ("cards", "model", "telescope_id"),
    [
        ({"TELESCOP": "Seestar S50"}, "S50", "S50"),
        ({"TELESCOP": "S30_0a1b2c3d"}, "S30", "S30_0a1b2c3d"),
        ({"TELESCOP": "S30 Pro_0a1b2c3d"}, "S30 Pro", "S30 Pro_0a1b2c3d"),
        ({"TELESCOP": "S30Pro_0a1b2c3d"}, "S30 Pro", "S30 Pro_0a1b2c3d"),
        ({"TELESCOP": "ZWO Seestar S30 Pro"}, "S30 Pro", "S30 Pro"),
        ({"TELESCOP": None, "INSTRUME": "imx585"}, "S30 Pro", "S30 Pro"),
        ({"TELESCOP": None, "INSTRUME": "Seestar S30"}, "S30", "S30"),
        ({"TELESCOP": None, "INSTRUME": None}, "S50", "S50"),
        ({"TELESCOP": "Little Bear"}, "S50", "Little Bear"),
        ({"TELESCOP": 7, "INSTRUME": "Seestar S50"}, "S50", "S50"),
        ({"TELESCOP": "S500", "INSTRUME": "", "CREATOR": "N.I.N.A."}, "unknown", "S500"),
    ],
)
def test_models(tmp_path: Path, cards: dict[str, object], model: str, telescope_id: str) -> None:
    header = read_frame_header(write_sub(tmp_path / "a.fit", **cards))
    assert (header.telescope.name, header.telescope_id) == (model, telescope_id)


def test_an_unknown_telescope_has_the_scale_of_its_optics(tmp_path: Path) -> None:
    foreign = {"TELESCOP": "My Newton", "INSTRUME": "ASI294", "CREATOR": "N.I.N.A."}
    optics = {"FOCALLEN": 800, "XPIXSZ": 4.63}
    header = read_frame_header(write_sub(tmp_path / "a.fit", **foreign, **optics))
    assert header.telescope.name == "unknown"
    assert header.scale_arcsec_per_px == pytest.approx(206.2648 * 4.63 / 800)
    binned = {"XBINNING": 2, "XPIXSZ": 9.26}
    header = read_frame_header(write_sub(tmp_path / "b.fit", **foreign, FOCALLEN=800, **binned))
    assert header.binning == 2
    assert header.scale_arcsec_per_px == pytest.approx(206.2648 * 9.26 / 800)
    header = read_frame_header(write_sub(tmp_path / "c.fit", **foreign, FOCALLEN=0))
    assert math.isnan(header.scale_arcsec_per_px)
    with pytest.raises(MissingHeaderCard, match="BAYERPAT"):
        read_frame_header(write_sub(tmp_path / "d.fit", **foreign, BAYERPAT=None))


@pytest.mark.parametrize(
    ("model", "nx", "ny", "card_says", "binning"),
    [
        ("S30 Pro_1", 2160, 3840, 1, 1),
        ("S30 Pro_1", 1080, 1920, 1, 2),  # the size is a fact, the card an afterthought
        ("S30 Pro_1", 1080, 1920, 2, 2),
        ("S30 Pro_1", 1920, 1080, 2, 2),
        ("S50_1", 1080, 1920, 2, 1),
        ("S50_1", 540, 960, 1, 2),
        ("S50_1", 700, 900, 2, 2),
        ("S50_1", 700, 900, 17, 1),
    ],
)
def test_binning(
    tmp_path: Path, model: str, nx: int, ny: int, card_says: int, binning: int
) -> None:
    path = write_sub(
        tmp_path / "a.fit",
        pixels=np.zeros((ny, nx), np.uint16),
        TELESCOP=model,
        XBINNING=card_says,
    )
    header = read_frame_header(path)
    assert header.binning == binning
    assert header.scale_arcsec_per_px == header.telescope.scale_arcsec_per_px * binning


@pytest.mark.parametrize(
    ("value", "mount"),
    [
        (None, MountMode.UNKNOWN),
        (0, MountMode.ALTAZ),
        (1, MountMode.EQUATORIAL),
        (True, MountMode.EQUATORIAL),
        (False, MountMode.ALTAZ),
        (2, MountMode.UNKNOWN),
        ("EQ", MountMode.UNKNOWN),
    ],
)
def test_mount(tmp_path: Path, value: object, mount: MountMode) -> None:
    assert read_frame_header(write_sub(tmp_path / "a.fit", EQMODE=value)).mount is mount


@pytest.mark.parametrize(
    ("changed", "n_stacked", "is_stack"),
    [
        ({"STACKCNT": 1}, 1, False),
        ({"STACKCNT": 25}, 25, True),
        ({"NAXIS": 3, "NAXIS3": 3, "STACKCNT": 25}, 25, True),
        ({"NAXIS": 3, "NAXIS3": 3, "TOTALEXP": 250.0}, 25, True),
        ({"NAXIS": 3, "NAXIS3": 3, "TOTALEXP": None}, 0, True),
        ({"NAXIS": 3, "NAXIS3": 3, "STACKCNT": 1}, 1, True),
        ({"TOTALEXP": 250.0}, 1, False),
    ],
    ids=str,
)
def test_a_stack_is_told_by_its_axes_and_its_count(
    tmp_path: Path, changed: dict[str, object], n_stacked: int, is_stack: bool
) -> None:
    path = write_sub(tmp_path / "a.fit", **changed)
    path.write_bytes(path.read_bytes() + bytes(2 * 48 * 32 * 2))
    header = read_frame_header(path)
    assert (header.n_stacked, header.is_stack) == (n_stacked, is_stack)
    assert header.exposure_s == 10.0  # per sub, also in a stack


def test_a_bare_header_is_enough(tmp_path: Path) -> None:
    needed = ("SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "BZERO", "EXPTIME", "DATE-OBS")
    absent = {key.replace("-", "_"): None for key in SUB_CARDS if key not in needed}
    header = read_frame_header(write_sub(tmp_path / "a.fit", **{**absent, "BAYERPAT": "GRBG"}))
    assert header.telescope_id == "unknown"
    assert (header.target, header.filter, header.firmware) == ("", "", "")
    assert math.isnan(header.gain)
    assert math.isnan(header.site_lat_deg)
    assert header.pointing is None


def test_cards_of_another_type_count_as_absent(tmp_path: Path) -> None:
    header = read_frame_header(
        write_sub(tmp_path / "a.fit", GAIN="high", OBJECT=94, FILTER=True, SITELAT=123.0)
    )
    assert math.isnan(header.gain)
    assert math.isnan(header.site_lat_deg)
    assert (header.target, header.filter) == ("", "")


def test_a_wcs_of_other_software_leaves_the_pointing_alone(tmp_path: Path) -> None:
    extra = [card("RADESYS", "FK5"), card("EQUINOX", 2000.0), card("CRVAL1", 192.75)]
    plain = read_frame_header(write_sub(tmp_path / "a.fit"))
    solved = read_frame_header(write_sub(tmp_path / "b.fit", *extra))
    assert solved.pointing == plain.pointing
