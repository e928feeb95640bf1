"""Send a night: what is known is not sent, what was begun is continued, several files at a time."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from crowdsky.client.lists import list_uploads, one_upload
from crowdsky.client.push_report import PushedFile, PushReport
from crowdsky.client.transport import API, Transport
from crowdsky.client.tus import Stopped, TusUpload
from crowdsky.client.walk import LocalFile
from crowdsky.errors import (
    CrowdSkyError,
    NotAuthenticated,
    NotPermitted,
    ServiceUnreachable,
)
from crowdsky.frames.find import Skipped

__all__ = ["OnProgress", "Push"]

OnProgress = Callable[[int, int, str], None]
# The service is asked about so many at once, while those before them are being sent.
_BATCH = 64
_HASHED_AT_ONCE = 2
# After one of these there is no point in going on with the other files.
_FATAL = (NotAuthenticated, NotPermitted, ServiceUnreachable)


class Push:
    """One push of some files.

    Parameters
    ----------
    transport : Transport
    files : sequence of LocalFile
    skipped : sequence of Skipped
        For the report.
    parallel : int
        Files sent at once.
    on_progress : callable, optional
        Given bytes done (sent, or known), bytes in all, and a name.
    """

    def __init__(
        self,
        transport: Transport,
        files: Sequence[LocalFile],
        skipped: Sequence[Skipped],
        *,
        parallel: int,
        on_progress: OnProgress | None,
    ) -> None:
        self._transport, self._files, self._skipped = transport, files, skipped
        self._parallel, self._on_progress = parallel, on_progress
        self._total = sum(file.n_bytes for file in files)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._fatal: CrowdSkyError | None = None
        self._done = 0
        self._sent = 0
        self._begun: dict[tuple[str, int], str] = {}

    def run(self) -> PushReport:
        """Send what there is to send.

        Returns
        -------
        PushReport

        Raises
        ------
        NotAuthenticated, NotPermitted, ServiceUnreachable
            After which nothing more was sent; what was sent is not sent again by the next push.
        """
        results: dict[LocalFile, PushedFile | Future[PushedFile]] = {}
        senders = ThreadPoolExecutor(self._parallel, thread_name_prefix="push")
        hashers = ThreadPoolExecutor(_HASHED_AT_ONCE, thread_name_prefix="hash")
        try:
            self._begun = _begun_uploads(self._transport) if self._files else {}
            seen: dict[str, LocalFile] = {}
            for batch in _batches(self._files, _BATCH):
                hashes = list(hashers.map(_sha256, batch))
                if self._stop.is_set():
                    break
                known = self._known([one for one in hashes if len(one) == 64])
                for file, sha256 in zip(batch, hashes, strict=True):
                    if len(sha256) != 64:
                        results[file] = self._settled(file, "failed", sha256)
                    elif sha256 in seen:
                        twin = seen[sha256].path.name
                        results[file] = self._settled(file, "there", f"the same bytes as {twin}")
                    elif sha256 in known:
                        results[file] = self._settled(file, "there")
                    else:
                        results[file] = senders.submit(self._send, file, sha256)
                    seen.setdefault(sha256, file)
            finished = {
                file: result.result() if isinstance(result, Future) else result
                for file, result in results.items()
            }
        finally:
            self._stop.set()  # of no effect when all is done
            hashers.shutdown(cancel_futures=True)
            senders.shutdown(cancel_futures=True)
        if self._fatal is not None:
            raise self._fatal
        return PushReport(
            tuple(finished[file] for file in self._files),
            tuple(self._skipped),
            self._total,
            self._sent,
        )

    def _known(self, hashes: list[str]) -> set[str]:
        response = self._transport.ask("POST", f"{API}/uploads/have", json={"sha256": hashes})
        return set(response.json()["have"])

    def _send(self, file: LocalFile, sha256: str) -> PushedFile:
        upload = TusUpload(
            self._transport,
            file,
            sha256,
            url=self._begun.get((sha256, file.n_bytes), ""),
            stop=self._stop,
            on_bytes=lambda n_bytes: self._progress(n_bytes, file.path.name),
        )
        try:
            outcome, reason = upload.run()
            items = one_upload(self._transport, upload.url).items if file.is_archive else ()
        except Stopped:
            return PushedFile(file.path, "failed", "stopped before it was sent")
        except _FATAL as error:
            with self._lock:
                self._fatal = self._fatal or error
            self._stop.set()
            return PushedFile(file.path, "failed", str(error))
        except CrowdSkyError as error:
            return PushedFile(file.path, "failed", error.rule)
        except OSError as error:
            return PushedFile(file.path, "failed", f"cannot be read ({error.strerror})")
        finally:
            with self._lock:
                self._sent += upload.n_bytes_sent
        return PushedFile(file.path, outcome, reason, items)

    def _settled(self, file: LocalFile, outcome: str, reason: str = "") -> PushedFile:
        self._progress(file.n_bytes, file.path.name)
        return PushedFile(file.path, outcome, reason)

    def _progress(self, n_bytes: int, name: str) -> None:
        with self._lock:
            self._done += n_bytes
            if self._on_progress is not None:
                self._on_progress(self._done, self._total, name)


def _sha256(file: LocalFile) -> str:
    """In hexadecimal; why not, where the file cannot be read."""
    try:
        with file.path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _begun_uploads(transport: Transport) -> dict[tuple[str, int], str]:
    """Uploads that an earlier push left unfinished, by content."""
    # Nothing about them is kept on this side: the service knows, on whichever machine one goes on.
    return {
        (upload.sha256, upload.length): f"{API}/uploads/{upload.id}"
        for upload in list_uploads(transport, state="open")
        if upload.sha256 and upload.length is not None
    }


def _batches(files: Sequence[LocalFile], size: int) -> Iterator[list[LocalFile]]:
    rest = iter(files)
    # The first ones are few, so that sending begins at once.
    batch = list(islice(rest, 8))
    while batch:
        yield batch
        batch = list(islice(rest, size))
