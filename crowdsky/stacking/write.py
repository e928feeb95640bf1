"""A stack as a multi-extension FITS file.

PRIMARY carries the cards of the block and no data; then RED, GREEN, BLUE (float32, ADU of a sub),
FOOTPRINT (frames that cover a pixel) and the table STAR-TAB. Readers go by EXTNAME. Every HDU has
CHECKSUM and DATASUM (Seaman et al. 2012, FITS checksum convention). But for PROCDATE (and the
checksum that covers it) the same stack gives the same bytes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crowdsky.errors import StackError
from crowdsky.frames.privacy import rounded_site
from crowdsky.stacking.aside import written_aside
from crowdsky.stacking.product import STAR_COLUMNS, StackProduct

if TYPE_CHECKING:
    from astropy.io import fits

__all__ = ["stack_hdus", "write_stack"]

_CHANNELS = ("RED", "GREEN", "BLUE")
Card = tuple[str, Any, str]


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
    hdus = stack_hdus(product, exact_site=exact_site, processed_utc=processed_utc)
    try:
        with written_aside(path) as stream:
            for hdu in hdus:
                stream.write(_header_bytes(hdu))
                if hdu.data is not None:
                    data = _big_endian(hdu.data)
                    stream.write(data.data)
                    stream.write(b"\0" * (-data.nbytes % 2880))
    except OSError as error:
        raise StackError(
            f"the stack could not be written ({error.strerror or error})", file=path
        ) from error
    return path


def stack_hdus(
    product: StackProduct, *, exact_site: bool = False, processed_utc: datetime | None = None
) -> fits.HDUList:
    """The HDUs of a stack, with checksums.

    Parameters
    ----------
    product, exact_site, processed_utc
        As for `write_stack`.
    """
    from astropy.io import fits

    wcs_cards = _wcs_cards(product)
    primary = fits.PrimaryHDU()
    cards = _block_cards(product, exact_site=exact_site, now=processed_utc or datetime.now(UTC))
    _fill(primary.header, [*cards, *product.extra_cards])
    hdus: list[Any] = [primary]
    facts = product.facts
    for name, plane in zip(_CHANNELS, product.image.planes, strict=True):
        hdu = fits.ImageHDU(np.asarray(plane, dtype=np.float32), name=name)
        _fill(hdu.header, [("BUNIT", "adu", "mean of a sub"), *_common(facts), *wcs_cards])
        hdus.append(hdu)
    footprint = fits.ImageHDU(np.asarray(product.footprint, dtype=np.int32), name="FOOTPRINT")
    _fill(footprint.header, [("BUNIT", "", "frames that cover the pixel"), *wcs_cards])
    hdus.append(footprint)
    table = fits.BinTableHDU(_with_columns(product.stars), name="STAR-TAB")
    for i, (_, _, unit, meaning) in enumerate(STAR_COLUMNS, start=1):
        table.header.comments[f"TTYPE{i}"] = meaning[:45]
        if unit:
            table.header.set(f"TUNIT{i}", unit, after=f"TFORM{i}")
    aperture = product.quality.aperture_px
    _fill(table.header, [("APERPIX", _number(aperture), "[pix] radius of the aperture")])
    hdus.append(table)
    for hdu in hdus:
        _seal(hdu)
    return fits.HDUList(hdus)


def _with_columns(stars: NDArray[np.void]) -> NDArray[np.void]:
    """The star table in big-endian types, columns in the order of `STAR_COLUMNS`."""
    out = np.empty(len(stars), dtype=[(name, ">" + kind) for name, kind, _, _ in STAR_COLUMNS])
    for name, _, _, _ in STAR_COLUMNS:
        out[name] = stars[name]
    return out


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


def _common(facts: Any) -> list[Card]:
    cards: list[Card] = [
        ("OBJECT", facts.target, "target named by the telescope"),
        ("FILTER", facts.filter, "filter"),
    ]
    if facts.start_utc is not None:
        cards.append(("DATE-OBS", _iso(facts.start_utc), "UTC, start of the first exposure"))
    return cards


def _wcs_cards(product: StackProduct) -> list[Card]:
    if product.solution is None:
        return []
    header = product.solution.wcs.to_header(relax=True)
    # astropy writes PC and CDELT for a CD matrix; CD is what readers of this field expect
    skip = {"WCSAXES", "MJDREF", "DATE-OBS", "MJD-OBS", "TIMESYS", "CDELT1", "CDELT2"}
    cards: list[Card] = [("WCSAXES", 2, "axes of the WCS")]
    cards += [
        (c.keyword, c.value, c.comment)
        for c in header.cards
        if c.keyword not in skip and not c.keyword.startswith(("PC", "CD"))
    ]
    cd = np.asarray(product.solution.cd, dtype=np.float64)
    cards += [
        (f"CD{i + 1}_{j + 1}", float(cd[i, j]), "[deg/pix]") for i in range(2) for j in range(2)
    ]
    return cards


def _fill(header: Any, cards: list[Card]) -> None:
    for key, value, comment in cards:
        if value is None or key in header:
            continue
        if isinstance(value, str):
            value = _fits_text(value)
            # key, "= ", the quoted text (8 letters or more), " / ": the comment gets what is left
            comment = comment[: max(80 - 10 - 2 - max(len(value.replace("'", "''")), 8) - 3, 0)]
        header.append((key, value, comment), end=True)


def _fits_text(text: str) -> str:
    """Printable ASCII, as FITS demands of a header, short enough for one card."""
    plain = "".join(c if " " <= c <= "~" else "?" for c in text)[:60]
    while len(plain.replace("'", "''")) > 66:
        plain = plain[:-1]
    return plain


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


# -- bytes ----------------------------------------------------------------------------------------


def _big_endian(data: NDArray[Any]) -> NDArray[Any]:
    plain = np.asarray(data).view(np.ndarray)
    return np.ascontiguousarray(plain, dtype=plain.dtype.newbyteorder(">"))


def _ones_complement_sum(data: bytes | memoryview | NDArray[np.uint8], start: int = 0) -> int:
    """32-bit ones' complement sum of big-endian words, padded with zeros."""
    words = np.frombuffer(data, dtype=np.uint8)
    whole = len(words) // 4 * 4
    total = start + int(words[:whole].view(">u4").sum(dtype=np.uint64))
    if whole < len(words):
        total += int.from_bytes(bytes(words[whole:]).ljust(4, b"\0"), "big")
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def _encode(total: int) -> str:
    """The sixteen letters of CHECKSUM that make the HDU add up to minus zero."""
    value = total ^ 0xFFFFFFFF
    columns = []
    for shift in (24, 16, 8, 0):
        byte = (value >> shift) & 0xFF
        letters = [byte // 4 + 48] * 4
        letters[0] += byte % 4
        avoid = set(range(0x3A, 0x41)) | set(range(0x5B, 0x61))
        while any(c in avoid for c in letters):
            for i in (0, 2):
                if letters[i] in avoid or letters[i + 1] in avoid:
                    letters[i] += 1
                    letters[i + 1] -= 1
        columns.append(letters)
    text = "".join(chr(columns[j][i]) for i in range(4) for j in range(4))
    return text[-1:] + text[:-1]


def _header_bytes(hdu: Any) -> bytes:
    text = hdu.header.tostring(sep="", endcard=True, padding=True)
    return bytes(text.encode("ascii"))


def _seal(hdu: Any) -> None:
    """DATASUM and CHECKSUM with plain comments: astropy's carry the time and change every run."""
    data_sum = 0
    if hdu.data is not None:
        data_sum = _ones_complement_sum(_big_endian(hdu.data).reshape(-1).view(np.uint8))
    hdu.header.append(("DATASUM", str(data_sum), "data unit checksum"), end=True)
    hdu.header.append(("CHECKSUM", "0" * 16, "HDU checksum"), end=True)
    total = _ones_complement_sum(_header_bytes(hdu), data_sum)
    hdu.header["CHECKSUM"] = _encode(total)
