"""What the client makes of what the service tells: errors, tables, records, patience."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Any

import httpx
import numpy as np
import pytest
from astropy import units as u
from astropy.time import Time

from crowdsky import errors
from crowdsky.client.facts import Books, Job
from crowdsky.client.patience import Patience
from crowdsky.client.refusals import error_of, retry_after_s, worth_waiting
from crowdsky.client.sky_query import query_params
from crowdsky.client.tables import stack_table
from crowdsky.client.transport import Transport
from crowdsky.errors import CrowdSkyError, ServiceUnreachable, SettingsError


@pytest.mark.parametrize(
    ("status", "table", "kind", "text"),
    [
        (404, {"error": "NotFound", "message": "no such job"}, errors.NotFound, "no such job"),
        (409, {"error": "Conflict", "message": "it runs"}, errors.Conflict, "it runs"),
        (507, {"error": "LimitExceeded", "message": "quota", "limit": 5}, errors.LimitExceeded,
         "quota"),
        (401, {}, errors.NotAuthenticated, "the service answered 401 Unauthorized"),
        (403, {}, errors.NotPermitted, "the service answered 403 Forbidden"),
        (413, {"error": "no such kind", "message": "big"}, errors.LimitExceeded, "big"),
        (418, {}, errors.ServiceError, "the service answered 418 I'm a teapot"),
        # A name of this package that is no error must not become one.
        (404, {"error": "annotations", "message": "x"}, errors.NotFound, "x"),
        (422, {"detail": [{"loc": ["query", "ra"], "msg": "not a number"}]}, errors.ServiceError,
         "query.ra: not a number"),
    ],
)  # fmt: skip
def test_refusals_become_the_errors_they_are(
    status: int, table: dict[str, Any], kind: type[CrowdSkyError], text: str
) -> None:
    error = error_of(httpx.Response(status, json=table))
    assert type(error) is kind
    assert str(error) == text
    assert error.numbers["status"] == status
    assert error.numbers.get("limit") == table.get("limit")


def test_a_refusal_without_json_is_told_by_its_status() -> None:
    error = error_of(httpx.Response(502, text="<html>Bad gateway</html>"))
    assert isinstance(error, ServiceUnreachable)
    assert str(error) == "the service answered 502 Bad Gateway"


def test_names_of_hostile_answers_are_no_attributes_of_errors() -> None:
    error = error_of(httpx.Response(404, json={"message": "m", "rule": "r", "a b": 1, "file": "f"}))
    assert (error.rule, error.file) == ("m", None)


@pytest.mark.parametrize(
    ("status", "kind", "waits"),
    [
        (503, None, True), (502, None, True), (429, "LimitExceeded", True), (507, None, True),
        (507, "StoreFull", True), (507, "LimitExceeded", False), (502, "ObjectRotten", False),
        (500, None, False), (404, None, False),
    ],
)  # fmt: skip
def test_what_is_worth_waiting_for(status: int, kind: str | None, waits: bool) -> None:
    table = {} if kind is None else {"error": kind, "message": "m"}
    assert worth_waiting(httpx.Response(status, json=table)) is waits


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("3", 3.0), ("0", 0.0), ("-1", None), ("inf", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None)],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    assert retry_after_s(httpx.Response(429, headers={"Retry-After": text})) == seconds


def test_patience_ends_and_progress_renews_it() -> None:
    error = ServiceUnreachable("no answer")
    patience = Patience(0.5)
    patience.spend(error)  # 0.2 s
    with pytest.raises(ServiceUnreachable):
        patience.spend(error)  # 0.4 s more are too many
    patience.progress()
    patience.spend(error)


def test_patience_with_a_service_that_says_when_is_longer() -> None:
    patience = Patience(0.05)
    patience.spend(ServiceUnreachable("busy"), 0.3)
    with pytest.raises(ServiceUnreachable):
        patience.spend(ServiceUnreachable("busy"), 30.0)


def test_waiting_is_said_and_stops_when_told() -> None:
    said: list[tuple[str, float]] = []
    stop = threading.Event()
    patience = Patience(60.0, stop=stop, on_wait=lambda *words: said.append(words))
    threading.Timer(0.1, stop.set).start()
    before = time.monotonic()
    with pytest.raises(ServiceUnreachable):
        patience.spend(ServiceUnreachable("full"), 30.0)
    assert time.monotonic() - before < 20.0
    assert said == [("full", 30.0)]


def stack_row(**changes: Any) -> dict[str, Any]:
    row = {
        "id": 3, "label": "20250326.84_M94", "name": "20250326.84_+1", "target": "M 94",
        "telescope": "Seestar S50", "filter": "IRCUT", "exposure_s": 10.0,
        "exposure_total_s": 50.0, "n_frames": 6, "n_used": 5, "n_rejected": 1,
        "start_utc": "2025-03-26T21:00:00.500000Z", "end_utc": "2025-03-26T21:02:00Z",
        "ra_deg": 192.7, "dec_deg": 41.1, "solved": True, "scale_arcsec_per_px": 2.39,
        "rotation_deg": 3.0, "corners": [[192, 41], [193, 41], [193, 42], [192, 42]],
        "fwhm_px": 2.5, "n_stars": 300, "zero_point_mag": 18.0, "sky_adu": 900.0,
        "n_bytes": 1000, "sha256": "ab", "observer": "ada", "mine": True,
        "licence": "CC-BY-4.0", "credit": "Ada", "public_utc": "2025-03-26T21:02:00Z",
        "created_utc": "2025-03-27T00:00:00Z", "of a later version": 1,
    }  # fmt: skip
    return row | changes


def test_stacks_are_a_table_with_units_and_times() -> None:
    lacking = dict.fromkeys(
        ("ra_deg", "dec_deg", "corners", "fwhm_px", "zero_point_mag", "public_utc", "credit")
    )
    table = stack_table([stack_row(), stack_row(id=4, solved=False, **lacking)], {"query": "q"})
    assert table.meta["query"] == "q"
    assert list(table["id"]) == [3, 4]
    assert table["ra_deg"].unit == u.deg
    assert table["exposure_s"].unit == u.s
    assert table["scale_arcsec_per_px"].unit == u.arcsec / u.pix
    assert table["corners"].shape == (2, 4, 2)
    assert isinstance(table["start_utc"], Time)
    assert table["start_utc"][0].isot == "2025-03-26T21:00:00.500"
    assert table["start_utc"].scale == "utc"
    assert np.isnan(table["ra_deg"][1])
    assert np.isnan(table["corners"][1]).all()
    assert list(table["public_utc"].mask) == [False, True]
    assert list(table["credit"]) == ["Ada", ""]
    assert list(table["solved"]) == [True, False]


def test_no_stacks_are_a_table_too() -> None:
    table = stack_table([], {})
    assert len(table) == 0
    assert table["ra_deg"].unit == u.deg
    assert len(table[table["n_used"] > 3]) == 0


def test_records_skip_what_they_do_not_know() -> None:
    job = Job.of({"id": 3, "state": "failed", "news": 1, "created_utc": "2025-03-27T00:00:00Z"})
    assert (job.id, job.ended, job.stack_id) == (3, True, None)
    assert job.created_utc == datetime(2025, 3, 27, tzinfo=UTC)
    assert not Job.of({"id": 3, "state": "running"}).ended
    assert Books.of({"accepted": 6, "stacked": 3, "rejected": 2, "pending": 1}).balances
    assert not Books.of({"accepted": 6, "stacked": 3, "rejected": 2, "pending": 0}).balances


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({}, {}),
        ({"ra": 370.0, "dec": 41.0, "radius": 1.0}, {"ra": 10.0, "dec": 41.0, "radius": 1.0}),
        ({"ra": 0.5, "dec": 0.0, "size": 2.0},
         {"ra_from": 359.5, "ra_to": 1.5, "dec_from": -1.0, "dec_to": 1.0}),
        ({"ra": 10.0, "dec": 60.0, "size": 2.0},
         {"ra_from": 8.0, "ra_to": 12.0, "dec_from": 59.0, "dec_to": 61.0}),
        ({"ra": 10.0, "dec": 89.5, "size": 2.0},
         {"ra_from": 0.0, "ra_to": 360.0, "dec_from": 88.5, "dec_to": 90.0}),
        ({"ra_from": 350.0, "ra_to": 10.0, "dec_from": -5.0, "dec_to": 5.0},
         {"ra_from": 350.0, "ra_to": 10.0, "dec_from": -5.0, "dec_to": 5.0}),
        ({"from_utc": "2025-03-26T21:00:00+02:00", "to_utc": datetime(2025, 3, 27)},  # noqa: DTZ001
         {"from": "2025-03-26T19:00:00Z", "to": "2025-03-27T00:00:00Z"}),
        ({"target": "M 94", "filter": "LP", "telescope": "S50"},
         {"target": "M 94", "filter": "LP", "telescope": "S50"}),
    ],
)  # fmt: skip
def test_queries(asked: dict[str, Any], sent: dict[str, Any]) -> None:
    assert query_params(**asked) == {"scope": "all", **sent}


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        ({"ra": 1.0}, "a region is ra and dec with either size or radius"),
        ({"ra": 1.0, "dec": 1.0}, "a region is ra and dec with either size or radius"),
        ({"ra": 1.0, "dec": 1.0, "size": 1.0, "radius": 1.0},
         "a region is ra and dec with either size or radius"),
        ({"ra": 1.0, "dec": 91.0, "size": 1.0}, "91.0: dec must be from -90 to 90"),
        ({"ra": 1.0, "dec": 1.0, "size": 0.0}, "size and radius must be more than 0"),
        ({"ra": float("nan"), "dec": 1.0, "size": 1.0}, "finite numbers"),
        ({"ra_from": 1.0}, "a rectangle is ra_from, ra_to, dec_from and dec_to"),
        ({"from_utc": "yesterday"}, "yesterday: a time must be ISO 8601"),
        ({"scope": "others"}, "others: scope must be one of mine, public, all"),
    ],
)  # fmt: skip
def test_queries_that_make_no_sense(asked: dict[str, Any], rule: str) -> None:
    with pytest.raises(SettingsError, match=rule):
        query_params(**asked)


@pytest.mark.parametrize("server", ["", "sky.example.org", "ftp://sky.example.org"])
def test_an_address_is_needed(server: str) -> None:
    with pytest.raises(SettingsError, match="no address of a service: set CROWDSKY_SERVER"):
        Transport(server, "key")


def test_the_key_goes_to_its_own_host_only() -> None:
    transport = Transport("https://sky.example.org/services/sky", "key")
    own = "https://sky.example.org/services/sky/api/v1/uploads/a"
    assert transport.url("/api/v1/uploads/a") == own
    # A service that does not know by which name it is reached.
    assert transport.url("http://10.0.0.5:8642/api/v1/uploads/a") == own
    assert transport.url("https://evil.example.com/api/v1/uploads/a") == own
    # A service that does not know that it is reached by https does not have the key sent without.
    assert transport.url("http://sky.example.org/services/sky/api/v1/uploads/a") == own
    transport.close()
