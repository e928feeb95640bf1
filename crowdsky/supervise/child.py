"""One child process of the group."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from crowdsky.supervise.launch import LAUNCHER, launch_request
from crowdsky.supervise.log_file import open_log

__all__ = ["Child", "ChildSpec", "how_it_ended"]


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What to run, and how to tell that it answers.

    Attributes
    ----------
    name : str
        Short; also the log's name.
    argv : tuple of str
        The program, by its path, and its arguments.
    variables : mapping of str to str
        Of the environment, on top of those inherited.
    ready_url, ready_text : str
        An address that answers 200, or words in the log, once the child is ready. Where both are
        empty, being alive is all there is to see.
    ready_s, stop_s : float
        Seconds it may take to answer, and to end after SIGTERM.
    once : bool
        It has something to do and then ends with code 0; nobody waits for it.
    restarted : callable, optional
        Asked, when it was started again after its death, until it says True: what somebody else
        has to be told then. It may take a few seconds at most.
    """

    name: str
    argv: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    ready_url: str = ""
    ready_text: str = ""
    ready_s: float = 180.0
    stop_s: float = 20.0
    once: bool = False
    restarted: Callable[[], bool] | None = None


class Child:
    """A process in a session and process group of its own.

    Parameters
    ----------
    spec : ChildSpec
    log : Path
        Where its output goes.
    """

    def __init__(self, spec: ChildSpec, log: Path) -> None:
        self.spec, self.log = spec, log
        self.started_s = 0.0
        self._log_start = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Number of the process, and of its group; 0 before the first start."""
        return 0 if self._process is None else self._process.pid

    def start(self, guarded: Callable[[int], None]) -> None:
        """Start the process.

        Parameters
        ----------
        guarded : callable
            Given the process's number before it does anything, so that there is no moment at
            which it would outlive its supervisor.
        """
        log = open_log(self.log)
        self._log_start = os.fstat(log).st_size
        try:
            self._process = subprocess.Popen(
                LAUNCHER,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        finally:
            os.close(log)
        self.started_s = time.monotonic()
        guarded(self._process.pid)
        pipe = self._process.stdin
        assert pipe is not None
        with suppress(BrokenPipeError), pipe:  # it may be dead already, which poll() will tell
            pipe.write(launch_request(self.spec.argv, self.spec.variables))

    def poll(self) -> int | None:
        """Exit code as `subprocess` has it, or None while it runs."""
        return None if self._process is None else self._process.poll()

    def has_written(self, text: str) -> bool:
        """Whether these words are in its log since it was started."""
        with self.log.open("rb") as stream:
            stream.seek(self._log_start)
            return text.encode("utf-8") in stream.read()

    def terminate(self) -> None:
        """Ask it to end."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def let_go(self) -> None:
        """Forget a process that has ended: its number will be another's."""
        self._process = None

    def finish(self, deadline_s: float) -> bool:
        """Wait for the end, and leave nothing of its group behind.

        Parameters
        ----------
        deadline_s : float
            On the clock of `time.monotonic`; what runs then is killed.

        Returns
        -------
        bool
            Whether it ended by itself in time.
        """
        if self._process is None:
            return True
        in_time = True
        try:
            self._process.wait(max(0.0, deadline_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            in_time = False
        # Processes that it started and left behind are in its group.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        return in_time


def how_it_ended(code: int) -> str:
    """Exit code in words.

    Examples
    --------
    >>> how_it_ended(3), how_it_ended(-9)
    ('ended with code 3', 'was killed by SIGKILL')
    """
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
