"""Write a solution beside its frame, as a FITS header without data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from crowdsky import __version__
from crowdsky.aside import written_aside

if TYPE_CHECKING:
    from crowdsky.astrometry import PlateSolution

__all__ = ["wcs_path", "write_wcs_file"]

# Seestar names hold dots ("_10.0s_"), so only what is an ending is taken for one.
ENDINGS = {".csv", ".fit", ".fits", ".fts"}


def wcs_path(frame: Path) -> Path:
    """Where the solution of a frame goes.

    Examples
    --------
    >>> wcs_path(Path("Light_10.0s.fit")).name, wcs_path(Path("Light_10.0s")).name
    ('Light_10.0s.wcs', 'Light_10.0s.wcs')
    """
    stem = frame.stem if frame.suffix.lower() in ENDINGS else frame.name
    return frame.with_name(f"{stem}.wcs")


def write_wcs_file(frame: Path, solution: PlateSolution) -> Path:
    """Write ``<name>.wcs`` beside a frame, whole or not at all; the frame stays as it is.

    Parameters
    ----------
    frame : Path
        The file that was solved.
    solution : PlateSolution

    Returns
    -------
    Path
        The file written, in place of an older one.
    """
    from astropy.io import fits

    header = solution.wcs.to_header(relax=True)
    header["IMAGEW"] = (solution.shape[1], "[px] width of the image")
    header["IMAGEH"] = (solution.shape[0], "[px] height of the image")
    header["CREATOR"] = (f"crowdsky {__version__}", "software that solved the frame")
    header["PLTSOLVD"] = (True, "solved by star triangles")
    header["PLTRMS"] = (round(float(solution.rms_arcsec), 4), "[arcsec] rms of the matched stars")
    header["PLTSTARS"] = (int(solution.n_matched), "matched stars")
    target = wcs_path(frame)
    with written_aside(target) as stream:
        fits.PrimaryHDU(header=header).writeto(stream)
    return target
