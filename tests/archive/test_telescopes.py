"""Devices of observers, and what others see of them."""

from __future__ import annotations

from crowdsky.archive.accounts import ensure_observer
from crowdsky.archive.engine import Archive
from crowdsky.archive.models import Telescope
from crowdsky.archive.telescopes import ensure_telescope, pseudonym
from crowdsky.frames.group import group_blocks
from tests.archive.sent_frames import make_header, rows


def test_a_device_has_one_row_an_observer(archive: Archive) -> None:
    ada, bob = ensure_observer(archive, "ada"), ensure_observer(archive, "bob")
    with archive.writing() as session:
        keys = [
            ensure_telescope(session, owner, make_header(device=device))
            for owner in (ada, bob)
            for device in ("S50_1", "S50_1", "S50_2")
        ]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 4
    assert [row.device for row in rows(archive, Telescope)] == ["S50_1", "S50_2"] * 2


def test_the_pseudonym_hides_the_serial_and_is_the_labels(archive: Archive) -> None:
    header = make_header(device="S50_1d3fe189")
    name = pseudonym(header.telescope_id, "S50")
    assert name == "S50-a2ac"
    assert f"_{name}_" in group_blocks([header]).blocks[0].label


def test_a_long_name_fits(archive: Archive) -> None:
    ada = ensure_observer(archive, "ada")
    with archive.writing() as session:
        key = ensure_telescope(session, ada, make_header(device="x" * 200))
        assert ensure_telescope(session, ada, make_header(device="x" * 200)) == key
