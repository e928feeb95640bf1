"""The door: whether a file is an image that this package is willing to read at all.

Decides from the size of the file and a bounded number of its first bytes, in about a tenth of a
millisecond, and allocates nothing that a header asks for. What is refused here never reaches
another reader.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import BinaryIO

from crowdsky.errors import NotARawFrame, UnreadableFrame
from crowdsky.frames.cards import HeaderCards, read_cards
from crowdsky.frames.limits import DoorLimits
from crowdsky.frames.opening import open_regular_file

__all__ = ["DoorLimits", "DoorReport", "check_door", "check_open_file"]

_SIMPLE_CARD = b"SIMPLE  ="
_FOREIGN_BEGINNINGS = (
    (b"\x1f\x8b", "a gzip file; unpack it first"),
    (b"PK\x03\x04", "a ZIP archive; unpack it first"),
    (b"BZh", "a bzip2 file; unpack it first"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89PNG", "a PNG picture"),
    (b"<", "an HTML or XML page"),
    (b"XTENSION", "a FITS extension without its primary header"),
)
_BITPIX_ALLOWED = (8, 16, 32, 64, -32, -64)


@dataclass(frozen=True, slots=True)
class DoorReport:
    """The layout of an admitted file.

    Attributes
    ----------
    nx, ny, n_planes : int
        Size of the image in pixels and its colour planes (1 for a raw frame, 3 for a stack).
    bitpix : int
        FITS BITPIX: bits of a pixel, negative for floating point.
    bzero, bscale : float
        Physical value = stored value x bscale + bzero.
    data_offset, data_bytes, file_bytes : int
        Where the pixels start, how many bytes they take, and the size of the file.
    cards : HeaderCards
        The header.
    """

    nx: int
    ny: int
    n_planes: int
    bitpix: int
    bzero: float
    bscale: float
    data_offset: int
    data_bytes: int
    file_bytes: int
    cards: HeaderCards


def check_door(path: str | os.PathLike[str], limits: DoorLimits | None = None) -> DoorReport:
    """Admit or refuse a file.

    Parameters
    ----------
    path : path-like
    limits : DoorLimits, optional

    Returns
    -------
    DoorReport

    Raises
    ------
    UnreadableFrame
        Not FITS, damaged, truncated, compressed, or beyond a limit.
    NotARawFrame
        A sound FITS file without an image in its primary HDU.
    """
    with open_regular_file(path) as stream:
        return check_open_file(stream, limits)


def check_open_file(stream: BinaryIO, limits: DoorLimits | None = None) -> DoorReport:
    """`check_door` for a file that is already open."""
    limits = limits or DoorLimits()
    file = str(stream.name)
    file_bytes = os.fstat(stream.fileno()).st_size
    _refuse_foreign(stream.read(len(_SIMPLE_CARD)), file_bytes, file)
    cards = read_cards(stream, limits)
    if cards.get("SIMPLE") is not True or next(iter(cards)) != "SIMPLE":
        raise UnreadableFrame("the first card of a FITS file is SIMPLE = T", file=file)

    bitpix = _integer(cards, "BITPIX", file)
    if bitpix not in _BITPIX_ALLOWED:
        raise UnreadableFrame(
            f"BITPIX is one of {', '.join(map(str, _BITPIX_ALLOWED))}",
            file=file,
            value=f"BITPIX={bitpix}",
        )
    nx, ny, n_planes = _axes(cards, limits, stream, file)
    for keyword, only in (("PCOUNT", 0), ("GCOUNT", 1)):
        if keyword in cards and _integer(cards, keyword, file) != only:
            raise UnreadableFrame(
                f"{keyword} of a plain image is {only}",
                file=file,
                value=f"{keyword}={cards[keyword]}",
            )
    data_bytes = nx * ny * n_planes * abs(bitpix) // 8
    _check_size(cards.data_offset, data_bytes, file_bytes, limits, file)
    return DoorReport(
        nx=nx,
        ny=ny,
        n_planes=n_planes,
        bitpix=bitpix,
        bzero=_real(cards, "BZERO", 0.0, file),
        bscale=_real(cards, "BSCALE", 1.0, file),
        data_offset=cards.data_offset,
        data_bytes=data_bytes,
        file_bytes=file_bytes,
        cards=cards,
    )


def _refuse_foreign(beginning: bytes, file_bytes: int, file: str) -> None:
    if file_bytes == 0:
        raise UnreadableFrame("not a FITS file: it is empty", file=file)
    if beginning == _SIMPLE_CARD:
        return
    for mark, name in _FOREIGN_BEGINNINGS:
        if beginning.startswith(mark):
            raise UnreadableFrame(f"not a FITS file: it looks like {name}", file=file)
    raise UnreadableFrame("not a FITS file: it does not begin with SIMPLE", file=file)


def _axes(
    cards: HeaderCards, limits: DoorLimits, stream: BinaryIO, file: str
) -> tuple[int, int, int]:
    naxis = _integer(cards, "NAXIS", file)
    if naxis == 0:
        if _is_compressed(cards, limits, stream):
            raise UnreadableFrame(
                "a compressed FITS image is not read; unpack it first (funpack)", file=file
            )
        raise NotARawFrame("the primary HDU holds no image (NAXIS=0)", file=file)
    if naxis not in (2, 3):
        raise UnreadableFrame(
            "an image has 2 axes, or 3 with colour planes", file=file, value=f"NAXIS={naxis}"
        )
    nx, ny = _integer(cards, "NAXIS1", file), _integer(cards, "NAXIS2", file)
    n_planes = _integer(cards, "NAXIS3", file) if naxis == 3 else 1
    for keyword, length in (("NAXIS1", nx), ("NAXIS2", ny)):
        if not limits.min_axis_px <= length <= limits.max_axis_px:
            raise UnreadableFrame(
                f"an image axis is {limits.min_axis_px} to {limits.max_axis_px} pixels long",
                file=file,
                value=f"{keyword}={length}",
            )
    if n_planes not in (1, limits.max_planes):
        raise UnreadableFrame(
            f"an image has 1 or {limits.max_planes} planes", file=file, value=f"NAXIS3={n_planes}"
        )
    return nx, ny, n_planes


def _is_compressed(cards: HeaderCards, limits: DoorLimits, stream: BinaryIO) -> bool:
    """Whether a tile-compressed image follows an empty primary HDU; reads headers only."""
    try:
        return read_cards(stream, limits, offset=cards.data_offset).get("ZIMAGE") is True
    except UnreadableFrame:
        return False


def _check_size(
    data_offset: int, data_bytes: int, file_bytes: int, limits: DoorLimits, file: str
) -> None:
    if data_bytes > limits.max_data_bytes:
        raise UnreadableFrame(
            f"an image takes at most {limits.max_data_bytes} bytes",
            file=file,
            value=f"{data_bytes} bytes",
        )
    expected = data_offset + data_bytes
    if file_bytes < expected:
        raise UnreadableFrame(
            f"truncated: its header promises {expected} bytes",
            file=file,
            value=f"{file_bytes} bytes",
            expected_bytes=expected,
            file_bytes=file_bytes,
        )
    # The last 2880-byte block may be padded, and some transfers add a little.
    trailing = file_bytes - expected
    if trailing > limits.max_trailing_bytes:
        raise UnreadableFrame(
            f"at most {limits.max_trailing_bytes} bytes may follow the image",
            file=file,
            value=f"{trailing} bytes",
            trailing_bytes=trailing,
        )


def _integer(cards: HeaderCards, keyword: str, file: str) -> int:
    value = cards.get(keyword)
    if isinstance(value, bool) or not isinstance(value, int):
        raise UnreadableFrame(
            f"{keyword} is a required integer", file=file, value=f"{keyword}={value}"
        )
    return value


def _real(cards: HeaderCards, keyword: str, default: float, file: str) -> float:
    value = cards.get(keyword)
    if value is None:
        return default
    if isinstance(value, (bool, str)) or abs(value) > 1e30:
        raise UnreadableFrame(f"{keyword} is a number", file=file, value=f"{keyword}={value}")
    return float(value)
