"""What can go wrong with an upload, and what must come of it."""

from __future__ import annotations

import asyncio
import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest
from sqlalchemy import select

from crowdsky.api.context import Context
from crowdsky.api.intake import resume_intake
from crowdsky.archive.books import books, check_books
from crowdsky.archive.engine import Archive
from crowdsky.archive.models import FrameRow, ObjectRow, Upload, UploadItem
from crowdsky.archive.open_store import open_store
from crowdsky.settings import load_server_settings
from tests.api.uploads_process import (
    Nursery,
    Service,
    create,
    empty,
    metadata,
    nursery,
    send,
    upload,
    wait_until,
)
from tests.frames.fits_files import header_bytes, sub_bytes

pytestmark = [pytest.mark.enable_socket]

PART = 3000
CONTENT = sub_bytes(OBJECT="killed")

# Every step that an upload of two parts goes through, and for which time of reaching it the service
# dies: in the first part, in the last one, and while the whole is looked at.
STEPS = [
    *((step, nth) for nth in (1, 2) for step in (
        "upload.opened", "upload.truncated", "upload.written", "upload.synced",
    )),
    ("upload.committed", 1),
    ("upload.received", 1),
    ("intake.begun", 1),
    ("intake.looked", 1),
    ("ingest.begun", 1),
    ("ingest.stored", 1),
    ("ingest.committed", 1),
    ("intake.taken", 1),
    ("intake.finished", 1),
    ("intake.cleaned", 1),
]  # fmt: skip


@pytest.fixture(scope="module")
def parent() -> Iterator[Nursery]:
    with nursery() as opened:
        yield opened


@pytest.fixture(scope="module")
def service(parent: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    started = parent.start(
        tmp_path_factory.mktemp("service"),
        settings={"CROWDSKY_MAX_FILE_MB": "2", "CROWDSKY_REQUESTS_PER_MINUTE": "100000"},
    )
    yield started
    started.stop()


@pytest.fixture
def alice(service: Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


# --- 16: killed at every step ---------------------------------------------------------------------


def push(client: httpx.Client, path: str, content: bytes) -> int:
    """Send the rest, part by part, as a client does that knows nothing; how many bytes it sent."""
    sent = 0
    offset = int(client.head(path).headers["Upload-Offset"])
    while offset < len(content):
        part = content[offset : offset + PART]
        sent += len(part)
        assert send(client, path, offset, part).status_code == 204
        offset += len(part)
    return sent


def killed_and_continued(
    parent: Nursery, home: Path, step: str, nth: int, database_url: str = ""
) -> None:
    service = parent.start(home, database_url=database_url, sandbox=False, kill_at=step, nth=nth)
    with service.client() as client:
        path = create(client, len(CONTENT))
        before = len(CONTENT)
        try:
            push(client, path, CONTENT)
        except httpx.TransportError:
            pass
        else:
            assert step == "intake.cleaned"  # all was done when it died
    service.wait()
    service = parent.start(home, database_url=database_url, sandbox=False)
    with service.client() as client:
        sent_again = push(client, path, CONTENT)
        assert sent_again <= before
        url = path
        wait_until(lambda: client.get(url).json()["state"] == "accepted", f"stuck after {step}")
        state = client.get(path).json()
    service.stop()
    assert state["offset"] == state["length"] == len(CONTENT)
    assert state["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert [item["outcome"] for item in state["items"]] == ["accepted"]
    archive = Archive(database_url or f"sqlite:///{home / 'crowdsky.db'}")
    try:
        with archive.reading() as session:
            assert session.scalars(select(FrameRow.sha256)).all() == [state["sha256"]]
            assert session.scalars(select(ObjectRow.state)).all() == ["stored"]
            assert session.scalars(select(Upload.state)).all() == ["accepted"]
            assert len(session.scalars(select(UploadItem.id)).all()) == 1
        assert check_books(archive) == []
        counts = books(archive, None)
        assert (counts.accepted, counts.pending) == (1, 1)
    finally:
        archive.close()
    assert empty(home / "scratch")
    stored = [file for file in (home / "store").rglob("*") if file.is_file()]
    assert [file.read_bytes() for file in stored] == [CONTENT]


@pytest.mark.slow
@pytest.mark.parametrize(("step", "nth"), STEPS, ids=[f"{step}-{nth}" for step, nth in STEPS])
def test_killed_at_every_step(parent: Nursery, tmp_path: Path, step: str, nth: int) -> None:
    killed_and_continued(parent, tmp_path, step, nth)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "nth"), [("upload.synced", 2), ("upload.received", 1), ("ingest.committed", 1)]
)
def test_killed_beside_another_database(
    parent: Nursery, tmp_path: Path, database_url: str, step: str, nth: int
) -> None:
    if database_url.startswith("sqlite"):
        pytest.skip("done above")
    killed_and_continued(parent, tmp_path, step, nth, database_url)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "nth"),
    [("ingest.stored", 2), ("ingest.committed", 2), ("intake.taken", 2), ("intake.finished", 1)],
)
def test_killed_inside_an_archive(parent: Nursery, tmp_path: Path, step: str, nth: int) -> None:
    frames = [sub_bytes(OBJECT=f"zipped {number}") for number in range(3)]
    members = {f"night/{number}.fit": content for number, content in enumerate(frames)}
    members |= {"night/0.jpg": b"x", "night/bad.fit": b"x", "other/0.fit": frames[0]}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    service = parent.start(tmp_path, sandbox=False, kill_at=step, nth=nth)
    with service.client() as client:
        path = create(client, len(buffer.getvalue()), "night.zip")
        with pytest.raises(httpx.TransportError):
            send(client, path, 0, buffer.getvalue())
    service.wait()
    # Nobody asks again: the service takes it up by itself when it starts.
    service = parent.start(tmp_path, sandbox=False)
    with service.client() as client:
        wait_until(lambda: client.get(path).json()["state"] == "accepted", f"stuck after {step}")
        items = client.get(path).json()["items"]
    assert pending(service) == 3
    service.stop()
    assert {(item["name"], item["outcome"]) for item in items} == {
        ("night/0.fit", "accepted"),
        ("night/1.fit", "accepted"),
        ("night/2.fit", "accepted"),
        ("other/0.fit", "duplicate"),
        ("night/bad.fit", "refused"),
        ("1 file", "skipped"),
    }
    assert len(items) == 6
    assert empty(tmp_path / "scratch")
    assert sum(file.is_file() for file in (tmp_path / "store").rglob("*")) == 3


def test_what_was_received_can_be_taken_up_without_a_service(
    parent: Nursery, tmp_path: Path
) -> None:
    service = parent.start(tmp_path, sandbox=False, kill_at="upload.received")
    with service.client() as client:
        path = create(client, len(CONTENT))
        with pytest.raises(httpx.TransportError):
            send(client, path, 0, CONTENT)
    service.wait()
    settings = load_server_settings({"CROWDSKY_HOME": str(tmp_path)})
    archive = Archive(settings.database_url)
    try:
        context = Context(settings, archive, open_store(settings))
        assert asyncio.run(resume_intake(context)) == 1
        assert asyncio.run(resume_intake(context)) == 0
        assert books(archive, None).pending == 1
    finally:
        archive.close()


# --- 1 to 6: files that are not frames ------------------------------------------------------------

NO_FRAMES = {
    "100 bytes": (b"\x07" * 100, "not a FITS file: it does not begin with SIMPLE"),
    "JPEG": (b"\xff\xd8\xff\xe0" + bytes(500), "not a FITS file: it looks like a JPEG picture"),
    "HTML": (b"<html>hello</html>", "not a FITS file: it looks like an HTML or XML page"),
    "one byte short": (sub_bytes()[:-2880], "truncated: its header promises"),
    "half": (sub_bytes()[:4000], "truncated: its header promises"),
    "too much behind it": (sub_bytes() + bytes(1_100_000), "bytes may follow the image"),
    "huge": (sub_bytes(NAXIS1=2**31 - 1), "an image axis is"),
    "negative": (sub_bytes(NAXIS1=-5), "an image axis is"),
    "axes": (sub_bytes(NAXIS=999), "an image has 2 axes"),
    "BITPIX": (sub_bytes(BITPIX=17), "BITPIX is one of"),
    "no END": (sub_bytes(end=b" " * 80), "END"),
    "a million cards": (sub_bytes()[:1600] + b"COMMENT x".ljust(80) * 20_000, "no END card within"),
    "not ASCII": (sub_bytes(OBJECT=b"'\xe9toile'"), "byte 0xe9"),
    "packed FITS": (
        header_bytes({"SIMPLE": True, "BITPIX": 8, "NAXIS": 0, "EXTEND": True})
        + header_bytes({
            "XTENSION": "BINTABLE", "BITPIX": 8, "NAXIS": 2, "NAXIS1": 8, "NAXIS2": 1,
            "ZIMAGE": True, "ZTILE1": 2**31 - 1, "ZTILE2": 2**31 - 1,
        }),
        "a compressed FITS image is not read; unpack it first (funpack)",
    ),
    "no time": (sub_bytes(DATE_OBS=None), "DATE-OBS is needed"),
}  # fmt: skip


@pytest.mark.parametrize("case", NO_FRAMES)
def test_what_is_no_frame_is_refused_with_a_reason(
    service: Service, alice: httpx.Client, case: str
) -> None:
    content, reason = NO_FRAMES[case]
    before = pending(service)
    response = upload(alice, content, f"{case}.fit")
    assert response.status_code == 204
    assert response.headers["Upload-Outcome"] == "refused"
    assert reason in unquote(response.headers["Upload-Reason"])
    assert "/" not in unquote(response.headers["Upload-Reason"])  # no path of ours
    state = alice.get("/api/v1/uploads?limit=1").json()["uploads"][0]
    assert (state["name"], state["state"]) == (f"{case}.fit", "refused")
    assert pending(service) == before
    assert scratch_is_empty(service)
    # The queue goes on.
    assert upload(alice, sub_bytes(OBJECT=case)).headers["Upload-Outcome"] == "accepted"


def test_a_little_padding_is_no_fault(alice: httpx.Client) -> None:
    response = upload(alice, sub_bytes(OBJECT="padded") + bytes(2880))
    assert response.headers["Upload-Outcome"] == "accepted"


# --- 9: names -------------------------------------------------------------------------------------

NAMES = {
    "..": "..",
    "CON": "CON",
    "x" * 300: f"{'x' * 234}…{'x' * 20}",
    "two\nlines.fit": "two�lines.fit",
    "nul\0.fit": "nul�.fit",
    "rtl\u202etif.exe": "rtl�tif.exe",
    "😀.fit": "😀.fit",
    '"><img onerror=alert(1)>.fit': '"><img onerror=alert(1)>.fit',
    "%00.php": "%00.php",
    "../../etc/passwd": "../../etc/passwd",
    "": "unnamed",
}


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_name_is_shown_and_never_used(service: Service, alice: httpx.Client, name: str) -> None:
    content = sub_bytes(OBJECT=f"name {list(NAMES).index(name)}")
    path = create(alice, len(content), name)
    assert send(alice, path, 0, content).headers["Upload-Outcome"] == "accepted"
    state = alice.get(path).json()
    assert state["name"] == NAMES[name]
    assert state["items"][0]["name"] == NAMES[name]
    for file in service.home.rglob("*"):
        assert file.name.isascii()
        assert "passwd" not in file.name


# --- 13 and the regressions 7 and 9: the same again -----------------------------------------------


def test_the_same_frames_from_two_browsers_at_once(service: Service) -> None:
    contents = [sub_bytes(OBJECT=f"twice {i}") for i in range(12)]
    outcomes: list[str] = []

    def browser() -> None:
        with service.client() as client:
            outcomes.extend(
                upload(client, content, f"{i}.fit").headers["Upload-Outcome"]
                for i, content in enumerate(contents)
            )

    before = pending(service)
    browsers = [threading.Thread(target=browser) for _ in range(2)]
    for one in browsers:
        one.start()
    for one in browsers:
        one.join()
    assert sorted(outcomes) == ["accepted"] * 12 + ["duplicate"] * 12
    assert pending(service) == before + 12


def test_renamed_is_the_same_and_one_pixel_is_not(alice: httpx.Client) -> None:
    content = bytearray(sub_bytes(OBJECT="pixel"))
    assert upload(alice, bytes(content), "a.fit").headers["Upload-Outcome"] == "accepted"
    response = upload(alice, bytes(content), "b.fit")
    assert response.headers["Upload-Outcome"] == "duplicate"
    assert unquote(response.headers["Upload-Reason"]) == "already here as a.fit"
    content[-2000] ^= 1
    path = create(alice, len(content), "c.fit")
    assert send(alice, path, 0, bytes(content)).headers["Upload-Outcome"] == "accepted"
    (item,) = alice.get(path).json()["items"]
    assert item["reason"].startswith("same telescope and start as")


def test_equal_names_of_two_telescopes_do_not_collide(alice: httpx.Client) -> None:
    outcomes = [
        upload(alice, sub_bytes(TELESCOP=f"S50_{serial}"), "Light_0001.fit").headers[
            "Upload-Outcome"
        ]
        for serial in ("aaaa1111", "bbbb2222")
    ]
    assert outcomes == ["accepted", "accepted"]


# --- 18: no space, no quota -----------------------------------------------------------------------


def test_a_full_quota_is_told_before_a_byte_is_sent(parent: Nursery, tmp_path: Path) -> None:
    service = parent.start(tmp_path, sandbox=False, settings={"CROWDSKY_QUOTA_GB": "0.001"})  # 1 MB
    with service.client() as client:
        assert upload(client, sub_bytes()).headers["Upload-Outcome"] == "accepted"
        response = client.post(
            "/api/v1/uploads", headers={"Upload-Length": "995000", **metadata("b.fit")}
        )
        assert response.status_code == 507
        told = response.json()
        assert told["limit"] == 1_000_000
        room = 1_000_000 - len(sub_bytes())
        assert told["message"] == (
            f"995000 bytes: the quota of 0.001 GB has room for {room} bytes more"
        )
    service.stop()


def test_a_full_disk_pauses_and_loses_nothing(parent: Nursery, tmp_path: Path) -> None:
    content = sub_bytes(OBJECT="full")
    service = parent.start(tmp_path, sandbox=False, full_after=4000)
    with service.client() as client:
        path = create(client, len(content))
        assert send(client, path, 0, content[:2000]).status_code == 204
        response = send(client, path, 2000, content[2000:])
        assert response.status_code == 507
        assert "everything sent so far is safe" in response.json()["message"]
        assert "Retry-After" in response.headers
        assert client.head(path).headers["Upload-Offset"] == "2000"
        assert client.get(path).json()["state"] == "open"
        (tmp_path / "space").touch()  # somebody made room
        response = send(client, path, 2000, content[2000:])
        assert response.headers["Upload-Outcome"] == "accepted"
    service.stop()


def test_a_store_that_is_full_keeps_what_was_received(parent: Nursery, tmp_path: Path) -> None:
    content = sub_bytes(OBJECT="store")
    service = parent.start(
        tmp_path, sandbox=False, store_full=True, settings={"CROWDSKY_RETRY_AFTER_S": "1"}
    )
    with service.client() as client:
        path = create(client, len(content))
        response = send(client, path, 0, content)
        assert response.status_code == 204
        assert response.headers["Upload-Outcome"] == "received"
        assert "no space" in unquote(response.headers["Upload-Reason"])
        (tmp_path / "space").touch()
        wait_until(lambda: client.get(path).json()["state"] == "accepted", "not tried again")
    service.stop()


# --- bytes that somebody took away ----------------------------------------------------------------


def test_lost_scratch_bytes_are_never_papered_over(service: Service, alice: httpx.Client) -> None:
    path = create(alice, 5000)
    send(alice, path, 0, bytes(3000))
    scratch = service.home / "scratch" / "uploads" / f"{path.rsplit('/', 1)[1]}.part"
    with scratch.open("r+b") as stream:
        stream.truncate(100)
    for response in (alice.head(path), send(alice, path, 3000, bytes(2000))):
        assert response.status_code == 410
    assert alice.delete(path).status_code == 204


def scratch_is_empty(service: Service) -> bool:
    return empty(service.home / "scratch")


def pending(service: Service) -> int:
    archive = Archive(f"sqlite:///{service.home / 'crowdsky.db'}")
    try:
        assert check_books(archive) == []
        return books(archive, None).pending
    finally:
        archive.close()
