"""A stack as a multi-extension FITS file.

PRIMARY carries the cards of the block and no data; then RED, GREEN, BLUE (float32, ADU of a sub),
FOOTPRINT (frames that cover a pixel) and the table STAR-TAB. Readers go by EXTNAME. Every HDU has
CHECKSUM and DATASUM. But for PROCDATE (and the
checksum that covers it) the same stack gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from crowdsky.aside import written_aside
from crowdsky.errors import StackError
from crowdsky.frames.privacy import rounded_site
from crowdsky.stacking.fits_bytes import Card, Hdu, image_hdu, primary_hdu, table_hdu
from crowdsky.stacking.product import STAR_COLUMNS, StackFacts, StackProduct

__all__ = ["write_stack"]

_CHANNELS = ("RED", "GREEN", "BLUE")


def write_stack(
    product: StackProduct,
    path: Path,
    *,
    exact_site: bool = False,
    processed_utc: datetime | None = None,
) -> Path:
    """Write a stack aside, then give it its name.

    Parameters
    ----------
    product : StackProduct
    path : Path
        An existing file is replaced.
    exact_site : bool
        Keep the observing site as it is instead of rounded to 0.1 degree.
    processed_utc : datetime, optional
        For PROCDATE; now by default.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    StackError
        If the file cannot be written.
    """
    now = processed_utc or datetime.now(UTC)
    try:
        with written_aside(path) as stream:
            for hdu in _hdus(product, exact_site=exact_site, now=now):
                stream.write(hdu.header)
                stream.write(hdu.data.data)
                stream.write(hdu.padding)
    except OSError as error:
        raise StackError(
            f"the stack could not be written ({error.strerror or error})", file=path
        ) from error
    return path


def _hdus(product: StackProduct, *, exact_site: bool, now: datetime) -> Iterator[Hdu]:
    """One HDU after the other: only one image's bytes are held at a time."""
    wcs = _wcs_cards(product)
    yield primary_hdu(
        [*_block_cards(product, exact_site=exact_site, now=now), *product.extra_cards]
    )
    common = _common(product.facts)
    for name, plane in zip(_CHANNELS, product.image.planes, strict=True):
        cards: list[Card] = [("BUNIT", "adu", "mean of a sub"), *common, *wcs]
        yield image_hdu(name, np.asarray(plane, dtype=np.float32), cards)
    coverage = np.asarray(product.footprint, dtype=np.int32)
    yield image_hdu("FOOTPRINT", coverage, [("BUNIT", "", "frames that cover the pixel"), *wcs])
    aperture: Card = ("APERPIX", _number(product.quality.aperture_px), "[pix] radius of the circle")
    yield table_hdu("STAR-TAB", product.stars, STAR_COLUMNS, [aperture])


# -- cards ----------------------------------------------------------------------------------------


def _block_cards(product: StackProduct, *, exact_site: bool, now: datetime) -> list[Card]:
    facts, quality, solution = product.facts, product.quality, product.solution
    lat, lon = facts.site_lat_deg, facts.site_lon_deg
    if not exact_site:
        lat, lon = rounded_site(lat, lon)
    site = "" if exact_site else " (rounded to 0.1)"
    cards: list[Card] = [
        ("OBJECT", facts.target, "target named by the telescope"),
        ("TELESCOP", _seestar(facts.telescope), "model; the serial number is left out"),
        ("INSTRUME", _seestar(facts.telescope), "camera of that model"),
        ("FILTER", facts.filter, "filter"),
        ("GAIN", _number(facts.gain), "camera gain"),
        ("CCD-TEMP", _number(facts.ccd_temp_c, 2), "[degC] mean sensor temperature"),
        ("EXPTIME", _number(facts.exposure_total_s), "[s] total of the frames in the mean"),
        ("SUBEXP", _number(facts.exposure_s), "[s] exposure of one sub"),
        ("NIMAGES", facts.n_used, "frames in the mean"),
        ("NFRAMES", facts.n_frames, "frames of the block"),
        ("TIMESYS", "UTC", "time scale"),
    ]
    if facts.start_utc is not None and facts.end_utc is not None:
        seconds = (facts.end_utc - facts.start_utc).total_seconds()
        middle = facts.start_utc + (facts.end_utc - facts.start_utc) / 2
        cards += [
            ("DATE-OBS", _iso(facts.start_utc), "start of the first exposure"),
            ("DATE-AVG", _iso(middle), "middle of the observation"),
            ("DATE-END", _iso(facts.end_utc), "end of the last exposure"),
            ("OB-START", _iso(facts.start_utc), "start of the first exposure"),
            ("OB-END", _iso(facts.end_utc), "end of the last exposure"),
            ("OBSTOTAL", round(seconds, 3), "[s] from OB-START to OB-END"),
        ]
    cards.append(("PLTSOLVD", solution is not None, "plate-solved"))
    if solution is not None:
        cards += [
            ("PLTSCALE", round(solution.scale_arcsec_per_px, 6), "[arcsec/pix] plate scale"),
            ("PLTRMS", _number(solution.rms_arcsec, 4), "[arcsec] rms of the catalogue stars"),
            ("PLTNSTAR", solution.n_matched, "catalogue stars behind the solution"),
            ("RADESYS", "ICRS", "frame of RA and DEC"),
            ("RA", round(float(solution.ra_deg), 7), "[deg] ICRS, centre of the image"),
            ("DEC", round(float(solution.dec_deg), 7), "[deg] ICRS, centre of the image"),
        ]
    cards += [
        ("SITELAT", _number(lat, 6), f"[deg] north positive{site}"),
        ("SITELONG", _number(lon, 6), f"[deg] east positive{site}"),
    ]
    for letter, colour, fwhm, level, spread in zip(
        "RGB", ("red", "green", "blue"), quality.fwhm_px, quality.sky_level_adu,
        quality.sky_rms_adu, strict=True,
    ):  # fmt: skip
        cards += [
            (f"FWHM{letter}", _number(fwhm, 4), f"[pix] median FWHM of stars, {colour}"),
            (f"SKYLVL{letter}", _number(level, 4), f"[adu] sky level, {colour}"),
            (f"SKYRMS{letter}", _number(spread, 4), f"[adu] pixel noise of the sky, {colour}"),
        ]
    cards += [
        ("ZPGREEN", _number(quality.zero_point_mag, 4), "[mag] VT of 1 adu a sub, green"),
        ("ZPGRMS", _number(quality.zero_point_rms_mag, 4), "[mag] scatter of ZPGREEN's stars"),
        ("ZPGNUM", quality.n_zero_point, "stars behind ZPGREEN"),
        ("NHOTPIX", product.image.hot_pixels, "sensor pixels mended"),
        ("STACKMET", product.method, "how the frames were combined"),
        ("BLOCKNAM", product.facts.name, "name of the block, tenths of a degree"),
        ("BLOCKTIL", product.facts.tile, "name of the block, HEALPix"),
        ("CREATOR", f"CrowdSky {_version()}", "software"),
        ("PROCDATE", _iso(now.astimezone(UTC)), "UTC of processing"),
    ]
    return cards


def _common(facts: StackFacts) -> list[Card]:
    cards: list[Card] = [
        ("OBJECT", facts.target, "target named by the telescope"),
        ("FILTER", facts.filter, "filter"),
    ]
    if facts.start_utc is not None:
        cards.append(("DATE-OBS", _iso(facts.start_utc), "UTC, start of the first exposure"))
    return cards


def _wcs_cards(product: StackProduct) -> list[Card]:
    """The plate solution as FITS cards (Calabretta & Greisen 2002; SIP: Shupe et al. 2005)."""
    plate = product.solution
    if plate is None:
        return []
    suffix = "" if plate.sip is None else "-SIP"
    cards: list[Card] = [
        ("WCSAXES", 2, "axes of the WCS"),
        ("CTYPE1", f"RA---TAN{suffix}", "right ascension, gnomonic"),
        ("CTYPE2", f"DEC--TAN{suffix}", "declination, gnomonic"),
        ("CUNIT1", "deg", ""),
        ("CUNIT2", "deg", ""),
        ("CRPIX1", float(plate.crpix[0]) + 1.0, "[pix] tangent point, 1-based"),
        ("CRPIX2", float(plate.crpix[1]) + 1.0, "[pix] tangent point, 1-based"),
        ("CRVAL1", float(plate.crval[0]), "[deg] tangent point"),
        ("CRVAL2", float(plate.crval[1]), "[deg] tangent point"),
        ("LONPOLE", 180.0, "[deg] native longitude of the pole"),
        ("RADESYS", "ICRS", "celestial frame"),
    ]
    cards += [
        (f"CD{i + 1}_{j + 1}", float(plate.cd[i][j]), "[deg/pix]")
        for i in range(2)
        for j in range(2)
    ]
    if plate.sip is not None:
        sip = plate.sip
        for name, terms in (("A", sip.a), ("B", sip.b), ("AP", sip.ap), ("BP", sip.bp)):
            cards.append((f"{name}_ORDER", 2, "SIP"))
            cards += [
                (f"{name}_{p}_{q}", float(terms[p, q]), "")
                for p in range(3)
                for q in range(3 - p)
                if p + q == 2 or (name.endswith("P") and terms[p, q] != 0.0)
            ]
    return cards


def _seestar(model: str) -> str:
    return f"Seestar {model}" if model and not model.lower().startswith("seestar") else model


def _number(value: float, digits: int = 6) -> float | None:
    """A finite number rounded, else nothing: FITS headers know no NaN."""
    return round(float(value), digits) if np.isfinite(value) else None


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")


def _version() -> str:
    from crowdsky import __version__

    return __version__
