"""Stack a block of frames in streams, with memory that does not grow with their number.

Pass A reads a few frames spread over the block: their median on the sensor shows the hot pixels,
their median on the sky is the reference. Pass B streams every frame once: mend, debayer, resample,
match the sky, compare with the reference, add. Pass C reads up to a hundred frames again and takes
out the sensor's fixed pattern.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from crowdsky.errors import FrameError, NothingToStack, StackError
from crowdsky.stacking.accumulate import PEDESTAL_ADU, add_frame, finish, sample_rows
from crowdsky.stacking.inputs import FrameFigures, FrameInput, StackedImage, check_frame
from crowdsky.stacking.mosaic import HotPixels, bayer_planes, find_hot_pixels, mend, red_site
from crowdsky.stacking.options import StackSettings
from crowdsky.stacking.pattern_pass import Added, as_arrays, remove_pattern, spread
from crowdsky.stacking.reference import Reference, make_reference, stored_samples
from crowdsky.stacking.resample import EDGE_PX, Placement, invert_affine, warp_planes
from crowdsky.stacking.sky import SkyGrid, SkyMatch, match_sky

__all__ = ["FrameFigures", "FrameInput", "StackedImage", "stack_frames"]

_MIN_SIDE_PX = 16
_NO_PLANES = np.zeros((3, 1, 1), np.float32)
_NO_IMAGE = np.zeros((3, 1, 1), np.uint16)


def stack_frames(
    frames: Sequence[FrameInput],
    *,
    bayer: str = "GRBG",
    shape: tuple[int, int] | None = None,
    settings: StackSettings | None = None,
    on_frame: Callable[[int, int], None] | None = None,
) -> StackedImage:
    """Stack raw frames onto the reference frame's grid.

    Parameters
    ----------
    frames : sequence of FrameInput
        Registered frames. One of them usually is the reference (identity matrix).
    bayer : str
        Colour pattern of the mosaics.
    shape : tuple of int, optional
        (ny, nx) of the output; that of the frames by default.
    settings : StackSettings, optional
    on_frame : callable, optional
        Called as ``on_frame(i, n)`` when the i-th of n frames (from 1) has been dealt with.

    Returns
    -------
    StackedImage

    Raises
    ------
    NothingToStack
        If no frame could be used.
    StackError, RegistrationError
        If a frame's shape, weight, scale or matrix breaks a rule.

    Notes
    -----
    Memory is flat in the number of frames: about 85 bytes a pixel, whatever `frames` holds.
    A frame that cannot be read (`FrameError`) is left out and its figures say why. The result does
    not depend on the order of `frames`: they are taken by name.
    """
    if not frames:
        raise NothingToStack("a stack needs at least one frame", n_frames=0)
    for frame in frames:
        check_frame(frame)
    run = _Run(frames, red_site(bayer), shape, settings or StackSettings(), on_frame)
    return run.result()


class _Run:
    """The state of one stack; its methods are the steps, in order."""

    bad: HotPixels
    grid: SkyGrid
    reference: Reference
    total: NDArray[np.float32]
    lost: NDArray[np.float32]
    shape_in: tuple[int, int]

    def __init__(
        self,
        frames: Sequence[FrameInput],
        red: tuple[int, int],
        shape: tuple[int, int] | None,
        settings: StackSettings,
        on_frame: Callable[[int, int], None] | None,
    ) -> None:
        self.frames = frames
        self.order = sorted(range(len(frames)), key=lambda i: (frames[i].name, i))
        self.red = red
        self.settings = settings
        self.on_frame = on_frame
        self.shape_in = (0, 0)
        self.shape_out = shape
        self.mean_weight = float(np.mean([f.weight for f in frames]))
        self.planes = _NO_PLANES
        self.figures: dict[int, FrameFigures] = {}
        self.added: list[Added] = []
        self.variance_sum = np.zeros(3)

    def result(self) -> StackedImage:
        """Run all the steps."""
        subset, stored = self._first_pass()
        # The planes are not needed until the stored frames are added: that is the peak of memory.
        self.planes = _NO_PLANES
        scales = np.array([self.frames[i].scale for i in subset])
        self.reference = make_reference(stored, scales, self.grid, self.settings, len(self.frames))
        self.total = np.zeros(stored.shape[1:], np.float32)
        self.lost = np.zeros(stored.shape[1:], np.float32)
        for j, i in enumerate(subset):
            self._add(i, stored[j])
        del stored
        self.planes = np.empty((3, *self.shape_in), np.float32)
        for i in self.order:
            if i in self.figures:
                continue
            mosaic = self._load(i)
            if mosaic is not None:
                self._debayer(mosaic)
                self._add(i, None)
        self.planes = _NO_PLANES
        return self._finish()

    # -- reading ------------------------------------------------------------------------------

    def _load(self, i: int) -> NDArray[np.uint16] | None:
        frame = self.frames[i]
        try:
            mosaic = frame.load()
        except FrameError as error:
            self._settle(i, FrameFigures(frame.name, used=False, reason=str(error)))
            return None
        if mosaic.ndim != 2 or min(mosaic.shape) < _MIN_SIDE_PX:
            raise StackError(
                f"a raw frame has two axes of at least {_MIN_SIDE_PX} pixels",
                file=frame.name,
                value=mosaic.shape,
            )
        if self.shape_in == (0, 0):
            self.shape_in = (mosaic.shape[0], mosaic.shape[1])
        if mosaic.shape != self.shape_in:
            raise StackError(
                f"frames of one stack have one shape, here {self.shape_in}",
                file=frame.name,
                value=mosaic.shape,
            )
        return mosaic

    def _debayer(self, mosaic: NDArray[np.uint16]) -> None:
        mend(mosaic, self.bad)
        bayer_planes(mosaic, self.red[0], self.red[1], self.planes)

    def _settle(self, i: int, figures: FrameFigures) -> None:
        self.figures[i] = figures
        if self.on_frame is not None:
            self.on_frame(len(self.figures), len(self.frames))

    def _placement(self, i: int) -> Placement:
        return Placement.of(invert_affine(self.frames[i].matrix), self.shape_in)

    # -- pass A -------------------------------------------------------------------------------

    def _read_subset(self) -> dict[int, NDArray[np.uint16]]:
        """A few frames spread over the block; should files fail, others in their place."""
        mosaics: dict[int, NDArray[np.uint16]] = {}
        wanted = min(self.settings.n_reference, len(self.order))
        while len(mosaics) < wanted:
            left = [i for i in self.order if i not in mosaics and i not in self.figures]
            if not left:
                break
            for j in spread(len(left), wanted - len(mosaics)):
                mosaic = self._load(left[j])
                if mosaic is not None:
                    mosaics[left[j]] = mosaic
        return mosaics

    def _first_pass(self) -> tuple[list[int], NDArray[np.uint16]]:
        """Find the hot pixels; resample the subset. Returns its places and its images."""
        mosaics = self._read_subset()
        if not mosaics:
            reason = next(iter(self.figures.values())).reason
            raise NothingToStack("no frame of the block could be read", value=reason)
        s = self.settings
        subset = [i for i in self.order if i in mosaics]
        raw = np.array([mosaics.pop(i) for i in subset])
        self.bad = find_hot_pixels(raw, sigma=s.hot_sigma, neighbour_ratio=s.hot_neighbour_ratio)
        ny, nx = self.shape_out or self.shape_in
        self.grid = SkyGrid.over(ny, nx)
        self.planes = np.empty((3, *self.shape_in), np.float32)
        stored = np.empty((len(subset), 3, ny, nx), np.uint16)
        for j, i in enumerate(subset):
            self._debayer(raw[j])
            place = self._placement(i)
            warp_planes(
                place.turn(self.planes), place.inverse, s.cubic_a, EDGE_PX, PEDESTAL_ADU, stored[j]
            )
        return subset, stored

    # -- pass B -------------------------------------------------------------------------------

    def _add(self, i: int, image: NDArray[np.uint16] | None) -> None:
        """Add a frame: resampled already (`image`), or else from the planes."""
        frame, s, reference = self.frames[i], self.settings, self.reference
        place = self._placement(i)
        planes = self.planes
        if image is not None:
            samples = stored_samples(image, self.grid)
        else:
            planes = place.turn(planes)
            samples = self.grid.empty()
            sample_rows(
                planes, place.inverse, s.cubic_a, EDGE_PX, self.grid.first, self.grid.step,
                self.grid.x_step, reference.image.shape[2], samples,
            )  # fmt: skip
        match = match_sky(
            samples, reference.samples, self.grid, scale=frame.scale, order=s.sky_order
        )
        weight = frame.weight / self.mean_weight
        known = match.tail_adu > 0
        limit = np.where(known, reference.k_sigma * match.tail_adu, -1.0)
        counts = add_frame(
            planes, _NO_IMAGE if image is None else image, image is not None,
            place.shape[0], place.shape[1], place.inverse, s.cubic_a, EDGE_PX,
            frame.scale, match.coefficients, weight, limit, s.grow_px,
            reference.image, reference.extra, self.total, self.lost,
        )  # fmt: skip
        if counts[3]:
            self.added.append(Added(frame, place, weight, match.coefficients))
            self.variance_sum += (weight * match.sigma_adu) ** 2
        self._settle(i, self._figures(frame, samples, match, weight, counts))

    def _figures(
        self,
        frame: FrameInput,
        samples: NDArray[np.float32],
        match: SkyMatch,
        weight: float,
        counts: NDArray[np.int64],
    ) -> FrameFigures:
        pixels = int(counts[3])
        rejected = float(counts[:3].max()) / pixels if pixels else 0.0
        reason = ""
        if pixels == 0:
            reason = "covers none of the reference"
        elif rejected > self.settings.max_rejected_fraction:
            reason = f"{rejected:.1%} of its pixels were rejected"
        return FrameFigures(
            label=frame.name,
            used=pixels > 0,
            reason=reason,
            scale=frame.scale,
            weight=weight,
            sky_adu=_triple([_finite_median(colour) for colour in samples]),
            noise_adu=_triple(match.sigma_adu),
            rejected_fraction=rejected,
            covered_fraction=pixels / self.total[0].size,
        )

    # -- pass C -------------------------------------------------------------------------------

    def _finish(self) -> StackedImage:
        if not self.added:
            raise NothingToStack(
                "no frame of the block covers the reference", n_frames=len(self.frames)
            )
        arrays = as_arrays(self.added)
        weights = arrays[2]
        mean_sky = np.average([one.sky for one in self.added], axis=0, weights=weights)
        footprint = np.empty(self.total.shape[1:], np.int32)
        finish(self.total, self.lost, self.reference.image, *arrays, EDGE_PX, mean_sky, footprint)
        pattern_adu = remove_pattern(
            self.total, self.lost, self.reference.extra, self.added, mean_sky, self.bad, self.red,
            self.settings,
        )  # fmt: skip
        return StackedImage(
            planes=self.total,
            footprint=footprint,
            figures=tuple(self.figures[i] for i in range(len(self.frames))),
            hot_pixels=len(self.bad),
            noise_adu=_triple(np.sqrt(self.variance_sum) / weights.sum()),
            pattern_adu=pattern_adu,
        )


def _triple(values: NDArray[np.float64] | list[float]) -> tuple[float, float, float]:
    r, g, b = (float(v) for v in values)
    return r, g, b


def _finite_median(values: NDArray[np.float32]) -> float:
    some = values[::2, ::2]
    some = some[np.isfinite(some)]
    return float(np.median(some)) if some.size else float("nan")
