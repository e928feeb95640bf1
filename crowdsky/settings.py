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
``CROWDSKY_API_PORT``            port of the service on 127.0.0.1
``CROWDSKY_PUBLIC_URL``          address by which people reach the service
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

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from crowdsky.errors import SettingsError

__all__ = ["ServerSettings", "Settings", "available_cores", "load_server_settings", "load_settings"]

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
    """

    cache_dir: Path
    jobs: int
    server: str = ""
    api_key: str = ""


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
        Without a slash at the end. `prefect_api_url` is empty where the platform starts its own.
    operators : tuple of str
    """

    home: Path
    cache_dir: Path
    database_url: str
    store_url: str
    scratch_dir: Path
    jobs: int
    s3_endpoint: str = ""
    s3_key: str = ""
    s3_secret: str = ""
    s3_region: str = "us-east-1"
    dav_user: str = ""
    dav_password: str = ""
    api_port: int = 8642
    public_url: str = "http://127.0.0.1:8642"
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
    source = _Source(os.environ if environ is None else environ)
    return Settings(
        cache_dir=source.folder("CROWDSKY_CACHE_DIR", _user_cache),
        jobs=source.integer("CROWDSKY_JOBS", available_cores(), 1, _MAX_JOBS),
        server=source.text("CROWDSKY_SERVER").rstrip("/"),
        api_key=source.text("CROWDSKY_API_KEY"),
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
    source = _Source(os.environ if environ is None else environ)
    home = source.folder("CROWDSKY_HOME", _user_data)
    named = source.text("CROWDSKY_CONFIG")
    file = Path(named) if named else home / "crowdsky.toml"
    source = _Source(source.environ, _read_toml(file, must_be_there=bool(named)))
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
        public_url=source.address("CROWDSKY_PUBLIC_URL") or f"http://127.0.0.1:{port}",
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
    return settings


def available_cores() -> int:
    """Cores this process may use, which containers and batch systems make fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def _user_cache() -> Path:
    # Imported here: platformdirs reads the environment itself, on behalf of this module only.
    from platformdirs import user_cache_path

    return user_cache_path("crowdsky", appauthor=False)


def _user_data() -> Path:
    from platformdirs import user_data_path

    return user_data_path("crowdsky", appauthor=False)


def _read_toml(path: Path, *, must_be_there: bool) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError) and not must_be_there:
            return {}
        raise SettingsError(f"the configuration file cannot be read ({error})", file=path) from None


class _Source:
    """The environment over a configuration file, asked for one setting after the other."""

    def __init__(
        self, environ: Mapping[str, str], table: Mapping[str, object] | None = None
    ) -> None:
        self.environ, self.table = environ, {} if table is None else table
        self.asked: set[str] = set()

    def text(self, name: str) -> str:
        key = name.removeprefix("CROWDSKY_").lower()
        self.asked.add(key)
        text = self.environ.get(name, "").strip()
        if text or key not in self.table:
            return text
        value = self.table[key]
        if isinstance(value, list):
            return ",".join(map(str, value))
        if isinstance(value, (bool, dict)):
            raise _broken(name, str(value), "must be text, a number or a list")
        return str(value).strip()

    def refuse_unknown(self) -> None:
        for key in self.table:
            if key not in self.asked:
                raise _broken(key, "", "is no setting; see the head of crowdsky/settings.py")

    def folder(self, name: str, default: object) -> Path:
        text = self.text(name)
        if not text:
            path = default() if callable(default) else default
            assert isinstance(path, Path)
            return path
        path = Path(text).expanduser()
        if not path.is_absolute():
            raise _broken(name, text, "must be an absolute path")
        if path.exists() and not path.is_dir():
            raise _broken(name, text, "must be a directory")
        return path

    def address(self, name: str) -> str:
        text = self.text(name)
        if text and not text.startswith(("http://", "https://")):
            raise _broken(name, text, "must begin with http:// or https://")
        return text.rstrip("/")

    def names(self, name: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in self.text(name).split(",") if part.strip())

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        text = self.text(name)
        if not text:
            return default
        rule = f"must be a whole number from {least} to {most}"
        try:
            number = int(text)
        except ValueError:
            raise _broken(name, text, rule) from None
        if not least <= number <= most:
            raise _broken(name, text, rule)
        return number

    def number(self, name: str, default: float, least: float, most: float) -> float:
        text = self.text(name)
        if not text:
            return default
        rule = f"must be a number from {least:g} to {most:g}"
        try:
            number = float(text)
        except ValueError:
            raise _broken(name, text, rule) from None
        if not least <= number <= most:
            raise _broken(name, text, rule)
        return number


def _broken(name: str, value: str, rule: str) -> SettingsError:
    return SettingsError(f"{name} {rule}", value=value or None, name=name)
