"""Files made to do harm, sent to the whole service: what is refused, why, and what goes on."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crowdsky.archive.books import check_books
from tests.api.conftest import Running
from tests.api.uploads_process import empty, upload
from tests.faults.sending import observer, outcome_of, send_file, tarred, whole_service, zipped
from tests.frames.fits_files import header_bytes, long_card, sub_bytes

pytestmark = [pytest.mark.enable_socket]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Running]:
    with whole_service(tmp_path_factory.mktemp("hostile"), sqlite_template) as running:
        yield running


def nothing_left(service: Running) -> None:
    """Nothing lies about, the books balance, and the service answers."""
    assert empty(Path(service.context.settings.scratch_dir))
    assert check_books(service.context.archive) == []
    assert service.client().get("/api/v1/health").status_code == 200


# --- 2, 4, 5 and 6: one file ----------------------------------------------------------------------

TABLE = {"SIMPLE": True, "BITPIX": 8, "NAXIS": 0, "EXTEND": True}
PACKED = {
    "XTENSION": "BINTABLE", "BITPIX": 8, "NAXIS": 2, "NAXIS1": 8, "NAXIS2": 1, "PCOUNT": 64,
    "GCOUNT": 1, "TFIELDS": 1, "TTYPE1": "COMPRESSED_DATA", "TFORM1": "1PB(64)", "ZIMAGE": True,
    "ZBITPIX": 16, "ZNAXIS": 2, "ZNAXIS1": 32, "ZNAXIS2": 48,
}  # fmt: skip
IMAGE = sub_bytes()
UNPACK = "a compressed FITS image is not read; unpack it first (funpack)"
REFUSED: dict[str, tuple[bytes, str]] = {
    # The image of 3,072 bytes ends 2,688 bytes before its second block does.
    "cut by one byte.fit": (IMAGE[: -2688 - 1], "truncated: its header promises"),
    "cut by half.fit": (IMAGE[: len(IMAGE) // 2], "truncated: its header promises"),
    "cut by a block.fit": (IMAGE[:-2880], "truncated: its header promises"),
    "product.fit": (sub_bytes(NAXIS1=2**30, NAXIS2=2**30), "an image axis is"),
    "late END.fit": (sub_bytes(end=b" END".ljust(80)), "END"),
    "chain.fit": (sub_bytes(long_card("STORY", "x" * 600_000)), "no END card within"),
    "tile.fits.fz": (
        header_bytes(TABLE)
        + header_bytes({**PACKED, "ZCMPTYPE": "RICE_1", "ZTILE1": 2**31 - 1, "ZTILE2": 2**31 - 1})
        + bytes(2880),
        UNPACK,
    ),
    "negative tile.fits.fz": (
        header_bytes(TABLE)
        + header_bytes({**PACKED, "ZCMPTYPE": "GZIP_1", "ZTILE1": -1, "ZTILE2": 0})
        + bytes(2880),
        UNPACK,
    ),
    # The stream's own nx and ny, large enough for their product to overflow.
    "hcompress.fits.fz": (
        header_bytes(TABLE)
        + header_bytes({**PACKED, "ZCMPTYPE": "HCOMPRESS_1", "ZTILE1": 32, "ZTILE2": 48})
        + (b"\xdd\x99" + (2**31 - 1).to_bytes(4, "big") * 2 + bytes(54)).ljust(2880, b"\0"),
        UNPACK,
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_lies_is_refused_and_harms_nothing(service: Running, name: str) -> None:
    content, reason = REFUSED[name]
    client = observer(service, "liar")
    before = client.get("/api/v1/books").json()
    outcome, told = outcome_of(upload(client, content, name))
    assert (outcome, reason in told) == ("refused", True), told
    assert client.get("/api/v1/books").json() == before
    nothing_left(service)
    good = sub_bytes(OBJECT=name)
    assert outcome_of(upload(client, good, "good.fit"))[0] == "accepted"


# --- 7 and 8: archives ----------------------------------------------------------------------------


def special(name: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


def test_of_a_hostile_tar_the_good_frames_are_taken(service: Running) -> None:
    leaves, root = "a path that leaves the archive", "an absolute path in an archive"
    content = tarred(
        {
            "night/one.fit": sub_bytes(OBJECT="tar 1"),
            "../../etc/fled-x.fit": sub_bytes(OBJECT="tar 2"),
            "/etc/y.fit": sub_bytes(OBJECT="tar 3"),
            "..\\..\\fled-z.fit": sub_bytes(OBJECT="tar 4"),
            "other/one.fit": sub_bytes(OBJECT="tar 5"),
            "again/one.fit": sub_bytes(OBJECT="tar 1"),
        },
        special("link.fit", tarfile.SYMTYPE),
        special("hard.fit", tarfile.LNKTYPE),
        special("null.fit", tarfile.CHRTYPE),
    )
    client = observer(service, "tar")
    state = send_file(client, content, "night.tar")
    assert state["state"] == "accepted"
    told = {item["name"]: (item["outcome"], item["reason"]) for item in state["items"]}
    assert told["night/one.fit"] == ("accepted", "")
    assert told["other/one.fit"][0] == "accepted"  # the same name in another folder
    assert told["again/one.fit"][0] == "duplicate"
    assert told["../../etc/fled-x.fit"] == told["..\\..\\fled-z.fit"] == ("refused", leaves)
    assert told["/etc/y.fit"] == ("refused", root)
    for name in ("link.fit", "hard.fit", "null.fit"):
        assert told[name][0] == "refused"
    assert client.get("/api/v1/books").json()["pending"] == 2
    home = Path(service.context.settings.home)
    fled = {path.name for path in home.parent.rglob("fled-*.fit")}
    assert fled == set()
    nothing_left(service)


def test_of_a_zip_bomb_what_came_before_it_is_kept(service: Running) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("good.fit", sub_bytes(OBJECT="before the bomb"))
        archive.writestr("inner.zip", zipped({"a.fit": bytes(1000)}))
        archive.writestr("bomb.fit", sub_bytes() + bytes(60_000_000))
    client = observer(service, "bomb")
    state = send_file(client, buffer.getvalue(), "night.zip")
    told = {item["name"]: (item["outcome"], item["reason"]) for item in state["items"]}
    assert state["state"] == "accepted"
    assert told.pop("good.fit") == ("accepted", "")
    assert told.pop("inner.zip") == ("refused", "an archive inside an archive is not unpacked")
    rule = ("refused", "an archive unpacks to at most 100 times its size")
    assert told == {"bomb.fit": rule, "the rest of the archive": rule}
    assert client.get("/api/v1/books").json()["accepted"] == 1
    nothing_left(service)


# --- 11: values of header cards -------------------------------------------------------------------

TAKEN: dict[str, dict[str, Any]] = {
    "RA NaN": {"RA": b"NaN"},
    "RA Inf": {"RA": b"Inf"},
    "RA 1D2": {"RA": b"1D2"},
    "RA in hours": {"RA": "12:50:53"},
    "RA -10": {"RA": -10},
    "RA 370": {"RA": 370},
    "no RA": {"RA": None},
    "DEC 91": {"DEC": 91},
    "Z": {"DATE_OBS": "2025-03-27T01:20:32Z"},
    "no Z": {"DATE_OBS": "2025-03-27T01:20:32"},
    "local time": {"DATE_OBS": "2025-03-27T03:20:32+02:00"},
    "24 h": {"DATE_OBS": "2025-12-31T24:00:00"},
    "leap second": {"DATE_OBS": "2025-12-31T23:59:60"},
}
START_OF = {
    "Z": "2025-03-27T01:20:32Z", "no Z": "2025-03-27T01:20:32Z",
    "local time": "2025-03-27T01:20:32Z", "24 h": "2026-01-01T00:00:00Z",
    "leap second": "2026-01-01T00:00:00Z",
}  # fmt: skip
BLIND = {"RA NaN", "RA Inf", "no RA", "DEC 91"}
NOT_TAKEN: dict[str, tuple[dict[str, Any], str]] = {
    "EXPTIME 0": ({"EXPTIME": 0}, "EXPTIME"),
    "EXPTIME -1": ({"EXPTIME": -1}, "EXPTIME"),
    "EXPTIME 1e9": ({"EXPTIME": 1e9}, "EXPTIME"),
    "no time": ({"DATE_OBS": None}, "DATE-OBS is needed"),
    "1858": ({"DATE_OBS": "1858-11-17T00:00:00"}, "clock of the telescope"),
    "2099": ({"DATE_OBS": "2099-01-01T00:00:00"}, "clock of the telescope"),
}


def seconds(text: str) -> str:
    """A time to the second."""
    return text[:19] + "Z"


@pytest.mark.parametrize("case", TAKEN)
def test_an_odd_value_has_a_rule(service: Running, case: str) -> None:
    """The frame is taken, dated rightly, and goes into a block with a name."""
    client = observer(service, f"odd {case}")
    assert outcome_of(upload(client, sub_bytes(**TAKEN[case]), "odd.fit"))[0] == "accepted"
    (frame,) = client.get("/api/v1/frames").json()["frames"]
    if case in START_OF:
        assert seconds(frame["start_utc"]) == START_OF[case]
    preview = client.get("/api/v1/blocks/preview").json()
    (block,) = preview["blocks"]
    assert (preview["n_frames"], block["n_frames"]) == (1, 1)
    assert "unknown" not in str(preview)
    assert "HP000000" not in str(preview)
    # Without a position the target's name stands where the position would, and RA 0 nowhere.
    assert ("M_94" in block["label"]) == (case in BLIND)
    assert client.post("/api/v1/finalise").json()["n_frames"] == 1
    nothing_left(service)


@pytest.mark.parametrize("case", NOT_TAKEN)
def test_an_impossible_value_is_refused_with_its_card(service: Running, case: str) -> None:
    changed, rule = NOT_TAKEN[case]
    client = observer(service, "impossible")
    outcome, reason = outcome_of(upload(client, sub_bytes(**changed), "impossible.fit"))
    assert (outcome, rule in reason) == ("refused", True), reason
    assert client.get("/api/v1/books").json()["accepted"] == 0
    nothing_left(service)


# --- 10: the name of a target ---------------------------------------------------------------------

OBJECTS: dict[str, tuple[bytes, ...] | str] = {
    "script": "<script>alert(1)</script>",
    "sql": "'; DROP TABLE frames; --",
    "dots": "..",
    "blank": " " * 60,
    "formula": "=cmd()",
    "long": (long_card("OBJECT", "M" * 10_000, 60),),
}


@pytest.mark.parametrize("case", OBJECTS)
def test_a_target_is_text_and_never_a_path(service: Running, case: str) -> None:
    """Shown as it is in JSON that no browser takes for a page; in names only safe letters."""
    client = observer(service, f"object {case}")
    sent = OBJECTS[case]
    # Without a position the target is part of the block's label.
    content = (
        sub_bytes(OBJECT=sent, RA=None)
        if isinstance(sent, str)
        else sub_bytes(*sent, OBJECT=None, RA=None)
    )
    assert outcome_of(upload(client, content, "target.fit"))[0] == "accepted"
    (job_id,) = client.post("/api/v1/finalise").json()["job_ids"]
    answer = client.get(f"/api/v1/jobs/{job_id}")
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["x-content-type-options"] == "nosniff"
    job = answer.json()
    assert not set(job["label"]) & set("<>/\\'\"=; "), job["label"]
    assert ".." not in job["label"]
    assert len(job["label"]) < 120
    assert len(job["target"]) < 200
    if isinstance(sent, str):
        assert job["target"] == sent.strip()
    nothing_left(service)


# --- 12: poles, the edge of a day, and 0 h --------------------------------------------------------


@pytest.mark.parametrize("dec_deg", [90.0, -90.0])
def test_a_pole_is_one_block(service: Running, dec_deg: float) -> None:
    client = observer(service, f"pole {dec_deg}")
    for number, ra_deg in enumerate((0.0, 120.0, 240.0)):
        time = f"2025-03-27T01:20:{10 + number}"
        content = sub_bytes(RA=ra_deg, DEC=dec_deg, DATE_OBS=time)
        assert outcome_of(upload(client, content, "pole.fit"))[0] == "accepted"
    (block,) = client.get("/api/v1/blocks/preview").json()["blocks"]
    assert block["n_frames"] == 3


def test_midnight_and_0_h(service: Running) -> None:
    client = observer(service, "midnight")
    for ra_deg, time in (
        (359.95, "2025-03-27T23:59:49.9"),
        (0.05, "2025-03-27T23:59:59.9"),
        (0.05, "2025-03-28T00:00:00.0"),
    ):
        content = sub_bytes(RA=ra_deg, DEC=-30.0, DATE_OBS=time)
        assert outcome_of(upload(client, content, "edge.fit"))[0] == "accepted"
    preview = client.get("/api/v1/blocks/preview").json()
    assert sorted((block["label"][:11], block["n_frames"]) for block in preview["blocks"]) == [
        ("20250327.95", 2),
        ("20250328.00", 1),
    ]
    for block in preview["blocks"]:
        ra_deg = block["ra_deg"]
        assert min(ra_deg, 360.0 - ra_deg) < 0.5
