"""The layout against zipfile, byte for byte and beyond four gigabytes."""

from __future__ import annotations

import io
import zipfile
import zlib
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from crowdsky.api.zip_layout import ZipEntry, ZipLayout

WHEN = datetime(2026, 3, 27, 20, 15, 7, tzinfo=UTC)
GIB = 1 << 30


def layout_for(files: dict[str, bytes]) -> ZipLayout:
    return ZipLayout([ZipEntry(n, len(d), zlib.crc32(d)) for n, d in files.items()], WHEN)


def joined(layout: ZipLayout, files: list[bytes], start: int = 0, end: int | None = None) -> bytes:
    return b"".join(
        files[p.entry][p.start : p.end] if p.data is None else p.data
        for p in layout.pieces(start, end)
    )


def test_zipfile_reads_it() -> None:
    files = {"README.txt": b"text", "stacks/ä.fits": b"\0" * 2880, "stacks/empty.fits": b""}
    layout = layout_for(files)
    data = joined(layout, list(files.values()))
    assert len(data) == layout.n_bytes
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == files
        facts = archive.getinfo("README.txt")
        assert facts.date_time == (2026, 3, 27, 20, 15, 6)
        assert facts.external_attr >> 16 == 0o100644
        assert facts.compress_type == zipfile.ZIP_STORED


def test_an_empty_archive() -> None:
    layout = layout_for({})
    assert layout.n_bytes == 22
    with zipfile.ZipFile(io.BytesIO(joined(layout, []))) as archive:
        assert archive.namelist() == []


@given(
    sizes=st.lists(st.integers(0, 40), max_size=6),
    cut=st.tuples(st.integers(0, 900), st.integers(0, 900)),
)
def test_any_part_is_that_part_of_the_whole(sizes: list[int], cut: tuple[int, int]) -> None:
    files = {f"f{number}": bytes([65 + number]) * size for number, size in enumerate(sizes)}
    layout, contents = layout_for(files), list(files.values())
    whole = joined(layout, contents)
    assert len(whole) == layout.n_bytes
    start, end = min(cut), max(cut)
    assert joined(layout, contents, start, end) == whole[start:end]


class _Sparse(io.RawIOBase):
    """An archive whose files are all zeros and are made when they are read."""

    def __init__(self, layout: ZipLayout) -> None:
        self._layout, self._at = layout, 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + {0: 0, 1: self._at, 2: self._layout.n_bytes}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        n = min(len(buffer), self._layout.n_bytes - self._at, 1 << 20)
        data = b"".join(
            bytes(p.end - p.start) if p.data is None else p.data
            for p in self._layout.pieces(self._at, self._at + n)
        )
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def test_beyond_four_gigabytes_and_65535_files() -> None:
    small = zlib.crc32(b"\0" * 10)
    entries = [ZipEntry("big.fits", 5 * GIB, 1), ZipEntry("edge.fits", 0xFFFFFFFF, 2)]
    entries += [ZipEntry(f"{number}.fits", 10, small) for number in range(70_000)]
    layout = ZipLayout(entries, WHEN)
    with zipfile.ZipFile(io.BufferedReader(_Sparse(layout))) as archive:
        assert len(archive.namelist()) == 70_002
        assert archive.getinfo("big.fits").file_size == 5 * GIB
        assert archive.getinfo("edge.fits").file_size == 0xFFFFFFFF
        assert archive.getinfo("0.fits").header_offset > 0xFFFFFFFF
        assert archive.read("69999.fits") == b"\0" * 10
        with archive.open("big.fits") as big:
            big.read(10)
    tail = ZipLayout(entries, WHEN).pieces(layout.n_bytes - 30)
    assert sum(len(p.data or b"") for p in tail) == 30


def test_the_limits_of_the_old_format() -> None:
    """One file less than ZIP64 needs is an archive without ZIP64."""
    for count, needs in ((65_534, False), (65_535, True)):
        layout = ZipLayout([ZipEntry(f"{n}", 0, 0) for n in range(count)], WHEN)
        end = b"".join(p.data or b"" for p in layout.pieces(layout.n_bytes - 98))
        assert (b"PK\x06\x06" in end) is needs
