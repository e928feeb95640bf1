"""From the last byte of an upload to frames in the archive.

What is looked at is in state ``received`` until everything that comes of it is written down, so a
service that dies takes it up again when it starts, at the file where it was. Nothing is counted
twice: a frame is known by its bytes, and what an upload has already given is in its list.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from sqlalchemy.orm import Session

from crowdsky.api.context import Context
from crowdsky.api.door import Entry, Report, look_at_frame, reason_of, sha256_of
from crowdsky.api.sandbox import Sandbox
from crowdsky.api.unpack import UnpackLimits, archive_kind, look_at_archive
from crowdsky.api.uploads_commits import GroupCommits
from crowdsky.archive.diskspace import enough_space
from crowdsky.archive.ingest import Arrival, take_frame
from crowdsky.archive.uploads import (
    ItemFacts,
    UploadFacts,
    finish_upload,
    received_uploads,
    scratch_path,
    sha256_of_frame,
    tidy_scratch,
    unpack_folder,
    upload_facts,
    upload_items,
)
from crowdsky.errors import (
    ArchiveUnavailable,
    ChecksumMismatch,
    CrowdSkyError,
    StoreError,
    StoreFull,
    UploadError,
)
from crowdsky.steps import reached

__all__ = ["Intake", "Outcome", "resume_intake"]

T = TypeVar("T")

FRAMES_AT_ONCE = 8
ARCHIVES_AT_ONCE = 1
LOOK_S = 30.0  # for one frame; it takes a millisecond
SLOWEST_BYTES_PER_S = 4 << 20  # of unpacking, on a machine that has other things to do
_MB = 1_000_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an upload.

    Attributes
    ----------
    outcome : str
        ``accepted``, ``duplicate`` or ``refused``; ``received`` while that is not yet known.
    reason : str
        Why it was refused or waits, or what else its sender should know.
    """

    outcome: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What is to be written of an upload: `is_written` if that came with its one frame."""

    outcome: Outcome
    items: list[ItemFacts]
    sha256: str | None
    is_written: bool = False


class Intake:
    """Looks at what was received.

    Parameters
    ----------
    context : Context
    commits : GroupCommits
    sandbox : Sandbox, optional
    """

    def __init__(
        self, context: Context, commits: GroupCommits, sandbox: Sandbox | None = None
    ) -> None:
        self._context = context
        self._commits = commits
        settings = context.settings
        file_bytes = settings.max_file_mb * _MB
        self._limits = UnpackLimits(file_bytes, 4 * settings.max_archive_mb * _MB)
        self._sandbox = sandbox or Sandbox(file_bytes=2 * file_bytes)
        self._threads = ThreadPoolExecutor(FRAMES_AT_ONCE, thread_name_prefix="intake")
        self._turns = {
            False: asyncio.Semaphore(FRAMES_AT_ONCE),
            True: asyncio.Semaphore(ARCHIVES_AT_ONCE),
        }
        self._tasks: dict[str, asyncio.Task[Outcome]] = {}
        self._closed = False

    def start(self) -> None:
        """Have the sandbox ready before the first upload is complete."""
        self._sandbox.start()

    def submit(
        self, upload_id: str, sha256: str | None = None, fresh: UploadFacts | None = None
    ) -> asyncio.Task[Outcome]:
        """Look at an upload; asked twice, it is looked at once.

        Parameters
        ----------
        upload_id : str
            In state ``received``.
        sha256 : str, optional
            Of its content, if that was hashed on the way.
        fresh : UploadFacts, optional
            Its row, if it was received just now and nothing came of it yet.
        """
        task = self._tasks.get(upload_id)
        if task is None:
            task = asyncio.create_task(self._look(upload_id, sha256, fresh))
            self._tasks[upload_id] = task
            task.add_done_callback(lambda done: self._done(upload_id, done))
        return task

    async def resume(self) -> list[asyncio.Task[Outcome]]:
        """Take up whatever was received and not finished."""
        waiting = await self._in_thread(self._waiting)
        await self._in_thread(partial(self._tidy, set(waiting)))
        return [self.submit(upload_id) for upload_id in waiting]

    async def close(self) -> None:
        """Stop; what is not finished is taken up by the next start."""
        self._closed = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(self._sandbox.close)
        self._threads.shutdown(wait=True)

    # --- one upload -------------------------------------------------------------------------------

    async def _look(self, upload_id: str, sha256: str | None, fresh: UploadFacts | None) -> Outcome:
        facts = fresh or await self._in_thread(partial(self._facts, upload_id))
        if facts is None:
            return Outcome("refused", "the upload was removed")
        if facts.state != "received":
            return Outcome(facts.state, facts.reason)
        async with self._turns[bool(archive_kind(facts.name))]:
            reached("intake.begun")
            try:
                verdict = await self._judge(facts, sha256, is_fresh=fresh is not None)
                await self._finish(facts, verdict)
            except (StoreError, ArchiveUnavailable) as error:
                # Nothing is wrong with what was sent: it waits until there is space again.
                self._later(upload_id)
                return Outcome("received", reason_of(error))
        return verdict.outcome

    async def _judge(self, facts: UploadFacts, sha256: str | None, *, is_fresh: bool) -> _Verdict:
        name, checked = facts.name, sha256 is not None
        try:
            path = scratch_path(self._context.settings, facts.id)
            done = [] if is_fresh else await self._in_thread(partial(self._items, facts.id))
            if not path.is_file():
                if done and not archive_kind(name):
                    # It died after the frame was taken and before that was written down here.
                    found = await self._in_thread(partial(self._sha256, done[0].frame_id))
                    return _Verdict(Outcome(done[0].outcome, done[0].reason), [], found)
                raise UploadError("its bytes are no longer here; send it again")
            if sha256 is None:
                sha256 = await self._in_thread(partial(sha256_of, path))
            if facts.sha256 not in (None, sha256):
                raise ChecksumMismatch("the SHA-256 of the file is not the announced one")
            report = await self._report(facts, path)
            reached("intake.looked")
            done_names = Counter(item.name for item in done)
            items = await self._take(facts, report, done_names, sha256, checked=checked)
        except (StoreError, ArchiveUnavailable):
            raise
        except CrowdSkyError as error:
            reason = reason_of(error)
            refused = ItemFacts(name, "refused", reason)
            return _Verdict(Outcome("refused", reason), [refused], sha256)
        kinds = {item.outcome for item in (*done, *items)}
        if "accepted" in kinds:
            outcome = Outcome("accepted", report.stopped)
        elif "duplicate" in kinds:
            outcome = Outcome("duplicate", report.stopped or _note(done, items))
        else:
            outcome = Outcome("refused", report.stopped or _why_nothing(items))
        # What was taken has its line already, written together with the frame.
        rest = [item for item in items if item.frame_id is None]
        is_written = not archive_kind(name) and bool(items) and not rest
        return _Verdict(outcome, rest, sha256, is_written)

    async def _report(self, facts: UploadFacts, path: Path) -> Report:
        name, settings = facts.name, self._context.settings
        if not archive_kind(name):
            return await self._sandbox.run(look_at_frame, LOOK_S, LOOK_S, path, name)
        size = facts.offset
        if not await self._in_thread(partial(enough_space, settings, 2 * size)):
            raise StoreFull("no space to unpack an archive just now", retry_after_s=60)
        limit_s = LOOK_S + 2 * size / SLOWEST_BYTES_PER_S
        folder = unpack_folder(settings, facts.id)
        return await self._sandbox.run(
            look_at_archive, limit_s, limit_s, path, name, folder, self._limits
        )

    async def _take(
        self,
        facts: UploadFacts,
        report: Report,
        done: Counter[str],
        sha256: str,
        *,
        checked: bool,
    ) -> list[ItemFacts]:
        items = []
        for entry in report.entries:
            if entry.path is None or entry.header is None:
                items.append(ItemFacts(entry.name, "refused", entry.reason))
            elif done[entry.name]:
                done[entry.name] -= 1  # taken before the service was interrupted
            else:
                take = partial(self._take_one, facts, entry, sha256, checked=checked)
                items.append(await self._in_thread(take))
                reached("intake.taken")
        items += [
            ItemFacts(f"{count} file{'s' if count > 1 else ''}", "skipped", reason)
            for reason, count in report.skipped.items()
        ]
        if report.stopped:
            items.append(ItemFacts("the rest of the archive", "refused", report.stopped))
        return items

    def _take_one(
        self, facts: UploadFacts, entry: Entry, sha256: str, *, checked: bool
    ) -> ItemFacts:
        assert entry.path is not None
        assert entry.header is not None
        alone = not archive_kind(facts.name)
        try:
            arrival = take_frame(
                self._context.archive,
                self._context.store,
                observer_id=facts.observer_id,
                path=entry.path,
                sha256=entry.sha256 or sha256,
                header=entry.header,
                name=entry.name,
                upload_id=facts.id,
                quota_bytes=int(self._context.settings.quota_gb * 1e9),
                # Hashed as it was written and synced, by this process; not so what was unpacked.
                checked=checked and alone,
                write=self._commits.write_now,
                also=partial(_finish_with, facts.id, sha256) if alone else None,
            )
        except (StoreError, ArchiveUnavailable):
            raise
        except CrowdSkyError as error:
            return ItemFacts(entry.name, "refused", reason_of(error))
        return ItemFacts(entry.name, arrival.outcome, arrival.note, arrival.frame_id)

    async def _finish(self, facts: UploadFacts, verdict: _Verdict) -> None:
        outcome = verdict.outcome
        if not verdict.is_written:
            await self._commits.write(
                partial(
                    finish_upload,
                    upload_id=facts.id,
                    state="refused" if outcome.outcome == "refused" else "accepted",
                    reason=outcome.reason,
                    sha256=verdict.sha256,
                    items=verdict.items,
                )
            )
        reached("intake.finished")
        await self._in_thread(partial(self._clean, facts.id))
        reached("intake.cleaned")

    # --- helpers ----------------------------------------------------------------------------------

    def _done(self, upload_id: str, task: asyncio.Task[Outcome]) -> None:
        self._tasks.pop(upload_id, None)
        if not task.cancelled() and task.exception() is not None:
            _log.error("upload %s could not be looked at", upload_id, exc_info=task.exception())

    def _later(self, upload_id: str) -> None:
        if not self._closed:
            delay_s = max(1.0, self._context.settings.retry_after_s)
            asyncio.get_running_loop().call_later(delay_s, self._again, upload_id)

    def _again(self, upload_id: str) -> None:
        if not self._closed:
            self.submit(upload_id)

    def _waiting(self) -> list[str]:
        with self._context.archive.reading() as session:
            return received_uploads(session)

    def _facts(self, upload_id: str) -> UploadFacts | None:
        with self._context.archive.reading() as session:
            return upload_facts(session, upload_id)

    def _items(self, upload_id: str) -> list[ItemFacts]:
        with self._context.archive.reading() as session:
            return upload_items(session, upload_id)

    def _sha256(self, frame_id: int | None) -> str | None:
        with self._context.archive.reading() as session:
            return sha256_of_frame(session, frame_id)

    def _clean(self, upload_id: str) -> None:
        settings = self._context.settings
        scratch_path(settings, upload_id).unlink(missing_ok=True)
        shutil.rmtree(unpack_folder(settings, upload_id), ignore_errors=True)

    def _tidy(self, waiting: set[str]) -> None:
        """Remove what lies about of uploads that are finished, or gone."""
        tidy_scratch(self._context.archive, self._context.settings, grace_s=0.0)
        parent = unpack_folder(self._context.settings, "x").parent
        for folder in parent.glob("*"):
            if folder.name not in waiting:
                shutil.rmtree(folder, ignore_errors=True)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


async def resume_intake(context: Context) -> int:
    """Look at everything that was received and not finished, and wait for it.

    The running service does this by itself when it starts.

    Returns
    -------
    int
        How many uploads there were.
    """
    commits = GroupCommits(context.archive)
    intake = Intake(context, commits)
    try:
        tasks = await intake.resume()
        await asyncio.gather(*tasks)
    finally:
        await intake.close()
        commits.close()
    return len(tasks)


def _finish_with(upload_id: str, sha256: str, session: Session, arrival: Arrival) -> None:
    """Write down in one transaction what came of a frame and of the upload that held just it."""
    reason = arrival.note if arrival.outcome == "duplicate" else ""
    finish_upload(session, upload_id, state="accepted", reason=reason, sha256=sha256)


def _note(done: list[ItemFacts], items: list[ItemFacts]) -> str:
    notes = [item.reason for item in (*done, *items) if item.outcome == "duplicate"]
    return notes[0] if len(notes) == 1 else f"{len(notes)} frames are already here"


def _why_nothing(items: list[ItemFacts]) -> str:
    if len(items) == 1 and items[0].outcome == "refused":
        return items[0].reason
    refused = sum(item.outcome == "refused" for item in items)
    return f"no frame in it could be taken ({refused} files refused)"
