"""Pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from crowdsky.errors import NotARawFrame, UnreadableFrame
from crowdsky.frames import read as read_module
from crowdsky.frames import read_frame, read_frame_header, read_rgb
from tests.frames.fits_files import SUB_CARDS, header_bytes, write_sub

EXTREMES = np.array([[0, 1, 255, 256], [32767, 32768, 65534, 65535]], np.uint16)


def test_every_16_bit_value_survives(tmp_path: Path) -> None:
    pixels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    frame = read_frame(write_sub(tmp_path / "a.fit", pixels=pixels))
    assert frame.mosaic.dtype == np.uint16
    assert frame.mosaic.dtype.isnative
    assert frame.mosaic.flags.c_contiguous
    np.testing.assert_array_equal(frame.mosaic, pixels)


def test_rows_are_as_stored_and_never_flipped(tmp_path: Path) -> None:
    pixels = np.zeros((48, 32), np.uint16)
    pixels[0, :2] = (100, 200)
    path = write_sub(tmp_path / "a.fit", pixels=pixels)
    assert read_frame(path).mosaic[0, :2].tolist() == [100, 200]
    np.testing.assert_array_equal(read_frame(path).mosaic, fits.getdata(path))


def test_signed_pixels_without_an_offset_are_read_if_none_is_negative(tmp_path: Path) -> None:
    pixels = np.tile(EXTREMES[:1], (48, 8)).astype(np.int32)
    # The writer subtracts 32768, so these are stored as they are.
    path = write_sub(tmp_path / "a.fit", pixels=pixels + 32768, BZERO=None)
    np.testing.assert_array_equal(read_frame(path).mosaic, pixels)
    path = write_sub(tmp_path / "b.fit", pixels=pixels + 32767, BZERO=None)
    with pytest.raises(UnreadableFrame, match="not negative"):
        read_frame(path)


@pytest.mark.parametrize("changed", [{"BITPIX": 8}, {"BZERO": 100}, {"BSCALE": 2.0}], ids=str)
def test_other_pixels_are_no_raw_frame(tmp_path: Path, changed: dict[str, object]) -> None:
    with pytest.raises(NotARawFrame, match="16-bit integers"):
        read_frame(write_sub(tmp_path / "a.fit", **changed))


@pytest.mark.parametrize(
    ("bitpix", "dtype", "bzero"), [(16, ">i2", 32768), (8, "u1", None), (-32, ">f4", None)]
)
def test_an_on_board_stack_has_three_planes(
    tmp_path: Path, bitpix: int, dtype: str, bzero: int | None
) -> None:
    planes = np.random.default_rng(3).integers(0, 255, (3, 24, 20)).astype(np.float32)
    cards = {**SUB_CARDS, "BITPIX": bitpix, "NAXIS": 3, "NAXIS1": 20, "NAXIS2": 24, "NAXIS3": 3}
    cards = {k: v for k, v in cards.items() if k not in ("BZERO", "BSCALE")} | {"BZERO": bzero}
    stored = (planes - (bzero or 0)).astype(dtype).tobytes()
    path = tmp_path / "Stacked_25_M 94.fit"
    path.write_bytes(header_bytes({**cards, "STACKCNT": 25}) + stored)
    header, read = read_rgb(path)
    assert header.n_stacked == 25
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, planes)
    with pytest.raises(NotARawFrame, match="an on-board stack, not a raw sub"):
        read_frame(path)


def test_a_raw_sub_has_no_colour_planes(tmp_path: Path) -> None:
    with pytest.raises(NotARawFrame, match="without colour planes"):
        read_rgb(write_sub(tmp_path / "a.fit"))


def test_a_file_that_is_cut_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_sub(tmp_path / "a.fit")
    fill = read_module._fill

    def cut_first(stream, header, pixels):  # type: ignore[no-untyped-def]
        with path.open("r+b") as other:
            other.truncate(header.data_offset + 100)
        fill(stream, header, pixels)

    monkeypatch.setattr(read_module, "_fill", cut_first)
    with pytest.raises(UnreadableFrame, match="became shorter"):
        read_frame(path)


@pytest.mark.real
def test_real_pixels_are_those_that_astropy_reads(real_frames: list[Path]) -> None:
    for path in (real_frames[0], real_frames[-1]):
        frame = read_frame(path)
        np.testing.assert_array_equal(frame.mosaic, fits.getdata(path))
        assert frame.mosaic.shape == (1920, 1080)
        assert frame.header == read_frame_header(path)
