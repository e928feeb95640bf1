"""What the site before this one got wrong, each shown not to happen to the service.

Where a neighbour's test shows it already, it is not written twice:

== =============================================================================================
 1 tests/archive/test_sweep.py::test_days_of_backlog_cost_nothing
 2 tests/archive/test_leases.py::test_the_third_silence_is_called_failed
 3 tests/archive/test_leases.py::test_a_silent_worker_s_job_runs_again_and_the_worker_has_lost_it
 4 tests/archive/test_commit.py::test_killed_at_every_step_the_job_is_done_once
 5 tests/archive/test_delete_job.py::test_a_running_job_s_worker_stops_and_leaves_no_orphan
 6 here
 7 here
 8 here
 9 here, and tests/faults/test_network.py for a session that ends
10 tests/api/test_hub.py::test_a_page_from_elsewhere_changes_nothing,
   tests/api/test_limits.py::test_requests_are_counted_by_key,
   tests/api/test_app.py::test_the_list_of_operations_needs_nobody_else
11 tests/faults/test_hostile_uploads.py::test_a_target_is_text_and_never_a_path
12 here, and tests/work/test_execute.py::test_exposure_is_that_of_the_frames_used
13 here
14 tests/api/test_files.py::test_a_damaged_file_is_never_a_fits_file
15 here, and tests/api/test_jobs.py::test_every_state_and_its_reason
16 here
17 tests/house/test_files.py::test_no_file_holds_a_key
18 here, as far as the service selects; the map itself is not the service's
19 here, and tests/work/test_execute.py::test_a_full_disk_costs_no_try_and_loses_nothing
== =============================================================================================
"""

from __future__ import annotations

import io
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from crowdsky.archive.ledger_rows import FrameToStack
from crowdsky.archive.local_store import LocalStore
from crowdsky.errors import StoreError
from crowdsky.work.fetch import Fetcher
from crowdsky.work.ticket import Ticket
from tests.api.conftest import Running, sqlite_service, sqlite_settings
from tests.api.product_rows import make_stack, put
from tests.api.uploads_process import upload
from tests.faults.sending import observer, outcome_of, send_file, whole_service, zipped
from tests.frames.fits_files import card, long_card, sub_bytes

__all__ = ["sqlite_service", "sqlite_settings"]

pytestmark = [pytest.mark.enable_socket]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Running]:
    with whole_service(tmp_path_factory.mktemp("regressions"), sqlite_template) as running:
        yield running


def told(state: dict[str, object]) -> dict[str, tuple[str, str]]:
    """What came of each file of an upload."""
    items = state["items"]
    assert isinstance(items, list)
    return {item["name"]: (item["outcome"], item["reason"]) for item in items}


def labels(client: httpx.Client) -> list[tuple[str, int]]:
    """The blocks that Finalise would make, and how many frames each would have."""
    blocks = client.get("/api/v1/blocks/preview").json()["blocks"]
    return sorted((block["label"], block["n_frames"]) for block in blocks)


def test_6_frames_without_a_time_were_dropped_without_a_word(service: Running) -> None:
    """Beside frames that have one, each is refused by name, with the card that it lacks."""
    client = observer(service, "six")
    members = {
        "a.fit": sub_bytes(DATE_OBS="2025-03-27T01:20:32"),
        "b.fit": sub_bytes(DATE_OBS=None),
        "c.fit": sub_bytes(DATE_OBS="2025-03-27T01:20:43"),
        "d.fit": sub_bytes(DATE_OBS="  "),
    }
    state = send_file(client, zipped(members), "night.zip")
    outcomes = told(state)
    assert {name: outcome for name, (outcome, _) in outcomes.items()} == {
        "a.fit": "accepted", "b.fit": "refused", "c.fit": "accepted", "d.fit": "refused",
    }  # fmt: skip
    for name in ("b.fit", "d.fit"):
        assert "DATE-OBS is needed" in outcomes[name][1]
    # As single files they are told of in the list of uploads.
    assert outcome_of(upload(client, members["b.fit"], "b.fit"))[0] == "refused"
    (last, _) = client.get("/api/v1/uploads").json()["uploads"]
    assert (last["state"], "DATE-OBS is needed" in last["reason"]) == ("refused", True)
    assert client.get("/api/v1/books").json() == {
        "accepted": 2, "stacked": 0, "rejected": 0, "pending": 2,
    }  # fmt: skip
    assert client.post("/api/v1/finalise").json()["n_frames"] == 2


def test_7_copies_were_stacked_twice_and_equal_names_collided(
    service: Running,
) -> None:
    client = observer(service, "seven")
    one, other = (sub_bytes(TELESCOP=f"S50_{serial}") for serial in ("aaaa1111", "bbbb2222"))
    members = {
        "first/Light_0001.fit": one,
        "first/Light_0001 (copy).fit": one,
        "second/Light_0001.fit": other,
    }
    outcomes = told(send_file(client, zipped(members), "two telescopes.zip"))
    assert [outcome for outcome, _ in outcomes.values()] == ["accepted", "duplicate", "accepted"]
    assert outcomes["first/Light_0001 (copy).fit"][1] == "already here as first/Light_0001.fit"
    assert [n_frames for _, n_frames in labels(client)] == [1, 1]
    assert client.post("/api/v1/finalise").json()["n_frames"] == 2
    jobs = client.get("/api/v1/jobs").json()["jobs"]
    assert [job["n_frames"] for job in jobs] == [1, 1]


def test_8_filters_exposures_and_telescopes_were_mixed(
    service: Running,
) -> None:
    """Of one quarter hour and one place, and of two owners."""
    client, bob = observer(service, "eight"), observer(service, "eight's neighbour")
    kinds: list[dict[str, Any]] = [
        {},
        {"FILTER": "LP"},
        {"EXPTIME": 20.0, "EXPOSURE": 20.0},
        {"TELESCOP": "S50_other"},
        {"INSTRUME": "Seestar S30", "CREATOR": "ZWO Seestar S30", "TELESCOP": "S30_1d3fe189"},
        {"XBINNING": 2},
        {"GAIN": 120},
    ]
    for changed in kinds:
        for second in (10, 21):
            content = sub_bytes(**{"DATE_OBS": f"2025-03-27T01:20:{second}", **changed})
            for owner in (client, bob):
                assert outcome_of(upload(owner, content, "a.fit"))[0] == "accepted", changed
    assert client.post("/api/v1/finalise").json()["n_frames"] == 2 * len(kinds)
    jobs = client.get("/api/v1/jobs").json()["jobs"]
    assert [job["n_frames"] for job in jobs] == [2] * len(kinds)
    assert len({job["label"] for job in jobs}) == len(kinds)
    assert bob.get("/api/v1/books").json()["pending"] == 2 * len(kinds)
    assert bob.get("/api/v1/jobs").json()["jobs"] == []


def test_9_one_failed_file_disabled_finalise(
    service: Running,
) -> None:
    client = observer(service, "nine")
    assert outcome_of(upload(client, b"\xff\xd8\xff\xe0 no frame", "bad.fit"))[0] == "refused"
    # An upload that was begun and never ended is no obstacle either.
    answer = client.post("/api/v1/uploads", headers={"Upload-Length": "5000"})
    assert answer.status_code == 201
    folder = {
        f"MyWorks/M 94_sub/{word}/Light_1.fit": sub_bytes(DATE_OBS=f"2025-03-27T01:2{i}:32")
        for i, word in enumerate(("deep", "deeper/still", "deepest/of/all"))
    }
    state = send_file(client, zipped(folder | {"MyWorks/M 94_sub/bad.fit": b"x"}), "MyWorks.zip")
    assert sorted(outcome for outcome, _ in told(state).values()) == [
        "accepted", "accepted", "accepted", "refused",
    ]  # fmt: skip
    done = client.post("/api/v1/finalise").json()
    assert (done["n_frames"], done["n_rejected"]) == (3, 0)
    assert len(done["job_ids"]) >= 1


def test_12_359_9_and_0_1_gave_180(service: Running) -> None:
    client = observer(service, "twelve")
    for second, ra_deg in enumerate((359.9, 0.1)):
        content = sub_bytes(RA=ra_deg, DEC=0.0, DATE_OBS=f"2025-03-27T01:20:1{second}")
        assert outcome_of(upload(client, content, "a.fit"))[0] == "accepted"
    (block,) = client.get("/api/v1/blocks/preview").json()["blocks"]
    assert block["n_frames"] == 2
    # A quarter of a century of precession lies between the cards and ICRS.
    assert (block["ra_deg"] + 180.0) % 360.0 - 180.0 == pytest.approx(-0.32, abs=0.03)


def test_13_quotes_continue_and_d_exponents_broke_the_reader(service: Running) -> None:
    client = observer(service, "thirteen")
    story = "Barnard's star & O'Hara's, " * 3
    content = sub_bytes(
        long_card("OBJECT", story.strip()),
        card("GAIN", b"8.0D1"),
        OBJECT=None,
        RA=b"1.9304166D2",
        DEC=b"4.0970556d+01",
        EXPTIME=b"1.0D1",
        GAIN=None,
    )
    assert outcome_of(upload(client, content, "a.fit"))[0] == "accepted"
    (frame,) = client.get("/api/v1/frames").json()["frames"]
    assert frame["target"].startswith("Barnard's star & O'Hara's, Barnard's star")
    (block,) = client.get("/api/v1/blocks/preview").json()["blocks"]
    assert block["label"].endswith("_IRCUT_10s_g80")
    assert (block["ra_deg"], block["dec_deg"]) == pytest.approx((192.76, 41.11), abs=0.03)


def test_15_stacks_stopped_at_100_rows(sqlite_service: Running) -> None:
    made = [make_stack(sqlite_service.context, "ann").id for _ in range(101)]
    client = sqlite_service.client_for("ann")
    page = client.get("/api/v1/stacks").json()
    assert sorted(stack["id"] for stack in page["stacks"]) == made
    assert (page["total"], page["next_after"]) == (101, None)


def test_16_download_all_hid_when_everything_was_selected(sqlite_service: Running) -> None:
    """Nothing is selected, everything is meant: one archive at one address."""
    made = [make_stack(sqlite_service.context, "ann") for _ in range(101)]
    client = sqlite_service.client_for("ann")
    download = client.post("/api/v1/downloads", json={}).json()
    assert (download["n_stacks"], download["n_missing"]) == (101, 0)
    content = client.get(download["url"]).content
    assert len(content) == download["n_bytes"]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        stacks = [name for name in archive.namelist() if name.startswith("stacks/")]
        assert {archive.read(name) for name in stacks} == {stack.data for stack in made}


def test_18_the_map_selected_in_screen_space(sqlite_service: Running) -> None:
    """On the sphere: a rectangle across 0 h and a cone about a pole hold what lies in them."""
    here = sqlite_service.context
    west, east, pole, far = (
        make_stack(here, "ann", ra_deg=ra_deg, dec_deg=dec_deg).id
        for ra_deg, dec_deg in ((359.0, 0.0), (1.0, 0.0), (77.0, 89.5), (180.0, 0.0))
    )
    client = sqlite_service.client_for("ann")

    def found(query: str) -> set[int]:
        return {stack["id"] for stack in client.get(f"/api/v1/stacks?{query}").json()["stacks"]}

    assert found("ra_from=350&ra_to=10&dec_from=-5&dec_to=5") == {west, east}
    assert found("ra_from=10&ra_to=350&dec_from=-5&dec_to=5") == {far}
    assert found("ra=257&dec=89.8&radius=1") == {pole}
    density = client.get("/api/v1/sky/density?order=3").json()
    assert sum(density["counts"]) == 4


class Meeting(LocalStore):
    """A store far away, which gives no file before several are asked for."""

    def __init__(self, folder: Path, n: int) -> None:
        super().__init__(folder)
        self._meet = threading.Barrier(n, timeout=10.0)

    def local_path(self, sha256: str) -> Path | None:
        return None

    def fetch(self, sha256: str, path: Path) -> None:
        try:
            self._meet.wait()
        except threading.BrokenBarrierError as error:
            raise StoreError("files are asked for one after another") from error
        super().fetch(sha256, path)


def test_19_raws_were_fetched_one_after_another(sqlite_service: Running, tmp_path: Path) -> None:
    here = sqlite_service.context
    frames = []
    for number in range(8):
        content = sub_bytes(OBJECT=f"raw {number}")
        sha256 = put(here, content, "raw")
        frames.append(FrameToStack(number + 1, sha256, len(content), f"{number}.fit", {}))
    fetcher = Fetcher(Meeting(tmp_path / "store", 4), 4)
    try:
        folder = tmp_path / "fetched"
        folder.mkdir()
        fetched = fetcher.fetch(frames, folder, Ticket())
    finally:
        fetcher.close()
    assert fetched.lost == {}
    assert [fetched.paths[i + 1].read_bytes() for i in range(8)] == [
        sub_bytes(OBJECT=f"raw {i}") for i in range(8)
    ]
