"""The archive as a state machine: people, workers, sweepers and misfortune, in any order.

Everything is real but the pixels: rows in a database, files in a folder, and the functions that the
service and the workers call. A crash is an exception thrown at a labelled step, after which nothing
of that act is done; what was left behind is for the others to live with.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import select

from crowdsky.archive.accounts import ensure_observer
from crowdsky.archive.books import books, check_books
from crowdsky.archive.commit import NewStack, commit_nothing, commit_stack
from crowdsky.archive.delete_job import delete_job
from crowdsky.archive.engine import Archive
from crowdsky.archive.erase import erase_account, resume_erasures
from crowdsky.archive.finalise import create_jobs
from crowdsky.archive.ingest import take_frame
from crowdsky.archive.leases import expire_leases, fail_attempt, release_lease
from crowdsky.archive.ledger_rows import FrameResult, FrameToStack, block_frames
from crowdsky.archive.local_store import LocalStore
from crowdsky.archive.models import FrameRow, Job, ObjectRow, Observer, StackRow
from crowdsky.archive.needs import unneeded
from crowdsky.archive.objects import store_file
from crowdsky.archive.queue import LeasedJob, lease_jobs, retry_job
from crowdsky.archive.scrub import mark_rotten, scrub
from crowdsky.archive.stacks import delete_stack
from crowdsky.archive.sweep import sweep
from crowdsky.errors import Conflict, LeaseLost, NotFound
from crowdsky.steps import on_step
from tests.archive.sent_frames import START, make_header

__all__ = ["ArchiveMachine"]

LEASE_S = 60.0
KEEP_RAWS_DAYS = 7.0
MAX_ATTEMPTS = 2
PEOPLE = st.sampled_from(["ada", "bob"])
CONTENTS = st.integers(0, 5)
# The step of an act at which its process dies, counted from its first; None: it lives.
CRASHES = st.none() | st.integers(0, 9)
T = TypeVar("T")


class Killed(BaseException):
    """Thrown at a step in place of SIGKILL."""


class ArchiveMachine(RuleBasedStateMachine):
    """One archive; `open_archive` and `close_archive` say in which database."""

    open_archive: Callable[[Path], Archive]
    close_archive: Callable[[Archive], None]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="machine", dir=_memory()))
        self.archive = type(self).open_archive(self.folder)
        self.store = LocalStore(self.folder / "store")
        self.now = datetime.now(UTC)
        self.number = 0
        self.unsent: list[tuple[str, int, Path]] = []  # uploads whose process died
        self.leases: list[LeasedJob] = []
        self.products: dict[str, NewStack] = {}  # by the token of the lease
        self.flipped: set[str] = set()
        self.ever_flipped: set[str] = set()
        self.wanted: set[int] = set()  # frames that have their raws and need them

    # --- people -----------------------------------------------------------------------------------

    @rule(name=PEOPLE, content=CONTENTS, crash=CRASHES)
    def upload(self, name: str, content: int, crash: int | None) -> None:
        self.number += 1
        path = self.folder / f"{self.number}.fit"
        path.write_bytes(raw(content))
        self.take(name, content, path, crash)

    @precondition(lambda self: self.unsent)
    @rule(crash=CRASHES)
    def go_on_with_an_upload(self, crash: int | None) -> None:
        self.take(*self.unsent.pop(0), crash)

    def take(self, name: str, content: int, path: Path, crash: int | None) -> None:
        observer_id = ensure_observer(self.archive, name)
        sha256 = digest(raw(content))
        try:
            self.act(
                crash,
                lambda: take_frame(
                    self.archive,
                    self.store,
                    observer_id=observer_id,
                    path=path,
                    sha256=sha256,
                    header=make_header(400.0 * content, device=f"S50_{name}"),
                    name=f"Light_{content}.fit",
                    now=self.now,
                ),
            )
        except Killed:
            if path.exists():
                self.unsent.append((name, content, path))
                return
            # What the sender may forget is safe.
            with self.archive.reading() as session:
                assert session.scalar(
                    select(FrameRow.id).where(
                        FrameRow.observer_id == observer_id, FrameRow.sha256 == sha256
                    )
                )
        except Conflict as error:
            if error.rule != "the account is not active":
                raise

    @rule(name=PEOPLE, crash=CRASHES)
    def finalise(self, name: str, crash: int | None) -> None:
        observer_id = ensure_observer(self.archive, name)
        self.tolerant(crash, lambda: create_jobs(self.archive, observer_id, now=self.now))

    @rule(pick=st.integers(0, 9), crash=CRASHES)
    def retry(self, pick: int, crash: int | None) -> None:
        job = self.pick(Job, pick, Job.state == "failed")
        if job is not None:
            self.tolerant(
                crash, lambda: retry_job(self.archive, job.observer_id, job.id, now=self.now)
            )

    @rule(pick=st.integers(0, 9), crash=CRASHES)
    def delete_a_job(self, pick: int, crash: int | None) -> None:
        job = self.pick(Job, pick)
        if job is not None:
            self.tolerant(
                crash, lambda: delete_job(self.archive, self.store, job.observer_id, job.id)
            )

    @rule(pick=st.integers(0, 9), crash=CRASHES)
    def delete_a_stack(self, pick: int, crash: int | None) -> None:
        stack = self.pick(StackRow, pick)
        if stack is not None:
            self.tolerant(
                crash, lambda: delete_stack(self.archive, self.store, stack.observer_id, stack.id)
            )

    @rule(name=PEOPLE, crash=CRASHES)
    def erase(self, name: str, crash: int | None) -> None:
        observer_id = ensure_observer(self.archive, name)
        self.tolerant(
            crash, lambda: erase_account(self.archive, self.store, observer_id, now=self.now)
        )

    @rule(name=PEOPLE, contents=st.sets(CONTENTS, min_size=2, max_size=4))
    def a_night(self, name: str, contents: set[int]) -> None:
        """A short cut to where there is something to lose."""
        for content in sorted(contents):
            self.upload(name, content, None)
        self.finalise(name, None)

    # --- workers ----------------------------------------------------------------------------------

    @rule(n=st.integers(1, 2), crash=CRASHES)
    def lease(self, n: int, crash: int | None) -> None:
        leases = self.tolerant(
            crash, lambda: lease_jobs(self.archive, "worker", n, lease_s=LEASE_S, now=self.now)
        )
        self.leases += leases or []

    @precondition(lambda self: self.leases)
    @rule(pick=st.integers(0, 9), crash=CRASHES, spoilt=st.integers(0, 3))
    def stack(self, pick: int, crash: int | None, spoilt: int) -> None:
        """Read the raws, make a stack and store its files; the commit is another step."""
        lease = self.leases[pick % len(self.leases)]
        frames = self.fetch(lease)
        results = tuple(
            FrameResult(frame.frame_id, used=False, reason="clouds")
            if number < spoilt
            else FrameResult(frame.frame_id, used=True, weight=1.0)
            for number, frame in enumerate(frames)
        )
        if not any(result.used for result in results):
            if self.tolerant(
                crash,
                lambda: commit_nothing(
                    self.archive, lease, results, "too few frames", now=self.now
                ),
            ):
                self.forget(lease)
            return
        self.number += 1
        stack = new_stack(f"{lease.job_id}/{self.number}", results)
        if self.tolerant(crash, lambda: self.put_products(stack)):
            self.products[lease.token] = stack

    @precondition(lambda self: self.products)
    @rule(pick=st.integers(0, 9), crash=CRASHES)
    def commit(self, pick: int, crash: int | None) -> None:
        token = sorted(self.products)[pick % len(self.products)]
        lease = next((lease for lease in self.leases if lease.token == token), None)
        stack = self.products.pop(token)
        if lease is None:
            return
        for _ in range(2):
            try:
                self.act(crash, lambda: commit_stack(self.archive, lease, stack, now=self.now))
                self.forget(lease)
                return
            except LeaseLost:
                self.forget(lease)
                return
            except Killed:
                return
            except Conflict as error:
                if "store it again" not in error.rule:
                    return  # frames came or went: it has to be stacked anew
                self.put_products(stack)
        raise AssertionError("nobody swept, and yet the files are not kept")

    @precondition(lambda self: self.leases)
    @rule(pick=st.integers(0, 9), crash=CRASHES, permanent=st.booleans())
    def fail(self, pick: int, crash: int | None, permanent: bool) -> None:
        lease = self.leases[pick % len(self.leases)]
        if self.tolerant(
            crash,
            lambda: fail_attempt(
                self.archive,
                lease,
                "no memory",
                retry_after_s=1.0,
                max_attempts=MAX_ATTEMPTS,
                permanent=permanent,
                now=self.now,
            ),
        ):
            self.forget(lease)

    @precondition(lambda self: self.leases)
    @rule(pick=st.integers(0, 9))
    def release(self, pick: int) -> None:
        lease = self.leases[pick % len(self.leases)]
        release_lease(self.archive, lease, now=self.now)
        self.forget(lease)

    @rule(spoilt=st.integers(0, 3))
    def a_days_work(self, spoilt: int) -> None:
        """Whatever waits is done, by a worker that nothing happens to."""
        before = len(self.leases)
        self.lease(9, None)
        for number in range(len(self.leases) - 1, before - 1, -1):
            token = self.leases[number].token
            self.stack(number, None, spoilt)
            if token in self.products:
                self.commit(sorted(self.products).index(token), None)

    def fetch(self, lease: LeasedJob) -> list[FrameToStack]:
        """The raws of a job that are right; the others are marked, as a worker does."""
        with self.archive.reading() as session:
            frames = block_frames(session, lease.block_id)
        right = []
        for frame in frames:
            found = digest(b"".join(self.store.read(frame.sha256)))
            if found == frame.sha256:
                right.append(frame)
            else:
                with self.archive.writing() as session:
                    mark_rotten(session, frame.sha256, "damaged", actor="worker")
        return right

    def put_products(self, stack: NewStack) -> bool:
        for sha256, kind in (
            (stack.sha256, "stack"),
            (stack.preview_sha256, "preview"),
            (stack.thumbnail_sha256, "preview"),
        ):
            path = self.folder / "product"
            path.write_bytes(f"{stack.label} {sha256_word(stack, sha256)}".encode())
            store_file(self.archive, self.store, path, sha256, kind, consume=True)  # type: ignore[arg-type]
        return True

    def forget(self, lease: LeasedJob) -> None:
        self.leases = [other for other in self.leases if other.token != lease.token]

    # --- upkeep and misfortune --------------------------------------------------------------------

    @rule(hours=st.sampled_from([0.02, 1.0, 30.0, 24.0 * 8]))
    def time_passes(self, hours: float) -> None:
        self.now += timedelta(hours=hours)

    @rule(crash=CRASHES)
    def expire(self, crash: int | None) -> None:
        self.tolerant(
            crash,
            lambda: expire_leases(
                self.archive, retry_after_s=1.0, max_attempts=MAX_ATTEMPTS, now=self.now
            ),
        )

    @rule(crash=CRASHES, keep_raws_days=st.sampled_from([0.0, KEEP_RAWS_DAYS]))
    def clean(self, crash: int | None, keep_raws_days: float) -> None:
        self.tolerant(crash, lambda: self.sweep(keep_raws_days))

    @rule(crash=CRASHES, limit=st.none() | st.integers(1, 3))
    def scrub(self, crash: int | None, limit: int | None) -> None:
        self.tolerant(crash, lambda: scrub(self.archive, self.store, limit=limit, now=self.now))

    @rule(pick=st.integers(0, 9))
    def flip_a_bit(self, pick: int) -> None:
        files = sorted(file.sha256 for file in self.store.files())
        if files:
            sha256 = files[pick % len(files)]
            path = self.store.local_path(sha256)
            assert path is not None
            content = bytearray(path.read_bytes())
            content[-1] ^= 1
            # A file of its own: until its rows are written, what was sent is the same file.
            path.unlink()
            path.write_bytes(content)
            self.flipped.add(sha256)
            self.ever_flipped.add(sha256)

    def sweep(self, keep_raws_days: float = 0.0) -> bool:
        sweep(
            self.archive,
            self.store,
            keep_raws_days=keep_raws_days,
            grace_s=0.0,
            now=max(self.now, datetime.now(UTC)),
        )
        return True

    # --- what must hold ---------------------------------------------------------------------------

    @invariant()
    def books_balance(self) -> None:
        assert check_books(self.archive) == []
        assert books(self.archive).balances

    @invariant()
    def nothing_is_missing(self) -> None:
        """What a row needs is there, and it is what it was unless a bit was flipped."""
        sizes = {file.sha256 for file in self.store.files()}
        with self.archive.reading() as session:
            raws = set(session.scalars(select(FrameRow.sha256).where(FrameRow.raw_gone.is_(False))))
            products = {
                sha256
                for stack in session.scalars(select(StackRow))
                for sha256 in (stack.sha256, stack.preview_sha256, stack.thumbnail_sha256)
            }
        assert raws | products <= sizes
        for sha256 in sizes:
            right = digest(b"".join(self.store.read(sha256))) == sha256
            if right:
                self.flipped.discard(sha256)
            else:
                assert sha256 in self.flipped

    @invariant()
    def nothing_is_taken_from_those_who_need_it(self) -> None:
        """A raw is gone while its frame is pending, or has a live job, only if it was damaged."""
        with self.archive.reading() as session:
            live = select(Job.block_id).where(Job.state.in_(("queued", "running")))
            frames = session.execute(
                select(FrameRow.id, FrameRow.sha256, FrameRow.raw_gone).where(
                    (FrameRow.state == "pending") | FrameRow.block_id.in_(live)
                )
            ).all()
        for frame in frames:
            if frame.raw_gone and frame.id in self.wanted:
                assert frame.sha256 in self.ever_flipped
        self.wanted = {frame.id for frame in frames if not frame.raw_gone}

    def teardown(self) -> None:
        try:
            self.finish()
        finally:
            type(self).close_archive(self.archive)
            shutil.rmtree(self.folder)

    def finish(self) -> None:
        """When all has come to rest, nothing lies about that nobody needs."""
        resume_erasures(self.archive, self.store)
        with self.archive.reading() as session:
            assert not session.scalars(select(Observer).where(Observer.state == "erasing")).all()
        self.sweep()
        self.books_balance()
        self.nothing_is_missing()
        files = sorted(file.sha256 for file in self.store.files())
        with self.archive.reading() as session:
            assert unneeded(session, files, keep_raws_days=0.0, now=self.now) == set()
            named = set(session.scalars(select(FrameRow.sha256)))
            for column in (StackRow.sha256, StackRow.preview_sha256, StackRow.thumbnail_sha256):
                named |= set(session.scalars(select(column)))
            objects = {row.sha256: row.state for row in session.scalars(select(ObjectRow))}
        assert set(objects) == named
        assert {sha256 for sha256, state in objects.items() if state in ("stored", "rotten")} == (
            set(files)
        )
        assert "condemned" not in objects.values()
        # Whoever sends everything once more is told the truth about all of it.
        for content in range(6):
            path = self.folder / f"again {content}.fit"
            path.write_bytes(raw(content))
            self.take("ada", content, path, None)
        self.books_balance()
        self.nothing_is_missing()
        # Jobs end, whatever happened to them before.
        self.now += timedelta(days=2)
        expire_leases(self.archive, retry_after_s=1.0, max_attempts=MAX_ATTEMPTS, now=self.now)
        self.now += timedelta(days=2)
        for lease in lease_jobs(self.archive, "last", 99, lease_s=LEASE_S, now=self.now):
            frames = self.fetch(lease)
            results = tuple(FrameResult(frame.frame_id, True, weight=1.0) for frame in frames)
            if results:
                stack = new_stack(f"last {lease.job_id}", results)
                self.put_products(stack)
                commit_stack(self.archive, lease, stack, now=self.now)
            else:
                commit_nothing(self.archive, lease, (), "no raw is left", now=self.now)
            self.books_balance()
        with self.archive.reading() as session:
            live = session.scalars(select(Job.id).where(Job.state.in_(("queued", "running")))).all()
        assert live == []

    # --- how things are done ----------------------------------------------------------------------

    def act(self, crash: int | None, deed: Callable[[], T]) -> T:
        """Do something, and die at the `crash`-th step of it if it has so many."""
        left = crash

        def step(label: str) -> None:
            nonlocal left
            if left is not None:
                if left == 0:
                    on_step(None)
                    raise Killed(label)
                left -= 1

        on_step(step)
        try:
            return deed()
        finally:
            on_step(None)

    def tolerant(self, crash: int | None, deed: Callable[[], T]) -> T | None:
        """Do something that may be refused; returns what came of it, and something true if so."""
        try:
            result = self.act(crash, deed)
        except (Killed, NotFound):
            return None
        except (Conflict, LeaseLost):
            return None
        return True if result is None else result  # type: ignore[return-value]

    def pick(self, model: Any, number: int, *where: Any) -> Any:
        with self.archive.reading() as session:
            found = session.scalars(select(model).where(*where).order_by(model.id)).all()
        return found[number % len(found)] if found else None


def _memory() -> str | None:
    """A folder in memory where there is one: histories are not about the speed of a disk."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def raw(content: int) -> bytes:
    return b"the raw frame %d" % content


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def sha256_word(stack: NewStack, sha256: str) -> str:
    words = {stack.sha256: "s", stack.preview_sha256: "p", stack.thumbnail_sha256: "t"}
    return words[sha256]


def new_stack(label: str, results: tuple[FrameResult, ...]) -> NewStack:
    return NewStack(
        sha256=digest(f"{label} s".encode()),
        preview_sha256=digest(f"{label} p".encode()),
        thumbnail_sha256=digest(f"{label} t".encode()),
        n_bytes=9,
        label=label,
        name="",
        target="M 94",
        model="S50",
        filter="IRCUT",
        exposure_s=10.0,
        exposure_total_s=10.0,
        start_utc=START,
        end_utc=START + timedelta(seconds=600),
        solved=False,
        ra_deg=None,
        dec_deg=None,
        scale_arcsec_per_px=None,
        rotation_deg=None,
        corners=None,
        fwhm_px=None,
        n_stars=0,
        zero_point_mag=None,
        sky_adu=None,
        equatorial=None,
        quality={},
        frames=results,
    )
