"""Solve one file and say all about it in one flat record, whether it went well or not."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from crowdsky.errors import CrowdSkyError

if TYPE_CHECKING:
    from crowdsky.astrometry import PlateSolution, ScaleMemory

__all__ = ["SolveRecord", "solve_file", "solve_list"]

STEPS = ("read", "detect", "match", "fit")


@dataclass
class SolveRecord:
    """What came of one file.

    Attributes
    ----------
    file : Path
    solution : PlateSolution or None
        None when ``reason`` says why there is none.
    reason : str
        Empty when solved.
    n_stars : int or None
        Stars offered to the solver; None when it did not come to that.
    ms : dict of str to float
        Milliseconds of each step that was reached.
    """

    file: Path
    solution: PlateSolution | None = None
    reason: str = ""
    n_stars: int | None = None
    ms: dict[str, float] = field(default_factory=dict)

    @property
    def solved(self) -> bool:
        """Whether there is a solution."""
        return self.solution is not None

    def as_dict(self) -> dict[str, Any]:
        """The record with the keys of ``crowdsky solve --json``; unknown values are None."""
        found = self.solution
        return {
            "file": self.file,
            "solved": self.solved,
            "reason": self.reason,
            "mode": found and found.mode,
            "ra_deg": found and found.ra_deg,
            "dec_deg": found and found.dec_deg,
            "scale_arcsec_per_px": found and found.scale_arcsec_per_px,
            "rotation_deg": found and found.rotation_deg,
            "parity": found and found.parity,
            "n_stars": self.n_stars,
            "n_matched": found and found.n_matched,
            "rms_arcsec": found and found.rms_arcsec,
            "log_odds": found and found.log_odds,
            "wcs": found
            and {
                "crval": found.crval,
                "crpix": [found.crpix[0] + 1.0, found.crpix[1] + 1.0],  # FITS counts from one
                "cd": found.cd,
            },
            "ms": {step: self.ms.get(step) for step in STEPS},
        }


def solve_file(
    path: Path, *, blind: bool = False, scales: ScaleMemory | None = None
) -> SolveRecord:
    """Solve a raw sub or an on-board stack; never raises a `CrowdSkyError`.

    Parameters
    ----------
    path : Path
    blind : bool
        Leave the header's pointing unused.
    scales : ScaleMemory, optional
        Scales learned from earlier frames; learns from this one.

    Returns
    -------
    SolveRecord
    """
    from crowdsky.astrometry import solve_frame

    record = SolveRecord(path)
    try:
        record.solution = solve_frame(path, blind=blind, scales=scales)
        record.n_stars = record.solution.n_stars
        record.ms = record.solution.ms
    except CrowdSkyError as error:
        _explain(record, error)
    return record


def solve_list(
    path: Path,
    shape: tuple[int, int],
    *,
    scale_arcsec_per_px: float,
    hint: tuple[float, float] | None = None,
) -> SolveRecord:
    """Solve a bare star list; never raises a `CrowdSkyError`.

    Parameters
    ----------
    path : Path
        A CSV file with the columns x, y and flux.
    shape : tuple of int
        ``(ny, nx)`` of the image.
    scale_arcsec_per_px : float
    hint : tuple of float, optional
        Rough centre, ICRS degrees; blind without it.

    Returns
    -------
    SolveRecord
    """
    from crowdsky.astrometry import solve_stars
    from crowdsky.cli.star_table import read_star_table

    record = SolveRecord(path)
    try:
        began = perf_counter()
        stars = read_star_table(path, shape)
        record.ms["read"] = 1e3 * (perf_counter() - began)
        record.n_stars = len(stars)
        record.solution = solve_stars(stars, scale_arcsec_per_px=scale_arcsec_per_px, hint=hint)
        record.ms |= record.solution.ms
    except CrowdSkyError as error:
        _explain(record, error)
    return record


def _explain(record: SolveRecord, error: CrowdSkyError) -> None:
    # The file has its own field, so the reason leaves it out.
    record.reason = error.rule if error.value is None else f"{error.value}: {error.rule}"
    if record.n_stars is None:
        record.n_stars = error.numbers.get("n_stars")
