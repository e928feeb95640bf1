"""The published crowdsky-client, unmodified, against a running service."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from crowdsky_client import Client, CrowdSkyError

from crowdsky.api.compat_tables import coverage_ecsv
from crowdsky.archive.coverage import TileCoverage
from crowdsky.archive.positions import place
from crowdsky.stacking import write_stack
from tests.api.conftest import Running
from tests.api.product_rows import START, make_stack

pytestmark = [pytest.mark.enable_socket]

NUMBERS = {
    "id": int, "healpix": int, "ra_deg": float, "dec_deg": float, "exptime": float,
    "total_exptime": float, "eq_mode": int, "n_frames_input": int, "n_frames_aligned": int,
    "n_stars_detected": int, "file_size_bytes": int,
}  # fmt: skip


@pytest.fixture(scope="session")
def real_stack(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A stack as the stacking writes it, small."""
    from tests.stacking.products import product

    return write_stack(product(), tmp_path_factory.mktemp("stack") / "stack.fits").read_bytes()


def client_of(service: Running, name: str) -> Client:
    return Client(api_key=service.key_for(name), base_url=service.url, timeout=30)


def test_the_tutorial(service: Running, real_stack: bytes, tmp_path: Path) -> None:
    here = service.context
    made = make_stack(here, "ann", real_stack, ra_deg=192.7, dec_deg=41.1, equatorial=True)
    make_stack(here, "bob", ra_deg=192.7, dec_deg=41.1, public_utc=None)
    make_stack(here, "ann", ra_deg=100.0, dec_deg=41.1)
    client = client_of(service, "carol")
    frames = client.frames_for_target(192.7, 41.1, radius_deg=0.75)
    assert [frame["id"] for frame in frames] == [made.id]
    frame = frames[0]
    for name, kind in NUMBERS.items():
        assert type(frame[name]) is kind, name
    assert frame["filter_name"] == "IRCUT"
    assert frame["object_name"] == "M 94"
    assert frame["eq_mode"] == 1
    assert frame["sqm"] is None
    assert frame["chunk_key"] == "20260327.81_HP035000"
    assert frame["date_obs_start"] == "2026-03-27T20:15:00.955368Z"
    assert frame["download_url"] == f"{service.url}/api/download_frame.php?id={made.id}"
    raw = client.download_frame(frame["id"])
    assert raw == real_stack
    with fits.open(BytesIO(raw)) as hdus:
        table = hdus["STAR-TAB"].data
        x, gaia = np.asarray(table["x"]), np.asarray(table["gaia_id"])
        shape = hdus["GREEN"].data.shape
    assert client.download_frame_to(made.id, tmp_path / "a" / "b.fits").read_bytes() == real_stack
    stars = client.star_data(made.id)
    assert (stars["height"], stars["width"]) == shape
    assert len(stars["stars"]) == len(x) > 10
    assert [star["x"] for star in stars["stars"]] == x.tolist()
    assert [star["gaia_id"] for star in stars["stars"]] == gaia.tolist()
    for name in ("x", "y", "flux", "a", "b", "peak", "ra", "dec"):
        assert type(stars["stars"][0][name]) is float
    assert type(stars["stars"][0]["flag"]) is int
    assert any(star["gaia_gmag"] is None for star in stars["stars"])  # NaN is no JSON
    coverage = Client(base_url=service.url).sky_coverage()
    assert coverage["n_stacks"].tolist() == [1, 1]
    assert coverage["healpix_ring"].dtype == np.int64
    assert frame["healpix"] in coverage["healpix_ring"]
    assert coverage["total_exptime"].tolist() == [20.0, 20.0]


def test_filters_and_order(service: Running) -> None:
    here = service.context
    late = make_stack(here, "ann", start_utc=START + timedelta(hours=1), filter="LP")
    early = make_stack(here, "ann", exposure_total_s=500.0, equatorial=True)
    unknown = make_stack(here, "ann", start_utc=START - timedelta(days=1), equatorial=None)
    client = client_of(service, "bob")
    tile = place(192.7, 41.1).tile

    def ids(**asked: Any) -> list[int]:
        return [frame["id"] for frame in client.frames_by_healpix(tile, **asked)]

    assert ids() == [unknown.id, early.id, late.id]
    assert ids(filter_name="LP") == [late.id]
    assert ids(eq_mode=1) == [early.id]
    assert ids(eq_mode=0) == [late.id]
    assert ids(min_exptime=120) == [early.id]
    assert ids(min_sqm=18) == []
    start = client.frames_by_healpix(tile)[1]["date_obs_start"]
    assert ids(start=start) == [early.id, late.id]
    assert ids(end=start) == [unknown.id, early.id]  # both ends count
    assert client.frames_by_healpix(0) == []


def test_values_that_are_none(service: Running) -> None:
    made = make_stack(service.context, "ann")
    private = make_stack(service.context, "ann", public_utc=None)
    client = service.client_for("bob")
    for url in (
        "frames_by_healpix.php",
        "frames_by_healpix.php?healpix=-1",
        "frames_by_healpix.php?healpix=196608",
        "frames_by_healpix.php?healpix=abc",
        "frames_by_healpix.php?healpix=1e3",
        "frames_by_healpix.php?healpix=1&eq_mode=2",
        "frames_by_healpix.php?healpix=1&start=now",
        "frames_by_healpix.php?healpix=1&min_exptime=nan",
        "download_frame.php",
        "download_frame.php?id=",
        "download_frame.php?id=1;DROP",
        "download_frame.php?id=0",
        "download_frame.php?id=1,,2",
        f"download_frame.php?id={10**30}",
        "frame_stars.php?id=1,2",
        "frame_stars.php?id=x",
    ):
        answer = client.get(f"/api/{url}")
        assert answer.status_code == 400, url
        assert answer.json()["error"] == "BadQuery"
    for url in ("download_frame.php?id=987654", f"frame_stars.php?id={private.id}",
                f"download_frame.php?id={private.id}"):  # fmt: skip
        answer = client.get(f"/api/{url}")
        assert (answer.status_code, answer.json()["error"]) == (404, "NotFound"), url
    # This file is no FITS file, and has no star table.
    answer = client.get(f"/api/frame_stars.php?id={made.id}")
    assert (answer.status_code, answer.json()["error"]) == (404, "NotFound")
    empty = client.get(f"/api/download_frame.php?id={private.id},987654")
    assert (empty.status_code, empty.json()) == (200, [])
    several = client.get(f"/api/download_frame.php?id={made.id},{private.id},987654,{made.id}")
    assert several.json() == [
        {
            "id": made.id,
            "chunk_key": "20260327.81_HP035000",
            "object_name": "M 94",
            "filename": f"20260327.81_192.7_p41.1_IRCUT_10s_{made.id}.fits",
            "file_size_bytes": len(made.data),
            "download_url": f"{service.url}/api/download_frame.php?id={made.id}",
        }
    ]
    own = service.client_for("ann").get(f"/api/download_frame.php?id={private.id}")
    assert own.content == private.data


def test_keys_that_are_no_good(sqlite_service: Running) -> None:
    client = Client(api_key="csk_" + "x" * 43, base_url=sqlite_service.url)
    for call in (
        lambda: client.frames_by_healpix(1),
        lambda: client.download_frame(1),
        lambda: client.star_data(1),
    ):
        with pytest.raises(CrowdSkyError, match="HTTP 401"):
            call()
    with pytest.raises(CrowdSkyError, match="HTTP 404"):
        client_of(sqlite_service, "ann").download_frame(1)
    with pytest.raises(CrowdSkyError, match="HTTP 400"):
        client_of(sqlite_service, "ann").frames_by_healpix(-1)
    assert len(Client(base_url=sqlite_service.url).sky_coverage()) == 0


def test_a_damaged_stack_is_an_error(sqlite_service: Running, real_stack: bytes) -> None:
    made = make_stack(sqlite_service.context, "ann", real_stack)
    path = sqlite_service.context.store.local_path(made.sha256)
    assert path is not None
    path.chmod(0o644)
    path.write_bytes(real_stack[:-2880] + bytes(2880))
    client = client_of(sqlite_service, "ann")
    for call in (client.star_data, client.download_frame):
        with pytest.raises(CrowdSkyError, match="HTTP 502"):
            call(made.id)


def test_16_tiles_at_once(sqlite_service: Running) -> None:
    from concurrent.futures import ThreadPoolExecutor

    made = make_stack(sqlite_service.context, "ann", ra_deg=0.05, dec_deg=0.0)
    client = client_of(sqlite_service, "ann")
    tile = place(0.05, 0.0).tile
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(client.frames_by_healpix, [*range(15), tile]))
    assert [len(answer) for answer in answers] == [0] * 15 + [1]
    assert client.frames_for_target(359.9, 0.0, radius_deg=0.75)[0]["id"] == made.id


def test_coverage_holds_any_filter_name() -> None:
    from astropy.table import Table

    names = ["", "L P", 'a"b', "x\ny", "#c", "1"]
    rows = [TileCoverage(7, name, 1, 10.0, START, START) for name in names]
    table = Table.read(coverage_ecsv(rows), format="ascii.ecsv")
    read = [str(value) for value in table["filter_name"].filled("")]
    assert read == ["", "L P", 'a"b', "x?y", "#c", "1"]
    assert table["total_exptime"].unit == "s"
    lines = coverage_ecsv(rows).splitlines()
    assert next(csv.reader(io.StringIO(lines[-1]), delimiter=" "))[0] == "7"
