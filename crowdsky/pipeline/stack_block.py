"""One block, from its files to its stack: the steps in order, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from crowdsky.astrometry import (
    Hint,
    PlateSolution,
    ScaleMemory,
    bundled_catalogue,
    hints_of,
    solve_stars,
)
from crowdsky.errors import CrowdSkyError, NothingToStack, PlateError, StackError
from crowdsky.frames import Block, FrameHeader, MountMode
from crowdsky.pipeline.align import align
from crowdsky.pipeline.judge import judge_alone, judge_among, judge_transparency
from crowdsky.pipeline.ledger import fingerprint, load_report, retire_report, save_report
from crowdsky.pipeline.measure import MeasuredFrame, measure_frame
from crowdsky.pipeline.outcome import BlockReport, FrameOutcome
from crowdsky.pipeline.recipe import Recipe
from crowdsky.stacking import (
    FrameInput,
    StackedImage,
    StackFacts,
    StackProduct,
    common_scales,
    measure_stars,
    point_source_weights,
    stack_frames,
    write_previews,
    write_stack,
)
from crowdsky.stars import detect_stars_image

__all__ = ["stack_block"]

Card = tuple[str, Any, str]


@dataclass(slots=True)
class _Entry:
    """A frame on its way through the steps."""

    outcome: FrameOutcome
    frame: MeasuredFrame | None = None
    matrix: np.ndarray | None = None

    def reject(self, reason: str) -> None:
        self.outcome = replace(self.outcome, used=False, reason=reason)


def stack_block(
    block: Block,
    folder: Path,
    *,
    recipe: Recipe | None = None,
    scales: ScaleMemory | None = None,
    on_frame: Callable[[], None] | None = None,
    cards: Sequence[Card] = (),
) -> BlockReport:
    """Measure, judge, register, stack, solve and write one block.

    Parameters
    ----------
    block : Block
    folder : Path
        Where the block's files go: ``<label>.fits``, ``<label>.webp``, ``<label>_512.webp`` and,
        last of all, ``<label>.json``.
    recipe : Recipe, optional
    scales : ScaleMemory, optional
        Plate scales learned so far.
    on_frame : callable, optional
        Called once for each frame of the block that is done with.
    cards : sequence of (keyword, value, comment)
        Further cards of the stack's primary header: whose it is, and on which terms.

    Returns
    -------
    BlockReport
        Also where no stack could be made; its ``reason`` says why.
    """
    began = perf_counter()
    recipe = Recipe() if recipe is None else recipe
    scales = ScaleMemory() if scales is None else scales
    tell = _Once(len(block.headers), on_frame)
    key = fingerprint(block, recipe)
    path = folder / f"{block.label}.json"
    report = load_report(path, block, key)
    if report is None:
        report = _stack_anew(block, path, recipe, scales, tell, key, tuple(cards))
        report = replace(report, seconds=perf_counter() - began)
        try:
            save_report(report, path)
        except StackError as error:
            report = replace(
                report,
                reason=report.reason or str(error),
                failure=report.failure or type(error).__name__,
            )
    tell.rest()
    return report


class _Once:
    """Tells of each frame of a block once, whatever happens to it on the way."""

    def __init__(self, n_frames: int, on_frame: Callable[[], None] | None) -> None:
        self.left, self.on_frame = n_frames, on_frame

    def __call__(self) -> None:
        if self.left > 0:
            self.left -= 1
            if self.on_frame is not None:
                self.on_frame()

    def rest(self) -> None:
        while self.left > 0:
            self()


def _stack_anew(
    block: Block,
    path: Path,
    recipe: Recipe,
    scales: ScaleMemory,
    tell: Callable[[], None],
    key: str,
    cards: tuple[Card, ...],
) -> BlockReport:
    entries = [
        _Entry(FrameOutcome(str(header.path), used=True, start_utc=header.start_utc))
        for header in block.headers
    ]
    report = BlockReport.of(block, (), fingerprint=key)
    try:
        retire_report(path)
        for entry, header in zip(entries, block.headers, strict=True):
            _measure(entry, header, recipe)
        report = _make(block, entries, path.parent, recipe, scales, report, tell, cards)
    except CrowdSkyError as error:
        for entry in entries:
            if entry.outcome.used:
                entry.reject(f"the block gave no stack: {error}")
        report = replace(report, reason=str(error), failure=type(error).__name__)
    return replace(report, frames=tuple(entry.outcome for entry in entries))


def _measure(entry: _Entry, header: FrameHeader, recipe: Recipe) -> None:
    measured = measure_frame(header, recipe)
    if isinstance(measured, str):
        entry.reject(measured)
        return
    quality = measured.quality
    entry.frame = measured
    entry.outcome = replace(
        entry.outcome,
        n_stars=quality.n_starlike,
        fwhm_px=quality.fwhm_px,
        elongation=quality.elongation,
        background_adu=quality.background_adu[1],
        noise_adu=quality.noise_adu[1],
    )
    reason = judge_alone(measured, recipe.limits)
    if reason:
        entry.reject(reason)


def _make(
    block: Block,
    entries: list[_Entry],
    folder: Path,
    recipe: Recipe,
    scales: ScaleMemory,
    report: BlockReport,
    tell: Callable[[], None],
    cards: tuple[Card, ...],
) -> BlockReport:
    good = [entry for entry in entries if entry.outcome.used]
    frames = [entry.frame for entry in good if entry.frame is not None]
    for entry, reason in zip(good, judge_among(frames, recipe.limits), strict=True):
        if reason:
            entry.reject(reason)
    good = _register([entry for entry in good if entry.outcome.used], recipe)
    for _ in range(len(entries) - len(good)):
        tell()
    if not good:
        raise NothingToStack("no frame of the block is fit to be stacked", n_frames=len(entries))
    image = _stack(block, good, recipe, tell)
    used = [entry for entry in good if entry.outcome.used]
    headers = [entry.frame.header for entry in used if entry.frame is not None]
    epoch = float(np.mean([header.epoch_jyear for header in headers]))
    solution = _solve(block, image, headers[0], epoch, scales)
    stars, quality = measure_stars(image, solution, bundled_catalogue(), epoch_jyear=epoch)
    facts = replace(
        StackFacts.from_headers(headers, n_frames=len(entries), name=block.name, tile=block.tile),
        target=block.target,
    )
    product = StackProduct(image, stars, solution, quality, facts, extra_cards=cards)
    output = folder / f"{block.label}.fits"
    preview = folder / f"{block.label}{recipe.preview_suffix}"
    thumbnail = folder / f"{block.label}_512{recipe.preview_suffix}"
    try:
        write_previews(product, preview, thumbnail)
        write_stack(product, output, exact_site=recipe.exact_site)
    except StackError:
        # A picture without its stack would look like a product.
        preview.unlink(missing_ok=True)
        thumbnail.unlink(missing_ok=True)
        raise
    return replace(
        report,
        output=str(output),
        preview=str(preview),
        thumbnail=str(thumbnail),
        first_utc=facts.start_utc,
        end_utc=facts.end_utc,
        equatorial=_equatorial(headers),
        solution=_evidence(solution),
        quality={
            "n_stars": len(stars),
            "fwhm_px": list(quality.fwhm_px),
            "sky_level_adu": list(quality.sky_level_adu),
            "sky_rms_adu": list(quality.sky_rms_adu),
            "zero_point_mag": quality.zero_point_mag,
            "zero_point_rms_mag": quality.zero_point_rms_mag,
            "exposure_total_s": facts.exposure_total_s,
            "hot_pixels": image.hot_pixels,
        },
    )


def _register(entries: list[_Entry], recipe: Recipe) -> list[_Entry]:
    """Lay the frames on one of them, scale them, and leave out those that do not fit."""
    frames = [entry.frame for entry in entries if entry.frame is not None]
    if not frames:
        return []
    aligned = align(frames, recipe.limits.most_registration_rms_px)
    kept: list[_Entry] = []
    raw_scales: list[float] = []
    middle = np.array([(n - 1) / 2 for n in reversed(frames[aligned.reference].stars.shape)])
    for entry, found, scale in zip(entries, aligned.registrations, aligned.scales, strict=True):
        if isinstance(found, str):
            entry.reject(found)
            continue
        assert scale is not None
        shift = found.matrix[:, :2] @ middle + found.matrix[:, 2] - middle
        entry.matrix = found.matrix
        entry.outcome = replace(
            entry.outcome,
            scale=scale.scale,
            shift_px=float(np.hypot(*shift)),
            rotation_deg=found.rotation_deg,
        )
        kept.append(entry)
        raw_scales.append(scale.scale)
    for entry, reason in zip(kept, judge_transparency(raw_scales, recipe.limits), strict=True):
        if reason:
            entry.reject(reason)
    kept = [entry for entry in kept if entry.outcome.used]
    if kept:
        scales = np.array([entry.outcome.scale for entry in kept])
        weights = point_source_weights(
            scales,
            [entry.outcome.noise_adu for entry in kept],
            [entry.outcome.fwhm_px for entry in kept],
        )
        common = common_scales(scales, weights)
        for entry, scale_of, weight in zip(kept, common, weights, strict=True):
            entry.outcome = replace(entry.outcome, scale=float(scale_of), weight=float(weight))
    return kept


def _stack(
    block: Block, entries: list[_Entry], recipe: Recipe, tell: Callable[[], None]
) -> StackedImage:
    inputs = [
        FrameInput(
            Path(entry.outcome.file),
            entry.matrix if entry.matrix is not None else np.eye(2, 3),
            scale=entry.outcome.scale,
            weight=entry.outcome.weight,
        )
        for entry in entries
    ]
    nx, ny = block.geometry
    image = stack_frames(
        inputs,
        bayer=block.bayer,
        shape=(ny, nx),
        settings=recipe.stacking,
        on_frame=lambda *_: tell(),
    )
    for entry, figures in zip(entries, image.figures, strict=True):
        if not figures.used:
            entry.reject(figures.reason)
        entry.outcome = replace(
            entry.outcome,
            weight=figures.weight,
            rejected_fraction=figures.rejected_fraction,
        )
    return image


def _solve(
    block: Block, image: StackedImage, header: FrameHeader, epoch: float, scales: ScaleMemory
) -> PlateSolution | None:
    red, green, blue = image.planes
    luminance = (red + 2 * green + blue) / 4
    luminance[image.footprint == 0] = np.nan
    hints: list[Hint] = hints_of(header)
    try:
        solution = solve_stars(
            detect_stars_image(luminance),
            scale_arcsec_per_px=scales.guess(block.telescope_id, header.scale_arcsec_per_px),
            hint=hints,
            epoch_jyear=epoch,
        )
    except PlateError:
        return None
    scales.learn(block.telescope_id, solution.scale_arcsec_per_px, solution.n_matched)
    return solution


def _evidence(solution: PlateSolution | None) -> dict[str, object]:
    if solution is None:
        return {}
    return {
        "ra_deg": solution.ra_deg,
        "dec_deg": solution.dec_deg,
        "scale_arcsec_per_px": solution.scale_arcsec_per_px,
        "rotation_deg": solution.rotation_deg,
        "parity": solution.parity,
        "mode": solution.mode,
        "n_matched": solution.n_matched,
        "rms_arcsec": solution.rms_arcsec,
        "log_odds": solution.log_odds,
        "corners": _corners(solution),
    }


def _corners(solution: PlateSolution) -> list[list[float]]:
    """ICRS degrees of the image's outer corners, in the order of its pixels' rows."""
    ny, nx = solution.shape
    x_px = [-0.5, nx - 0.5, nx - 0.5, -0.5]
    y_px = [-0.5, -0.5, ny - 0.5, ny - 0.5]
    ra_deg, dec_deg = solution.pixel_to_sky(x_px, y_px)
    return [[float(ra), float(dec)] for ra, dec in zip(ra_deg, dec_deg, strict=True)]


def _equatorial(headers: Sequence[FrameHeader]) -> bool | None:
    """What the headers agree on, None if they say nothing or both."""
    modes = {header.mount for header in headers}
    if len(modes) != 1 or MountMode.UNKNOWN in modes:
        return None
    return MountMode.EQUATORIAL in modes
