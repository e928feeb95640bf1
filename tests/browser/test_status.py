"""Jobs go for good by their button, whatever their state, and are nobody else's business."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from crowdsky.archive.commit import commit_stack
from crowdsky.archive.engine import Archive
from crowdsky.archive.local_store import LocalStore
from crowdsky.archive.models import BlockRow, FrameRow, Job, Lease, ObjectRow
from tests.archive import queue_rows
from tests.archive.queue_rows import MadeJob, new_stack
from tests.browser.chromium import needs_chromium
from tests.browser.rows import FAR, jobs_of, taken
from tests.browser.site import Site, until
from tests.browser.steps import (
    choose_files,
    finalise_button,
    go_to,
    is_there,
    queue_until,
    reloaded,
    wait_for,
)

pytestmark = [
    pytest.mark.enable_socket,
    pytest.mark.slow,
    needs_chromium,
]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of jobs that nobody takes by himself."""
    monkeypatch.setattr(queue_rows, "NOW", FAR)


@pytest.fixture
def store(site: Site) -> LocalStore:
    return LocalStore(site.home / "store")


def there(archive: Archive, table: Any, column: Any, values: Sequence[Any]) -> int:
    with archive.reading() as session:
        count = select(func.count()).select_from(table).where(column.in_(values))
        return session.scalar(count) or 0


def delete_by_button(page: Any, job_id: int) -> None:
    """As people do it: the row's button, and the question's."""
    button = page.get_by_role("button", name=f"Delete job {job_id}", exact=True)
    button.click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    button.wait_for(state="detached")


@pytest.mark.usefixtures("later")
def test_each_kind_of_job_goes_with_all_that_was_its(
    site: Site, visit: Callable[..., Any], archive_of_site: Archive, store: LocalStore
) -> None:
    page, archive = visit(), archive_of_site
    site.sign_up(page, "tidy")
    is_there(page, "Upload")
    waiting, running, orphaned, finished, kept = jobs_of(archive, store, "tidy", 5)
    now = datetime.now(UTC)
    taken(archive, running, now + timedelta(hours=1))
    done = taken(archive, finished, now + timedelta(hours=1))
    stack = new_stack(archive, finished)
    stack_id = commit_stack(archive, done, stack)
    taken(archive, orphaned, now - timedelta(hours=1))
    go_to(page, "Status")

    # Escape and Cancel are a no.
    page.get_by_role("button", name=f"Delete job {waiting.job_id}", exact=True).click()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    assert there(archive, Job, Job.id, [waiting.job_id]) == 1

    for job in (waiting, running, orphaned, finished):
        delete_by_button(page, job.job_id)
        assert there(archive, Job, Job.id, [job.job_id]) == 0
        assert there(archive, Lease, Lease.job_id, [job.job_id]) == 0
        wait_for(
            page, lambda job=job: not files_of(store, job.raws), f"the raws of {job} to be gone"
        )
    # What is finished has left a stack with its ledger; of the others nothing is left.
    gone = (waiting, running, orphaned)
    assert there(archive, BlockRow, BlockRow.id, [job.block_id for job in gone]) == 0
    for job in gone:
        assert there(archive, FrameRow, FrameRow.id, job.frame_ids) == 0
        assert there(archive, ObjectRow, ObjectRow.sha256, job.raws) == 0
    assert there(archive, FrameRow, FrameRow.id, finished.frame_ids) == len(finished.frame_ids)
    assert stack_id
    # Nobody else's job was touched.
    assert there(archive, Job, Job.id, [kept.job_id]) == 1
    assert files_of(store, kept.raws) == set(kept.raws)
    reloaded(page, "Status")
    page.get_by_role("button", name=f"Delete job {kept.job_id}", exact=True).wait_for()
    assert page.locator("tr[data-job]").count() == 1


@pytest.mark.usefixtures("later")
def test_two_visitors_at_once_see_their_own_jobs_and_touch_no_other(
    site: Site, visit: Callable[..., Any], archive_of_site: Archive, store: LocalStore
) -> None:
    pages = {name: visit() for name in ("mine", "yours")}
    jobs: dict[str, list[MadeJob]] = {}
    for name, page in pages.items():
        site.sign_up(page, name)
        is_there(page, "Upload")
    for name, page in pages.items():
        jobs[name] = jobs_of(archive_of_site, store, name, 2)
        go_to(page, "Status")
    for name, page in pages.items():
        ids = {str(job.job_id) for job in jobs[name]}
        rows = page.locator("tr[data-job]")
        wait_for(page, lambda rows=rows: rows.count() == 2, "both jobs")
        assert {rows.nth(place).get_attribute("data-job") for place in range(2)} == ids

    other = jobs["mine"][0]
    attacks = [
        (f"/jobs/{other.job_id}", "DELETE", None),
        (f"/jobs/{other.job_id}", "GET", None),
        (f"/jobs/{other.job_id}/retry", "POST", None),
        (f"/jobs/{other.job_id}/frames", "GET", None),
    ]
    for path, method, body in attacks:
        told = site.ask(pages["yours"], path, method, body)
        assert told["status"] == 404, (path, method, told)
    several = site.ask(
        pages["yours"], "/jobs/delete", "POST", {"ids": [job.job_id for job in jobs["mine"]]}
    )
    assert several["status"] in (200, 404), several
    if several["status"] == 200:
        assert several["json"]["deleted"] == []
    mine = [job.job_id for job in jobs["mine"]]
    assert there(archive_of_site, Job, Job.id, mine) == 2
    assert files_of(store, other.raws) == set(other.raws)
    # Deleting one's own is seen without a reload in one's other tab, and nowhere else.
    second = pages["mine"].context.new_page()
    second.goto(f"{site.address}/status")
    is_there(second, "Status")
    wait_for(second, lambda: second.locator("tr[data-job]").count() == 2, "both jobs")
    delete_by_button(pages["mine"], other.job_id)
    wait_for(second, lambda: second.locator("tr[data-job]").count() == 1, "one job less")
    assert pages["yours"].locator("tr[data-job]").count() == 2


def test_what_is_being_stacked_is_stopped(
    site: Site, visit: Callable[..., Any], archive_of_site: Archive, tmp_path: Path
) -> None:
    until((site.home / "example-night.zip").exists, 240.0, "the example night")
    with zipfile.ZipFile(site.home / "example-night.zip") as night:
        names = [name for name in night.namelist() if name.endswith(".fit") and "M 101" in name]
        paths = [Path(night.extract(name, tmp_path)) for name in names]
    page = visit()
    site.sign_up(page, "stopper")
    is_there(page, "Upload")
    choose_files(page, paths)
    queue_until(page, lambda now: now["finalisable"], "all to be uploaded", 90.0)
    finalise_button(page).click()
    queue_until(page, lambda now: now["receipt"], "the receipt")
    (job,) = site.ask(page, "/jobs")["json"]["jobs"]
    go_to(page, "Status")
    row = page.locator(f"tr[data-job='{job['id']}']")
    wait_for(page, lambda: "Running" in row.inner_text(), "the job to run", 120.0)
    delete_by_button(page, job["id"])
    assert there(archive_of_site, Job, Job.id, [job["id"]]) == 0
    scratch = site.home / "scratch"
    wait_for(page, lambda: not remains_of(scratch, job["id"]), "the worker to let go of it")
    frames = site.ask(page, "/frames?limit=100")["json"]["frames"]
    stacks = site.ask(page, "/stacks?scope=mine")["json"]["stacks"]
    assert (frames, stacks) == ([], [])


def files_of(store: LocalStore, raws: Sequence[str]) -> set[str]:
    """Those that are in the store."""
    return {file.sha256 for file in store.files()} & set(raws)


def remains_of(scratch: Path, job_id: int) -> list[Path]:
    """Folders of a job among those of runs that are under way."""
    return [path for path in scratch.rglob(f"{job_id}-*") if path.is_dir()]
