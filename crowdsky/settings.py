"""The only reader of the environment.

Everything that may differ from one machine to the next is a field of `Settings` (what every command
uses) or `ServerSettings` (what the platform uses); whoever needs one is handed it, and nobody else
looks at ``os.environ``. A variable beats the configuration file, and the file beats the default.

============================= ============================ =========================================
variable                      field                        meaning
============================= ============================ =========================================
``CROWDSKY_CACHE_DIR``        ``cache_dir``                where indexes and fetched catalogues live
``CROWDSKY_JOBS``             ``jobs``                     blocks stacked at once on this machine
``CROWDSKY_SERVER``           ``server``                   address of the service, for the client
``CROWDSKY_API_KEY``          ``api_key``                  key for it
``CROWDSKY_PAGES_URL``        ``pages_url``                set by the platform for a page's kernel
``CROWDSKY_KERNEL_KEY``       ``kernel_key``               likewise: for it the kernel gets tickets
``JUPYTERHUB_API_TOKEN``      ``hub_token``                shown where there is no key: a notebook's
============================= ============================ =========================================

The platform's own, each also a key of the TOML file that ``CROWDSKY_CONFIG`` names (there in lower
case and without ``CROWDSKY_``; without the variable, ``crowdsky.toml`` in ``CROWDSKY_HOME``):

================================ ===================================================================
variable                         meaning
================================ ===================================================================
``CROWDSKY_HOME``                folder of everything the platform keeps on this machine
``CROWDSKY_DATABASE_URL``        SQLAlchemy URL (default: SQLite in ``CROWDSKY_HOME``)
``CROWDSKY_STORE_URL``           folder, ``s3://bucket/prefix`` or ``dav://host/path`` (``davs://``)
``CROWDSKY_SCRATCH_DIR``         uploads under way, and workers' files
``CROWDSKY_S3_ENDPOINT``         address of an S3 service other than Amazon's
``CROWDSKY_S3_KEY``              S3 access key
``CROWDSKY_S3_SECRET``           S3 secret key
``CROWDSKY_S3_REGION``           S3 region
``CROWDSKY_DAV_USER``            WebDAV user
``CROWDSKY_DAV_PASSWORD``        WebDAV password
``CROWDSKY_HUB_PORT``            port of the site on 127.0.0.1: the Hub's proxy
``CROWDSKY_API_PORT``            port of the service on 127.0.0.1
``CROWDSKY_PAGES_PORT``          port of the pages server on 127.0.0.1
``CROWDSKY_PAGES_PREHEAT``       kernels kept ready for each page
``CROWDSKY_PAGES_VIEWS``         pages open at once, in all; each has a kernel of about 70 MB
``CROWDSKY_PAGES_USER_VIEWS``    pages open at once of one user
``CROWDSKY_PAGES_IDLE_S``        seconds after which the kernel of a closed page is ended
``CROWDSKY_PUBLIC_URL``          address by which people reach the site
``CROWDSKY_HUB_DATABASE_URL``    of the Hub (default: SQLite in ``CROWDSKY_HOME``)
``CROWDSKY_SIGN_UP``             ``open``, ``approval`` (by an operator) or ``closed``
``CROWDSKY_MINIMUM_PASSWORD``    characters of a password
``CROWDSKY_SPAWNER``             where notebooks run: ``local``, ``docker`` or ``kube``
``CROWDSKY_SUBDOMAIN_HOST``      address below which each user's notebooks have a name of their own
``CROWDSKY_MAIL_HOST``           mail server for sign-ups; without one no address is asked for
``CROWDSKY_MAIL_PORT``           its port
``CROWDSKY_MAIL_SENDER``         whom its mails come from
``CROWDSKY_MAIL_USER``           name at the mail server
``CROWDSKY_MAIL_PASSWORD``       password at the mail server
``CROWDSKY_TICKET_SECRET``       signs tickets of pages' kernels; `crowdsky up` makes it
``CROWDSKY_PREFECT_PORT``        port of the Prefect server on 127.0.0.1
``CROWDSKY_PREFECT_API_URL``     a Prefect server elsewhere; none is started here then
``CROWDSKY_FETCHES``             raws fetched at once by a worker
``CROWDSKY_LEASE_S``             seconds after which a silent worker's job is another's
``CROWDSKY_MAX_ATTEMPTS``        tries of a job before it is called failed
``CROWDSKY_RETRY_AFTER_S``       seconds before the second try; doubled for each further one
``CROWDSKY_KEEP_RAWS_DAYS``      days that raws are kept after their stack was committed
``CROWDSKY_UPLOAD_DAYS``         days that an unfinished upload is kept
``CROWDSKY_SWEEP_GRACE_S``       seconds for which a file that nothing needs is left alone
``CROWDSKY_MAX_FILE_MB``         largest frame
``CROWDSKY_MAX_ARCHIVE_MB``      largest .zip, .tar or .gz
``CROWDSKY_QUOTA_GB``            raws and stacks of one observer
``CROWDSKY_REQUESTS_PER_MINUTE`` requests of one key or address; uploads' parts are not counted
``CROWDSKY_OPERATORS``           names of observers who may look after everything, with commas
================================ ===================================================================
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from crowdsky.settings_source import Source, broken, host_of, read_toml

__all__ = [
    "ServerSettings",
    "Settings",
    "available_cores",
    "forget",
    "inherited",
    "load_server_settings",
    "load_settings",
]

_MAX_JOBS = 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment decides for every command.

    Attributes
    ----------
    cache_dir : Path
        Absolute. Holds only what can be made again: the blind triangle index, catalogue cones.
    jobs : int
        Worker processes that a command may start when the caller names no number.
    server, api_key : str
        Of the service that the client speaks to; empty if not set.
    hub_token : str
        What a notebook of the Hub shows where no key is set; empty elsewhere, also where the
        service is on another host than the Hub: the token is nobody else's to see.
    pages_url, kernel_key : str
        Of the server that started this kernel for a page; empty elsewhere.
    """

    cache_dir: Path
    jobs: int
    server: str = ""
    api_key: str = field(default="", repr=False)
    hub_token: str = field(default="", repr=False)
    pages_url: str = ""
    kernel_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What the platform is told; see the table at the head of the module.

    Attributes
    ----------
    home : Path
        Absolute, as is `scratch_dir`.
    database_url, store_url : str
        Complete: a store in a folder is an absolute path.
    jobs : int
        Blocks stacked at once on this machine: the one number behind the workers.
    public_url, prefect_api_url : str
        Without a slash at the end. `public_url` is the service's own address on this machine where
        none was set; `prefect_api_url` is empty where the platform starts its own.
    hub_database_url : str
        Empty for a SQLite file in `home`.
    sign_up : str
        ``open``, ``approval`` or ``closed``.
    spawner : str
        ``local``, ``docker`` or ``kube``.
    ticket_secret : str
        Empty if no tickets are taken.
    operators : tuple of str
    """

    home: Path
    cache_dir: Path
    database_url: str = field(repr=False)
    store_url: str
    scratch_dir: Path
    jobs: int
    s3_endpoint: str = ""
    s3_key: str = ""
    s3_secret: str = field(default="", repr=False)
    s3_region: str = "us-east-1"
    dav_user: str = ""
    dav_password: str = field(default="", repr=False)
    api_port: int = 8642
    hub_port: int = 8000
    pages_port: int = 8643
    pages_preheat: int = 1
    pages_views: int = 40
    pages_user_views: int = 10
    pages_idle_s: float = 600.0
    public_url: str = "http://127.0.0.1:8642"
    hub_database_url: str = field(default="", repr=False)
    sign_up: str = "open"
    minimum_password: int = 10
    spawner: str = "local"
    subdomain_host: str = ""
    mail_host: str = ""
    mail_port: int = 587
    mail_sender: str = ""
    mail_user: str = ""
    mail_password: str = field(default="", repr=False)
    ticket_secret: str = field(default="", repr=False)
    prefect_port: int = 4242
    prefect_api_url: str = ""
    fetches: int = 16
    lease_s: float = 60.0
    max_attempts: int = 3
    retry_after_s: float = 30.0
    keep_raws_days: float = 7.0
    upload_days: float = 7.0
    sweep_grace_s: float = 3600.0
    max_file_mb: int = 64
    max_archive_mb: int = 8192
    quota_gb: float = 200.0
    requests_per_minute: int = 600
    operators: tuple[str, ...] = ()


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings.

    Parameters
    ----------
    environ : mapping of str to str, optional
        The environment; that of the process when omitted.

    Returns
    -------
    Settings

    Raises
    ------
    SettingsError
        Naming the variable, its value and the rule it breaks.

    Examples
    --------
    >>> load_settings({"CROWDSKY_JOBS": "3"}).jobs
    3
    """
    source = Source(os.environ if environ is None else environ)
    return Settings(
        cache_dir=source.folder("CROWDSKY_CACHE_DIR", _user_cache),
        jobs=source.integer("CROWDSKY_JOBS", available_cores(), 1, _MAX_JOBS),
        server=source.text("CROWDSKY_SERVER").rstrip("/"),
        api_key=source.text("CROWDSKY_API_KEY"),
        hub_token=_hub_token(source),
        pages_url=source.address("CROWDSKY_PAGES_URL"),
        kernel_key=source.text("CROWDSKY_KERNEL_KEY"),
    )


def load_server_settings(environ: Mapping[str, str] | None = None) -> ServerSettings:
    """Read the platform's settings from the environment and the configuration file.

    Parameters
    ----------
    environ : mapping of str to str, optional
        The environment; that of the process when omitted.

    Returns
    -------
    ServerSettings

    Raises
    ------
    SettingsError
        Naming the variable or key, its value and the rule it breaks; also for a key of the file
        that is no setting.
    """
    source = Source(os.environ if environ is None else environ)
    home = source.folder("CROWDSKY_HOME", _user_data)
    named = source.text("CROWDSKY_CONFIG")
    file = Path(named) if named else home / "crowdsky.toml"
    source = Source(source.variables, read_toml(file, must_be_there=bool(named)))
    port = source.integer("CROWDSKY_API_PORT", 8642, 1, 65535)
    settings = ServerSettings(
        home=home,
        cache_dir=source.folder("CROWDSKY_CACHE_DIR", _user_cache),
        database_url=source.text("CROWDSKY_DATABASE_URL") or f"sqlite:///{home / 'crowdsky.db'}",
        store_url=source.text("CROWDSKY_STORE_URL") or str(home / "store"),
        scratch_dir=source.folder("CROWDSKY_SCRATCH_DIR", lambda: home / "scratch"),
        jobs=source.integer("CROWDSKY_JOBS", available_cores(), 1, _MAX_JOBS),
        s3_endpoint=source.text("CROWDSKY_S3_ENDPOINT"),
        s3_key=source.text("CROWDSKY_S3_KEY"),
        s3_secret=source.text("CROWDSKY_S3_SECRET"),
        s3_region=source.text("CROWDSKY_S3_REGION") or "us-east-1",
        dav_user=source.text("CROWDSKY_DAV_USER"),
        dav_password=source.text("CROWDSKY_DAV_PASSWORD"),
        api_port=port,
        hub_port=source.integer("CROWDSKY_HUB_PORT", 8000, 1, 65535),
        pages_port=source.integer("CROWDSKY_PAGES_PORT", 8643, 1, 65535),
        pages_preheat=source.integer("CROWDSKY_PAGES_PREHEAT", 1, 0, 20),
        pages_views=source.integer("CROWDSKY_PAGES_VIEWS", 40, 1, 10_000),
        pages_user_views=source.integer("CROWDSKY_PAGES_USER_VIEWS", 10, 1, 10_000),
        pages_idle_s=source.number("CROWDSKY_PAGES_IDLE_S", 600.0, 1.0, 86400.0),
        public_url=source.address("CROWDSKY_PUBLIC_URL") or f"http://127.0.0.1:{port}",
        hub_database_url=source.text("CROWDSKY_HUB_DATABASE_URL"),
        sign_up=source.one_of("CROWDSKY_SIGN_UP", ("open", "approval", "closed")),
        minimum_password=source.integer("CROWDSKY_MINIMUM_PASSWORD", 10, 8, 128),
        spawner=source.one_of("CROWDSKY_SPAWNER", ("local", "docker", "kube")),
        subdomain_host=source.address("CROWDSKY_SUBDOMAIN_HOST"),
        mail_host=source.text("CROWDSKY_MAIL_HOST"),
        mail_port=source.integer("CROWDSKY_MAIL_PORT", 587, 1, 65535),
        mail_sender=source.text("CROWDSKY_MAIL_SENDER"),
        mail_user=source.text("CROWDSKY_MAIL_USER"),
        mail_password=source.text("CROWDSKY_MAIL_PASSWORD"),
        ticket_secret=source.text("CROWDSKY_TICKET_SECRET"),
        prefect_port=source.integer("CROWDSKY_PREFECT_PORT", 4242, 1, 65535),
        prefect_api_url=source.address("CROWDSKY_PREFECT_API_URL"),
        fetches=source.integer("CROWDSKY_FETCHES", 16, 1, 1024),
        lease_s=source.number("CROWDSKY_LEASE_S", 60.0, 0.5, 86400.0),
        max_attempts=source.integer("CROWDSKY_MAX_ATTEMPTS", 3, 1, 100),
        retry_after_s=source.number("CROWDSKY_RETRY_AFTER_S", 30.0, 0.0, 86400.0),
        keep_raws_days=source.number("CROWDSKY_KEEP_RAWS_DAYS", 7.0, 0.0, 36500.0),
        upload_days=source.number("CROWDSKY_UPLOAD_DAYS", 7.0, 0.001, 3650.0),
        sweep_grace_s=source.number("CROWDSKY_SWEEP_GRACE_S", 3600.0, 0.0, 8.64e6),
        max_file_mb=source.integer("CROWDSKY_MAX_FILE_MB", 64, 1, 4096),
        max_archive_mb=source.integer("CROWDSKY_MAX_ARCHIVE_MB", 8192, 1, 1_048_576),
        quota_gb=source.number("CROWDSKY_QUOTA_GB", 200.0, 0.001, 1e9),
        requests_per_minute=source.integer("CROWDSKY_REQUESTS_PER_MINUTE", 600, 1, 1_000_000),
        operators=source.names("CROWDSKY_OPERATORS"),
    )
    source.refuse_unknown()
    if settings.mail_host and "@" not in settings.mail_sender:
        raise broken("CROWDSKY_MAIL_SENDER", settings.mail_sender, "must be an e-mail address")
    return settings


def available_cores() -> int:
    """Cores this process may use, which containers and batch systems make fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def inherited(names: Iterable[str]) -> dict[str, str]:
    """Of this process's environment, what a process that it starts may have.

    Parameters
    ----------
    names : iterable of str
        Those that are not set are left out.
    """
    return {name: os.environ[name] for name in names if name in os.environ}


def forget(names: Iterable[str]) -> None:
    """Take variables out of this process's environment, and out of what others can see of it.

    Unsetting a variable leaves its text where the system put it, and ``/proc/<pid>/environ`` shows
    that place; so the text is overwritten first.
    """
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_void_p
    for name in names:
        at = libc.getenv(name.encode("utf-8"))
        if at:
            ctypes.memset(at, 0, len(ctypes.string_at(at)))
        os.environ.pop(name, None)


def _hub_token(source: Source) -> str:
    hubs = {
        host_of(source.text(name)) for name in ("JUPYTERHUB_API_URL", "JUPYTERHUB_PUBLIC_HUB_URL")
    }
    host = host_of(source.text("CROWDSKY_SERVER"))
    return source.text("JUPYTERHUB_API_TOKEN") if host and host in hubs else ""


def _user_cache() -> Path:
    # Imported here: platformdirs reads the environment itself, on behalf of this module only.
    from platformdirs import user_cache_path

    return user_cache_path("crowdsky", appauthor=False)


def _user_data() -> Path:
    from platformdirs import user_data_path

    return user_data_path("crowdsky", appauthor=False)
