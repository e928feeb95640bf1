"""Processes that live and end together, with tiny programs in place of servers."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from crowdsky.errors import ServiceError, ServiceUnreachable
from crowdsky.supervise.child import ChildSpec
from crowdsky.supervise.group import Group
from crowdsky.supervise.ports import free_port

pytestmark = [pytest.mark.enable_socket]

SLEEP = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"


def program(name: str, source: str, *words: str, **more: object) -> ChildSpec:
    return ChildSpec(name, (sys.executable, "-c", source, *words), **more)  # type: ignore[arg-type]


def until(said: Callable[[], object], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not said():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


class Stage:
    """Groups that are stopped whatever a test does."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.said = folder, list[str]()
        self.groups: list[Group] = []

    def group(self, *waves: list[ChildSpec], **more: object) -> Group:
        more = {"backoff_s": (0.05, 0.2)} | more
        made = Group(waves, self.folder / "logs", self.said.append, **more)  # type: ignore[arg-type]
        self.groups.append(made)
        return made

    def log(self, name: str) -> str:
        path = self.folder / "logs" / f"{name}.log"
        return path.read_text(encoding="utf-8") if path.exists() else ""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    for group in made.groups:
        group.stop()


def test_variables_reach_the_child_and_are_on_no_command_line(stage: Stage) -> None:
    source = f"import os; print(os.environ['SECRET_WORD'], flush=True); {SLEEP}"
    group = stage.group([program("a", source, variables={"SECRET_WORD": "pass=word\n2"})])
    group.start()
    until(lambda: "up" in stage.log("a"))
    assert stage.log("a") == "pass=word\n2\nup\n"
    assert "pass=word" not in " ".join(psutil.Process(group.pids["a"]).cmdline())
    assert "SECRET_WORD" not in os.environ


def test_a_wave_waits_for_the_one_before(stage: Stage) -> None:
    port = free_port()
    server = (
        "import http.server, sys, time; time.sleep(0.5);"
        "http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])),"
        " http.server.SimpleHTTPRequestHandler).serve_forever()"
    )
    first = program("first", server, str(port), ready_url=f"http://127.0.0.1:{port}/")
    asks = (
        "import sys, urllib.request as u;"
        "print(u.build_opener(u.ProxyHandler({})).open(sys.argv[1]).status, flush=True);" + SLEEP
    )
    second = program("second", asks, f"http://127.0.0.1:{port}/")
    stage.group([first], [second]).start()
    until(lambda: "up" in stage.log("second"))
    assert stage.log("second") == "200\nup\n"


def test_a_child_may_say_in_its_log_that_it_is_ready(stage: Stage) -> None:
    # What an earlier run wrote does not count.
    (stage.folder / "logs").mkdir()
    (stage.folder / "logs" / "a.log").write_text("ready\n", encoding="utf-8")
    group = stage.group([program("a", SLEEP, ready_text="ready", ready_s=0.3)])
    with pytest.raises(ServiceUnreachable, match="a did not answer"):
        group.start()
    source = f"import time; time.sleep(0.3); print('now ready', flush=True); {SLEEP}"
    stage.group([program("b", source, ready_text="ready")]).start()
    assert "now ready" in stage.log("b")


def test_what_dies_is_started_again_and_it_is_said(stage: Stage) -> None:
    group = stage.group([program("a", SLEEP), program("b", SLEEP)])
    group.start()
    until(lambda: "up" in stage.log("a"))
    first = group.pids
    os.kill(first["a"], signal.SIGKILL)
    until(lambda: group.pids["a"] != first["a"])
    until(lambda: stage.log("a").count("up") == 2)
    assert stage.said == [
        f"a was killed by SIGKILL; it is started again in 0.05 s (see {stage.folder}/logs/a.log)"
    ]
    assert group.pids["b"] == first["b"]


def test_a_start_that_fails_is_tried_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """No process can be had for a moment: the supervision goes on all the same."""
    group = stage.group([program("one", SLEEP)])
    group.start()
    (child,) = group.children
    start, tries = child.start, list[int]()

    def fails_once(guarded: Callable[[int], None]) -> None:
        tries.append(len(tries))
        if len(tries) == 1:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        start(guarded)

    monkeypatch.setattr(child, "start", fails_once)
    first = child.pid
    os.kill(first, signal.SIGKILL)
    until(lambda: len(tries) == 2 and child.pid != first)
    assert any(
        "cannot be started (Resource temporarily unavailable)" in said for said in stage.said
    )


def test_one_that_has_done_its_work_is_left_alone_and_one_that_failed_is_not(stage: Stage) -> None:
    done = program("done", "print('did it', flush=True)", once=True)
    # It fails the first time only.
    source = (
        "import pathlib, sys; flag = pathlib.Path(sys.argv[1]); first = not flag.exists();"
        "flag.touch(); print('tried', flush=True); sys.exit(3 if first else 0)"
    )
    failed = program("failed", source, str(stage.folder / "flag"), once=True)
    group = stage.group([program("a", SLEEP), done, failed])
    group.start()
    assert set(group.pids) == {"a"}
    until(lambda: stage.log("failed").count("tried") == 2)
    until(lambda: all(child.pid == 0 for child in group.children if child.spec.once))
    assert stage.log("done").count("did it") == 1
    assert len(stage.said) == 1
    assert stage.said[0].startswith("failed ended with code 3; ")


def test_what_has_to_be_told_of_a_restart_is_told_until_it_has_heard(stage: Stage) -> None:
    told: list[str] = []

    def restarted() -> bool:
        told.append(stage.log("a"))
        return len(told) == 3

    group = stage.group([program("a", SLEEP, restarted=restarted)])
    group.start()
    time.sleep(0.3)
    assert told == []  # the first start is no restart
    os.kill(group.pids["a"], signal.SIGKILL)
    until(lambda: len(told) == 3)
    time.sleep(0.3)
    assert len(told) == 3


def test_what_goes_on_dying_is_started_less_and_less_often(stage: Stage) -> None:
    # It lives until the group is up, and dies at once ever after.
    source = (
        "import pathlib, sys, time; flag = pathlib.Path(sys.argv[1]);"
        "time.sleep(0.5) if not flag.exists() else None; flag.touch(); sys.exit(7)"
    )
    stage.group([program("a", source, str(stage.folder / "flag"))]).start()
    until(lambda: len(stage.said) >= 4)
    waits = [line.split(" again in ")[1].split(" s ")[0] for line in stage.said[:4]]
    assert waits == ["0.05", "0.1", "0.2", "0.2"]
    assert stage.said[0].startswith("a ended with code 7; ")


def test_one_that_lived_long_is_started_again_soon(stage: Stage) -> None:
    group = stage.group([program("a", SLEEP)], steady_s=0.0)
    group.start()
    for n in (1, 2, 3):
        until(lambda n=n: stage.log("a").count("up") == n)  # type: ignore[misc]
        os.kill(group.pids["a"], signal.SIGKILL)
        until(lambda n=n: len(stage.said) == n)  # type: ignore[misc]
    assert all("again in 0.05 s" in line for line in stage.said)


def test_one_that_ends_before_it_answers_is_told_with_its_last_words(stage: Stage) -> None:
    port = free_port()
    spec = program(
        "a", "import sys; sys.exit('no such table')", ready_url=f"http://127.0.0.1:{port}/"
    )
    with pytest.raises(ServiceError) as error:
        stage.group([spec]).start()
    log = stage.folder / "logs" / "a.log"
    assert str(error.value) == f"{log}: a ended with code 1 before it answered: no such table"


def test_one_that_never_answers_is_told(stage: Stage) -> None:
    url = f"http://127.0.0.1:{free_port()}/"
    group = stage.group([program("a", SLEEP, ready_url=url, ready_s=0.3)])
    with pytest.raises(ServiceUnreachable, match=r"a did not answer within 0\.3 s$"):
        group.start()
    pid = group.pids["a"]
    group.stop()
    assert gone(pid)


def test_stop_ends_the_last_wave_first_and_what_children_left_behind(stage: Stage) -> None:
    order = stage.folder / "order"
    tells = (
        "import signal, sys, time, subprocess\n"
        "def end(*_):\n"
        "    open(sys.argv[1], 'a').write(sys.argv[2] + '\\n'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "left = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(left.pid, flush=True); time.sleep(600)"
    )
    group = stage.group(
        [program("first", tells, str(order), "first")],
        [program("second", tells, str(order), "second")],
    )
    group.start()
    until(lambda: stage.log("first") and stage.log("second"))
    pids = [*group.pids.values(), int(stage.log("first")), int(stage.log("second"))]
    group.stop()
    assert order.read_text(encoding="utf-8").split() == ["second", "first"]
    assert all(map(gone, pids))
    assert stage.said == []
    group.stop()  # twice is no error


def test_one_that_will_not_stop_is_killed_and_it_is_said(stage: Stage) -> None:
    group = stage.group([program("a", STUBBORN, stop_s=0.3)])
    group.start()
    until(lambda: "up" in stage.log("a"))
    pid = group.pids["a"]
    group.stop()
    assert gone(pid)
    assert stage.said == ["a did not end within 0.3 s and was killed"]


def test_a_long_log_is_turned_while_its_child_writes(stage: Stage) -> None:
    writes = (
        "import itertools, time\n"
        "for n in itertools.count():\n    print(f'line {n:06d}', flush=True); time.sleep(0.002)"
    )
    stage.group([program("a", writes)], log_bytes=2000).start()
    turned = stage.folder / "logs" / "a.log.1"
    until(turned.exists)
    until(lambda: stage.log("a") and "\0" not in stage.log("a"))
    assert "line 000000" in turned.read_text(encoding="utf-8")
    assert "line 000000" not in stage.log("a")


SUPERVISOR = """
import sys, time
from pathlib import Path
from crowdsky.supervise.child import ChildSpec
from crowdsky.supervise.group import Group
folder = Path(sys.argv[1])
specs = [ChildSpec(name, (sys.executable, "-c", source)) for name, source in
         zip(("mild", "stubborn"), sys.argv[2:])]
group = Group([specs], folder / "logs", print, grace_s=0.5)
group.start()
(folder / "pids").write_text(" ".join(map(str, group.pids.values())))
time.sleep(600)
"""


@pytest.fixture
def supervisor(stage: Stage) -> Iterator[tuple[subprocess.Popen[bytes], list[int]]]:
    """A supervisor in a process of its own, and its two children."""
    with subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(stage.folder), SLEEP, STUBBORN]
    ) as process:
        pids = stage.folder / "pids"
        until(lambda: pids.exists() and pids.read_text(encoding="utf-8"))
        until(lambda: "up" in stage.log("mild") and "up" in stage.log("stubborn"))
        yield process, [int(word) for word in pids.read_text(encoding="utf-8").split()]
        process.kill()


def test_a_supervisor_that_is_killed_leaves_no_child(
    supervisor: tuple[subprocess.Popen[bytes], list[int]],
) -> None:
    process, children = supervisor
    assert not any(map(gone, children))
    process.kill()
    until(lambda: all(map(gone, children)))


def test_a_guard_that_was_killed_is_replaced(
    supervisor: tuple[subprocess.Popen[bytes], list[int]],
) -> None:
    process, children = supervisor

    def guards() -> list[psutil.Process]:
        found = psutil.Process(process.pid).children()
        return [one for one in found if one.pid not in children and not gone(one.pid)]

    (first,) = guards()
    first.kill()
    until(lambda: guards() and guards() != [first])
    time.sleep(1.0)  # it is there a moment before it is told whom to look after
    process.kill()
    until(lambda: all(map(gone, children)))
