"""Pixels of a frame, as numbers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crowdsky.errors import NotARawFrame, UnreadableFrame
from crowdsky.frames.door import check_open_file
from crowdsky.frames.frame_header import FrameHeader
from crowdsky.frames.header import interpret
from crowdsky.frames.limits import DoorLimits
from crowdsky.frames.opening import open_regular_file
from crowdsky.kernels import njit

__all__ = ["RawFrame", "read_frame", "read_rgb"]


@dataclass(frozen=True, slots=True)
class RawFrame:
    """A raw sub.

    Attributes
    ----------
    header : FrameHeader
    mosaic : ndarray of uint16, shape (ny, nx)
        Bayer mosaic in ADU, rows as stored, never flipped.
    """

    header: FrameHeader
    mosaic: NDArray[np.uint16]


def read_frame(path: str | os.PathLike[str], limits: DoorLimits | None = None) -> RawFrame:
    """Read a raw sub.

    Parameters
    ----------
    path : path-like
    limits : DoorLimits, optional

    Returns
    -------
    RawFrame

    Raises
    ------
    FrameError
        As `read_frame_header`; `NotARawFrame` for an on-board stack or pixels that are not 16-bit
        integers.
    """
    with open_regular_file(path) as stream:
        header = interpret(check_open_file(stream, limits), Path(path))
        if header.is_stack:
            raise NotARawFrame("an on-board stack, not a raw sub", file=path)
        if header.bitpix != 16 or header.bscale != 1.0 or header.bzero not in (0.0, 32768.0):
            raise NotARawFrame(
                "a raw sub holds 16-bit integers, unscaled (BZERO 32768 or 0)",
                file=path,
                value=f"BITPIX={header.bitpix} BSCALE={header.bscale:g} BZERO={header.bzero:g}",
            )
        mosaic = np.empty((header.ny, header.nx), np.uint16)
        _fill(stream, header, mosaic)
    if header.bzero:
        _native_unsigned(mosaic.reshape(-1))
    else:
        mosaic.byteswap(inplace=True)
        if int(mosaic.view(np.int16).min()) < 0:
            raise UnreadableFrame("pixels of a raw sub are not negative", file=path)
    return RawFrame(header, mosaic)


def read_rgb(
    path: str | os.PathLike[str], limits: DoorLimits | None = None
) -> tuple[FrameHeader, NDArray[np.float32]]:
    """Read an image that the telescope stacked and debayered itself.

    Parameters
    ----------
    path : path-like
    limits : DoorLimits, optional

    Returns
    -------
    header : FrameHeader
    planes : ndarray of float32, shape (3, ny, nx)
        Red, green, blue in ADU, rows as stored.

    Raises
    ------
    FrameError
        As `read_frame_header`; `NotARawFrame` if the image has no colour planes.
    """
    with open_regular_file(path) as stream:
        header = interpret(check_open_file(stream, limits), Path(path))
        if header.n_planes != 3:
            raise NotARawFrame("an image without colour planes, not an RGB stack", file=path)
        stored = np.empty((3, header.ny, header.nx), _stored_dtype(header.bitpix))
        _fill(stream, header, stored)
    planes = stored.astype(np.float32)
    if header.bscale != 1.0:
        planes *= np.float32(header.bscale)
    if header.bzero:
        planes += np.float32(header.bzero)
    return header, planes


def _stored_dtype(bitpix: int) -> np.dtype[Any]:
    """The big-endian type of a FITS BITPIX (Standard 4.0, section 5)."""
    if bitpix == 8:
        return np.dtype(np.uint8)
    return np.dtype(f">{'f' if bitpix < 0 else 'i'}{abs(bitpix) // 8}")


def _fill(stream: FileIO, header: FrameHeader, pixels: NDArray[Any]) -> None:
    """Read the pixels straight into their array; no second copy is ever held."""
    stream.seek(header.data_offset)
    wanted = memoryview(pixels.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
    done = 0
    while done < len(wanted):
        n_read = stream.readinto(wanted[done:])
        if not n_read:
            # The size was right at the door, so the file was cut while it was being read.
            raise UnreadableFrame("the file became shorter while it was read", file=header.path)
        done += n_read


@njit()
def _native_unsigned(pixels: NDArray[np.uint16]) -> None:
    """Big-endian signed with BZERO 32768 into native unsigned, in place, in one pass.

    Adding 32768 modulo 65536 is the same as flipping the top bit.
    """
    for i in range(pixels.size):
        value = pixels[i]
        pixels[i] = ((value >> 8) | (value << 8)) ^ np.uint16(0x8000)
