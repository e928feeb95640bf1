"""What a telescope's own frames have taught about its plate scale."""

from __future__ import annotations

from statistics import median

__all__ = ["ScaleMemory"]


class ScaleMemory:
    """Plate scales learned from solved frames, one telescope at a time.

    A learned scale is a first guess and never more: it is the median of the last solutions, kept
    within one per cent of the model's scale, and the solver searches other scales when it leads
    nowhere.
    """

    KEPT = 25
    FURTHEST = 0.01

    def __init__(self) -> None:
        self._seen: dict[str, list[float]] = {}

    def guess(self, telescope_id: str, nominal_arcsec_per_px: float) -> float:
        """Best first guess of the plate scale, arcsec a pixel."""
        seen = self._seen.get(telescope_id)
        if not seen:
            return nominal_arcsec_per_px
        low = nominal_arcsec_per_px * (1 - self.FURTHEST)
        high = nominal_arcsec_per_px * (1 + self.FURTHEST)
        return min(high, max(low, median(seen)))

    def learn(self, telescope_id: str, scale_arcsec_per_px: float, n_matched: int) -> None:
        """Take note of a solved frame; one with fewer than eight pairs teaches nothing."""
        if n_matched >= 8:
            seen = self._seen.setdefault(telescope_id, [])
            seen.append(scale_arcsec_per_px)
            del seen[: -self.KEPT]
