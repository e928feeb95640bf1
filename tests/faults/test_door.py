"""Files that are not what they say: refused from a few bytes, before anything is allocated."""

from __future__ import annotations

import gzip
import os
import tracemalloc
from io import FileIO
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from crowdsky.errors import FrameError, NotARawFrame, UnreadableFrame
from crowdsky.frames import DoorLimits, check_door, find_frames, read_frame
from crowdsky.frames.door import check_open_file
from tests.frames.fits_files import BLOCK, card, header_bytes, sub_bytes

LIMITS = DoorLimits()
HEADER_LIMIT_BYTES = -(-LIMITS.max_cards * 80 // BLOCK) * BLOCK


class CountingFile(FileIO):
    """A file that knows how many bytes were read from it."""

    n_read = 0

    def read(self, size: int = -1, /) -> bytes:
        data = super().read(size)
        self.n_read += len(data)
        return data


def refusal(path: Path) -> str:
    """The one-line reason for which a file is refused, which also names the file."""
    with pytest.raises(FrameError) as caught:
        check_door(path)
    message = str(caught.value)
    assert path.name in message
    assert "\n" not in message
    with pytest.raises(FrameError):
        read_frame(path)
    return message


def written(folder: Path, content: bytes, name: str = "a.fit") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


# --- 1: not FITS ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (np.random.default_rng(1).bytes(100), "does not begin with SIMPLE"),
        (np.random.default_rng(2).bytes(100_000), "does not begin with SIMPLE"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(5000), "a JPEG picture"),
        (b"\x89PNG\r\n\x1a\n" + bytes(5000), "a PNG picture"),
        (b"<!DOCTYPE html><html>" + b" " * 5000, "an HTML or XML page"),
        (b"PK\x03\x04" + bytes(5000), "a ZIP archive"),
        (b"XTENSION= 'IMAGE   '".ljust(5760), "a FITS extension"),
        (b"S", "does not begin with SIMPLE"),
        (b"SIMPLE  =", "stops before the END card"),
    ],
)
def test_what_is_not_fits_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    assert reason in refusal(written(tmp_path, content))


def test_simple_must_be_true(tmp_path: Path) -> None:
    assert "SIMPLE = T" in refusal(written(tmp_path, sub_bytes(SIMPLE=False)))


def test_a_missing_file_a_folder_and_a_pipe_are_refused_without_waiting(tmp_path: Path) -> None:
    assert "cannot be opened" in refusal(tmp_path / "none.fit")
    folder = tmp_path / "folder.fit"
    folder.mkdir()
    refusal(folder)
    if hasattr(os, "mkfifo"):
        pipe = tmp_path / "pipe.fit"
        os.mkfifo(pipe)
        assert "not a regular file" in refusal(pipe)


# --- 2: truncated ---------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["one byte", "half", "one block", "all data", "half a header"])
def test_a_truncated_file_is_refused_by_its_size(tmp_path: Path, missing: str) -> None:
    pixels = np.zeros((72, 40), np.uint16)  # exactly two blocks, so that no padding hides a loss
    whole = sub_bytes(pixels=pixels)
    kept = {
        "one byte": len(whole) - 1,
        "half": len(whole) - pixels.nbytes // 2,
        "one block": len(whole) - BLOCK,
        "all data": len(whole) - pixels.nbytes,
        "half a header": 1000,
    }[missing]
    path = written(tmp_path, whole[:kept])
    message = refusal(path)
    if missing != "half a header":
        assert f"its header promises {len(whole)} bytes" in message
        assert f"{kept} bytes" in message
    assert check_door(written(tmp_path, whole)).data_bytes == pixels.nbytes


# --- 3: too much ----------------------------------------------------------------------------------


@pytest.mark.parametrize("extra", [1, BLOCK - 1, BLOCK, LIMITS.max_trailing_bytes])
def test_a_little_padding_is_ignored(tmp_path: Path, extra: int) -> None:
    pixels = np.full((72, 40), 7, np.uint16)
    path = written(tmp_path, sub_bytes(pixels=pixels) + b"\0" * extra)
    np.testing.assert_array_equal(read_frame(path).mosaic, pixels)


def test_a_gigabyte_of_padding_is_refused_unread(tmp_path: Path) -> None:
    path = written(tmp_path, sub_bytes())
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size + 2**30)  # sparse: takes no space
    with CountingFile(path) as stream, pytest.raises(UnreadableFrame, match="may follow the image"):
        check_open_file(stream)
    assert stream.n_read <= 5 * BLOCK


# --- 4: absurd sizes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {"NAXIS1": 2**31 - 1},
        {"NAXIS1": 2**31 - 1, "NAXIS2": 2**31 - 1},
        {"NAXIS1": 2**63, "NAXIS2": 2**63},
        {"NAXIS1": 10**39},
        {"NAXIS1": -1080},
        {"NAXIS2": 0},
        {"NAXIS": 999},
        {"NAXIS": -1},
        {"NAXIS": 1},
        {"NAXIS": 3},
        {"NAXIS": 3, "NAXIS3": 0},
        {"NAXIS": 3, "NAXIS3": -1},
        {"NAXIS": 3, "NAXIS3": 2**31},
        {"NAXIS": 2.0},
        {"NAXIS": None},
        {"NAXIS1": "1080"},
        {"NAXIS1": True},
        {"NAXIS1": b"1O80"},
        {"BITPIX": 17},
        {"BITPIX": 0},
        {"BITPIX": None},
        {"BITPIX": -16},
        {"NAXIS1": 16384, "NAXIS2": 16384, "BITPIX": 64},
        {"PCOUNT": 2**40},
        {"PCOUNT": -1},
        {"GCOUNT": 2},
        {"BZERO": "x"},
        {"BSCALE": b"1E400"},
    ],
    ids=str,
)
def test_absurd_sizes_are_refused_from_the_header_alone(
    tmp_path: Path, changed: dict[str, object]
) -> None:
    path = written(tmp_path, sub_bytes(**changed))
    tracemalloc.start()
    try:
        refusal(path)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 2_000_000


def test_two_different_sizes_in_one_header_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, sub_bytes(card("NAXIS1", 64)))
    assert "given twice" in refusal(path)
    assert check_door(written(tmp_path, sub_bytes(card("NAXIS1", 32)))).nx == 32


# --- 5: hostile headers ---------------------------------------------------------------------------


def test_a_million_cards_are_refused_after_the_limit(tmp_path: Path) -> None:
    path = written(tmp_path, sub_bytes()[:1600] + card("COMMENT1", "x") * 4000)
    with path.open("r+b") as stream:
        stream.truncate(80_000_000)
    with CountingFile(path) as stream, pytest.raises(UnreadableFrame, match="no END card within"):
        check_open_file(stream)
    assert stream.n_read <= HEADER_LIMIT_BYTES + 9


def test_a_long_header_within_the_limit_is_read(tmp_path: Path) -> None:
    comments = b"COMMENT a long story".ljust(80) * 1500
    assert check_door(written(tmp_path, sub_bytes(comments))).nx == 32


@pytest.mark.parametrize(
    "end",
    [b" " * 80, b" END".ljust(80), b"END     = 3".ljust(80), b"end".ljust(80), b"ENDX".ljust(80)],
)
def test_a_header_without_a_proper_end_is_refused(tmp_path: Path, end: bytes) -> None:
    assert "END" in refusal(written(tmp_path, sub_bytes(end=end)))


@pytest.mark.parametrize("byte", [b"\xe9", b"\x00", b"\t", b"\n", b"\x7f", b"\x1b"])
def test_bytes_that_are_not_printable_ascii_are_refused(tmp_path: Path, byte: bytes) -> None:
    path = written(tmp_path, sub_bytes(OBJECT=b"'" + byte + b"toile'"))
    assert f"byte 0x{byte[0]:02x} in card 28" in refusal(path)


def test_an_endless_continue_chain_stops_at_the_limit(tmp_path: Path) -> None:
    chain = b"CONTINUE  'more&'".ljust(80) * 3000
    path = written(tmp_path, sub_bytes(chain, OBJECT="start&"))
    assert "no END card within" in refusal(path)
    chain = chain[: 80 * 1500]
    header = read_frame(written(tmp_path, sub_bytes(card("LONGSTR", "start&"), chain))).header
    assert header.target == "M 94"


# --- 6: compressed --------------------------------------------------------------------------------


def test_a_tile_compressed_image_is_refused_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    image = fits.CompImageHDU(np.zeros((64, 64), np.int16), compression_type="HCOMPRESS_1")
    fits.HDUList([fits.PrimaryHDU(), image]).writeto(path)
    assert "unpack it first (funpack)" in refusal(path)


def test_a_lying_tile_size_is_never_believed(tmp_path: Path) -> None:
    primary = header_bytes({"SIMPLE": True, "BITPIX": 8, "NAXIS": 0, "EXTEND": True})
    table = {"XTENSION": "BINTABLE", "BITPIX": 8, "NAXIS": 2, "NAXIS1": 8, "NAXIS2": 1}
    lie = {"ZIMAGE": True, "ZCMPTYPE": "HCOMPRESS_1", "ZTILE1": 2**31 - 1, "ZTILE2": 2**31 - 1}
    path = written(tmp_path, primary + header_bytes({**table, **lie}) + bytes(BLOCK))
    assert "compressed FITS" in refusal(path)


def test_an_empty_primary_hdu_is_no_raw_frame(tmp_path: Path) -> None:
    path = written(tmp_path, header_bytes({"SIMPLE": True, "BITPIX": 8, "NAXIS": 0}))
    with pytest.raises(NotARawFrame, match="holds no image"):
        check_door(path)


def test_a_gzip_bomb_is_never_unpacked(tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(10_000_000))
    path = written(tmp_path, bomb, "bomb.fit")
    tracemalloc.start()
    try:
        assert "a gzip file; unpack it first" in refusal(path)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 1_000_000
    written(tmp_path, bomb, "bomb.fit.gz")
    assert find_frames(tmp_path).skipped_counts == {"compressed file, unpack it first": 1}
