"""Nobody reaches what is another's: every route of the service is on a list here.

A new route fails `test_every_route_is_on_a_list` until somebody has thought about whose it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, update

from crowdsky.archive.models import FrameRow, Observer, StackRow, Telescope
from tests.api.conftest import opened, serving
from tests.api.product_rows import SERIAL, SITE_LAT, make_stack
from tests.archive.queue_rows import make_jobs

pytestmark = [pytest.mark.enable_socket]

#: Anybody may call these; they tell nothing about anybody.
OPEN = {
    "GET /", "GET /api/docs", "GET /api/docs.css", "GET /api/openapi.json",
    "GET /api/v1/health", "GET /api/v1/ready", "GET /api/v1/site", "GET /login",
    "GET /oauth_callback",
    "OPTIONS /api/v1/uploads", "OPTIONS /api/v1/uploads/{upload_id}",
}  # fmt: skip

#: Lists and deeds without an object's id: the query holds the owner, or what everyone may see.
OWN = {
    "GET /api/v1/me", "PATCH /api/v1/me", "DELETE /api/v1/me", "GET /api/v1/me/export",
    "POST /api/v1/logout", "GET /api/v1/keys", "POST /api/v1/keys", "POST /api/v1/uploads/have",
    "GET /api/v1/uploads", "POST /api/v1/uploads", "GET /api/v1/blocks/preview",
    "POST /api/v1/finalise", "GET /api/v1/jobs", "GET /api/v1/frames", "GET /api/v1/books",
    "GET /api/v1/events",
}  # fmt: skip

#: As above; without a sign-in they show what is public.
PUBLIC = {"GET /api/v1/stacks", "GET /api/v1/sky/density", "GET /api/sky_coverage.php"}

#: The old client's; it always shows a key.
COMPAT = {"GET /api/frames_by_healpix.php"}

#: Routes that take an object's id: how to ask for Ann's object, and with what.
BY_ID: dict[str, tuple[str, Any]] = {
    "DELETE /api/v1/keys/{key_id}": ("/api/v1/keys/{key}", None),
    "GET /api/v1/uploads/{upload_id}": ("/api/v1/uploads/{upload}", None),
    "HEAD /api/v1/uploads/{upload_id}": ("/api/v1/uploads/{upload}", None),
    "PATCH /api/v1/uploads/{upload_id}": ("/api/v1/uploads/{upload}", b"x"),
    "POST /api/v1/uploads/{upload_id}": ("/api/v1/uploads/{upload}", b"x"),
    "DELETE /api/v1/uploads/{upload_id}": ("/api/v1/uploads/{upload}", None),
    "GET /api/v1/jobs/{job_id}": ("/api/v1/jobs/{job}", None),
    "GET /api/v1/jobs/{job_id}/frames": ("/api/v1/jobs/{job}/frames", None),
    "POST /api/v1/jobs/{job_id}/retry": ("/api/v1/jobs/{job}/retry", None),
    "DELETE /api/v1/jobs/{job_id}": ("/api/v1/jobs/{job}", None),
    "GET /api/v1/stacks/{stack_id}": ("/api/v1/stacks/{stack}", None),
    "GET /api/v1/stacks/{stack_id}/frames": ("/api/v1/stacks/{stack}/frames", None),
    "DELETE /api/v1/stacks/{stack_id}": ("/api/v1/stacks/{stack}", None),
    "GET /api/v1/stacks/{stack_id}/file": ("/api/v1/stacks/{stack}/file", None),
    "HEAD /api/v1/stacks/{stack_id}/file": ("/api/v1/stacks/{stack}/file", None),
    "GET /api/v1/stacks/{stack_id}/preview": ("/api/v1/stacks/{stack}/preview", None),
    "HEAD /api/v1/stacks/{stack_id}/preview": ("/api/v1/stacks/{stack}/preview", None),
    "GET /api/v1/stacks/{stack_id}/thumbnail": ("/api/v1/stacks/{stack}/thumbnail", None),
    "HEAD /api/v1/stacks/{stack_id}/thumbnail": ("/api/v1/stacks/{stack}/thumbnail", None),
    "GET /api/v1/downloads/{download_id}/crowdsky.zip": (
        "/api/v1/downloads/{download}/crowdsky.zip", None,
    ),
    "HEAD /api/v1/downloads/{download_id}/crowdsky.zip": (
        "/api/v1/downloads/{download}/crowdsky.zip", None,
    ),
    "DELETE /api/v1/downloads/{download_id}": ("/api/v1/downloads/{download}", None),
    "GET /api/download_frame.php": ("/api/download_frame.php?id={stack}", None),
    "HEAD /api/download_frame.php": ("/api/download_frame.php?id={stack}", None),
    "GET /api/frame_stars.php": ("/api/frame_stars.php?id={stack}", None),
}  # fmt: skip

#: Ids that are given otherwise than in a path: how to ask, and what comes of another's.
ELSEWHERE = {
    "POST /api/v1/jobs/delete": ({"ids": ["{job}"]}, 200, {"deleted": [], "not_found": ["{job}"]}),
    "POST /api/v1/downloads": ({"ids": ["{stack}"]}, 404, None),
}

#: Ways on from what was not found: a private stack is not there for those who did not sign in.
SEEN_BY_ANYBODY = {
    f"{method} /api/v1/stacks/{{stack_id}}{part}"
    for method, part in [
        ("GET", ""), ("GET", "/frames"), ("GET", "/preview"), ("HEAD", "/preview"),
        ("GET", "/thumbnail"), ("HEAD", "/thumbnail"),
    ]
}  # fmt: skip


def routes_of(app: Any) -> set[str]:
    found = set()
    for route in app.routes:
        inner = getattr(route, "effective_route_contexts", None)
        for one in [route] if inner is None else inner():
            found |= {f"{method} {one.path}" for method in one.methods or ()}
    # What only repeats a GET without its body, and is made by the framework itself.
    return found - {"HEAD /api/openapi.json"}


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Any
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """A service in which Ann has one of everything, all of it private."""
    import pytest_socket

    from tests.api.conftest import settings_in

    pytest_socket.enable_socket()
    folder = tmp_path_factory.mktemp("others")
    (folder / "crowdsky.db").write_bytes(sqlite_template.read_bytes())
    settings = replace(settings_in(folder, f"sqlite:///{folder / 'crowdsky.db'}"))
    with opened(settings) as context, serving(context) as service:
        ann = service.client_for("ann")
        stack = make_stack(context, "ann", public_utc=None)
        job = make_jobs(context.archive, stack.observer_id, 1)[0]
        with context.archive.writing() as session:
            session.execute(update(Observer).values(visibility="private"))
        tus = {"Tus-Resumable": "1.0.0", "Upload-Length": "9", "Upload-Metadata": "filename YQ=="}
        upload = ann.post("/api/v1/uploads", headers=tus)
        assert upload.status_code == 201, upload.text
        download = ann.post("/api/v1/downloads", json={"ids": [stack.id]})
        assert download.status_code == 201, download.text
        key = ann.post("/api/v1/keys", json={"name": "to be stolen"}).json()
        yield (
            service,
            {
                "stack": stack.id,
                "job": job.job_id,
                "block": job.block_id,
                "upload": upload.headers["location"].rpartition("/")[2],
                "download": download.json()["id"],
                "key": key["id"],
            },
        )


def filled(value: Any, ids: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        return {name: filled(entry, ids) for name, entry in value.items()}
    if isinstance(value, list):
        return [filled(entry, ids) for entry in value]
    if isinstance(value, str) and value.startswith("{"):
        return ids[value[1:-1]]
    return value


def ask(client: Any, route: str, ids: dict[str, Any]) -> Any:
    method = route.partition(" ")[0]
    path, body = BY_ID[route]
    headers = {}
    if "uploads" in path:
        headers = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}
        headers |= {"Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    return client.request(method, path.format(**ids), content=body, headers=headers)


def test_every_route_is_on_a_list(running: tuple[Any, dict[str, Any]]) -> None:
    service, _ = running
    lists = [OPEN, OWN, PUBLIC, COMPAT, set(BY_ID), set(ELSEWHERE)]
    listed = set().union(*lists)
    assert sum(map(len, lists)) == len(listed)
    assert routes_of(service.app) == listed


def test_the_list_would_miss_a_new_route(running: tuple[Any, dict[str, Any]]) -> None:
    from crowdsky.api.app import create_app

    app = create_app(running[0].context)
    app.add_api_route("/api/v1/telescopes/{telescope_id}", lambda: None)
    assert "GET /api/v1/telescopes/{telescope_id}" in routes_of(app)


def test_a_route_with_an_id_is_on_the_list_of_those(running: tuple[Any, dict[str, Any]]) -> None:
    with_id = {route for route in routes_of(running[0].app) if "{" in route}
    assert with_id - set(BY_ID) == {"OPTIONS /api/v1/uploads/{upload_id}"}


@pytest.mark.parametrize("route", sorted(BY_ID))
def test_anothers_object_is_not_found(running: tuple[Any, dict[str, Any]], route: str) -> None:
    service, ids = running
    answer = ask(service.client_for("bob"), route, ids)
    assert answer.status_code == 404, answer.text
    # And it is told in the same words as one that does not exist.
    nothing = {name: 999_999 if isinstance(id_, int) else "0" * 32 for name, id_ in ids.items()}
    other = ask(service.client_for("bob"), route, nothing)
    assert other.status_code == 404
    named = BY_ID[route][0].partition("{")[2].partition("}")[0]
    words = answer.text.replace(str(ids[named]), "?")
    assert words == other.text.replace(str(nothing[named]), "?")


@pytest.mark.parametrize("route", sorted(BY_ID))
def test_without_a_sign_in_there_is_401(running: tuple[Any, dict[str, Any]], route: str) -> None:
    service, ids = running
    expected = 404 if route in SEEN_BY_ANYBODY else 401
    assert ask(service.client(), route, ids).status_code == expected


@pytest.mark.parametrize("route", sorted(OWN | COMPAT | set(ELSEWHERE)))
def test_lists_and_deeds_need_a_sign_in(running: tuple[Any, dict[str, Any]], route: str) -> None:
    method, _, path = route.partition(" ")
    headers = {"Tus-Resumable": "1.0.0"}
    answer = running[0].client().request(method, path, headers=headers)
    assert answer.status_code == 401, answer.text


@pytest.mark.parametrize("route", sorted(ELSEWHERE))
def test_ids_in_a_body(running: tuple[Any, dict[str, Any]], route: str) -> None:
    service, ids = running
    body, status, told = ELSEWHERE[route]
    method, _, path = route.partition(" ")
    answer = service.client_for("bob").request(method, path, json=filled(body, ids))
    assert answer.status_code == status, answer.text
    if told is not None:
        assert answer.json() == filled(told, ids)


def test_ids_in_a_query(running: tuple[Any, dict[str, Any]]) -> None:
    service, ids = running
    bob = service.client_for("bob")
    assert bob.get(f"/api/v1/frames?block_id={ids['block']}").status_code == 404
    assert service.client_for("ann").get(f"/api/v1/frames?block_id={ids['block']}").is_success
    assert bob.get(f"/api/v1/stacks?scope=all&ids={ids['stack']}").json()["stacks"] == []
    assert bob.get(f"/api/v1/uploads?after={ids['upload']}").status_code == 404


def test_ann_reaches_all_of_it(running: tuple[Any, dict[str, Any]]) -> None:
    """Else the tests above would prove nothing."""
    service, ids = running
    ann = service.client_for("ann")
    for route in sorted(BY_ID):
        if route.startswith(("GET", "HEAD")) and "frame_stars" not in route:
            assert ask(ann, route, ids).status_code == 200, route


def test_what_others_read_holds_no_site_and_no_serial(
    running: tuple[Any, dict[str, Any]],
) -> None:
    service, ids = running
    made = make_stack(service.context, "dora")
    with service.context.archive.reading() as session:
        planted = session.scalars(select(FrameRow.header)).all()
        assert any(header.get("site_lat_deg") == SITE_LAT for header in planted)
        assert session.scalar(select(Telescope.device).where(Telescope.device.contains(SERIAL)))
        assert session.get(StackRow, made.id) is not None
    theirs = ids | {"stack": made.id}
    texts = []
    for client in (service.client(), service.client_for("bob")):
        asked = [
            path.format(**theirs)
            for route, (path, _) in BY_ID.items()
            if route.startswith("GET") and "{stack}" in path
        ]
        asked += [route.partition(" ")[2] for route in OWN | PUBLIC | COMPAT | OPEN]
        asked += ["/api/v1/stacks?scope=all", "/api/frames_by_healpix.php?healpix=35000"]
        texts += [
            client.get(path, follow_redirects=True).text
            for path in asked
            if path != "/api/v1/events" and "uploads" not in path
        ]
    assert sum("M 94" in text for text in texts) >= 2
    for text in texts:
        assert SERIAL not in text
        assert str(SITE_LAT)[:7] not in text
    assert SERIAL in service.client_for("dora").get("/api/v1/me/export").text
