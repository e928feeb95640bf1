"""Look after the star catalogue.

  info    what the bundled catalogue, the blind index and the fetched cones hold, and whose they are
  index   build the triangle index that blind solving uses, if it is not there yet
  fetch   fetch a cone of Gaia DR3 into the cache (needs the extra `lookup` and a network)

The index and the cones live in the cache folder (CROWDSKY_CACHE_DIR) and can be made again.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from crowdsky.cli.exits import EXIT_OK
from crowdsky.cli.output import format_table
from crowdsky.settings import Settings, load_settings

if TYPE_CHECKING:
    from crowdsky.astrometry.catalogue import Catalogue

__all__ = ["configure", "run"]

CREDITS = (
    ("Tycho-2", "Hog et al. 2000, A&A 355, L27"),
    ("Gaia DR3", "ESA/Gaia/DPAC, CC BY-SA 3.0 IGO; Gaia Collaboration 2023, A&A 674, A1"),
    ("Hipparcos-2", "van Leeuwen 2007, A&A 474, 653"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="info|index|fetch")
    actions.add_parser("info", help="what there is, and whose it is")
    index = actions.add_parser("index", help="build the blind index if it is not there yet")
    index.add_argument("--force", action="store_true", help="build it even if it is there")
    fetch = actions.add_parser("fetch", help="fetch a cone of Gaia DR3 into the cache")
    fetch.add_argument("--ra", type=float, required=True, help="centre, ICRS degrees")
    fetch.add_argument("--dec", type=float, required=True, help="centre, ICRS degrees")
    fetch.add_argument("--radius", type=float, default=1.0, help="degrees, at most 5 (default: 1)")
    fetch.add_argument(
        "--faintest", type=float, default=16.0, help="Gaia G of the faintest star (default: 16)"
    )


def run(args: argparse.Namespace) -> int:
    """Do what the action says."""
    settings = load_settings()
    if args.action == "info":
        return _info(settings)
    if args.action == "index":
        return _index(force=args.force)
    return _fetch(args, settings)


def _info(settings: Settings) -> int:
    from crowdsky.astrometry.catalogue import bundled_catalogue
    from crowdsky.lookup import CachedCatalogue

    catalogue = bundled_catalogue()
    cones = CachedCatalogue(_cone_dir(settings)).cones()
    rows = [
        ["stars bundled", f"{len(catalogue):,}"],
        ["of them with Gaia DR3 motion", f"{len(catalogue.gaia_id):,}"],
        ["on disk", f"{_folder_bytes(catalogue.folder) / 1e6:.1f} MB"],
        ["blind index", _index_state(catalogue)],
        ["fetched cones", str(len(cones))],
        ["cache folder", str(settings.cache_dir)],
    ]
    print(format_table(["catalogue", ""], rows))
    for ra_deg, dec_deg, radius_deg in cones:
        print(f"cone at {ra_deg:.4f} {dec_deg:+.4f}, radius {radius_deg:g} degrees")
    print()
    print(format_table(["credit", "reference"], CREDITS))
    return EXIT_OK


def _index_state(catalogue: Catalogue) -> str:
    from crowdsky.astrometry.sky_index import blind_index_path

    path = blind_index_path(catalogue)
    if not path.is_dir():
        return "not built (`crowdsky catalogue index` builds it)"
    return f"{_folder_bytes(path) / 1e6:.1f} MB"


def _folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())


def _index(*, force: bool) -> int:
    from crowdsky.astrometry.catalogue import bundled_catalogue
    from crowdsky.astrometry.sky_index import blind_index_path, build_blind_index
    from crowdsky.triangles.index import save_index

    catalogue = bundled_catalogue()
    path = blind_index_path(catalogue)
    if path.is_dir() and not force:
        print(f"blind index: there already, {path}")
        return EXIT_OK
    print("blind index: building, a few seconds", file=sys.stderr)
    began = time.perf_counter()
    index = build_blind_index(catalogue)
    if path.is_dir():
        shutil.rmtree(path)
    save_index(index, path)
    print(f"blind index: built in {time.perf_counter() - began:.1f} s, {path}")
    return EXIT_OK


def _fetch(args: argparse.Namespace, settings: Settings) -> int:
    from crowdsky.lookup import fetch_gaia_cone

    path = fetch_gaia_cone(
        args.ra, args.dec, args.radius, _cone_dir(settings), faintest_gmag=args.faintest
    )
    print(f"fetched {path}")
    return EXIT_OK


def _cone_dir(settings: Settings) -> Path:
    return settings.cache_dir / "gaia_dr3"
