"""Start a group of processes in order, keep it alive, and stop it as a whole."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from crowdsky.errors import ServiceError, ServiceUnreachable
from crowdsky.supervise.child import Child, ChildSpec, how_it_ended
from crowdsky.supervise.guard import GRACE_S
from crowdsky.supervise.log_file import LOG_BYTES, last_line, turn_log

__all__ = ["Group"]

_LOOK_S = 0.1


class Group:
    """Processes that live and end together.

    Parameters
    ----------
    waves : sequence of sequences of ChildSpec
        Those of a wave are started at once, and those of the next one when they all answer.
    logs : Path
        Folder of their logs.
    say : callable
        Given a line whenever something happened that the operator should know.
    held : sequence of int
        Files that the guard shall inherit: whoever waits for their locks waits for the last child.
    backoff_s : tuple of float
        Seconds before a child is started again, at first and at most; doubled each time until it
        has lived for a minute.
    """

    def __init__(
        self,
        waves: Sequence[Sequence[ChildSpec]],
        logs: Path,
        say: Callable[[str], None],
        *,
        held: Sequence[int] = (),
        backoff_s: tuple[float, float] = (1.0, 30.0),
        steady_s: float = 60.0,
        log_bytes: int = LOG_BYTES,
        grace_s: float = GRACE_S,
    ) -> None:
        self._waves = [
            [Child(spec, logs / f"{spec.name}.log") for spec in wave] for wave in waves if wave
        ]
        self._say, self._held, self._backoff_s = say, tuple(held), backoff_s
        self._steady_s, self._log_bytes, self._grace_s = steady_s, log_bytes, grace_s
        self._guard: subprocess.Popen[str] | None = None
        self._lock = threading.RLock()  # start, restart and stop exclude one another
        self._stopping = threading.Event()
        self._watch: threading.Thread | None = None
        self._waits_s: dict[str, float] = {}
        self._due_s: dict[str, float] = {}
        self._to_tell: dict[str, Callable[[], bool]] = {}

    @property
    def children(self) -> list[Child]:
        """All children, in the order of their start."""
        return [child for wave in self._waves for child in wave]

    @property
    def pids(self) -> dict[str, int]:
        """Names and process numbers of the children that stay."""
        return {child.spec.name: child.pid for child in self.children if not child.spec.once}

    def start(self) -> None:
        """Start everything and wait until it answers; from then on what dies is started again.

        Raises
        ------
        ServiceError
            If a child ends before it answers; carries its log.
        ServiceUnreachable
            If one does not answer in time.
        """
        for wave in self._waves:
            for child in wave:
                self._start(child)
            for child in wave:
                if not child.spec.once:
                    self._wait_until_ready(child)
        self._watch = threading.Thread(target=self._keep_alive, name="supervision", daemon=True)
        self._watch.start()

    def stop(self) -> None:
        """Stop everything, the last wave first; what does not end in time is killed."""
        self._stopping.set()
        if self._watch is not None:
            self._watch.join()
        with self._lock:
            for wave in reversed(self._waves):
                _stop_wave(wave, self._say)
                self._tell_guard(f"-{child.pid}" for child in wave if child.pid)
            if self._guard is not None and self._guard.stdin is not None:
                with suppress(BrokenPipeError):
                    self._guard.stdin.close()
                self._guard.wait()
                self._guard = None

    def _start(self, child: Child) -> None:
        with self._lock:
            if self._stopping.is_set():
                return
            self._need_guard()
            child.start(lambda pid: self._tell_guard([f"+{pid}"]))

    def _wait_until_ready(self, child: Child) -> None:
        deadline = time.monotonic() + child.spec.ready_s
        while not self._stopping.is_set():
            code = child.poll()
            if code is not None:
                raise ServiceError(
                    f"{child.spec.name} {how_it_ended(code)} before it answered: "
                    f"{last_line(child.log) or 'it wrote nothing'}",
                    file=child.log,
                    exit_code=code,
                )
            if _answers(child.spec.ready_url) and child.has_written(child.spec.ready_text):
                return
            if time.monotonic() > deadline:
                raise ServiceUnreachable(
                    f"{child.spec.name} did not answer within {child.spec.ready_s:g} s",
                    file=child.log,
                    value=child.spec.ready_url,
                )
            self._stopping.wait(_LOOK_S)

    def _keep_alive(self) -> None:
        while not self._stopping.wait(_LOOK_S):
            for child in self.children:
                self._look_after(child)
                turn_log(child.log, self._log_bytes)
            self._tell_of_restarts()
            with self._lock:
                self._need_guard()

    def _look_after(self, child: Child) -> None:
        name, now = child.spec.name, time.monotonic()
        if name in self._due_s:
            if now >= self._due_s[name]:
                try:
                    self._start(child)
                except OSError as error:
                    # No process or no space to be had just now: that is no reason to give up.
                    self._put_off(name, now, f"cannot be started ({error.strerror})")
                    return
                del self._due_s[name]
                if child.spec.restarted is not None:
                    self._to_tell[name] = child.spec.restarted
            return
        code = child.poll()
        if code is None:
            return
        if child.spec.once and code == 0:
            self._tell_guard([f"-{child.pid}"])
            child.let_go()
            return
        if now - child.started_s > self._steady_s:
            self._waits_s.pop(name, None)
        child.finish(now)  # what it left behind would hold its port
        self._tell_guard([f"-{child.pid}"])
        self._put_off(name, now, how_it_ended(code), f" (see {child.log})")

    def _put_off(self, name: str, now: float, why: str, where: str = "") -> None:
        first_s, most_s = self._backoff_s
        wait_s = self._waits_s.get(name, first_s)
        self._waits_s[name] = min(2.0 * wait_s, most_s)
        self._due_s[name] = now + wait_s
        self._say(f"{name} {why}; it is started again in {wait_s:g} s{where}")

    def _tell_of_restarts(self) -> None:
        for child in self.children:
            told = self._to_tell.get(child.spec.name)
            if told is not None and _answers(child.spec.ready_url) and told():
                del self._to_tell[child.spec.name]

    def _need_guard(self) -> None:
        if self._guard is not None and self._guard.poll() is None:
            return
        self._guard = subprocess.Popen(
            [sys.executable, "-m", "crowdsky.supervise.guard", str(self._grace_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=self._held,
            text=True,
        )
        self._tell_guard(
            f"+{child.pid}" for child in self.children if child.pid and child.poll() is None
        )

    def _tell_guard(self, lines: Iterable[str]) -> None:
        if self._guard is None or self._guard.stdin is None:
            return
        with suppress(BrokenPipeError):  # a guard that died is replaced, and told everything
            self._guard.stdin.writelines(f"{line}\n" for line in lines)
            self._guard.stdin.flush()


def _stop_wave(wave: Sequence[Child], say: Callable[[str], None]) -> None:
    for child in wave:
        child.terminate()
    now = time.monotonic()
    for child in wave:
        if not child.finish(now + child.spec.stop_s):
            say(f"{child.spec.name} did not end within {child.spec.stop_s:g} s and was killed")


def _answers(url: str) -> bool:
    if not url:
        return True
    import httpx

    try:
        # Nobody's proxy: these are addresses of this machine.
        return httpx.get(url, timeout=5.0, trust_env=False).is_success
    except httpx.HTTPError:
        return False
