"""Search, one stack, its ledger, its end; and who sees what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from crowdsky.archive.books import check_books
from crowdsky.archive.models import FrameRow, Job, ObjectRow, StackRow
from crowdsky.steps import on_step
from tests.api.conftest import Running
from tests.api.product_rows import SERIAL, SITE_LAT, START, make_stack

pytestmark = [pytest.mark.enable_socket]

FIELDS = [
    "id",
    "label",
    "name",
    "target",
    "telescope",
    "filter",
    "exposure_s",
    "exposure_total_s",
    "n_frames",
    "n_used",
    "n_rejected",
    "start_utc",
    "end_utc",
    "ra_deg",
    "dec_deg",
    "solved",
    "scale_arcsec_per_px",
    "rotation_deg",
    "corners",
    "fwhm_px",
    "n_stars",
    "zero_point_mag",
    "sky_adu",
    "n_bytes",
    "sha256",
    "observer",
    "mine",
    "licence",
    "credit",
    "public_utc",
    "created_utc",
]


def found(client: httpx.Client, **asked: Any) -> list[int]:
    answer = client.get("/api/v1/stacks", params=asked)
    assert answer.status_code == 200, answer.text
    return [stack["id"] for stack in answer.json()["stacks"]]


def test_a_stack_as_json(service: Running) -> None:
    made = make_stack(service.context, "ann", fwhm_px=float("nan"))
    client = service.client_for("ann")
    answer = client.get(f"/api/v1/stacks/{made.id}")
    stack = answer.json()
    assert list(stack) == FIELDS
    assert stack["start_utc"] == "2026-03-27T20:15:00.955368Z"
    assert (stack["observer"], stack["mine"]) == ("ann", True)
    assert stack["fwhm_px"] is None
    assert stack["sha256"] == made.sha256
    page = client.get("/api/v1/stacks").json()
    assert page == {
        "stacks": [stack], "total": 1, "n_bytes": len(made.data), "next_after": None
    }  # fmt: skip
    others = service.client_for("bob").get(f"/api/v1/stacks/{made.id}").json()
    assert others == stack | {"mine": False}


def test_who_sees_what(service: Running) -> None:
    here = service.context
    now = datetime.now(UTC)
    public = make_stack(here, "ann")
    private = make_stack(here, "ann", public_utc=None)
    embargoed = make_stack(here, "ann", public_utc=now + timedelta(days=1))
    over = make_stack(here, "ann", public_utc=now - timedelta(seconds=1))
    ann, bob = service.client_for("ann"), service.client_for("bob")
    anybody = service.client()
    everything = {public.id, private.id, embargoed.id, over.id}
    assert set(found(ann)) == set(found(ann, scope="mine")) == everything
    assert set(found(ann, scope="public")) == {public.id, over.id}
    assert set(found(bob)) == set(found(anybody)) == {public.id, over.id}
    assert found(bob, scope="mine") == []
    assert found(bob, ids=f"{private.id},{public.id}") == [public.id]
    assert anybody.get("/api/v1/stacks?scope=mine").status_code == 401
    for hidden in (private, embargoed):
        for part in ("", "/frames", "/file", "/preview", "/thumbnail"):
            url = f"/api/v1/stacks/{hidden.id}{part}"
            assert ann.get(url).status_code == 200, url
            refused = bob.get(url)
            assert refused.status_code == 404, url
            assert refused.json() == bob.get("/api/v1/stacks/999999").json() | {
                "message": f"{hidden.id}: no such stack"
            }
            assert anybody.get(url).status_code == (401 if part == "/file" else 404), url
    for part in ("", "/frames", "/preview", "/thumbnail"):
        assert anybody.get(f"/api/v1/stacks/{public.id}{part}").status_code == 200
    writer = service.client_for("ann", scopes=("write",))
    for part in ("", "/frames", "/file", "/preview"):
        assert writer.get(f"/api/v1/stacks/{public.id}{part}").status_code == 403
    assert writer.get("/api/v1/stacks").status_code == 403


def test_every_filter(service: Running) -> None:
    here = service.context
    east = make_stack(here, "ann", ra_deg=0.1, dec_deg=10.0, start_utc=START)
    west = make_stack(
        here, "ann", ra_deg=359.9, dec_deg=10.0, start_utc=START + timedelta(hours=1),
        target="NGC 7814", filter="LP", model="Seestar S30", exposure_total_s=900.0,
    )  # fmt: skip
    nowhere = make_stack(here, "ann", ra_deg=None, solved=False, start_utc=START - timedelta(1))
    client = service.client_for("ann")
    assert found(client) == [west.id, east.id, nowhere.id]
    both = [west.id, east.id]
    assert found(client, ra_from=359, ra_to=1, dec_from=9, dec_to=11) == both
    assert found(client, ra_from=0, ra_to=1) == [east.id]
    assert found(client, dec_from=5) == both
    assert found(client, ra=0, dec=10, radius=0.2) == both
    assert found(client, ra=0, dec=10, radius=0.05) == []
    assert found(client, polygon="359,9,359,11,1,11,1,9") == both
    assert found(client, target="ngc7814") == found(client, filter="lp") == [west.id]
    assert found(client, telescope="Seestar S30") == [west.id]
    assert found(client, min_exposure=100) == [west.id]
    assert found(client, **{"from": "2026-03-27T21:00:00Z"}) == [west.id]
    assert found(client, **{"from": "2026-03-27", "to": "2026-03-27T21:00:00+00:00"}) == [east.id]
    assert found(client, ids=f"{east.id},{nowhere.id}") == [east.id, nowhere.id]
    first = client.get("/api/v1/stacks", params={"limit": 2}).json()
    assert (len(first["stacks"]), first["total"], first["next_after"]) == (2, 3, east.id)
    assert found(client, limit=2, after=first["next_after"]) == [nowhere.id]


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("ra_from=1", 400, "ra_from and ra_to belong together"),
        ("ra=1&dec=2", 400, "a cone needs ra, dec and radius"),
        ("ra=1&dec=2&radius=1&dec_from=3", 400, "a rectangle, a cone or a polygon"),
        ("ra=1&dec=95&radius=1", 400, "declination"),
        ("ra=nan&dec=9&radius=1", 400, "finite"),
        ("polygon=1,2,3", 400, "a polygon is ra,dec,ra,dec"),
        ("polygon=x", 400, "a polygon is ra,dec,ra,dec"),
        ("from=yesterday", 400, "2026-03-27T20:15:00Z"),
        ("from=0001-01-01T00:00:00%2B23:00", 400, "2026-03-27T20:15:00Z"),
        ("min_exposure=inf", 400, "finite"),
        ("ids=1,x", 400, "ids are whole numbers"),
        ("ids=99999999999999999999", 400, "an id is a whole number"),
        ("limit=0", 422, "limit"),
        ("after=-1", 422, "after"),
        ("scope=theirs", 422, "scope"),
        ("colour=red", 422, "colour"),
    ],
)
def test_refused_questions(one_service: Running, query: str, status: int, said: str) -> None:
    answer = one_service.client().get(f"/api/v1/stacks?{query}")
    assert answer.status_code == status
    assert said in answer.json()["message"]


@pytest.fixture(scope="module")
def one_service(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Any) -> Any:
    from tests.api.conftest import opened, serving, settings_in

    folder = tmp_path_factory.mktemp("service")
    (folder / "crowdsky.db").write_bytes(sqlite_template.read_bytes())
    settings = settings_in(folder, f"sqlite:///{folder / 'crowdsky.db'}")
    with opened(settings) as context, serving(context) as running:
        yield running


def test_the_ledger(service: Running) -> None:
    made = make_stack(service.context, "ann")
    url = f"/api/v1/stacks/{made.id}/frames"
    own = service.client_for("ann").get(url).json()
    assert [(line["name"], line["used"], line["reason"]) for line in own["frames"]] == [
        ("Light_0.fit", True, ""),
        ("Light_1.fit", True, ""),
        ("Light_2.fit", False, "Light_2.fit: too few stars"),
    ]
    others = service.client_for("bob").get(url).json()
    assert others == {
        "stack_id": made.id, "n_frames": 3, "n_used": 2, "n_rejected": 1,
        "reasons": [{"reason": "frame: too few stars", "n": 1}],
    }  # fmt: skip


def test_sites_and_serials_stay_here(service: Running) -> None:
    made = make_stack(service.context, "ann")
    for client in (service.client_for("ann"), service.client_for("bob")):
        for url in (
            "/api/v1/stacks",
            f"/api/v1/stacks/{made.id}",
            f"/api/v1/stacks/{made.id}/frames",
            "/api/v1/sky/density",
            f"/api/frames_by_healpix.php?healpix={_tile(client)}",
            f"/api/download_frame.php?id={made.id},{made.id}",
            "/api/sky_coverage.php",
        ):
            answer = client.get(url)
            assert answer.status_code == 200, url
            assert SERIAL not in answer.text
            assert str(SITE_LAT)[:6] not in answer.text


def _tile(client: httpx.Client) -> int:
    from crowdsky.archive.positions import place

    stack = client.get("/api/v1/stacks").json()["stacks"][0]
    return place(stack["ra_deg"], stack["dec_deg"]).tile


def test_deleting_a_stack(service: Running) -> None:
    here = service.context
    made, other = make_stack(here, "ann"), make_stack(here, "ann")
    ann, bob = service.client_for("ann"), service.client_for("bob")
    url = f"/api/v1/stacks/{made.id}"
    assert bob.delete(url).status_code == 404
    assert service.client_for("ann", scopes=("read",)).delete(url).status_code == 403
    assert ann.delete(url).status_code == 204
    assert ann.delete(url).status_code == 404
    assert ann.get(url).status_code == 404
    assert here.store.size(made.sha256) is None
    assert here.store.size(other.sha256) is not None
    with here.archive.reading() as session:
        assert session.scalars(select(StackRow.id)).all() == [other.id]
        assert session.scalar(select(func.count()).select_from(FrameRow)) == 3
        assert session.get(ObjectRow, made.sha256) is None
    assert check_books(here.archive) == []


def test_a_stack_whose_block_waits_is_not_deleted(service: Running) -> None:
    here = service.context
    made = make_stack(here, "ann")
    with here.archive.writing() as session:
        frame = session.scalars(select(FrameRow).order_by(FrameRow.id.desc())).first()
        assert frame is not None
        session.add(
            FrameRow(
                observer_id=frame.observer_id,
                sha256=made.sha256,
                n_bytes=5,
                name="new.fit",
                telescope_id=frame.telescope_id,
                header={},
                target="M 94",
                start_utc=START,
                accepted_utc=START,
                block_id=frame.block_id,
            )
        )
    answer = service.client_for("ann").delete(f"/api/v1/stacks/{made.id}")
    assert answer.status_code == 409
    assert "delete that job first" in answer.json()["message"]
    with here.archive.reading() as session:
        assert session.get(StackRow, made.id) is not None
        assert session.scalar(select(func.count()).select_from(Job)) == 0


def test_killed_while_deleting(service: Running) -> None:
    """At every step: the stack is there with its ledger, or gone with it."""
    from crowdsky.archive.stacks import delete_stack

    class Killed(BaseException):
        pass

    here = service.context
    for label in ("locked", "rows_gone", "committed", "done"):
        made = make_stack(here, "ann")

        def kill(step: str, label: str = label) -> None:
            if step == f"delete_stack.{label}":
                raise Killed

        on_step(kill)
        try:
            with pytest.raises(Killed):
                delete_stack(here.archive, here.store, made.observer_id, made.id)
        finally:
            on_step(None)
        with here.archive.reading() as session:
            there = session.get(StackRow, made.id) is not None
        assert there is (label in ("locked", "rows_gone"))
        assert check_books(here.archive) == []
        assert here.store.size(made.sha256) is not None or not there
