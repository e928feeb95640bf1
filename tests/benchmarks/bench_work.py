"""The worker: what a job costs beyond its stacking, how it scales, and what latency it hides.

The floor is the same block given to `stack_block` directly, one after the other, in one warm
process: no queue, no store, no database, no Prefect.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles
from time import monotonic, sleep

from crowdsky.archive.engine import Archive
from crowdsky.archive.ledger_rows import FrameToStack
from crowdsky.archive.local_store import LocalStore
from crowdsky.archive.migrate import migrate
from crowdsky.archive.queue import LeasedJob
from crowdsky.frames import group_blocks, read_frame_header
from crowdsky.settings import ServerSettings, available_cores, load_server_settings
from crowdsky.simulate import simulate_session
from crowdsky.work.fetch import Fetcher
from crowdsky.work.order import Order
from crowdsky.work.outcome import JobOutcome
from crowdsky.work.pool import StackingPool
from crowdsky.work.ticket import Ticket
from flows.server import use_server
from flows.worker import Worker
from tests.benchmarks.figure import Figure
from tests.flows.servers import PrefectServer
from tests.pipeline.nights import frames_below, plan
from tests.work.nights import Sky, finalise, send, small_block

LATENCY_S = 0.05


def figures(quick: bool) -> Iterator[Figure]:
    """Overhead of a job, throughput, and fetching with latency."""
    with tempfile.TemporaryDirectory() as name, prefect_server(Path(name)) as server:
        folder = Path(name)
        os.environ["PREFECT_LOGGING_LEVEL"] = "WARNING"  # a line a task run else
        use_server(server.api_url)
        yield from _overhead(folder / "overhead", server, 100 if quick else 1000)
        yield from _throughput(folder / "throughput", server, quick=quick)
        yield from _latency(folder / "latency", 32 if quick else 64)


@contextmanager
def prefect_server(folder: Path) -> Iterator[PrefectServer]:
    """A Prefect server for the time of a benchmark."""
    server = PrefectServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop(signal.SIGTERM)


def _settings(folder: Path, server: PrefectServer, jobs: int) -> ServerSettings:
    folder.mkdir(parents=True, exist_ok=True)
    settings = load_server_settings(
        {"CROWDSKY_HOME": str(folder), "CROWDSKY_PREFECT_PORT": str(server.port)}
    )
    return replace(settings, jobs=jobs)


def _fill(settings: ServerSettings, blocks: list[list[Path]]) -> tuple[Archive, LocalStore]:
    migrate(settings.database_url)
    archive, store = Archive(settings.database_url), LocalStore(Path(settings.store_url))
    observer_id = send(archive, store, [path for block in blocks for path in block])
    assert len(finalise(archive, observer_id).job_ids) == len(blocks)
    return archive, store


def _work_off(
    settings: ServerSettings, archive: Archive, store: LocalStore
) -> tuple[float, list[JobOutcome]]:
    """Seconds from the first lease to the last commit, and how every job ended."""
    pool = StackingPool(settings.jobs)
    pool.start()
    outcomes: list[JobOutcome] = []

    def note(_lease: LeasedJob, outcome: JobOutcome) -> None:
        assert outcome.state == "done", outcome.reason
        outcomes.append(outcome)

    async def run() -> None:
        worker = Worker(
            settings, archive, store, pool, name="bench:1:a", until_empty=True, on_outcome=note
        )
        await worker.run()

    try:
        asyncio.run(run())
    finally:
        pool.close()
    first = min(outcome.marks["leased"] for outcome in outcomes)
    return max(outcome.marks["committed"] for outcome in outcomes) - first, outcomes


def _overhead(folder: Path, server: PrefectServer, n_jobs: int) -> Iterator[Figure]:
    """Small frames, so that the overhead is most of it; all are queued before the first begins."""
    settings = _settings(folder, server, 1)
    blocks = [small_block(folder / "night", number) for number in range(n_jobs)]
    archive, store = _fill(settings, blocks)
    _, outcomes = _work_off(settings, archive, store)
    outcomes.sort(key=lambda outcome: outcome.marks["stacked"])
    # A job starts late by what its slot stood empty: from the end of the one before to its own
    # begin. Its end costs what passes from the stack being there until it is committed.
    costs = [
        (begin(outcome) - before.marks["stacked"])
        + (outcome.marks["committed"] - outcome.marks["stacked"])
        for before, outcome in pairwise(outcomes)
    ]
    what = f"overhead of a job, {n_jobs} queued"
    yield Figure(f"{what}, median", 1e3 * median(costs), "ms", 200.0)
    yield Figure(f"{what}, 95th percentile", 1e3 * quantiles(costs, n=20)[-1], "ms", 500.0)
    yield Figure("of it: end of stack to commit, median", 1e3 * median(
        outcome.marks["committed"] - outcome.marks["stacked"] for outcome in outcomes
    ), "ms")  # fmt: skip
    yield from _alone(settings, archive, store, folder, n_jobs)
    archive.close()


def begin(outcome: JobOutcome) -> float:
    """When the process began to stack: what it took, before the time it was done."""
    assert outcome.report is not None
    return outcome.marks["stacked"] - outcome.report.seconds


def _alone(
    settings: ServerSettings, archive: Archive, store: LocalStore, folder: Path, number: int
) -> Iterator[Figure]:
    """Single blocks for an idle worker, each a new batch: from finalise to the begin."""
    waits: list[float] = []

    async def run() -> None:
        pool = StackingPool(1)
        pool.start()
        ended: asyncio.Queue[JobOutcome] = asyncio.Queue()
        worker = Worker(
            settings, archive, store, pool, name="bench:1:b",
            on_outcome=lambda _lease, outcome: ended.put_nowait(outcome),
        )  # fmt: skip
        running = asyncio.create_task(worker.run())
        await asyncio.sleep(1.0)
        for i in range(8):
            paths = small_block(folder / "alone", number + i)
            observer_id = await asyncio.to_thread(send, archive, store, paths)
            await asyncio.to_thread(finalise, archive, observer_id)
            submitted = monotonic()
            waits.append(begin(await ended.get()) - submitted)
        worker.stop()
        await running
        pool.close()

    asyncio.run(run())
    yield Figure(
        "submit to start, idle worker, new batch, median", 1e3 * median(waits), "ms", 200.0
    )


def _throughput(folder: Path, server: PrefectServer, *, quick: bool) -> Iterator[Figure]:
    n_blocks, n_frames = (8, 8) if quick else (64, 32)
    simulate_session(plan(n_frames=min(n_frames, 8)), folder / "sky")
    sky = Sky(tuple(frames_below(folder / "sky")))
    seconds: dict[int, float] = {}
    cores = available_cores()
    blocks: list[list[Path]] = []
    for jobs in sorted({1, cores}):
        settings = _settings(folder / f"jobs{jobs}", server, jobs)
        blocks = [sky.block(folder / "in", number, n_frames) for number in range(n_blocks)]
        archive, store = _fill(settings, blocks)
        seconds[jobs], _ = _work_off(settings, archive, store)
        archive.close()
    floor = _floor_s(folder / "floor", blocks)
    what = f"{n_blocks} blocks of {n_frames} frames"
    yield Figure(f"{what}, one worker process", seconds[1], "s")
    yield Figure("the same over stack_block alone", seconds[1] / floor, "", beside=f"{floor:.2f} s")
    if cores > 1:
        gain = seconds[1] / seconds[cores] / cores
        yield Figure(
            f"throughput of {cores} over {cores} x one", gain, "", 0.9, "more",
            beside=f"{seconds[cores]:.2f} s",
        )  # fmt: skip
        alone = _two_alone(folder, blocks, cores)
        yield Figure(
            f"the same of {cores} bare processes without worker", floor / alone / cores, "",
            beside=f"{alone:.2f} s",
        )  # fmt: skip


def _floor_s(folder: Path, blocks: list[list[Path]]) -> float:
    """Seconds of the blocks in one warm process, one after the other."""
    folder.mkdir(parents=True)
    pool = StackingPool(1)
    pool.start()
    began = monotonic()
    for block in blocks:
        (group,) = group_blocks([read_frame_header(path) for path in block], digest=str).blocks
        assert pool.stack(Order(group, folder), Ticket()).made
    seconds = monotonic() - began
    pool.close()
    return seconds


_BARE = """
import sys
from pathlib import Path
from crowdsky.frames import group_blocks, read_frame_header
from crowdsky.pipeline import stack_block
from crowdsky.work.warm import warm_up
import threadpoolctl, cv2
cv2.setNumThreads(1); limits = threadpoolctl.threadpool_limits(1)
warm_up()
print("ready", flush=True); sys.stdin.readline()
for names in sys.argv[2:]:
    headers = [read_frame_header(name) for name in names.split("|")]
    (block,) = group_blocks(headers, digest=str).blocks
    stack_block(block, Path(sys.argv[1]))
"""


def _two_alone(folder: Path, blocks: list[list[Path]], n: int) -> float:
    """Seconds of the same blocks in bare processes side by side: what this machine can give."""
    processes = []
    for i in range(n):
        out = folder / f"bare{i}"
        out.mkdir()
        names = ["|".join(map(str, block)) for block in blocks[i::n]]
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", _BARE, str(out), *names],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
            )
        )
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    began = monotonic()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate()
    return monotonic() - began


class _Distant:
    """A store in which every file takes a while."""

    def __init__(self, store: LocalStore) -> None:
        self.store = store

    def local_path(self, _sha256: str) -> None:
        return None

    def fetch(self, sha256: str, path: Path) -> None:
        sleep(LATENCY_S)
        self.store.fetch(sha256, path)


def _latency(folder: Path, n_files: int) -> Iterator[Figure]:
    """Files of a store that answers late, one at a time and 16 at a time."""
    store = LocalStore(folder / "store")
    frames = []
    for number, path in enumerate(small_block(folder / "night", 0, n_files)):
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        store.put(path, sha256)
        frames.append(FrameToStack(number, sha256, path.stat().st_size, path.name, {}))
    seconds = {}
    for at_once in (1, 16):
        fetcher = Fetcher(_Distant(store), at_once)  # type: ignore[arg-type]
        target = folder / f"fetched{at_once}"
        target.mkdir()
        began = monotonic()
        fetched = fetcher.fetch(frames, target, Ticket())
        seconds[at_once] = monotonic() - began
        assert len(fetched.paths) == n_files
        fetcher.close()
    yield Figure(
        f"{n_files} files at {1e3 * LATENCY_S:g} ms each: 16 in flight over one",
        seconds[1] / seconds[16], "times", 8.0, "more", f"{seconds[16]:.2f} s",
    )  # fmt: skip
