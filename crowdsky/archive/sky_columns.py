"""What a search looks at, of every stack, as columns in memory.

88 bytes a stack: a million are 88 MB, and a comparison over all of them takes less than a
millisecond. Rows are in the order of their ids, so an id is found by bisection.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["NEVER_US", "Columns", "SkyColumns", "Words"]

Columns = dict[str, NDArray[Any]]

#: Later than every time: of stacks that never become public.
NEVER_US = np.iinfo(np.int64).max

_NOBODY = -1
_SLACK = 1.125

_TYPES: dict[str, Any] = {
    "id": np.int64,
    "observer_id": np.int32,
    "start_us": np.int64,
    "public_us": np.int64,
    "ra_deg": np.float64,
    "dec_deg": np.float64,
    "x": np.float32,  # to leave most aside; whether a position is inside is told from ra and dec
    "y": np.float32,
    "z": np.float32,
    "cell": np.int32,
    "tile": np.int32,
    "n_bytes": np.int64,
    "exposure_s": np.float64,
    "target": np.int32,
    "filter": np.int16,
    "model": np.int16,
}


class Words:
    """Text as numbers: every different text once."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        """The number of a text, which may be new."""
        return self._numbers.setdefault(text, len(self._numbers))

    def like(self, wanted: str, *, anywhere: bool) -> NDArray[np.int64]:
        """Numbers of the texts that are, or hold, `wanted`; case and blanks do not count."""
        plain = _plain(wanted)
        return np.array(
            [
                number
                for text, number in self._numbers.items()
                if plain == _plain(text) or (anywhere and plain in _plain(text))
            ],
            np.int64,
        )


class SkyColumns:
    """The columns, and how rows come and go. Not safe between threads by itself.

    Attributes
    ----------
    words : dict of str to Words
        Of the columns ``target``, ``filter`` and ``model``.
    n_gone : int
        Rows that went and still take room; no viewer sees them.
    """

    def __init__(self) -> None:
        self._n = 0
        self._columns = {name: np.empty(0, kind) for name, kind in _TYPES.items()}
        self.words = {name: Words() for name in ("target", "filter", "model")}
        self.n_gone = 0

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._columns[name][: self._n]

    @property
    def n_bytes(self) -> int:
        """Memory of the columns."""
        return sum(column.nbytes for column in self._columns.values())

    def rows_of(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where ids are; those that are not here are left out."""
        mine = self["id"]
        rows = np.searchsorted(mine, ids)
        found = rows < self._n
        found[found] = mine[rows[found]] == ids[found]
        return rows[found].astype(np.int64)

    def put(self, rows: Columns) -> None:
        """Add rows, or write over those that have the same id.

        Parameters
        ----------
        rows : dict of str to ndarray
            All columns, of one length; ids ascending and each once. Texts as numbers of `words`,
            `NEVER_US` and -1 and NaN where a value is not known.
        """
        if not len(rows["id"]):
            return
        new = {name: np.asarray(rows[name], kind) for name, kind in _TYPES.items()}
        ids = new["id"]
        if self._n and ids[0] <= self["id"][-1]:
            where = np.searchsorted(self["id"], ids)
            inside = where < self._n
            same = inside.copy()
            same[inside] = self["id"][where[inside]] == ids[inside]
            if same.any():
                at = where[same]
                self.n_gone -= int(np.count_nonzero(self["observer_id"][at] == _NOBODY))
                for name, column in new.items():
                    self._columns[name][at] = column[same]
                new = {name: column[~same] for name, column in new.items()}
                where = where[~same]
            if len(new["id"]) and new["id"][0] <= self["id"][-1]:
                # A transaction that drew its ids early and committed late: rare, so it may cost.
                for name, column in new.items():
                    self._columns[name] = np.insert(self[name], where, column)
                self._n = len(self._columns["id"])
                return
        self._append(new)

    def remove(self, ids: Iterable[int]) -> None:
        """Make rows invisible to all; ids that are not here are ignored."""
        rows = self.rows_of(np.fromiter(ids, np.int64))
        rows = rows[self["observer_id"][rows] != _NOBODY]
        self["observer_id"][rows] = _NOBODY
        self["public_us"][rows] = NEVER_US
        self.n_gone += len(rows)
        if self.n_gone > 1000 and self.n_gone > self._n // 8:
            keep = self["observer_id"] != _NOBODY
            for name in _TYPES:
                self._columns[name] = self[name][keep]
            self._n = int(np.count_nonzero(keep))
            self.n_gone = 0

    def _append(self, new: dict[str, NDArray[Any]]) -> None:
        n = self._n + len(new["id"])
        if n > len(self._columns["id"]):
            room = max(n, int(len(self._columns["id"]) * _SLACK))
            for name, kind in _TYPES.items():
                grown = np.empty(room, kind)
                grown[: self._n] = self[name]
                self._columns[name] = grown
        for name, column in new.items():
            self._columns[name][self._n : n] = column
        self._n = n


def _plain(text: str) -> str:
    return "".join(text.casefold().split())
