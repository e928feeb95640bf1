"""What came of a push."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crowdsky.client.facts import Item
from crowdsky.frames.find import Skipped

__all__ = ["PushReport", "PushedFile"]

GOOD = ("accepted", "duplicate", "there")


@dataclass(frozen=True, slots=True)
class PushedFile:
    """One file.

    Attributes
    ----------
    file : Path
    outcome : str
        ``accepted``; ``duplicate`` (sent, and here already); ``there`` (known, so not sent);
        ``received`` (sent, and still being looked at); ``refused`` with the service's reason;
        ``failed``, which another push may mend.
    reason : str
    items : tuple of Item
        What came of the files of an archive.
    """

    file: Path
    outcome: str
    reason: str = ""
    items: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True)
class PushReport:
    """What came of every file.

    Attributes
    ----------
    files : tuple of PushedFile
        In the order of their paths.
    skipped : tuple of Skipped
        Files that were not for sending.
    n_bytes, n_bytes_sent : int
        Of all files, and of what went over the wire.
    """

    files: tuple[PushedFile, ...]
    skipped: tuple[Skipped, ...]
    n_bytes: int
    n_bytes_sent: int

    @property
    def counts(self) -> Mapping[str, int]:
        """Files by outcome."""
        return Counter(file.outcome for file in self.files)

    @property
    def complete(self) -> bool:
        """Whether the service has every file."""
        return all(file.outcome in GOOD for file in self.files)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "files": [
                {
                    "file": file.file,
                    "outcome": file.outcome,
                    "reason": file.reason,
                    "items": [
                        {"name": item.name, "outcome": item.outcome, "reason": item.reason}
                        for item in file.items
                    ],
                }
                for file in self.files
            ],
            "skipped": [{"file": item.file, "reason": item.reason} for item in self.skipped],
            "counts": dict(self.counts),
            "n_bytes": self.n_bytes,
            "n_bytes_sent": self.n_bytes_sent,
        }
