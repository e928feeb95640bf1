"""What the Upload page shows: the queue of the browser's upload agent, in numbers and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import floor
from typing import Any

__all__ = ["STATES", "UploadState"]

# State of a file -> how it is called in a count; the order is that of the sentence.
STATES = {
    "queued": "waiting",
    "hashing": "being read",
    "uploading": "under way",
    "received": "being checked",
    "accepted": "accepted",
    "duplicate": "already here",
    "refused": "refused",
    "skipped": "left out",
    "lost": "to be chosen again",
}


_NOTHING = "Nothing to upload yet."
_NO_ANSWER = "The server does not answer; it goes on by itself."


@dataclass(frozen=True, slots=True)
class UploadState:
    """A moment of the queue.

    Attributes
    ----------
    state : str
        ``empty``, ``scanning``, ``uploading``, ``paused``, ``waiting``, ``signed-out``,
        ``needs-files`` or ``done``.
    reason : str
        Why it waits.
    files, sent_files : int
    bytes, sent_bytes : int
    counts : mapping of str to int
        Files by state, of `STATES`.
    rate_bytes_per_s : float
    seconds_left : float or None
    finalisable : bool
        Whether stacking jobs can be created: nothing is left to send, and something was accepted. A
        refused file is no hindrance.
    safe, total : int
        Files that need not be chosen again, and all of them, where the state is ``needs-files``.
    receipt : mapping or None
        What creating the jobs came to, the last time.
    loading : bool
        Whether the queue of earlier is still being looked for.
    """

    state: str = "empty"
    reason: str = ""
    files: int = 0
    sent_files: int = 0
    bytes: int = 0
    sent_bytes: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    rate_bytes_per_s: float = 0.0
    seconds_left: float | None = None
    finalisable: bool = False
    safe: int = 0
    total: int = 0
    receipt: Mapping[str, Any] | None = None
    loading: bool = False

    @classmethod
    def of(cls, snapshot: Mapping[str, Any]) -> UploadState:
        """Of a snapshot as the agent gives it; what it lacks is as in an empty queue."""
        question = snapshot.get("question") or {}
        files, sent = int(snapshot.get("files") or 0), int(snapshot.get("sentFiles") or 0)
        left = snapshot.get("secondsLeft")
        counts = snapshot.get("counts") or {}
        return cls(
            state=str(snapshot.get("state") or "empty"),
            reason=str(snapshot.get("reason") or ""),
            files=files,
            sent_files=sent,
            bytes=int(snapshot.get("bytes") or 0),
            sent_bytes=int(snapshot.get("sentBytes") or 0),
            counts={name: int(counts.get(name) or 0) for name in STATES},
            rate_bytes_per_s=float(snapshot.get("rateBytesPerS") or 0.0),
            seconds_left=None if left is None else float(left),
            finalisable=bool(snapshot.get("finalisable")),
            safe=int(question.get("safe", sent)),
            total=int(question.get("total", files)),
            receipt=snapshot.get("receipt"),
            loading=bool(snapshot.get("loading")),
        )

    @property
    def percent(self) -> int:
        """Of the upload, rounded down: 100 is said when all is done and not before."""
        if self.state == "done":
            return 100
        share = self.sent_bytes / self.bytes if self.bytes else 0.0
        return max(0, min(99, int(100.0 * share)))

    @property
    def counts_in_words(self) -> str:
        """Counts that are not zero: "4,105 accepted, 312 already here, 3 refused"."""
        return ", ".join(
            f"{self.counts[state]:,} {name}"
            for state, name in STATES.items()
            if self.counts.get(state)
        )

    @property
    def headline(self) -> str:
        """One line on where the upload stands, and what comes next."""
        files = _many(self.files, "file")
        so = f"{self.sent_files:,} of {files}"
        lines = {
            "scanning": f"Reading what you chose: {files} so far.",
            "uploading": self._under_way(so),
            "paused": f"Paused after {so}. Nothing is lost.",
            "waiting": f"Waiting after {so}. {_sentence(self.reason or _NO_ANSWER)}",
            "signed-out": f"You are signed out. Log in, and the upload goes on after {so}.",
            "needs-files": f"Choose the folder again: {self.safe:,} of {self.total:,} are safe.",
            "done": self._ended(files),
        }
        return lines.get(self.state) or self._empty()

    def _empty(self) -> str:
        if self.loading:
            return "Looking for what was being uploaded."
        left = self.counts.get("skipped", 0)
        return f"Nothing to upload: {_many(left, 'file')} left out." if left else _NOTHING

    def _under_way(self, so: str) -> str:
        parts = [so, f"{_bytes(self.sent_bytes)} of {_bytes(self.bytes)}"]
        if self.rate_bytes_per_s > 0.0:
            parts.append(f"{_bytes(self.rate_bytes_per_s)}/s")
        if self.seconds_left:
            parts.append(f"{_seconds(self.seconds_left)} left")
        return f"{', '.join(parts)}."

    def _ended(self, files: str) -> str:
        told = self.counts_in_words
        done = f"{files} done{f': {told}' if told else ''}."
        if self.finalisable:
            return f"{done} Now create the stacking jobs."
        if self.receipt:
            return f"{done} The stacking jobs are created."
        return f"{done} There is nothing to stack: the list says why."


def _many(number: int, one: str) -> str:
    return f"{number:,} {one}{'' if number == 1 else 's'}"


def _sentence(text: str) -> str:
    end = "" if text.endswith((".", "!", "?")) else "."
    return f"{text[0].upper()}{text[1:]}{end}"


def _bytes(number: float) -> str:
    units = ("bytes", "kB", "MB", "GB", "TB")
    place = 0
    while place < len(units) - 1 and _nearest(10.0 * number) >= 10000:
        number, place = number / 1000.0, place + 1
    if place == 0:
        return f"{_nearest(number):,} bytes"
    return f"{_nearest(10.0 * number) / 10.0:.1f} {units[place]}"


def _seconds(number: float) -> str:
    if number < 60.0:
        return _many(max(1, _nearest(number)), "second")
    if number < 5400.0:
        return _many(_nearest(number / 60.0), "minute")
    return f"{_nearest(number / 1800.0) / 2.0:g} hours"


def _nearest(number: float) -> int:
    # Halves go up, as in the browser; round() would take them to the even neighbour.
    return floor(number + 0.5)
