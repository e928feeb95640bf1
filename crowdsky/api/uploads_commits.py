"""Many small transactions as few: whoever comes while one is written shares the next.

A transaction costs a write to the disk whatever it holds. Fifty senders at once would each wait for
forty-nine; so what they want to write is put into one transaction, and nobody waits for company.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from crowdsky.archive.engine import Archive
from crowdsky.errors import ArchiveUnavailable, CrowdSkyError

__all__ = ["GroupCommits"]

T = TypeVar("T")
_Wish = tuple[Callable[[Session], Any], "Future[Any]"]

MOST = 200


class GroupCommits:
    """A thread that writes.

    Parameters
    ----------
    archive : Archive
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._lock = threading.Lock()
        self._wishes: list[_Wish] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commits")

    async def write(self, work: Callable[[Session], T]) -> T:
        """Do `work` in a transaction; on return it is committed.

        It raises a `CrowdSkyError` only before it has changed anything: the others' work is
        committed all the same.

        Raises
        ------
        CrowdSkyError
            From `work`.
        ArchiveUnavailable
        """
        # Whoever stops waiting does not undo what is being written.
        return await asyncio.shield(asyncio.wrap_future(self._ask(work)))

    def write_now(self, work: Callable[[Session], T]) -> T:
        """The same for a thread that may block."""
        return self._ask(work).result()

    def close(self) -> None:
        """Write what is asked for so far, then stop."""
        self._thread.shutdown(wait=True)

    def _ask(self, work: Callable[[Session], T]) -> Future[T]:
        future: Future[T] = Future()
        with self._lock:
            self._wishes.append((work, future))
        self._thread.submit(self._drain)
        return future

    def _drain(self) -> None:
        with self._lock:
            wishes, self._wishes = self._wishes[:MOST], self._wishes[MOST:]
        try:
            if wishes and not self._commit(wishes) and len(wishes) > 1:
                for wish in wishes:
                    self._commit([wish])
        finally:
            for _, future in wishes:
                if not future.done():
                    future.set_exception(ArchiveUnavailable("the database took no changes"))

    def _commit(self, wishes: list[_Wish]) -> bool:
        """Whether all was committed; a wish alone is told why it was not."""
        results: list[tuple[Any, CrowdSkyError | None]] = []
        try:
            with self._archive.writing() as session:
                for work, _ in wishes:
                    try:
                        results.append((work(session), None))
                    except CrowdSkyError as error:
                        results.append((None, error))
        except (SQLAlchemyError, CrowdSkyError) as error:
            if len(wishes) == 1:
                told = error
                if not isinstance(error, CrowdSkyError):
                    kind = type(error).__name__
                    told = ArchiveUnavailable(f"the database took no changes ({kind})")
                wishes[0][1].set_exception(told)
            return False
        for (_, future), (result, fault) in zip(wishes, results, strict=True):
            if fault is None:
                future.set_result(result)
            else:
                future.set_exception(fault)
        return True
