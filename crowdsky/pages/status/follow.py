"""Keeps a `Board` up to date with the service, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

from crowdsky.client.client import Client
from crowdsky.client.patience import Patience
from crowdsky.errors import CrowdSkyError, NotFound
from crowdsky.pages.status.state import Board

__all__ = ["Follower"]

_FIRST, _MORE = 100, 1000  # jobs of the first page, and of those that follow
_AGAIN_S = (1.0, 15.0)


class Follower:
    """Reads the list of jobs, then follows the events.

    A worker that is lost tells nothing, so no event says that its job is orphaned: with every pulse
    of the service (some ten seconds) the running jobs are looked at.

    Parameters
    ----------
    client_of : callable
        Gives the client; asked again if it raises a `CrowdSkyError`.
    board : Board
    tell : callable
        Called whenever the board may hold something new.
    """

    def __init__(
        self, client_of: Callable[[], Client], board: Board, tell: Callable[[], None]
    ) -> None:
        self._client_of, self._board, self._tell = client_of, board, tell
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.run, name="status follower", daemon=True)

    def start(self) -> None:
        """Follow until `stop`."""
        self._thread.start()

    def stop(self, wait_s: float = 0.0) -> None:
        """Follow no longer, from the next pulse on; wait so long for that."""
        self._stop.set()
        if wait_s and self._thread.is_alive():
            self._thread.join(wait_s)

    def run(self) -> None:
        """Follow, whatever happens: only `stop` ends it."""
        pause_s, most_s = _AGAIN_S
        while not self._stop.is_set():
            try:
                self._follow(self.read_all())
                pause_s = _AGAIN_S[0]
            except CrowdSkyError as error:
                self._lost(error)
                self._stop.wait(pause_s)
                pause_s = min(2.0 * pause_s, most_s)

    def read_all(self) -> str:
        """Read all jobs and the books, the newest jobs first.

        Returns
        -------
        str
            The event from which to go on.
        """
        seen: list[int] = []
        event_id, after, limit = "", None, _FIRST
        while not self._stop.is_set():
            page = self._client_of().job_page(after=after, limit=limit, patience=_at_once())
            if not event_id:
                # Of the first page: what changes while the others are read is told by events.
                event_id = page.event_id
                self._board.take_counts(page.counts, int(event_id) // 1000)
                self._board.delayed("")
            self._board.take_jobs(page.jobs)
            seen += [job.id for job in page.jobs]
            after, limit = page.next_after, _MORE
            if after is None:
                self._board.take_whole(seen)
            self._tell()
            if after is None:
                break
        self._board.take_books(self._client_of().books())
        self._tell()
        return event_id

    def _follow(self, since: str) -> None:
        opened = False
        told = self._client_of().events(since, stop=self._stop, on_lost=self._lost)
        for event in told:
            if event.kind == "reset" or (event.kind == "open" and opened and not self._counts()):
                return
            opened = True
            if event.kind == "open":
                self._board.delayed("")
            elif event.kind == "pulse":
                self.look_at_running()
            else:
                self._board.take_event(event.kind, event.data)
            self._tell()

    def _counts(self) -> bool:
        """Whether there are as many jobs as are shown: a deletion may have been missed."""
        page = self._client_of().job_page(limit=1, patience=_at_once())
        return sum(page.counts.values()) == self._board.n_jobs

    def look_at_running(self) -> None:
        """Ask for the jobs that run, and for those that were thought to."""
        before = self._board.running
        if not before:
            return
        running = self._client_of().job_page(state="running", limit=_MORE, patience=_at_once())
        for job_id in self._board.take_running(running.jobs, before)[:_FIRST]:
            try:
                self._board.take_jobs([self._client_of().job(job_id)])
            except NotFound:
                self._board.drop([job_id])

    def _lost(self, error: CrowdSkyError) -> None:
        self._board.delayed(str(error))
        self._tell()


def _at_once() -> Patience:
    """No patience: who waits here says so on the page, and asks again by itself."""
    return Patience(0.0)
