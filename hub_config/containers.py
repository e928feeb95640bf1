"""Servers of people in containers, for sites that are open to the world.

A notebook can serve pages of its own, so each user's server needs a host name of its own: on one
name, a page of one user could act as another who looks at it.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from crowdsky.errors import SettingsError
from crowdsky.supervise.hub_file import HubFile

__all__ = ["configure"]

IMAGE = "crowdsky-notebook:latest"
MEMORY = "4G"
CPUS = 2.0
_UID = 1000
_PACKAGES = {
    "docker": ("dockerspawner", "dockerspawner.DockerSpawner"),
    "kube": ("kubespawner", "kubespawner.KubeSpawner"),
}


def configure(c: Any, facts: HubFile) -> None:
    """Set up the spawner that was chosen.

    Raises
    ------
    SettingsError
        If it is not installed, or users' servers have no host names of their own.
    """
    package, spawner = _PACKAGES[facts.spawner]
    if not facts.subdomain_host:
        raise SettingsError(
            f"CROWDSKY_SPAWNER = {facts.spawner} needs CROWDSKY_SUBDOMAIN_HOST, such as "
            "https://sky.example with *.sky.example leading to the same place: on one host name, "
            "pages of one user's notebooks could act as another user",
            name="CROWDSKY_SUBDOMAIN_HOST",
        )
    if find_spec(package) is None:
        raise SettingsError(
            f"CROWDSKY_SPAWNER = {facts.spawner} needs the package {package}: install it with pip",
            name="CROWDSKY_SPAWNER",
        )
    c.JupyterHub.spawner_class = spawner
    c.JupyterHub.hub_ip = "0.0.0.0"  # containers have to reach it; tokens guard it
    site = (facts.public_url or facts.bind_url).rstrip("/")
    c.Spawner.environment = {"CROWDSKY_SERVER": f"{site}/services/crowdsky"}
    c.Spawner.mem_limit, c.Spawner.cpu_limit = MEMORY, CPUS
    c.Spawner.cmd = ["jupyterhub-singleuser"]
    if facts.spawner == "docker":
        _docker(c, facts)
    else:
        _kube(c)


def _docker(c: Any, facts: HubFile) -> None:
    docker = c.DockerSpawner
    docker.image = IMAGE
    docker.remove = True
    docker.notebook_dir = "/home/jovyan"
    docker.volumes = {"crowdsky-user-{username}": "/home/jovyan"}
    # A network of its own, without ways to the site's other containers. What leaves this host from
    # it, 169.254.169.254 above all, is for the host's firewall: Docker has no rules for that.
    docker.network_name = "crowdsky-notebooks"
    docker.hub_connect_url = f"http://host.docker.internal:{facts.hub_api_port}"
    docker.extra_create_kwargs = {"user": str(_UID)}
    docker.extra_host_config = {
        "cap_drop": ["ALL"],
        "extra_hosts": {"host.docker.internal": "host-gateway"},
        "memswap_limit": MEMORY,
        "pids_limit": 512,
        "security_opt": ["no-new-privileges"],
    }


def _kube(c: Any) -> None:
    kube = c.KubeSpawner
    kube.image = IMAGE
    kube.uid = kube.gid = kube.fs_gid = _UID
    kube.allow_privilege_escalation = False
    kube.container_security_context = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
    }
    kube.automount_service_account_token = False  # no way to the cluster's own interface
    kube.storage_pvc_ensure = True
    kube.storage_capacity = "10Gi"
    # Named in the NetworkPolicy that keeps egress to DNS, the Hub and the site (docs/operating.md).
    kube.extra_labels = {"crowdsky.org/part": "notebook"}
