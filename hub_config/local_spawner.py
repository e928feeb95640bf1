"""Servers of people as processes of this machine, where possible each with a user number."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import time
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any

from jupyterhub.spawner import SimpleLocalProcessSpawner
from jupyterhub.utils import random_port
from traitlets import Bool, Dict, Integer, Unicode

from hub_config.isolation import end_processes_of, uid_of

__all__ = ["LocalSpawner"]

_LAUNCHER = Path(__file__).resolve().parent / "launch.py"


class LocalSpawner(SimpleLocalProcessSpawner):  # type: ignore[misc]
    """A process with its own folder, limits, and user number (see `hub_config.isolation`)."""

    apart = Bool(False, config=True, help="Whether everybody has a user number of their own.")
    trouble = Unicode(config=True, help="Why not.")
    people_folder = Unicode(config=True, help="Where everybody's folder is.")
    python = Unicode(config=True, help="What runs the launcher.")
    tutorials = Unicode(config=True, help="A folder that is copied into everybody's.")
    limits = Dict(config=True, help="RLIMIT_* without that, to numbers.")
    nice = Integer(5, config=True, help="By how much servers step back behind the platform.")

    port: int
    _born = ""

    @property
    def folder(self) -> Path:
        """The user's own."""
        return Path(self.people_folder) / str(self.user.name)

    @property
    def uid(self) -> int:
        """The user's number on this machine; that of the Hub where there are no others."""
        return uid_of(int(self.user.orm_user.id)) if self.apart else os.geteuid()

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        """What a login would have set."""
        name, home = str(self.user.name), str(self.folder)
        return {
            **env,
            "HOME": home,
            "USER": name,
            "LOGNAME": name,
            "SHELL": "/bin/sh",
            "TMPDIR": f"{home}/.cache/tmp",
        }

    async def start(self) -> tuple[str, int]:
        """Start the server."""
        if self.port == 0:
            self.port = random_port()
        if not self.apart:
            self.log.warning(
                "Server of %s runs as user number %d, not apart from the others and the Hub: %s",
                *(self.user.name, os.geteuid(), self.trouble),
            )
        await asyncio.to_thread(self._prepare)
        orders: dict[str, Any] = {"limits": dict(self.limits), "nice": self.nice}
        orders["log"] = str(self.folder / ".notebook-server.log")
        if self.tutorials:
            orders["fresh"] = [self.tutorials, str(self.folder / "tutorials")]
        identity: dict[str, Any] = {}
        if self.apart:
            identity = {"user": self.uid, "group": self.uid, "extra_groups": []}
        self.proc = Popen(
            [self.python, str(_LAUNCHER), json.dumps(orders), *self.cmd, *self.get_args()],
            env=self.get_env(),
            cwd=self.folder,
            umask=0o077,
            stdin=DEVNULL,
            start_new_session=True,
            **identity,
        )
        self.pid = self.proc.pid
        self._born = _birth(self.pid)
        return self.ip or "127.0.0.1", self.port

    async def stop(self, now: bool = False) -> None:
        """Stop the server, and whatever else its user left running."""
        await super().stop(now)
        if self.apart:
            await asyncio.to_thread(end_processes_of, self.uid, self.python)

    async def delete_forever(self) -> None:
        """Put the folder of a user who is no more where no later user can be let at it."""
        await asyncio.to_thread(self._retire)

    def get_state(self) -> dict[str, Any]:
        """Number and birth of the process: a number alone may be another's after a restart."""
        return {**super().get_state(), "born": self._born}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up a server that an earlier Hub started."""
        super().load_state(state)
        self._born = str(state.get("born", ""))

    async def _signal(self, sig: int) -> bool:
        if self.proc is None and _birth(self.pid) != self._born:
            return False
        alive: bool = await super()._signal(signal.Signals(sig) if sig else 0)
        return alive

    def _prepare(self) -> None:
        people = Path(self.people_folder)
        people.mkdir(mode=0o711, parents=True, exist_ok=True)
        if self.apart:
            end_processes_of(self.uid, self.python)
            # Numbers come back when the last user is deleted; what is there may be of another.
            if self.folder.exists() and self.folder.lstat().st_uid != self.uid:
                self._retire()
        self.folder.mkdir(mode=0o700, exist_ok=True)
        if self.apart:
            os.chown(self.folder, self.uid, self.uid, follow_symlinks=False)

    def _retire(self) -> None:
        if not self.folder.is_dir():
            return
        gone = Path(self.people_folder) / ".gone"
        gone.mkdir(mode=0o700, exist_ok=True)
        place = gone / f"{self.folder.name}-{time.time_ns()}"
        shutil.move(self.folder, place)
        self.log.warning("The folder of %s, who is no more, is now %s", self.user.name, place)


def _birth(pid: int) -> str:
    """When a process was born, in ticks of this start of the machine, and which start that is."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
    return f"{boot} {after_name[19]}"
