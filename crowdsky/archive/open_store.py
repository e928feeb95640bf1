"""Where the files lie, by the settings."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from crowdsky.archive.local_store import LocalStore
from crowdsky.archive.store import FileStore
from crowdsky.errors import SettingsError
from crowdsky.settings import ServerSettings

__all__ = ["open_store"]


def open_store(settings: ServerSettings) -> FileStore:
    """Open the file store that ``settings.store_url`` names.

    Parameters
    ----------
    settings : ServerSettings

    Returns
    -------
    FileStore
        In a folder (an absolute path), in S3 (``s3://bucket/prefix``) or on a WebDAV server
        (``dav://host/path``, ``davs://`` with TLS).

    Raises
    ------
    SettingsError
        If it names none of these.
    StoreError
        If the folder cannot be made.
    """
    url = settings.store_url
    if url.startswith("/"):
        return LocalStore(Path(url))
    parts = urlsplit(url)
    if parts.scheme in ("s3", "dav", "davs") and parts.netloc:
        # Imported here: whoever keeps files in a folder need not load an S3 client.
        from crowdsky.archive.object_store import open_dav, open_s3

        return open_s3(settings) if parts.scheme == "s3" else open_dav(settings)
    raise SettingsError(
        "CROWDSKY_STORE_URL must be an absolute path, s3://bucket/prefix or dav://host/path",
        value=url,
        name="CROWDSKY_STORE_URL",
    )
