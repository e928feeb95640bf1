"""A selection of stacks becomes an archive that can be sent: looked at, named, frozen."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from crowdsky.api.context import Context
from crowdsky.api.files_check import CheckedFiles
from crowdsky.api.manifest import ManifestRow, citation, file_name, manifest_csv, readme
from crowdsky.api.zip_layout import ZipEntry, ZipLayout
from crowdsky.archive.downloads import (
    ArchiveEntry,
    FrozenDownload,
    KnownObject,
    known_objects,
    save_download,
)
from crowdsky.archive.models import StackRow
from crowdsky.archive.scrub import note_rotten
from crowdsky.archive.search import StackQuery, Viewer, search_stacks
from crowdsky.archive.stacks import observer_names
from crowdsky.errors import Conflict, LimitExceeded, NotFound, ObjectMissing, ObjectRotten
from crowdsky.steps import reached

__all__ = ["MAX_STACKS", "MadeDownload", "layout_of", "make_download"]

MAX_STACKS = 10_000
_LOOKERS = 16  # files of a store looked at at once
_TRIES = 3


@dataclass(frozen=True, slots=True)
class MadeDownload:
    """A download, how many stacks are in it, and how many are missing."""

    frozen: FrozenDownload
    n_stacks: int
    n_missing: int


@dataclass(frozen=True, slots=True)
class _Looked:
    """What was found of a file: a reason if it cannot be sent, else its CRC-32."""

    reason: str = ""
    crc32: int = 0
    is_new: bool = False


def make_download(
    here: Context,
    checked: CheckedFiles,
    query: StackQuery,
    viewer: Viewer,
    title: str,
    *,
    now: datetime | None = None,
) -> MadeDownload:
    """Freeze what a query selects.

    Every file is looked for, and one that is missing or damaged is told in the manifest instead.
    Where the CRC-32 of a file is not known, the file is read once and it is kept.

    Parameters
    ----------
    here : Context
    checked : CheckedFiles
    query : StackQuery
    viewer : Viewer
        Signed in.
    title : str
    now : datetime, optional

    Returns
    -------
    MadeDownload

    Raises
    ------
    NotFound
        No stack is selected.
    LimitExceeded
        More than `MAX_STACKS` are, or the observer has too many downloads.
    ArchiveUnavailable, StoreError
    """
    assert viewer.observer_id is not None
    moment = (now or datetime.now(UTC)).replace(microsecond=0)
    rows, names, known = _selected(here, query, viewer, moment)
    for _ in range(_TRIES):
        looked = _look(here, checked, rows, known)
        manifest = _manifest(rows, names, looked, query.ids)
        entries = _entries(rows, manifest, looked, known, title, moment)
        reached("download.looked")
        crc32s = {name: found.crc32 for name, found in looked.items() if found.is_new}
        try:
            frozen = save_download(
                here.archive,
                viewer.observer_id,
                title,
                entries,
                layout_of(entries, moment).n_bytes,
                moment,
                found_crc32s=crc32s,
            )
        except Conflict:
            with here.archive.reading() as session:
                known = known_objects(session, known)
            continue
        reached("download.frozen")
        there = sum(bool(row.file) for row in manifest)
        return MadeDownload(frozen, there, len(manifest) - there)
    raise Conflict("the files are just being swept; try again")


def layout_of(entries: Sequence[ArchiveEntry], created_utc: datetime) -> ZipLayout:
    """Where everything lies in the archive of some entries."""
    return ZipLayout(
        [ZipEntry(entry.name, entry.n_bytes, entry.crc32) for entry in entries], created_utc
    )


def _selected(
    here: Context, query: StackQuery, viewer: Viewer, now: datetime
) -> tuple[list[StackRow], dict[int, str], dict[str, KnownObject]]:
    with here.archive.reading() as session:
        page = search_stacks(session, query, viewer, limit=MAX_STACKS, order="id", now=now)
        if page.total > MAX_STACKS:
            raise LimitExceeded(
                f"a download has at most {MAX_STACKS} stacks; choose a part of the sky or of the "
                "time",
                value=page.total,
                limit=MAX_STACKS,
            )
        if not page.rows:
            raise NotFound("no stack is selected")
        names = observer_names(session, page.rows)
        return page.rows, names, known_objects(session, (row.sha256 for row in page.rows))


def _look(
    here: Context,
    checked: CheckedFiles,
    rows: Sequence[StackRow],
    known: dict[str, KnownObject],
) -> dict[str, _Looked]:
    """Look for the file of every stack, by its SHA-256."""

    def look(sha256: str) -> tuple[str, _Looked]:
        facts = known.get(sha256)
        if facts is None or facts.state in ("condemned", "writing"):
            return sha256, _Looked("the file is missing")
        if facts.state == "rotten":
            return sha256, _Looked("the file is damaged")
        try:
            if facts.crc32 is not None:
                size = here.store.size(sha256)
                if size is None:
                    return sha256, _Looked("the file is missing")
                if size != facts.n_bytes:
                    raise ObjectRotten("the file has another length", value=sha256)
                return sha256, _Looked(crc32=facts.crc32)
            crc32 = 0
            for piece in checked.pieces(sha256, facts.n_bytes):
                crc32 = zlib.crc32(piece, crc32)
            return sha256, _Looked(crc32=crc32, is_new=True)
        except ObjectMissing:
            return sha256, _Looked("the file is missing")
        except ObjectRotten:
            note_rotten(here.archive, sha256)
            return sha256, _Looked("the file is damaged")

    wanted = sorted({row.sha256 for row in rows})
    with ThreadPoolExecutor(min(_LOOKERS, len(wanted))) as pool:
        return dict(pool.map(look, wanted))


def _manifest(
    rows: Sequence[StackRow],
    names: dict[int, str],
    looked: dict[str, _Looked],
    asked_ids: Sequence[int] | None,
) -> list[ManifestRow]:
    manifest = []
    for row in rows:
        reason = looked[row.sha256].reason
        manifest.append(
            ManifestRow(
                stack_id=row.id,
                file="" if reason else file_name(row.label, row.id),
                status=f"missing: {reason}" if reason else "ok",
                sha256=row.sha256,
                n_bytes=row.n_bytes,
                target=row.target,
                telescope=row.model,
                filter=row.filter,
                exposure_s=row.exposure_s,
                exposure_total_s=row.exposure_total_s,
                n_used=row.n_used,
                start_utc=row.start_utc,
                end_utc=row.end_utc,
                ra_deg=row.ra_deg,
                dec_deg=row.dec_deg,
                observer=row.credit or names.get(row.observer_id, ""),
                licence=row.licence,
            )
        )
    # One text, whether there never was such a stack or it is somebody's own.
    absent = sorted(set(asked_ids or ()) - {row.id for row in rows})
    manifest += [ManifestRow(number, status="missing: no such stack") for number in absent]
    return manifest


def _entries(
    rows: Sequence[StackRow],
    manifest: Sequence[ManifestRow],
    looked: dict[str, _Looked],
    known: dict[str, KnownObject],
    title: str,
    created_utc: datetime,
) -> list[ArchiveEntry]:
    texts = {
        "README.txt": readme(manifest, title, created_utc),
        "CITATION.txt": citation(manifest),
        "manifest.csv": manifest_csv(manifest),
    }
    entries = [_text_entry(name, text) for name, text in texts.items()]
    for row, line in zip(rows, manifest, strict=False):  # what is absent has no row
        if line.file:
            n_bytes = known[row.sha256].n_bytes
            found = looked[row.sha256]
            entries.append(ArchiveEntry(line.file, n_bytes, found.crc32, sha256=row.sha256))
    return entries


def _text_entry(name: str, text: str) -> ArchiveEntry:
    data = text.encode()
    return replace(ArchiveEntry(name, len(data), zlib.crc32(data)), text=text)
