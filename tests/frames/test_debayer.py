"""Mosaics into colours, checked against a plain and slow account of the same thing."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from crowdsky.frames import bilinear, read_frame, superpixel
from crowdsky.frames.debayer import red_position
from crowdsky.frames.header import BAYER_PATTERNS

COLOURS = {"R": 0, "G": 1, "B": 2}
# OpenCV names a pattern by the second pixels of the second row.
OPENCV_CODES = {
    "GRBG": cv2.COLOR_BayerGB2RGB,
    "RGGB": cv2.COLOR_BayerBG2RGB,
    "GBRG": cv2.COLOR_BayerGR2RGB,
    "BGGR": cv2.COLOR_BayerRG2RGB,
}


def noise(shape: tuple[int, int], seed: int = 0) -> NDArray[np.uint16]:
    return (np.random.default_rng(seed).integers(0, 4096, shape) * 16).astype(np.uint16)


def colour_mask(shape: tuple[int, int], bayer: str, colour: str) -> NDArray[np.bool_]:
    cell = np.array(list(bayer)).reshape(2, 2) == colour
    return np.tile(cell, (shape[0] // 2 + 1, shape[1] // 2 + 1))[: shape[0], : shape[1]]


def slow_bilinear(mosaic: NDArray[np.uint16], bayer: str) -> NDArray[np.float64]:
    """Each colour: the mean of its nearest samples, the mosaic mirrored at its outer pixels."""
    ny, nx = mosaic.shape
    padded = np.pad(mosaic.astype(float), 1, mode="reflect")
    out = np.zeros((ny, nx, 3))
    kernels = {
        "G": np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4.0,
        "R": np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4.0,
        "B": np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4.0,
    }
    for colour, plane in COLOURS.items():
        mask = np.pad(colour_mask((ny, nx), bayer, colour).astype(float), 1, mode="reflect")
        for dy in range(3):
            for dx in range(3):
                samples = (padded * mask)[dy : dy + ny, dx : dx + nx]
                out[:, :, plane] += kernels[colour][dy, dx] * samples
    return out


@pytest.mark.parametrize("bayer", BAYER_PATTERNS)
@pytest.mark.parametrize("shape", [(48, 32), (47, 31), (2, 2), (3, 3), (2, 7), (5, 4), (4, 5)])
def test_bilinear_is_the_mean_of_the_nearest_samples(bayer: str, shape: tuple[int, int]) -> None:
    mosaic = noise(shape)
    image = bilinear(mosaic, bayer)
    assert image.dtype == np.uint16
    # Samples are multiples of 16, so nothing is rounded and the comparison is exact.
    np.testing.assert_array_equal(image, slow_bilinear(mosaic, bayer))


@pytest.mark.parametrize("bayer", BAYER_PATTERNS)
def test_bilinear_agrees_with_opencv_inside_the_border(bayer: str) -> None:
    mosaic = noise((64, 50), seed=5)
    theirs = cv2.demosaicing(mosaic, OPENCV_CODES[bayer])
    np.testing.assert_array_equal(bilinear(mosaic, bayer)[1:-1, 1:-1], theirs[1:-1, 1:-1])


@pytest.mark.parametrize("bayer", BAYER_PATTERNS)
def test_a_flat_coloured_field_stays_flat_to_the_corners(bayer: str) -> None:
    mosaic = np.zeros((20, 22), np.uint16)
    for colour, value in {"R": 1600, "G": 3200, "B": 800}.items():
        mosaic[colour_mask(mosaic.shape, bayer, colour)] = value
    assert np.all(bilinear(mosaic, bayer) == (1600, 3200, 800))


@pytest.mark.parametrize("bayer", BAYER_PATTERNS)
def test_fluxes_are_kept(bayer: str) -> None:
    """Four times the red and blue flux on the mosaic, twice the green: wherever a star falls."""
    mosaic = np.zeros((40, 40), np.uint16)
    mosaic[4:-4, 4:-4] = noise((32, 32), seed=7)
    sums = bilinear(mosaic, bayer).sum(axis=(0, 1), dtype=np.int64)
    for colour, plane in COLOURS.items():
        flux = mosaic[colour_mask(mosaic.shape, bayer, colour)].sum(dtype=np.int64)
        assert sums[plane] == flux * (2 if colour == "G" else 4)


def test_large_values_do_not_overflow() -> None:
    mosaic = np.full((6, 6), 65535, np.uint16)
    assert np.all(bilinear(mosaic) == 65535)
    assert np.all(superpixel(mosaic) == 65535.0)


def test_a_buffer_can_be_used_again() -> None:
    mosaic = noise((20, 30))
    out = np.empty((20, 30, 3), np.uint16)
    assert bilinear(mosaic, out=out) is out
    np.testing.assert_array_equal(out, bilinear(mosaic))
    np.testing.assert_array_equal(bilinear(mosaic[::1, ::2][:, :14]), bilinear(mosaic[:, :28:2]))
    with pytest.raises(ValueError, match="out is uint16 of shape"):
        bilinear(mosaic, out=np.empty((20, 30, 3), np.float32))  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(48, 32), (47, 31), (2, 2)])
def test_superpixels_are_means_of_cells(shape: tuple[int, int]) -> None:
    mosaic = noise(shape)
    ny, nx = shape[0] // 2, shape[1] // 2
    expected = mosaic[: 2 * ny, : 2 * nx].reshape(ny, 2, nx, 2).mean(axis=(1, 3))
    image = superpixel(mosaic)
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, expected)


def test_patterns_are_checked() -> None:
    assert red_position("GRBG") == (1, 0)
    for function in (bilinear, superpixel):
        with pytest.raises(ValueError, match="unknown colour pattern 'XYZ'"):
            function(noise((4, 4)), "XYZ")
    with pytest.raises(ValueError, match="at least 2 by 2"):
        bilinear(noise((1, 8)))


@pytest.mark.real
def test_the_pattern_of_real_frames_is_grbg(real_frames: list[Path]) -> None:
    """The two greens of a cell see the same sky; red and blue see another."""
    mosaic = read_frame(real_frames[0]).mosaic.astype(float)
    level = {(x, y): np.median(mosaic[y::2, x::2]) for x in (0, 1) for y in (0, 1)}
    greens = abs(level[0, 0] - level[1, 1])
    assert greens < 0.25 * abs(level[0, 0] - level[1, 0])
    assert greens < 0.25 * abs(level[0, 0] - level[0, 1])
