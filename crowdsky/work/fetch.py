"""A block's raws, brought to this machine, many at once, each checked by its content.

Fetching waits for a network, stacking for a core, so the raws of the next jobs are fetched while
those of the present ones are computed. Files of a store on this machine are read where they lie,
and checked like any other: a disk rots, too.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from crowdsky.archive.ledger_rows import FrameToStack
from crowdsky.archive.store import FileStore
from crowdsky.errors import ObjectMissing, ObjectRotten, StoreError, StoreFull
from crowdsky.work.ticket import Ticket

__all__ = ["Fetched", "Fetcher"]

PIECE_BYTES = 1 << 20
RESTS_S = (0.2, 1.0)  # before the second and the third try of a file


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came of fetching a block's raws.

    Attributes
    ----------
    paths : dict of int to Path
        Where each frame's file is, by the frame's id.
    lost : dict of int to StoreError
        Frames whose file is not there (`ObjectMissing`) or not what was stored (`ObjectRotten`).
    """

    paths: dict[int, Path]
    lost: dict[int, StoreError]


class Fetcher:
    """Threads that fetch for all jobs of a worker, first come, first served.

    Parameters
    ----------
    store : FileStore
    at_once : int
        Files under way at the same time.
    """

    def __init__(self, store: FileStore, at_once: int) -> None:
        self.store = store
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="fetch")

    def fetch(self, frames: Sequence[FrameToStack], folder: Path, ticket: Ticket) -> Fetched:
        """Bring a block's raws here.

        Parameters
        ----------
        frames : sequence of FrameToStack
        folder : Path
            For those that lie in no local store.
        ticket : Ticket

        Raises
        ------
        StoreError
            If the store cannot be reached, or every single raw is gone from it: then it is the
            store that is at fault, and the frames must not pay for it.
        StoreFull
            If there is no room here.
        concurrent.futures.CancelledError
        """
        under_way: dict[Future[Path | StoreError], FrameToStack] = {
            self._threads.submit(self._one, frame, folder, ticket): frame for frame in frames
        }
        try:
            wait(under_way, return_when=FIRST_EXCEPTION)
            ticket.check()
            found = {frame.frame_id: future.result() for future, frame in under_way.items()}
        finally:
            for future in under_way:
                future.cancel()
        lost = {number: what for number, what in found.items() if isinstance(what, StoreError)}
        if lost and len(lost) == len(found) and all(map(_is_missing, lost.values())):
            raise StoreError(f"none of the block's {len(lost)} raws is in the store")
        paths = {number: what for number, what in found.items() if isinstance(what, Path)}
        return Fetched(paths, lost)

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _one(self, frame: FrameToStack, folder: Path, ticket: Ticket) -> Path | StoreError:
        target = folder / f"{frame.frame_id}.fit"
        for rest_s in (*RESTS_S, None):
            ticket.check()
            try:
                return self._bring(frame.sha256, target)
            except (ObjectMissing, ObjectRotten) as error:
                if rest_s is None:
                    return error  # looked at three times, so it was no accident on the way
            except StoreFull:
                raise
            except StoreError:
                if rest_s is None:
                    raise
            except OSError as error:
                _explain(error)
            ticket.wait(rest_s or 0.0)
        raise AssertionError("unreachable")

    def _bring(self, sha256: str, target: Path) -> Path:
        local = self.store.local_path(sha256)
        if local is None:
            self.store.fetch(sha256, target)
            return target
        if (found := _digest(local)) != sha256:
            raise ObjectRotten(
                "the stored raw is no longer what was sent", value=sha256[:12], found=found
            )
        return local


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb", buffering=0) as stream:
            read: Callable[[], bytes] = lambda: stream.read(PIECE_BYTES)  # noqa: E731
            for piece in iter(read, b""):
                digest.update(piece)
    except FileNotFoundError as error:
        raise ObjectMissing("the stored raw is gone", value=path.name[:12]) from error
    return digest.hexdigest()


def _is_missing(error: StoreError) -> bool:
    return isinstance(error, ObjectMissing)


def _explain(error: OSError) -> None:
    """Raise what a failure of this machine's disk means."""
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise StoreFull(f"no room for the raws on this machine ({reason})") from error
    raise StoreError(f"the raws cannot be read on this machine ({reason})") from error
