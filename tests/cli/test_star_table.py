"""Star lists as CSV: what is read, and what is refused with file, value and rule."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crowdsky.cli import star_table
from crowdsky.cli.star_table import parse_size, read_star_table
from crowdsky.errors import UnreadableFrame

SHAPE = (1920, 1080)


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "list.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        "x,y,flux\n1,2,10\n3.5,4,30\n5,6,2e1\n",
        "\ufeffFlux , id,Y,X\r\n10,a,2,1\r\n30,b,4,3.5\r\n2e1,c,6,5\r\n",
        '"x","y","flux"\n\n1,2,10\n3.5,4,30\n 5, 6, 20',
    ],
)
def test_a_list_is_read_and_sorted_by_flux(text: str, tmp_path: Path) -> None:
    stars = read_star_table(write(tmp_path, text), SHAPE)
    assert stars.shape == SHAPE
    np.testing.assert_array_equal(stars.x_px, [3.5, 5.0, 1.0])
    np.testing.assert_array_equal(stars.y_px, [4.0, 6.0, 2.0])
    np.testing.assert_array_equal(stars.flux_adu, [30.0, 20.0, 10.0])
    assert stars.x_px.dtype == np.float64
    assert stars.x_px.flags.c_contiguous


def test_a_list_without_stars_is_an_empty_list(tmp_path: Path) -> None:
    assert len(read_star_table(write(tmp_path, "x,y,flux\n"), SHAPE)) == 0


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "the star list is empty"),
        ("x,y\n1,2\n", "x,y: the first row must name the columns x, y and flux; flux not there"),
        ("1,2,3\n4,5,6\n", "the first row must name the columns"),
        ("x,y,flux\n1,2\n", "'': row 2 must hold finite numbers"),
        ("x,y,flux\n1,2,3\n1,nan,3\n", "'nan': row 3 must hold finite numbers"),
        ("x,y,flux\n1,2,inf\n", "'inf': row 2 must hold finite numbers"),
        ("x,y,flux\n1,2,=cmd()\n", "'=cmd()': row 2 must hold finite numbers"),
        (b"x,y,flux\n\xff\xfe,2,3\n", "a star list is text in UTF-8"),
        (b"\x89PNG\r\n\x1a\n", "a star list is text in UTF-8"),
        ('x,y,flux\n"' + "9" * 200_000, "not a CSV table"),
    ],
)
def test_a_bad_list_says_file_value_and_rule(text: str | bytes, rule: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UnreadableFrame) as caught:
        read_star_table(path, SHAPE)
    assert rule in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFrame, match="No such file or directory"):
        read_star_table(tmp_path / "absent.csv", SHAPE)


def test_a_list_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "x,y,flux\n" + "1,2,3\n" * 20)
    monkeypatch.setattr(star_table, "MAX_ROWS", 10)
    with pytest.raises(UnreadableFrame, match="20: a star list has at most 10 rows"):
        read_star_table(path, SHAPE)
    monkeypatch.setattr(star_table, "MAX_BYTES", 64)
    with pytest.raises(UnreadableFrame, match="a star list has at most 64 bytes"):
        read_star_table(path, SHAPE)


def test_size_is_width_by_height() -> None:
    assert parse_size(" 1080X1920 ") == (1920, 1080)
