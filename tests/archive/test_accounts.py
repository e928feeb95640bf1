"""Observers, what they let others see, and what is kept of them."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from crowdsky.archive.accounts import (
    Usage,
    ensure_observer,
    erase_account,
    export_account,
    set_privacy,
    set_state,
    usage,
)
from crowdsky.archive.books import check_books
from crowdsky.archive.engine import Archive
from crowdsky.archive.erase import resume_erasures
from crowdsky.archive.finalise import create_jobs
from crowdsky.archive.keys import create_key, find_key
from crowdsky.archive.models import (
    AuditEntry,
    Base,
    Download,
    FrameRow,
    Job,
    Lease,
    Observer,
    StackRow,
    Upload,
    UploadItem,
)
from crowdsky.archive.visibility import public_from
from crowdsky.errors import Conflict, NotFound
from crowdsky.steps import on_step
from tests.archive.sent_frames import START, Sender, end_job, make_header, rows, stored

NOW = datetime(2026, 3, 28, 9, 0, tzinfo=UTC)
END = START + timedelta(seconds=600)


@pytest.fixture
def sender(archive: Archive, tmp_path: Path) -> Sender:
    return Sender(archive, tmp_path)


@pytest.fixture
def ada(archive: Archive) -> int:
    return ensure_observer(archive, "ada", now=NOW)


def make_stack(sender: Sender, observer_id: int, after_s: float = 0.0) -> int:
    """A stack of two frames and a rejected one."""
    for number in range(3):
        sender.send(observer_id, make_header(after_s + 10.0 * number))
    (job_id,) = create_jobs(sender.archive, observer_id).job_ids
    end_job(sender.archive, job_id, "done", n_rejected=1)
    return job_id


def test_an_observer_is_made_once(archive: Archive) -> None:
    first = ensure_observer(archive, "ada", now=NOW)
    assert ensure_observer(archive, "ada") == first
    (observer,) = rows(archive, Observer)
    assert (observer.name, observer.created_utc, observer.state) == ("ada", NOW, "active")
    assert (observer.visibility, observer.licence) == ("public", "CC-BY-4.0")
    (entry,) = rows(archive, AuditEntry)
    assert (entry.actor, entry.action, entry.subject) == (
        "ada",
        "account.create",
        f"observer:{first}",
    )


def test_an_observer_is_made_once_by_many_at_once(archive: Archive) -> None:
    barrier, ids = threading.Barrier(4), []

    def call() -> None:
        barrier.wait()
        ids.append(ensure_observer(archive, "ada"))

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 1
    assert len(ids) == 4


@pytest.mark.parametrize("name", ["", "a\nb", "a\x00", "x" * 256])
def test_names_that_are_none(name: str, archive: Archive) -> None:
    with pytest.raises(Conflict, match="an observer's name has 1 to 255 printable characters"):
        ensure_observer(archive, name)


def test_usage_counts_what_is_kept(sender: Sender, ada: int) -> None:
    assert usage(sender.archive, ada) == Usage(0, 0, 0, 0, None)
    make_stack(sender, ada)
    with sender.archive.writing() as session:
        session.query(FrameRow).order_by(FrameRow.id).first().raw_gone = True  # type: ignore[union-attr]
        session.execute(update(Observer).values(quota_bytes=1000))
    found = usage(sender.archive, ada)
    assert found == Usage(3, 1, 14, 9, 1000)
    assert found.n_bytes == 23
    with pytest.raises(NotFound):
        usage(sender.archive, 99)


def test_privacy_reaches_the_stacks_that_are_there(sender: Sender, ada: int) -> None:
    bob = ensure_observer(sender.archive, "bob")
    make_stack(sender, ada)
    make_stack(sender, bob)

    def public() -> list[datetime | None]:
        return [stack.public_utc for stack in rows(sender.archive, StackRow)]

    set_privacy(sender.archive, ada, visibility="private", now=NOW)
    assert public() == [None, START]
    assert check_books(sender.archive) == []
    set_privacy(sender.archive, ada, visibility="embargoed", embargo_days=30)
    assert public() == [END + timedelta(days=30), START]
    set_privacy(sender.archive, ada, embargo_days=400)
    assert public() == [END + timedelta(days=400), START]
    set_privacy(sender.archive, ada, visibility="public")
    assert public() == [END, START]


@pytest.mark.parametrize("visibility", ["public", "embargoed", "private"])
def test_a_change_of_privacy_and_a_commit_say_the_same(
    visibility: str, sender: Sender, ada: int
) -> None:
    make_stack(sender, ada)
    set_privacy(sender.archive, ada, visibility="private")
    set_privacy(sender.archive, ada, visibility=visibility, embargo_days=17)
    (stack,) = rows(sender.archive, StackRow)
    assert stack.public_utc == public_from(visibility, 17, stack.end_utc, stack.created_utc)


def test_a_wrong_clock_hides_nothing(sender: Sender, ada: int) -> None:
    """A stack that seems to end in the future counts from when it was written."""
    make_stack(sender, ada)
    with sender.archive.writing() as session:
        session.execute(
            update(StackRow).values(end_utc=NOW + timedelta(days=9000), created_utc=NOW)
        )
    set_privacy(sender.archive, ada, visibility="embargoed", embargo_days=2)
    assert rows(sender.archive, StackRow)[0].public_utc == NOW + timedelta(days=2)


def test_licence_and_credit_reach_the_stacks_that_are_there(sender: Sender, ada: int) -> None:
    make_stack(sender, ada)
    set_privacy(sender.archive, ada, licence="CC0-1.0", credit="A. Lovelace", now=NOW)
    (stack,) = rows(sender.archive, StackRow)
    assert (stack.licence, stack.credit, stack.public_utc) == ("CC0-1.0", "A. Lovelace", START)
    entry = rows(sender.archive, AuditEntry)[-1]
    assert (entry.action, entry.detail) == (
        "account.privacy",
        {"licence": "CC0-1.0", "credit": "A. Lovelace"},
    )
    set_privacy(sender.archive, ada, credit="")
    assert rows(sender.archive, StackRow)[0].credit == ""


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"visibility": "friends"}, r"^friends: visibility is one of public, embargoed, private$"),
        ({"embargo_days": -1}, r"^-1: an embargo is 0 to 3650 days long$"),
        ({"licence": "MINE"}, r"^MINE: the licence is one of CC-BY-4\.0, "),
        ({"credit": "x" * 256}, "the credit has up to 255 printable characters$"),
        ({"credit": "a\nb"}, "the credit has up to 255 printable characters$"),
    ],
)
def test_privacy_that_is_none(
    change: dict[str, str], rule: str, archive: Archive, ada: int
) -> None:
    with pytest.raises(Conflict, match=rule):
        set_privacy(archive, ada, **({"licence": "CC0-1.0"} | change))  # type: ignore[arg-type]
    assert rows(archive, Observer)[0].licence == "CC-BY-4.0"


def test_an_account_is_put_to_sleep_and_woken(archive: Archive, ada: int) -> None:
    _, text = create_key(archive, ada, "laptop")
    set_state(archive, ada, "deactivated")
    assert find_key(archive, text) is None
    set_state(archive, ada, "active")
    assert find_key(archive, text) is not None
    with pytest.raises(Conflict, match=r"^erasing: an account is made active or deactivated$"):
        set_state(archive, ada, "erasing")


def test_the_export_holds_every_row(sender: Sender, ada: int) -> None:
    bob = ensure_observer(sender.archive, "bob")
    for owner in (ada, bob):
        make_stack(sender, owner)
        add_transfers(sender.archive, owner)
        create_key(sender.archive, owner, "laptop")
    exported = export_account(sender.archive, ada, now=NOW)
    text = json.dumps(exported)
    assert exported["exported_utc"] == "2026-03-28T09:00:00Z"
    assert exported["observer"]["name"] == "ada"
    assert {name: len(part) for name, part in exported.items() if isinstance(part, list)} == {
        "telescopes": 1,
        "api_keys": 1,
        "uploads": 1,
        "upload_items": 1,
        "frames": 3,
        "blocks": 1,
        "batches": 1,
        "jobs": 1,
        "stacks": 1,
        "stack_inputs": 3,
        "downloads": 1,
        "audit": 3,
    }
    # The exact site is the owner's own.
    assert exported["frames"][0]["header"]["site_lat_deg"] == 51.123456
    assert "digest" not in text
    assert "bob" not in text
    with pytest.raises(NotFound):
        export_account(sender.archive, 99)


def add_transfers(archive: Archive, observer_id: int) -> None:
    with archive.writing() as session:
        session.add(
            Upload(
                id=f"upload {observer_id}",
                observer_id=observer_id,
                name="a.fit",
                created_utc=NOW,
                expires_utc=NOW,
                items=[UploadItem(name="a.fit", outcome="accepted")],
            )
        )
        session.add(
            Download(
                id=f"download {observer_id}",
                observer_id=observer_id,
                title="M 94",
                entries=[],
                n_bytes=9,
                created_utc=NOW,
                expires_utc=NOW,
            )
        )


def fill(sender: Sender, observer_id: int, name: str) -> None:
    """An account with something in every table, and a job that runs."""
    make_stack(sender, observer_id)
    for number in range(2):
        sender.send(observer_id, make_header(5000.0 + number), f"{name} {number}")
    # One file that everybody has.
    sender.send(observer_id, make_header(5010.0), "shared")
    (job_id,) = create_jobs(sender.archive, observer_id).job_ids
    end_job(sender.archive, job_id, "running")
    add_transfers(sender.archive, observer_id)
    create_key(sender.archive, observer_id, "laptop")


def counts(archive: Archive) -> dict[str, int]:
    with archive.reading() as session:
        return {
            mapper.class_.__tablename__: session.query(mapper.class_).count()
            for mapper in Base.registry.mappers
        }


def test_an_erased_account_leaves_nothing(sender: Sender, ada: int) -> None:
    bob = ensure_observer(sender.archive, "bob")
    fill(sender, bob, "bob")
    before, files = counts(sender.archive), stored(sender.store)
    eve = ensure_observer(sender.archive, "eve")
    fill(sender, eve, "eve")
    assert stored(sender.store) > files
    erase_account(sender.archive, sender.store, eve)
    after = counts(sender.archive)
    # Changes of stacks are numbered on; that an account was erased stays on record.
    assert after.pop("stack_changes") > before.pop("stack_changes")
    assert after == before | {"audit": before["audit"] + 1}
    assert stored(sender.store) == files
    with sender.archive.reading() as session:
        assert session.query(AuditEntry).filter(AuditEntry.actor == "eve").count() == 0
        entry = session.query(AuditEntry).order_by(AuditEntry.id.desc()).first()
        assert entry is not None
        assert (entry.action, entry.subject) == ("account.erase", f"observer:{eve}")
    assert check_books(sender.archive) == []
    erase_account(sender.archive, sender.store, eve)
    assert counts(sender.archive)["audit"] == before["audit"] + 1


STEPS = (
    "erase.marked",
    "erase.jobs_gone",
    "erase.stacks",
    "erase.stacks_gone",
    "erase.frames",
    "erase.frames_gone",
    "erase.files",
    "erase.files_gone",
    "erase.row_gone",
    "erase.committed",
)


def test_the_steps_are_these(sender: Sender, ada: int) -> None:
    fill(sender, ada, "ada")
    seen: list[str] = []
    on_step(seen.append)
    try:
        erase_account(sender.archive, sender.store, ada)
    finally:
        on_step(None)
    assert {step for step in seen if step.startswith("erase.")} == set(STEPS)


@pytest.mark.parametrize("step", STEPS)
def test_an_erasure_that_is_cut_short_is_finished(step: str, sender: Sender, ada: int) -> None:
    bob = ensure_observer(sender.archive, "bob")
    sender.send(bob, make_header(5010.0), "shared")
    files = stored(sender.store)
    fill(sender, ada, "ada")

    def die(name: str) -> None:
        if name == step:
            raise KeyboardInterrupt

    on_step(die)
    try:
        with pytest.raises(KeyboardInterrupt):
            erase_account(sender.archive, sender.store, ada)
    finally:
        on_step(None)
    with sender.archive.reading() as session:
        unfinished = session.get(Observer, ada)
        assert unfinished is None or unfinished.state == "erasing"
    assert check_books(sender.archive) == []
    assert resume_erasures(sender.archive, sender.store) == ([] if unfinished is None else [ada])
    assert stored(sender.store) == files
    assert [observer.name for observer in rows(sender.archive, Observer)] == ["bob"]
    assert len(rows(sender.archive, FrameRow)) == 1
    assert rows(sender.archive, Job) == rows(sender.archive, Lease) == []
    assert check_books(sender.archive) == []


def test_nothing_comes_into_an_account_that_is_being_erased(sender: Sender, ada: int) -> None:
    def die(name: str) -> None:
        if name == "erase.marked":
            raise KeyboardInterrupt

    _, text = create_key(sender.archive, ada, "laptop")
    on_step(die)
    try:
        with pytest.raises(KeyboardInterrupt):
            erase_account(sender.archive, sender.store, ada)
    finally:
        on_step(None)
    assert find_key(sender.archive, text) is None
    with pytest.raises(Conflict, match="the account is not active"):
        sender.send(ada, make_header())
    with pytest.raises(Conflict, match="the account is being erased"):
        set_state(sender.archive, ada, "active")
