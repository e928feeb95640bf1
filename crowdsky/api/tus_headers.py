"""The headers of tus 1.0.0, read strictly: https://tus.io/protocols/resumable-upload."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from crowdsky.errors import UploadError

__all__ = [
    "CHECKSUMS",
    "EXTENSIONS",
    "VERSION",
    "Checksum",
    "clean_name",
    "http_date",
    "parse_checksum",
    "parse_concat",
    "parse_metadata",
    "parse_number",
    "parse_sha256",
]

VERSION = "1.0.0"
EXTENSIONS = (
    "creation",
    "creation-defer-length",
    "creation-with-upload",
    "checksum",
    "concatenation",
    "expiration",
    "termination",
)
#: Hashes that `Upload-Checksum` may use.
CHECKSUMS: dict[str, Callable[[], Any]] = {
    name: getattr(hashlib, name) for name in ("sha1", "sha256", "sha512", "md5")
}

MAX_NAME = 255
MAX_METADATA = 4096
MAX_PARTS = 1000
_NUMBER = re.compile(r"[0-9]{1,18}")
_KEY = re.compile(r"[!-+\--~]{1,100}")  # printable ASCII but comma and blank
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Checksum:
    """What the bytes of one request should hash to."""

    algorithm: str
    digest: bytes


def parse_number(header: str, text: str | None) -> int:
    """A length or an offset.

    Raises
    ------
    UploadError
        Absent, or anything but up to 18 digits.
    """
    if text is None:
        raise UploadError(f"the header {header} is needed", status=400)
    if not _NUMBER.fullmatch(text):
        raise UploadError(f"{header} is a whole number of bytes", value=text, status=400)
    return int(text)


def parse_metadata(text: str | None) -> dict[str, str]:
    """`Upload-Metadata`: keys, each with a value in Base64.

    Bytes that are no UTF-8 become replacement characters, for a name is shown and never used.

    Raises
    ------
    UploadError
        A key that is no key or comes twice, a value that is no Base64, or too much of it all.
    """
    found: dict[str, str] = {}
    if not text or not text.strip():
        return found
    if len(text) > MAX_METADATA:
        raise UploadError(f"Upload-Metadata is at most {MAX_METADATA} bytes long", status=400)
    for pair in text.split(","):
        key, _, value = pair.strip(" ").partition(" ")
        if not _KEY.fullmatch(key) or key in found:
            raise UploadError("Upload-Metadata has keys, each once", value=pair, status=400)
        found[key] = _base64("Upload-Metadata", value).decode("utf-8", "replace")
    return found


def parse_checksum(text: str | None) -> Checksum | None:
    """`Upload-Checksum`: an algorithm and a hash in Base64.

    Raises
    ------
    UploadError
        An algorithm that is not known here, or a hash that is none of its.
    """
    if text is None:
        return None
    algorithm, _, value = text.strip(" ").partition(" ")
    if algorithm not in CHECKSUMS:
        known = ", ".join(CHECKSUMS)
        raise UploadError(f"Upload-Checksum is one of {known}", value=algorithm, status=400)
    digest = _base64("Upload-Checksum", value)
    if len(digest) != CHECKSUMS[algorithm]().digest_size:
        raise UploadError(f"Upload-Checksum has no {algorithm} hash", value=value, status=400)
    return Checksum(algorithm, digest)


def parse_concat(text: str | None) -> tuple[str, tuple[str, ...]]:
    """`Upload-Concat`: nothing, ``partial``, or ``final`` with the names of the parts.

    Returns
    -------
    kind : str
        Empty, ``partial`` or ``final``.
    parts : tuple of str
        Names of the uploads to join, in order.

    Raises
    ------
    UploadError
    """
    if text is None:
        return "", ()
    kind, _, listing = text.partition(";")
    kind = kind.strip()
    if kind == "partial" and not listing:
        return kind, ()
    parts = tuple(url.rstrip("/").rsplit("/", 1)[-1] for url in listing.split())
    if kind != "final" or not parts or not all(_ID.fullmatch(part) for part in parts):
        raise UploadError("Upload-Concat is 'partial' or 'final;' and uploads", status=400)
    if len(parts) > MAX_PARTS:
        raise UploadError(f"at most {MAX_PARTS} uploads are joined", value=len(parts), status=400)
    return kind, parts


def parse_sha256(metadata: dict[str, str]) -> str | None:
    """The announced SHA-256 of the whole file, in hexadecimal.

    Raises
    ------
    UploadError
    """
    text = metadata.get("sha256", "").strip().lower()
    if not text:
        return None
    if not _SHA256.fullmatch(text):
        raise UploadError("the sha256 of Upload-Metadata is 64 hexadecimal digits", status=400)
    return text


def clean_name(text: str) -> str:
    r"""A file's name as it is shown: on one line, without tricks, at most 255 characters.

    Examples
    --------
    >>> clean_name("a\x00b\n.fit"), clean_name("  ")
    ('a�b�.fit', 'unnamed')
    """
    safe = "".join(c if c.isprintable() else "\ufffd" for c in text[: 4 * MAX_NAME]).strip()
    if len(safe) > MAX_NAME:
        # The end is kept: it says what kind of file this is.
        safe = f"{safe[: MAX_NAME - 21]}…{safe[-20:]}"
    return safe or "unnamed"


def http_date(time_utc: datetime) -> str:
    """A time as HTTP writes it (RFC 9110, section 5.6.7)."""
    return format_datetime(time_utc.astimezone(UTC).replace(microsecond=0), usegmt=True)


def _base64(header: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise UploadError(f"{header} holds values in Base64", value=text, status=400) from None
