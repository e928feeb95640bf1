"""Warm processes: what they give, and what becomes of the job when one dies."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import CancelledError
from pathlib import Path
from time import monotonic, sleep

import psutil
import pytest

from crowdsky.errors import StackError
from crowdsky.frames import group_blocks, read_frame_header
from crowdsky.work.order import Order
from crowdsky.work.pool import BUSY, StackingPool
from crowdsky.work.products import licence_cards
from crowdsky.work.ticket import Ticket
from crowdsky.work.verify import verify_stack
from tests.work.nights import Sky


@pytest.fixture
def order(sky: Sky, tmp_path: Path) -> Order:
    headers = [read_frame_header(path) for path in sky.frames]
    (block,) = group_blocks(headers, digest=str).blocks
    return Order(block, tmp_path, cards=licence_cards("CC-BY-4.0", "A. Observer"))


def wait_for(condition: object, seconds: float = 30.0) -> None:
    until = monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert monotonic() < until, "waited in vain"
        sleep(0.01)


def begin(
    pool: StackingPool, order: Order, ticket: Ticket
) -> tuple[threading.Thread, list[object]]:
    """A job on its way in a thread; what came of it is appended to the list."""
    came: list[object] = []

    def work() -> None:
        try:
            came.append(pool.stack(order, ticket))
        except (StackError, CancelledError) as error:
            came.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    return thread, came


def busy(pool: StackingPool) -> bool:
    return all(slot.shared[BUSY] for slot in pool._slots)


def test_a_block_is_stacked_and_its_products_are_verified(pool: StackingPool, order: Order) -> None:
    ticket = Ticket()
    stacked = pool.stack(order, ticket)
    assert stacked.report.n_used == 3
    assert ticket.done_frames == 3
    stack, preview, thumbnail = stacked.made
    assert stack.path.stat().st_size == stack.n_bytes
    assert [preview.path.suffix, thumbnail.path.suffix] == [".webp", ".webp"]
    header = stack.path.read_bytes()[:5760].decode("ascii", "replace")
    assert "LICENSE = 'CC-BY-4.0'" in header
    assert "CREDIT  = 'A. Observer'" in header
    assert stacked.report.end_utc is not None
    assert stacked.report.first_utc == order.block.headers[0].start_utc
    assert len(stacked.report.solution["corners"]) == 4


def test_a_damaged_product_is_found(pool: StackingPool, order: Order, tmp_path: Path) -> None:
    made = pool.stack(order, Ticket()).made[0]
    octets = bytearray(made.path.read_bytes())
    octets[len(octets) // 3] ^= 1
    spoilt = tmp_path / "spoilt.fits"
    spoilt.write_bytes(octets)
    with pytest.raises(
        StackError, match=r"spoilt.fits: (RED|GREEN): the product's CHECKSUM is wrong"
    ):
        verify_stack(spoilt, n_frames=3, n_used=3)
    spoilt.write_bytes(made.path.read_bytes()[:-2880])
    with pytest.raises(StackError, match="the product is cut short"):
        verify_stack(spoilt, n_frames=3, n_used=3)
    with pytest.raises(StackError, match=r"fits: 3: the product's NIMAGES is 2$"):
        verify_stack(made.path, n_frames=3, n_used=2)


def test_a_killed_process_fails_its_job_only(pool: StackingPool, order: Order) -> None:
    thread, came = begin(pool, order, Ticket())
    wait_for(lambda: busy(pool))
    (before,) = pool.pids()
    os.kill(before, signal.SIGKILL)  # as the kernel does when memory runs out
    thread.join(30)
    (error,) = came
    assert isinstance(error, StackError)
    assert str(error) == "the stacking process died (killed, or out of memory)"
    assert pool.stack(order, Ticket()).report.n_used == 3
    assert pool.pids() != [before]


def test_a_process_that_is_killed_while_idle_is_replaced(pool: StackingPool, order: Order) -> None:
    (before,) = pool.pids()
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: not psutil.pid_exists(before) or psutil.Process(before).status() == "zombie")
    assert pool.stack(order, Ticket()).report.n_used == 3
    assert pool.pids() != [before]


def test_cancelling_stops_the_computation(pool: StackingPool, order: Order) -> None:
    (before,) = pool.pids()
    ticket = Ticket()
    thread, came = begin(pool, order, ticket)
    wait_for(lambda: busy(pool))
    ticket.cancel("lost")
    thread.join(10)
    (error,) = came
    assert isinstance(error, CancelledError)
    wait_for(lambda: not psutil.pid_exists(before) or psutil.Process(before).status() == "zombie")
    assert pool.stack(order, Ticket()).report.n_used == 3


def test_a_job_waiting_for_a_process_can_be_cancelled(pool: StackingPool, order: Order) -> None:
    first, _ = begin(pool, order, Ticket())
    wait_for(lambda: busy(pool))
    ticket = Ticket()
    second, came = begin(pool, order, ticket)
    ticket.cancel("released")
    second.join(5)
    assert isinstance(came[0], CancelledError)
    first.join(30)
