"""An index of triangles with absolute sides, and how it is built.

Triangles are filed under their three sides in steps of ``BIN_ARCSEC`` and their orientation. One
triangle is one 64-bit word::

    bits  0-19   vertex A, row of the index's star table
    bits 20-34   row of B minus row of A, plus 2**14
    bits 35-49   row of C minus row of A, plus 2**14
    bits 50-61   what the filing left of the sides a, b, c: four bits each, BIN_ARCSEC / 16 a step

Star rows are sorted by cells of the sky, band by band, so neighbours lie close and 15 bits are
enough. With the remainders in the word, a triangle is compared to 0.5 arcsec before
any star is read.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crowdsky.errors import CatalogueError
from crowdsky.kernels import njit
from crowdsky.triangles.sides import chord_arcsec, orientation, sort_triangle

__all__ = [
    "BIN_ARCSEC",
    "TriangleIndex",
    "build_index",
    "load_index",
    "save_index",
    "vertices",
    "words_like",
]

BIN_ARCSEC = 8.0
MAX_SIDE_ARCSEC = 1920.0
N_BINS = int(MAX_SIDE_ARCSEC / BIN_ARCSEC)
ROW_LIMIT = 1 << 20
OFFSET_LIMIT = 1 << 14


def _pair_start() -> NDArray[np.int64]:
    """Where the cells of each (a, b) begin: c runs from b to a + b, so there are a + 2 of them."""
    start = np.zeros(N_BINS * (N_BINS + 1) // 2 + 1, dtype=np.int64)
    b, a = np.tril_indices(N_BINS)
    start[1:] = np.cumsum(np.minimum(a + 2, N_BINS - b))
    return start


PAIR_START = _pair_start()


@dataclass(frozen=True)
class TriangleIndex:
    """Triangles of a star table, filed by their sides.

    Attributes
    ----------
    stars : ndarray of float32, shape (n, 3)
        Unit vectors, sorted by cell.
    cell_start : ndarray of int32, shape (n_cells + 1,)
        First star of each cell of the sky.
    first : ndarray of uint32
        First triangle of each bin of the file.
    words : ndarray of uint64
        The triangles.
    """

    stars: NDArray[np.float32]
    cell_start: NDArray[np.int32]
    first: NDArray[np.uint32]
    words: NDArray[np.uint64]

    @property
    def n_triangles(self) -> int:
        """Triangles on file."""
        return len(self.words)

    @property
    def n_bytes(self) -> int:
        """Size on disk and in memory."""
        return sum(x.nbytes for x in (self.stars, self.cell_start, self.first, self.words))


@njit(inline="always")
def file_bin(a, b, c, turn, pair_start, n_pairs):
    """Number of the bin of sides given in whole steps (a <= b <= c)."""
    width = min(a + 2, N_BINS - b)
    column = min(c - b, width - 1)
    return turn * pair_start[n_pairs] + pair_start[b * (b + 1) // 2 + a] + column


@njit()
def _file_triangles(stars, rank, neighbours, n_neighbours, reach_arcsec, pair_start, first, words):
    """One pass over all triangles: count them (``words`` empty) or file them.

    ``first`` holds counts after the first pass and, as running ends, the places in the second.
    """
    counting = words.shape[0] == 0
    n_pairs = pair_start.shape[0] - 1
    for i in range(stars.shape[0]):
        begin, end = n_neighbours[i], n_neighbours[i + 1]
        for p in range(begin, end):
            j = neighbours[p]
            ij = chord_arcsec(stars, i, stars, j)
            for q in range(p + 1, end):
                k = neighbours[q]
                reach = reach_arcsec[max(rank[i], rank[j], rank[k])]
                if ij >= reach:
                    continue
                jk = chord_arcsec(stars, j, stars, k)
                if jk >= reach:
                    continue
                ik = chord_arcsec(stars, i, stars, k)
                if ik >= reach:
                    continue
                va, vb, vc, a, b, c = sort_triangle(i, j, k, jk, ik, ij)
                na, nb, nc = int(a / BIN_ARCSEC), int(b / BIN_ARCSEC), int(c / BIN_ARCSEC)
                turn = orientation(stars, va, vb, vc)
                place = file_bin(na, nb, nc, turn, pair_start, n_pairs)
                if counting:
                    first[place] += 1
                    continue
                off_b, off_c = vb - va + OFFSET_LIMIT, vc - va + OFFSET_LIMIT
                ra = int((a / BIN_ARCSEC - na) * 16.0)
                rb = int((b / BIN_ARCSEC - nb) * 16.0)
                rc = int((c / BIN_ARCSEC - nc) * 16.0)
                low = va | (off_b << 20) | (off_c << 35)
                first[place] -= 1
                words[first[place]] = np.uint64(low) | (
                    np.uint64(ra | (rb << 4) | (rc << 8)) << np.uint64(50)
                )


@njit()
def words_like(a, b, c, turn, slack_a, slack_b, slack_c, first, words, pair_start, out):
    """Triangles on file whose sides agree with ``a <= b <= c`` (arcsec) within the slacks.

    Writes their words to ``out`` and returns how many there are; stops when ``out`` is full.
    """
    found = 0
    step = BIN_ARCSEC / 16.0
    base_of_turn = turn * pair_start[pair_start.shape[0] - 1]
    c_low = int((c - slack_c) / BIN_ARCSEC)
    c_high = int((c + slack_c) / BIN_ARCSEC)
    b_low = max(0, int((b - slack_b) / BIN_ARCSEC))
    b_high = min(N_BINS - 1, int((b + slack_b) / BIN_ARCSEC))
    a_low = max(0, int((a - slack_a) / BIN_ARCSEC))
    a_high = int((a + slack_a) / BIN_ARCSEC)
    for nb in range(b_low, b_high + 1):
        for na in range(a_low, min(a_high, nb) + 1):
            width = min(na + 2, N_BINS - nb)
            base = base_of_turn + pair_start[nb * (nb + 1) // 2 + na]
            for column in range(max(0, c_low - nb), min(c_high - nb, width - 1) + 1):
                for w in range(first[base + column], first[base + column + 1]):
                    rest = np.int64(words[w] >> np.uint64(50))
                    if abs((na * 16 + (rest & 15) + 0.5) * step - a) > slack_a:
                        continue
                    if abs((nb * 16 + ((rest >> 4) & 15) + 0.5) * step - b) > slack_b:
                        continue
                    if abs(((nb + column) * 16 + (rest >> 8) + 0.5) * step - c) > slack_c:
                        continue
                    if found == out.shape[0]:
                        return found
                    out[found] = words[w]
                    found += 1
    return found


@njit(inline="always")
def vertices(word):
    """Rows of the vertices A, B, C of a triangle on file."""
    low = np.int64(word & np.uint64((1 << 50) - 1))
    a = low & (ROW_LIMIT - 1)
    b = a + ((low >> 20) & (2 * OFFSET_LIMIT - 1)) - OFFSET_LIMIT
    c = a + (low >> 35) - OFFSET_LIMIT
    return a, b, c


def build_index(
    stars: NDArray[np.float32],
    cell_start: NDArray[np.int32],
    rank: NDArray[np.int64],
    reach_arcsec: NDArray[np.float64],
    neighbours: NDArray[np.int64],
    n_neighbours: NDArray[np.int64],
) -> TriangleIndex:
    """File every triangle whose sides are all shorter than its faintest star allows.

    Parameters
    ----------
    stars : ndarray of float32, shape (n, 3)
        Unit vectors sorted by cell; n < 2**20.
    cell_start : ndarray of int32
        First star of each cell (kept for lookups).
    rank : ndarray of int64, shape (n,)
        Brighter stars in the neighbourhood of each star.
    reach_arcsec : ndarray
        Longest side of a triangle by the highest rank among its stars, below ``MAX_SIDE_ARCSEC``.
    neighbours, n_neighbours : ndarray of int64
        Later stars within reach of each star: those of star ``i`` are
        ``neighbours[n_neighbours[i]:n_neighbours[i + 1]]``.

    Raises
    ------
    CatalogueError
        If there are more stars than a word can address.
    """
    if len(stars) >= ROW_LIMIT:
        raise CatalogueError("a triangle index addresses fewer than 2**20 stars", value=len(stars))
    first = np.zeros(2 * PAIR_START[-1] + 1, dtype=np.uint32)
    arguments = (stars, rank, neighbours, n_neighbours, reach_arcsec, PAIR_START)
    _file_triangles(*arguments, first, np.empty(0, dtype=np.uint64))
    ends = np.cumsum(first, dtype=np.int64)
    words = np.empty(int(ends[-1]), dtype=np.uint64)
    first = ends.astype(np.uint32)
    _file_triangles(*arguments, first, words)
    return TriangleIndex(stars, cell_start, first, words)


def save_index(index: TriangleIndex, folder: Path) -> None:
    """Write an index as ``.npy`` files, aside first, so that a half-written one is never read."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".index-") as aside:
        inner = Path(aside) / "index"
        inner.mkdir()
        for name in ("stars", "cell_start", "first", "words"):
            with (inner / f"{name}.npy").open("wb") as file:
                np.save(file, getattr(index, name), allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
        try:
            inner.rename(folder)
        except OSError:
            if not folder.is_dir():  # lost a race against another process: its index is as good
                raise


def load_index(folder: Path) -> TriangleIndex:
    """Map an index into memory.

    Raises
    ------
    CatalogueError
        If a file is absent or damaged.
    """
    try:
        arrays = [
            np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False).view(np.ndarray)
            for name in ("stars", "cell_start", "first", "words")
        ]
    except (OSError, ValueError, EOFError) as error:
        raise CatalogueError(f"the triangle index cannot be read ({error})", file=folder) from error
    index = TriangleIndex(*arrays)
    whole = (
        len(index.first) == 2 * PAIR_START[-1] + 1
        and index.first[-1] == len(index.words)
        and index.stars.ndim == 2
        and len(index.cell_start) > 0
        and index.cell_start[-1] == len(index.stars)
    )
    if not whole:
        raise CatalogueError(
            "the triangle index is damaged; delete it to have it rebuilt", file=folder
        )
    return index
