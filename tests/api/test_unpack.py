"""Archives that are not what they say: nothing leaves the folder, good files are kept."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest

from crowdsky.api.door import Report
from crowdsky.api.unpack import UnpackLimits, look_at_archive
from tests.frames.fits_files import sub_bytes

LIMITS = UnpackLimits(max_file_bytes=100_000, max_total_bytes=3_000_000, max_entries=50)
FRAME = sub_bytes()


def frame(number: int) -> bytes:
    return sub_bytes(OBJECT=f"frame {number}")


def look(tmp_path: Path, content: bytes, name: str = "night.zip") -> Report:
    tmp_path.joinpath("archive").write_bytes(content)
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    report = look_at_archive(tmp_path / "archive", name, tmp_path / "out", LIMITS)
    written = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    kept = {entry.path for entry in report.entries if entry.path is not None}
    # Nothing lies anywhere but what is kept, under names of ours.
    assert written == kept
    assert all(path.parent == tmp_path / "out" and path.name.isdigit() for path in written)
    return report


def told(report: Report) -> dict[str, str]:
    return {entry.name: entry.reason for entry in report.entries}


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return buffer.getvalue()


def tarred(*members: tarfile.TarInfo | tuple[str, bytes], packed: bool = False) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz" if packed else "w") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return buffer.getvalue()


NIGHT = [
    ("MyWorks/M 94_sub/Light_1.fit", frame(1)),
    ("MyWorks/M 94_sub/Light_1.jpg", b"\xff\xd8\xff"),
    ("MyWorks/M 94_sub/Light_1_thn.jpg", b"\xff\xd8\xff"),
    ("MyWorks/M 31_sub/Light_1.fit", frame(2)),
    ("MyWorks/Lunar_1/video.mp4", b"x"),
    ("MyWorks/M 31_sub/broken.fit", FRAME[:-3000]),
]


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tgz"])
def test_a_night_in_one_file(tmp_path: Path, kind: str) -> None:
    content = zipped(*NIGHT) if kind == "zip" else tarred(*NIGHT, packed="g" in kind)
    report = look(tmp_path, content, f"night.{kind}")
    first, second, broken = report.entries
    assert (first.name, second.name) == (NIGHT[0][0], NIGHT[3][0])
    assert first.path is not None
    assert first.path.read_bytes() == frame(1)
    assert first.header is not None
    assert first.header.target == "frame 1"
    assert "truncated" in broken.reason
    assert report.skipped == {"picture or thumbnail": 2, "video": 1}
    assert report.stopped == ""


def test_a_packed_frame(tmp_path: Path) -> None:
    report = look(tmp_path, gzip.compress(FRAME), "Light_1.fit.gz")
    assert told(report) == {"Light_1.fit": ""}
    report = look(tmp_path, gzip.compress(FRAME)[:-2000], "Light_1.fit.gz")
    assert "damaged inside the archive" in told(report)["Light_1.fit"]
    assert "damaged" in told(look(tmp_path, FRAME, "Light_1.fit.gz"))["Light_1.fit"]


# --- names that would lead elsewhere --------------------------------------------------------------


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../../etc/x.fit", "a path that leaves the archive"),
        ("a/../../x.fit", "a path that leaves the archive"),
        ("/etc/x.fit", "an absolute path in an archive"),
        ("..\\..\\x.fit", "a path that leaves the archive"),
        ("\\x.fit", "an absolute path in an archive"),
        ("C:\\x.fit", "an absolute path in an archive"),
        ("inner.zip", "an archive inside an archive is not unpacked"),
        ("inner.fit.gz", "an archive inside an archive is not unpacked"),
    ],
)
def test_names_that_are_refused(tmp_path: Path, kind: str, name: str, reason: str) -> None:
    members = [(name, frame(1)), ("good.fit", frame(2))]
    content = zipped(*members) if kind == "zip" else tarred(*members)
    assert told(look(tmp_path, content, f"a.{kind}")) == {name: reason, "good.fit": ""}


def special(name: str, kind: bytes, target: str = "/etc/passwd") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_links_and_devices_of_a_tar(tmp_path: Path) -> None:
    content = tarred(
        special("link.fit", tarfile.SYMTYPE),
        special("hard.fit", tarfile.LNKTYPE, "good.fit"),
        special("null.fit", tarfile.CHRTYPE),
        special("disk.fit", tarfile.BLKTYPE),
        special("pipe.fit", tarfile.FIFOTYPE),
        ("good.fit", frame(1)),
        ("good.fit", frame(2)),
    )
    report = look(tmp_path, content, "a.tar")
    assert [entry.reason for entry in report.entries] == [
        "a link, device or sparse file, not a plain file"
    ] * 5 + ["", ""]


def test_links_of_a_zip(tmp_path: Path) -> None:
    buffer = io.BytesIO(zipped(("good.fit", frame(1))))
    with zipfile.ZipFile(buffer, "a") as archive:
        info = zipfile.ZipInfo("link.fit")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    assert told(look(tmp_path, buffer.getvalue())) == {
        "good.fit": "",
        "link.fit": "a link or device, not a file",
    }


def test_names_are_shown_on_one_line(tmp_path: Path) -> None:
    sent = ["a\nb.fit", "rtl\u202etif.fit", "x" * 400 + ".fit"]
    members = [(name, frame(number)) for number, name in enumerate(sent)]
    names = [entry.name for entry in look(tmp_path, zipped(*members)).entries]
    assert names[:2] == ["a�b.fit", "rtl�tif.fit"]
    assert len(names[2]) == 255
    assert names[2].endswith(".fit")


# --- bombs ----------------------------------------------------------------------------------------


def test_a_gzip_bomb_stops_at_the_ratio(tmp_path: Path) -> None:
    bomb = gzip.compress(bytes(20_000_000))
    (entry,) = look(tmp_path, bomb, "bomb.fit.gz").entries
    assert entry.reason == "a frame has at most 100000 bytes"


def test_a_tar_bomb_keeps_what_came_before(tmp_path: Path) -> None:
    content = tarred(("good.fit", frame(1)), ("big.bin", bytes(20_000_000)), packed=True)
    report = look(tmp_path, content, "a.tgz")
    assert told(report)["good.fit"] == ""
    assert report.stopped == "an archive holds at most 3000000 bytes, unpacked"


def test_a_zip_bomb_of_many_files_stops_at_the_total(tmp_path: Path) -> None:
    comments = [b"COMMENT".ljust(80)] * 1000
    noise = [(f"{i}.fit", sub_bytes(*comments, OBJECT=f"{i}")) for i in range(40)]
    report = look(tmp_path, zipped(*noise, method=zipfile.ZIP_STORED))
    assert report.stopped == "an archive holds at most 3000000 bytes, unpacked"
    assert sum(entry.reason == "" for entry in report.entries) == 3_000_000 // len(noise[0][1])


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_too_many_entries(tmp_path: Path, kind: str) -> None:
    members = [("good.fit", frame(1)), *((f"{i}.txt", b"") for i in range(60))]
    content = zipped(*members) if kind == "zip" else tarred(*members)
    report = look(tmp_path, content, f"a.{kind}")
    assert "an archive lists at most 50 files" in report.stopped
    # A ZIP says so before anything is unpacked.
    assert told(report) == ({} if kind == "zip" else {"good.fit": ""})


def test_a_directory_larger_than_its_count_is_not_read(tmp_path: Path) -> None:
    content = bytearray(zipped(*((f"{i}{'x' * 900}.txt", b"") for i in range(100))))
    end = content.rfind(b"PK\x05\x06")
    struct.pack_into("<HH", content, end + 8, 3, 3)  # it claims three entries
    assert "lists at most 50" in look(tmp_path, bytes(content)).stopped


def test_entries_that_share_their_bytes(tmp_path: Path) -> None:
    content = bytearray(zipped(("a.fit", frame(1)), ("b.fit", frame(2))))
    second = content.rfind(b"PK\x01\x02")
    struct.pack_into("<L", content, second + 42, 0)  # b.fit begins where a.fit does
    report = look(tmp_path, bytes(content))
    assert told(report) == {"a.fit": "", "b.fit": "its bytes are another file's too"}


def test_a_tar_that_says_it_is_endless(tmp_path: Path) -> None:
    good, big = tarfile.TarInfo("good.fit"), tarfile.TarInfo("big.fit")
    good.size, big.size = len(frame(1)), 2**60
    content = good.tobuf() + frame(1) + bytes(-good.size % 512)
    content += big.tobuf(tarfile.GNU_FORMAT) + bytes(1024)
    report = look(tmp_path, content, "a.tar")
    assert told(report)["good.fit"] == ""
    assert "an archive holds at most" in report.stopped


def test_a_lie_about_the_size(tmp_path: Path) -> None:
    content = bytearray(zipped(("a.fit", frame(1)), ("b.fit", frame(2))))
    first = content.find(b"PK\x01\x02")
    struct.pack_into("<L", content, first + 24, 100)  # unpacked, it says
    report = look(tmp_path, bytes(content))
    assert "damaged inside the archive" in told(report)["a.fit"]
    assert told(report)["b.fit"] == ""


def test_encrypted_entries_and_odd_methods(tmp_path: Path) -> None:
    content = bytearray(zipped(("a.fit", frame(1)), ("b.fit", frame(2)), ("c.fit", frame(3))))
    first = content.find(b"PK\x01\x02")
    second = content.find(b"PK\x01\x02", first + 1)
    struct.pack_into("<H", content, first + 8, 1)
    struct.pack_into("<H", content, second + 10, 14)  # LZMA
    assert told(look(tmp_path, bytes(content))) == {
        "a.fit": "encrypted",
        "b.fit": "packed by a method that is not read (only stored and deflated are)",
        "c.fit": "",
    }


def test_zip64_is_read(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    packed = zipfile.ZipFile(buffer, "w")
    with packed, packed.open("a.fit", "w", force_zip64=True) as out:
        out.write(FRAME)
    assert told(look(tmp_path, buffer.getvalue())) == {"a.fit": ""}


def test_a_comment_that_hides_a_directory(tmp_path: Path) -> None:
    decoy = zipped(("evil.fit", frame(1)))
    content = zipped(("good.fit", frame(2)))
    end = content.rfind(b"PK\x05\x06")
    with_comment = bytearray(content + decoy)
    struct.pack_into("<H", with_comment, end + 20, len(decoy))
    report = look(tmp_path, bytes(with_comment))
    assert len(report.entries) <= 1


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.zip", b"", "not a ZIP archive: it has no directory at its end"),
        ("a.zip", FRAME, "not a ZIP archive: it has no directory at its end"),
        ("a.zip", zipped(("a.fit", FRAME))[:-10], "not a ZIP archive"),
        ("a.tar", b"\x01" * 10_000, "not a tar archive that can be read"),
        ("a.tgz", b"\x01" * 10_000, "not a tar archive that can be read"),
        ("a.tar", tarred(("a.fit", FRAME))[:2000], "damaged"),
    ],
)
def test_no_archive_at_all(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    report = look(tmp_path, content, name)
    reasons = [report.stopped, *(entry.reason for entry in report.entries)]
    assert any(reason in one for one in reasons), reasons
    assert all(entry.path is None for entry in report.entries)


def test_a_bomb_below_the_total_stops_at_the_ratio(tmp_path: Path) -> None:
    content = tarred(("good.fit", frame(1)), ("big.bin", bytes(2_500_000)), packed=True)
    report = look(tmp_path, content, "a.tgz")
    assert told(report)["good.fit"] == ""
    assert report.stopped == "an archive unpacks to at most 100 times its size"
