"""What starts people's notebook servers: processes of this machine, or containers."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from crowdsky.errors import SettingsError
from crowdsky.supervise.hub_file import HubFile
from hub_config.isolation import Isolation, find_isolation

__all__ = ["configure"]

IDLE_SERVER_S = 4 * 3600
IDLE_KERNEL_S = 2 * 3600
LEAST_MEMORY_BYTES = 8 << 30
_PROCESSES = 512
_FILE_BYTES = 32 << 30


def configure(c: Any, facts: HubFile, *, python: str = sys.executable) -> str:
    """How servers are started.

    Parameters
    ----------
    c : traitlets.config.Config
    facts : HubFile
    python : str
        What runs the servers of the local spawner.

    Returns
    -------
    str
        What whoever starts a server should know first; empty if nothing.

    Raises
    ------
    SettingsError
        If the spawner is unknown, is not installed, or lacks its users' host names.
    """
    c.Spawner.environment = {"CROWDSKY_SERVER": f"{facts.bind_url.rstrip('/')}/services/crowdsky"}
    c.Spawner.default_url = "/lab"
    c.Spawner.args = _arguments()
    c.Spawner.start_timeout = 120
    c.Spawner.http_timeout = 120  # JupyterLab takes long on a machine that stacks
    c.JupyterHub.implicit_spawn_seconds = 0.1
    c.JupyterHub.concurrent_spawn_limit = 4
    if facts.spawner in ("docker", "kube"):
        from hub_config import containers

        containers.configure(c, facts)
        return ""
    if facts.spawner != "local":
        raise SettingsError(
            "CROWDSKY_SPAWNER must be local, docker or kube", value=facts.spawner, name="spawner"
        )
    return _configure_local(c, facts, python)


def _configure_local(c: Any, facts: HubFile, python: str) -> str:
    from hub_config.local_spawner import LocalSpawner

    isolation = find_isolation(Path(facts.home).parent, python)
    c.JupyterHub.spawner_class = LocalSpawner
    local = c.LocalSpawner
    local.apart, local.people_folder = isolation.apart, str(isolation.folder)
    local.python = python
    local.cmd = [python, "-m", "jupyterhub.singleuser"]
    local.trouble = isolation.reason
    if not isolation.apart and os.geteuid() == 0:
        # Jupyter is right to warn: then notebooks are root. The log and their users are told so.
        c.Spawner.args = [*_arguments(), "--ServerApp.allow_root=True"]
    local.tutorials = _tutorials(Path(facts.notebooks_folder)) if facts.notebooks_folder else ""
    # What a program needs to find its own parts; nothing of the Hub's else.
    local.env_keep = ["LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "TZ"]
    local.limits = _limits(isolation)
    return isolation.notice


def _tutorials(notebooks: Path) -> str:
    for place in (notebooks / "tutorials", notebooks.parent / "tutorials"):
        if place.is_dir():
            return str(place)
    return ""


def _limits(isolation: Isolation) -> dict[str, int]:
    """Per process but for NPROC, which is per user and so only of use where each is one."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = {
        # Addresses, not memory: numerical libraries reserve far more than they use.
        "AS": max(LEAST_MEMORY_BYTES, memory // 2),
        "CORE": 0,
        "FSIZE": _FILE_BYTES,
        "NOFILE": 4096,
    }
    if isolation.apart:
        limits["NPROC"] = _PROCESSES
    return limits


def _arguments() -> list[str]:
    return [
        # Whoever forgets a server leaves it running for some hours, not for weeks.
        f"--ServerApp.shutdown_no_activity_timeout={IDLE_SERVER_S}",
        f"--MappingKernelManager.cull_idle_timeout={IDLE_KERNEL_S}",
        # What kernels print goes over ports of 127.0.0.1, where other users could listen.
        "--MappingKernelManager.transport_encryption=auto",
        # No other hosts: no news, no search for updates, no extensions from elsewhere.
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.news_url=None",
        "--LabApp.extension_manager=readonly",
        # It starts node to look for what is not installed here.
        "--LanguageServerManager.autodetect=False",
    ]
