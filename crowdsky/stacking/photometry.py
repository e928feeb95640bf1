"""The star table of a stack: positions, fluxes with errors, catalogue names, zero point."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import sep
from numpy.typing import NDArray

from crowdsky.stacking.product import StackQuality, empty_star_table
from crowdsky.stacking.running import StackedImage

if TYPE_CHECKING:
    from crowdsky.astrometry.catalogue import CatalogueSource

__all__ = ["PixelToSky", "measure_stars"]

_DETECT_SIGMA = 5.0
_MIN_AREA_PX = 5
_LEAST_SNR = 3.0
_MESH_PX = 64
#: Radius of the aperture in FWHM: beyond 1.7 a Gaussian star keeps less than 0.04 % outside.
_APERTURE_FWHM = 1.7
_APERTURE_LIMITS_PX = (3.0, 12.0)
_N_EMPTY = 800
_FWHM_PER_SIGMA = 2.3548
_SATURATED_ADU = 55_000.0
_COLOURS = ("red", "green", "blue")


class PixelToSky(Protocol):
    """What is asked of a plate solution."""

    def pixel_to_sky(
        self, x_px: NDArray[np.float64], y_px: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """ICRS degrees of 0-based pixel positions."""
        ...

    @property
    def scale_arcsec_per_px(self) -> float:
        """Plate scale."""
        ...


def measure_stars(
    image: StackedImage,
    solution: PixelToSky | None = None,
    catalogue: CatalogueSource | None = None,
    *,
    epoch_jyear: float = 2016.0,
    match_radius_arcsec: float = 5.0,
) -> tuple[NDArray[np.void], StackQuality]:
    """Detect the stars of a stack and measure them in each colour.

    Detection is on (R + 2 G + B) / 4 over its background (SEP: Barbary 2016, JOSS 1, 58, after
    Bertin & Arnouts 1996). Fluxes are sums in a circle; their errors come from the scatter of empty
    circles of the same size, which knows about the correlation of resampled pixels, plus the shot
    noise of the star itself.

    Parameters
    ----------
    image : StackedImage
    solution : PlateSolution, optional
        Without it ra, dec and the match stay unknown.
    catalogue : CatalogueSource, optional
    epoch_jyear : float
        Julian year of the observation, for proper motions.
    match_radius_arcsec : float

    Returns
    -------
    stars : structured ndarray
        By falling flux; columns as in `crowdsky.stacking.product.STAR_COLUMNS`.
    quality : StackQuality
    """
    covered = image.footprint > 0
    deepest = int(image.footprint.max())
    whole = bool(covered.all())
    mask = None if whole else ~covered
    levels, spreads, planes = [], [], []
    for plane in image.planes:
        background = sep.Background(plane, mask=mask, bw=_MESH_PX, bh=_MESH_PX)
        flat = plane - background.back()
        planes.append(flat)
        levels.append(float(background.globalback))
        spreads.append(_robust_sigma(_sample(flat, covered)))
    luminance = 0.25 * (planes[0] + planes[2])
    luminance += 0.5 * planes[1]
    noise = _robust_sigma(_sample(luminance, covered))
    objects, segments = _extract(luminance, noise, image.footprint, deepest, mask)
    fwhm = tuple(_width_px(p, objects, s) for p, s in zip(planes, spreads, strict=True))
    radius = _aperture_radius(fwhm[1])
    if len(objects):
        x, y, _ = sep.winpos(
            luminance,
            objects["x"],
            objects["y"],
            (fwhm[1] if fwhm[1] > 0 else 3.0) / _FWHM_PER_SIGMA,
        )
        lost = ~(np.hypot(x - objects["x"], y - objects["y"]) < 2.0)
        x, y = np.where(lost, objects["x"], x), np.where(lost, objects["y"], y)
    else:
        x = y = np.empty(0)
    stars = empty_star_table(len(objects))
    depth = image.footprint[_clip(y, covered.shape[0]), _clip(x, covered.shape[1])]
    stars["x"], stars["y"], stars["n_frames"] = x, y, depth
    for name in ("a", "b", "theta", "peak"):
        stars[name] = objects[name]
    stars["fwhm"] = _FWHM_PER_SIGMA * np.sqrt(objects["a"] * objects["b"])
    empty = _empty_places(segments, covered, radius)
    thin = np.sqrt(deepest / np.maximum(depth, 1))
    lum_level = 0.25 * (levels[0] + levels[2]) + 0.5 * levels[1]
    flux, error, flag = _aperture(luminance, x, y, radius, empty, lum_level, thin)
    stars["flux"], stars["flux_err"], stars["flag"] = flux, error, objects["flag"] | flag
    for colour, plane, level in zip(_COLOURS, planes, levels, strict=True):
        flux, error, _ = _aperture(plane, x, y, radius, empty, level, thin)
        stars[f"flux_{colour}"], stars[f"flux_{colour}_err"] = flux, error
    # resampled noise is correlated and now and then looks like a star: not in an aperture, though
    stars = stars[stars["flux"] > _LEAST_SNR * stars["flux_err"]]
    stars = stars[np.argsort(-stars["flux"], kind="stable")]
    zero_point = (float("nan"), float("nan"), 0)
    if solution is not None and len(stars):
        stars["ra"], stars["dec"] = solution.pixel_to_sky(stars["x"], stars["y"])
        if catalogue is not None:
            _match(stars, catalogue, epoch_jyear, match_radius_arcsec)
            zero_point = _zero_point(stars)
    quality = StackQuality(
        fwhm_px=(fwhm[0], fwhm[1], fwhm[2]),
        sky_level_adu=(levels[0], levels[1], levels[2]),
        sky_rms_adu=(spreads[0], spreads[1], spreads[2]),
        aperture_px=radius,
        zero_point_mag=zero_point[0],
        zero_point_rms_mag=zero_point[1],
        n_zero_point=zero_point[2],
    )
    return stars, quality


def _sample(plane: NDArray[np.float32], covered: NDArray[np.bool_]) -> NDArray[np.float32]:
    return np.asarray(plane[1::5, ::3][covered[1::5, ::3]])


def _robust_sigma(values: NDArray[np.float32]) -> float:
    if values.size == 0:
        return float("nan")
    middle = np.median(values)
    return max(float(np.median(np.abs(values - middle))) / 0.6745, 1e-6)


def _clip(v: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    return np.clip(np.rint(v), 0, n - 1).astype(np.int64)


def _aperture_radius(fwhm_px: float) -> float:
    low, high = _APERTURE_LIMITS_PX
    return min(max(_APERTURE_FWHM * fwhm_px, low), high) if np.isfinite(fwhm_px) else 5.0


def _extract(
    luminance: NDArray[np.float32],
    noise: float,
    footprint: NDArray[np.int32],
    deepest: int,
    mask: NDArray[np.bool_] | None,
) -> tuple[NDArray[np.void], NDArray[np.int32]]:
    """Detect; where fewer frames cover, the noise is higher and so is the threshold."""
    error: float | NDArray[np.float32] = noise
    if mask is not None or int(footprint.min()) < deepest:
        error = np.float32(noise) * np.sqrt(
            np.float32(deepest) / np.maximum(footprint, 1).astype(np.float32)
        )
    sep.set_extract_pixstack(1_000_000)
    threshold = _DETECT_SIGMA
    for _ in range(6):
        try:
            objects, segments = sep.extract(
                luminance, threshold, err=error, mask=mask, minarea=_MIN_AREA_PX,
                segmentation_map=True,
            )  # fmt: skip
            return objects, segments
        except Exception as failure:
            # a field so full that sep's buffers overflow: its brighter stars will do
            if "overflow" not in str(failure) and "pixstack" not in str(failure):
                raise
            threshold *= 2.0
    empty = sep.extract(np.zeros((8, 8), np.float32), 1.0, err=1.0)
    return empty, np.zeros(luminance.shape, np.int32)


def _width_px(plane: NDArray[np.float32], objects: NDArray[np.void], noise: float) -> float:
    """Median FWHM of the well-measured stars of one colour, from their profiles near the peak.

    The second moments of isophotes depend on the threshold; the ratio of the flux in a small circle
    to the highest value of a Gaussian does not: F(r) = F (1 - exp(-r^2 / 2 s^2)) is solved for s
    from two radii.
    """
    if len(objects) == 0:
        return float("nan")
    ny, nx = plane.shape
    peak = plane[_clip(objects["y"], ny), _clip(objects["x"], nx)]
    inside = (
        (objects["x"] > 12)
        & (objects["x"] < nx - 13)
        & (objects["y"] > 12)
        & (objects["y"] < ny - 13)
    )
    round_ones = objects["a"] < 1.5 * np.maximum(objects["b"], 0.1)
    good = (
        inside & round_ones & (objects["flag"] == 0) & (peak < _SATURATED_ADU) & (peak > 15 * noise)
    )
    if not good.any():
        return float("nan")
    best = np.flatnonzero(good)[np.argsort(-peak[good], kind="stable")[:60]]
    widths = []
    offsets = np.arange(-3, 4)
    for x, y in zip(objects["x"][best], objects["y"][best], strict=True):
        xi, yi = round(float(x)), round(float(y))
        stamp = plane[yi - 3 : yi + 4, xi - 3 : xi + 4].astype(np.float64)
        r2 = (offsets[None, :] + xi - x) ** 2 + (offsets[:, None] + yi - y) ** 2
        use = (stamp > 0.15 * stamp.max()) & (r2 < 9.0)
        if use.sum() < 6:
            continue
        # log of a Gaussian is a line in r^2; weights are those of equal noise in the value
        slope = np.polyfit(r2[use], np.log(stamp[use]), 1, w=stamp[use])[0]
        if slope < 0:
            widths.append(_FWHM_PER_SIGMA * np.sqrt(-0.5 / slope))
    return float(np.median(widths)) if widths else float("nan")


def _empty_places(
    segments: NDArray[np.int32], covered: NDArray[np.bool_], radius: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Seeded random places whose circle meets no detection and lies on covered pixels."""
    ny, nx = segments.shape
    rng = np.random.default_rng(20_16)
    edge = radius + 1
    if nx <= 2 * edge + 2 or ny <= 2 * edge + 2:
        return np.empty(0), np.empty(0)
    x = rng.uniform(edge, nx - 1 - edge, 4 * _N_EMPTY)
    y = rng.uniform(edge, ny - 1 - edge, 4 * _N_EMPTY)
    occupied = ((segments != 0) | ~covered).astype(np.float32)
    met, _, _ = sep.sum_circle(occupied, x, y, radius + 2.0, subpix=1)
    free = np.flatnonzero(met == 0)[:_N_EMPTY]
    return x[free], y[free]


def _aperture(
    plane: NDArray[np.float32],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    radius: float,
    empty: tuple[NDArray[np.float64], NDArray[np.float64]],
    level: float,
    thin: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Fluxes in circles, their errors and flags."""
    if len(empty[0]) >= 20:
        blank, _, _ = sep.sum_circle(plane, empty[0], empty[1], radius)
        sky_error = _robust_sigma(blank)
    else:
        sky_error = _robust_sigma(plane[::3, ::3].ravel()) * radius * np.sqrt(np.pi)
    if len(x) == 0:
        return np.empty(0), np.empty(0), np.empty(0, np.int64)
    flux, _, flag = sep.sum_circle(plane, x, y, radius)
    # the sky's variance belongs to its level; a star's own light adds in proportion
    per_adu = sky_error**2 / (np.pi * radius**2 * max(level, 1.0))
    error = thin * np.sqrt(sky_error**2 + per_adu * np.maximum(flux, 0.0))
    return flux, error, flag.astype(np.int64)


def _match(
    stars: NDArray[np.void], catalogue: CatalogueSource, epoch_jyear: float, radius_arcsec: float
) -> None:
    """Name the stars that lie on a catalogue star; each catalogue star names one at most."""
    ra, dec = np.radians(stars["ra"]), np.radians(stars["dec"])
    xyz = np.column_stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    middle = xyz.mean(axis=0)
    middle /= np.linalg.norm(middle)
    reach = np.degrees(np.arccos(np.clip(xyz @ middle, -1, 1)).max()) + 0.01
    known = catalogue.cone(
        float(np.degrees(np.arctan2(middle[1], middle[0])) % 360.0),
        float(np.degrees(np.arcsin(middle[2]))),
        float(reach),
        epoch_jyear=epoch_jyear,
    )
    if len(known) == 0:
        return
    kra, kdec = np.radians(known.ra_deg), np.radians(known.dec_deg)
    kxyz = np.column_stack([np.cos(kdec) * np.cos(kra), np.cos(kdec) * np.sin(kra), np.sin(kdec)])
    limit = np.radians(radius_arcsec / 3600.0)
    # A few hundred catalogue stars: all cosines at once cost less than loading a tree would.
    place = np.argmax(xyz @ kxyz.T, axis=1)
    distance = np.linalg.norm(xyz - kxyz[place], axis=1)
    distance[distance > limit] = np.inf
    taken: set[int] = set()
    for i in np.argsort(distance, kind="stable"):
        if not np.isfinite(distance[i]):
            break
        k = int(place[i])
        if k in taken:
            continue
        taken.add(k)
        stars["gaia_id"][i] = known.gaia_id[k]
        stars["gaia_gmag"][i] = known.gaia_gmag[k]
        stars["vt_mag"][i] = known.mag[k]
        stars["match_dist_arcsec"][i] = np.degrees(distance[i]) * 3600.0


def _zero_point(stars: NDArray[np.void]) -> tuple[float, float, int]:
    """Median of catalogue minus instrumental magnitude of the green fluxes, scatter, number."""
    good = (
        np.isfinite(stars["vt_mag"])
        & (stars["flux_green"] > 5 * stars["flux_green_err"])
        & (stars["peak"] < _SATURATED_ADU)
        & ((stars["flag"] & 4) == 0)
    )
    n = int(good.sum())
    if n < 5:
        return float("nan"), float("nan"), n
    points = stars["vt_mag"][good] + 2.5 * np.log10(stars["flux_green"][good])
    middle = float(np.median(points))
    return middle, float(np.median(np.abs(points - middle))) / 0.6745, n
