"""Tickets by which a page's kernel acts for its visitor, for a few minutes.

A page's kernel must reach the service with its visitor's rights and nothing more, so it never holds
a token of the Hub. The server of the pages, which knows whose kernel is whose, gives it a ticket: a
name and an end, signed with a key that only that server and the service hold (HMAC-SHA-256,
RFC 2104).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json

__all__ = ["LIFE_S", "mint", "read"]

LIFE_S = 300.0


def mint(secret: str, name: str, now_s: float, *, life_s: float = LIFE_S) -> str:
    """A ticket for an observer.

    Parameters
    ----------
    secret : str
        Shared with the service; not empty.
    name : str
        The observer's.
    now_s : float
        Seconds since 1970.
    life_s : float

    Raises
    ------
    ValueError
        If the secret or the name is empty.

    Examples
    --------
    >>> read("s3cret", mint("s3cret", "ann", 1000.0), 1299.0)
    'ann'
    """
    if not secret or not name:
        raise ValueError("a ticket needs a secret and a name")
    told = json.dumps([name, now_s + life_s]).encode("utf-8")
    return f"{_text(told)}.{_text(_mac(secret, told))}"


def read(secret: str, ticket: str, now_s: float) -> str | None:
    """Whose a ticket is; None if it is over, or not signed with this secret.

    Examples
    --------
    >>> read("s3cret", mint("s3cret", "ann", 1000.0), 1301.0) is None
    True
    >>> read("other", mint("s3cret", "ann", 1000.0), 1001.0) is None
    True
    """
    if not secret or len(ticket) > 2000:
        return None
    told_text, _, mac_text = ticket.partition(".")
    try:
        told, mac = _bytes(told_text), _bytes(mac_text)
    except (ValueError, binascii.Error):
        return None
    if not hmac.compare_digest(mac, _mac(secret, told)):
        return None
    name, end_s = json.loads(told)  # ours, as its signature says
    return str(name) if now_s < end_s else None


def _mac(secret: str, told: bytes) -> bytes:
    return hmac.new(secret.encode("utf-8"), b"crowdsky-ticket:" + told, hashlib.sha256).digest()


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode("ascii").rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
