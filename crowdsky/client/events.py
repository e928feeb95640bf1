"""Changes of jobs and books as the service tells them: server-sent events (WHATWG HTML, 9.2).

A connection that breaks is opened again from the last event that came, so nothing is missed but the
deletion of a job: whoever must know of that compares the counts of `JobPage` after ``open``.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from crowdsky.client.refusals import error_of, retry_after_s, worth_waiting
from crowdsky.client.transport import API, Transport
from crowdsky.errors import CrowdSkyError, ServiceUnreachable

__all__ = ["Event", "events"]

# The service says something every ten seconds.
SILENT_S = 35.0
FIRST_S = 0.3
LONGEST_S = 10.0


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was told.

    Attributes
    ----------
    kind : str
        ``job``, ``books`` or ``reset``, as the service has them; ``open`` when a connection stands,
        ``pulse`` when nothing has happened for a while.
    number : str
        Where to go on after it; empty if it has none.
    data : dict
    """

    kind: str
    number: str = ""
    data: dict[str, Any] = field(default_factory=dict)


def events(
    transport: Transport,
    since: str = "",
    *,
    stop: threading.Event | None = None,
    on_lost: Callable[[CrowdSkyError], None] | None = None,
) -> Iterator[Event]:
    """Everything that happens, until `stop` is set.

    Parameters
    ----------
    transport : Transport
    since : str
        ``event_id`` of a list of jobs; from now on when empty.
    stop : threading.Event, optional
        Looked at whenever something comes, so at the latest with the next pulse.
    on_lost : callable, optional
        Given the reason each time that the service does not answer, or is busy. An answer that
        ends is not told: it is asked for again at once.

    Yields
    ------
    Event

    Raises
    ------
    CrowdSkyError
        What another try would not change, as `NotAuthenticated`.
    """
    stop = stop or threading.Event()
    number, pause_s = since, FIRST_S
    while not stop.is_set():
        told_s: float | None = None
        try:
            for event in _one_answer(transport, number, stop):
                number, pause_s = event.number or number, FIRST_S
                yield event
            if stop.wait(FIRST_S):
                return
            continue
        except _Busy as busy:
            told_s, error = busy.told_s, busy.error
        except ServiceUnreachable as lost:
            error = lost
        if on_lost is not None:
            on_lost(error)
        stop.wait(max(pause_s, told_s or 0.0))
        pause_s = min(2.0 * pause_s, LONGEST_S)


class _Busy(Exception):
    """The service answers, but not now."""

    def __init__(self, error: CrowdSkyError, told_s: float | None) -> None:
        super().__init__(str(error))
        self.error, self.told_s = error, told_s


def _one_answer(transport: Transport, number: str, stop: threading.Event) -> Iterator[Event]:
    headers = {"Accept": "text/event-stream"}
    if number:
        headers["Last-Event-ID"] = number
    timeout = httpx.Timeout(10.0, read=SILENT_S)
    with transport.stream(f"{API}/events", headers, timeout=timeout) as answer:
        if not answer.is_success:
            answer.read()
            if worth_waiting(answer):
                raise _Busy(error_of(answer), retry_after_s(answer))
            raise error_of(answer)
        yield Event("open")
        fields: dict[str, str] = {}
        for line in answer.iter_lines():
            if stop.is_set():
                return
            if line.startswith(":"):
                yield Event("pulse")
            elif line:
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")
            elif fields:
                if "data" in fields:
                    yield _event(fields)
                fields = {}


def _event(fields: dict[str, str]) -> Event:
    try:
        data = json.loads(fields["data"])
    except ValueError as error:
        raise ServiceUnreachable(f"no service answers there ({error})") from error
    kind = fields.get("event", "message")
    return Event(kind, fields.get("id", ""), data if isinstance(data, dict) else {})
