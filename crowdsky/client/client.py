"""The client: one object for one service and one key."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from crowdsky.client.downloads import download_stacks, download_zip
from crowdsky.client.events import Event, events
from crowdsky.client.facts import (
    Block,
    Books,
    Finalised,
    Frame,
    Job,
    JobPage,
    Me,
    StackPage,
    Upload,
    Zipped,
)
from crowdsky.client.lists import list_uploads, one_upload, pages
from crowdsky.client.patience import Patience, Wait
from crowdsky.client.push import OnProgress, Push
from crowdsky.client.push_report import PushReport
from crowdsky.client.sky_query import query_params
from crowdsky.client.tables import frame_table, stack_table, table_of
from crowdsky.client.transport import API, Transport
from crowdsky.client.views import delete_jobs, job_frames, job_page, stack_page
from crowdsky.client.waiting import wait_for_jobs
from crowdsky.client.walk import files_to_send
from crowdsky.errors import CrowdSkyError
from crowdsky.settings import Settings, load_settings

if TYPE_CHECKING:
    import httpx
    from astropy.table import Row, Table

__all__ = ["Client"]


class Client:
    """Speaks with one service, on behalf of the owner of one key.

    Parameters
    ----------
    server : str, optional
        Address of the service; ``CROWDSKY_SERVER`` when omitted.
    api_key : str, optional
        ``CROWDSKY_API_KEY`` when omitted; in a notebook of the Hub that needs none, its own token.
    patience_s : float
        Seconds for which a service that does not answer is asked again, counted from the last
        answer. Transfers have five times as much; where the service says when to come back it is
        waited for up to sixty times as long.
    on_wait : callable, optional
        Given a reason and seconds whenever the client has to wait for a second or more.
    auth : httpx.Auth, optional
        What each request shows in place of a key.

    Raises
    ------
    SettingsError
        If there is no address.

    Notes
    -----
    Every method raises `NotAuthenticated` without a good key, `NotPermitted` if the key's scopes do
    not hold it, `NotFound` for what is not there or somebody else's, `LimitExceeded`, `Conflict`,
    and `ServiceUnreachable`; all are `CrowdSkyError`.
    """

    def __init__(
        self,
        server: str | None = None,
        api_key: str | None = None,
        *,
        patience_s: float = 60.0,
        on_wait: Wait | None = None,
        auth: httpx.Auth | None = None,
    ) -> None:
        settings = load_settings()
        key, scheme = _own_key(settings, server) if api_key is None else (api_key, "Bearer")
        self._transport = Transport(
            settings.server if server is None else server,
            key,
            patience_s=patience_s,
            on_wait=on_wait,
            auth=auth,
            scheme=scheme,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._transport.close()

    @property
    def server(self) -> str:
        """Address of the service."""
        return self._transport.server

    def me(self) -> Me:
        """Whose key it is."""
        table = self._transport.get(f"{API}/me")
        return Me(str(table["name"]), table)

    # --- sending and stacking ---------------------------------------------------------------------

    def push(
        self,
        paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        parallel: int = 4,
        on_progress: OnProgress | None = None,
    ) -> PushReport:
        """Send the frames and archives (.zip, .tar, .tgz, .gz) among files and in folders.

        What the service has is not sent, and what an earlier push left unfinished is continued.

        Parameters
        ----------
        paths : path-like or iterable of path-like
        parallel : int
            Files sent at once.
        on_progress : callable, optional
            Given bytes done, bytes in all, and the name of a file; from several threads, one at a
            time.

        Returns
        -------
        PushReport
            What came of every file. A file that is refused stops no other.
        """
        files, skipped = files_to_send(paths)
        return Push(
            self._transport, files, skipped, parallel=max(1, parallel), on_progress=on_progress
        ).run()

    def uploads(self, *, state: str | None = None) -> list[Upload]:
        """What was sent, newest first; `state` is open, received, accepted or refused."""
        return list_uploads(self._transport, state=state)

    def upload(self, upload_id: str) -> Upload:
        """One upload, with what came of its files."""
        return one_upload(self._transport, f"{API}/uploads/{_quoted(upload_id)}")

    def preview_blocks(self) -> list[Block]:
        """The blocks that `finalise` would make jobs of. Nothing is changed."""
        table = self._transport.get(f"{API}/blocks/preview")
        return [Block.of(block) for block in table["blocks"]]

    def finalise(self, title: str | None = None) -> Finalised:
        """Make stacking jobs of all frames that wait for it."""
        body = {} if title is None else {"title": title}
        return Finalised.of(self._transport.ask("POST", f"{API}/finalise", json=body).json())

    def jobs(self, *, state: str | None = None) -> list[Job]:
        """Jobs; `state` is queued, running, done or failed."""
        found = pages(self._transport, f"{API}/jobs", state=state)
        return [Job.of(job) for page in found for job in page["jobs"]]

    def job(self, job_id: int) -> Job:
        """One job."""
        return Job.of(self._transport.get(f"{API}/jobs/{int(job_id)}"))

    def delete_job(self, job_id: int) -> None:
        """Stop a job and remove it, with the frames that no stack came of.

        A second time is no error.
        """
        self._transport.ask("DELETE", f"{API}/jobs/{int(job_id)}")

    def delete_jobs(self, job_ids: Sequence[int]) -> tuple[list[int], list[int]]:
        """Delete several jobs; those that are gone now, and those that are not the caller's."""
        return delete_jobs(self._transport, job_ids)

    def job_page(self, *, patience: Patience | None = None, **asked: int | str | None) -> JobPage:
        """Some jobs and the counts of all: ``after``, ``limit`` (200) and ``state`` say which."""
        return job_page(self._transport, patience=patience, **asked)  # type: ignore[arg-type]

    def job_frames(self, job_id: int) -> list[Frame]:
        """The ledger of a job's block: each frame stacked, rejected with its reason, or pending."""
        return job_frames(self._transport, job_id)

    def events(
        self,
        since: str = "",
        *,
        stop: threading.Event | None = None,
        on_lost: Callable[[CrowdSkyError], None] | None = None,
    ) -> Iterator[Event]:
        """Changes of jobs and books as they happen: see `crowdsky.client.events.events`."""
        return events(self._transport, since, stop=stop, on_lost=on_lost)

    def retry_job(self, job_id: int) -> None:
        """Queue a failed job again.

        Raises
        ------
        Conflict
            If it has not failed.
        """
        self._transport.ask("POST", f"{API}/jobs/{int(job_id)}/retry")

    def wait(
        self,
        job_ids: Iterable[int] | None = None,
        *,
        timeout_s: float | None = None,
        on_progress: Callable[[list[Job]], None] | None = None,
    ) -> list[Job]:
        """Wait until jobs have ended.

        Parameters
        ----------
        job_ids : iterable of int, optional
            All that are queued or running now, when omitted.
        timeout_s : float, optional
            For ever when omitted.
        on_progress : callable, optional
            Given the jobs every time they were looked at.

        Returns
        -------
        list of Job
            As they are at the end; without those that were deleted meanwhile.

        Raises
        ------
        ServiceUnreachable
            If they have not ended in time.
        """
        wanted = (
            {job.id for job in self.jobs() if not job.ended} if job_ids is None else set(job_ids)
        )
        if not wanted:
            return []
        return wait_for_jobs(self._transport, wanted, timeout_s=timeout_s, on_progress=on_progress)

    def books(self) -> Books:
        """Frames that were accepted, and what became of them."""
        return Books.of(self._transport.get(f"{API}/books"))

    def frames(self, *, state: str | None = None, block_id: int | None = None) -> Table:
        """The ledger: a row a frame, with its state and, where it was rejected, why."""
        found = pages(self._transport, f"{API}/frames", state=state, block_id=block_id)
        rows = [row for page in found for row in page["frames"]]
        return frame_table(rows, {"server": self.server})

    # --- looking for stacks and bringing them home ------------------------------------------------

    def stacks(
        self,
        *,
        ra: float | None = None,
        dec: float | None = None,
        size: float | None = None,
        radius: float | None = None,
        ra_from: float | None = None,
        ra_to: float | None = None,
        dec_from: float | None = None,
        dec_to: float | None = None,
        from_utc: datetime | str | None = None,
        to_utc: datetime | str | None = None,
        target: str | None = None,
        filter: str | None = None,  # noqa: A002 - the field's own name
        telescope: str | None = None,
        scope: str = "all",
    ) -> Table:
        """Stacks by place, time, target, filter and telescope.

        Parameters
        ----------
        ra, dec : float
            Centre, ICRS degrees, with either `size` or `radius`.
        size : float
            Side of a square on the sky, degrees.
        radius : float
            Of a cone, degrees.
        ra_from, ra_to, dec_from, dec_to : float
            A rectangle instead, degrees; `ra_from` greater than `ra_to` reaches across 0 h.
        from_utc, to_utc : datetime or str, optional
            ISO 8601; without a zone they are UTC.
        target, filter, telescope : str, optional
        scope : str
            ``mine``, ``public`` or ``all`` of what this key may see.

        Returns
        -------
        Table
            A row a stack, with units and UTC times. ``meta`` has the ``query`` as an address, the
            ``server``, ``total`` and ``n_bytes``.
        """
        params = query_params(
            ra=ra, dec=dec, size=size, radius=radius, ra_from=ra_from, ra_to=ra_to,
            dec_from=dec_from, dec_to=dec_to, from_utc=from_utc, to_utc=to_utc, target=target,
            filter=filter, telescope=telescope, scope=scope,
        )  # fmt: skip
        rows: list[Any] = []
        meta = {"server": self.server, "query": self._query_url("stacks", params)}
        for page in pages(self._transport, f"{API}/stacks", **params):
            rows += page["stacks"]
            meta |= {name: page[name] for name in ("total", "n_bytes") if name in page}
        return stack_table(rows, meta)

    def stack_page(
        self, *, patience: Patience | None = None, limit: int = 200, **query: Any
    ) -> StackPage:
        """Some stacks as plain data, ``after`` one of the last page; query as the service's."""
        return stack_page(self._transport, patience=patience, limit=limit, **query)

    def density(self, *, order: int = 5, **query: Any) -> Table:
        """Stacks in each HEALPix cell (nested) of an order.

        Parameters
        ----------
        order : int
            0 to 9; there are ``12 * 4**order`` cells.
        **query
            As `stacks` takes it.

        Returns
        -------
        Table
            Columns ``cell`` and ``n_stacks``, of the cells that are not empty.
        """
        params = query_params(**query) | {"order": order}
        found = self._transport.get(f"{API}/sky/density", **params)
        rows = [
            {"cell": cell, "n_stacks": n}
            for cell, n in zip(found["cells"], found["counts"], strict=True)
        ]
        meta = {"query": self._query_url("sky/density", params), "order": found["order"]}
        return table_of(rows, {"cell": int, "n_stacks": int}, meta)

    def download(
        self,
        stacks: Table | Row,
        folder: str | os.PathLike[str],
        *,
        on_progress: OnProgress | None = None,
    ) -> list[Path]:
        """Download the files of stacks.

        A file that is there with the right bytes is kept, one that broke off is continued, and
        each is checked by its SHA-256 before it gets its name.

        Parameters
        ----------
        stacks : Table or Row
            As `stacks` gives them.
        folder : path-like
            Made if need be.
        on_progress : callable, optional
            Given bytes done, bytes in all, and the name of a file.

        Returns
        -------
        list of Path
            In the order of the rows.
        """
        names = ("id", "label", "sha256", "n_bytes")
        rows = [stacks] if hasattr(stacks, "table") else list(stacks)
        wanted = [{name: row[name] for name in names} for row in rows]
        return download_stacks(self._transport, wanted, Path(folder), on_progress)

    def download_zip(
        self,
        stacks: Table | Sequence[int],
        path: str | os.PathLike[str],
        *,
        on_progress: OnProgress | None = None,
    ) -> Zipped:
        """Download stacks as one ZIP with a manifest.

        Called again with the same selection after a break, it continues where it stood.

        Parameters
        ----------
        stacks : Table or sequence of int
            As `stacks` gives them, or their numbers.
        path : path-like
        on_progress : callable, optional

        Returns
        -------
        Zipped
        """
        column: Any = stacks["id"] if hasattr(stacks, "columns") else stacks  # type: ignore[call-overload]
        ids = [int(number) for number in column]
        return download_zip(self._transport, {"ids": ids}, Path(path), on_progress)

    def _query_url(self, route: str, params: dict[str, Any]) -> str:
        return f"{self._transport.url(f'{API}/{route}')}?{urlencode(params)}"


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


def _own_key(settings: Settings, server: str | None) -> tuple[str, str]:
    """What is shown where the caller gave no key, and how it is called."""
    if settings.api_key or not settings.hub_token:
        return settings.api_key, "Bearer"
    # The Hub's token goes to the Hub's own service, and to nobody else.
    ours = server is None or server.rstrip("/") == settings.server
    return (settings.hub_token, "token") if ours else ("", "Bearer")
