"""What the service refused, as the errors of this package."""

from __future__ import annotations

import json
import math
from typing import Any

import httpx

from crowdsky import errors
from crowdsky.errors import CrowdSkyError

__all__ = ["error_of", "retry_after_s", "worth_waiting"]

_BY_STATUS: dict[int, type[CrowdSkyError]] = {
    401: errors.NotAuthenticated,
    403: errors.NotPermitted,
    404: errors.NotFound,
    409: errors.Conflict,
    410: errors.ObjectMissing,
    413: errors.LimitExceeded,
    422: errors.ServiceError,
    429: errors.LimitExceeded,
    460: errors.ChecksumMismatch,
    502: errors.ServiceUnreachable,
    503: errors.ServiceUnreachable,
    504: errors.ServiceUnreachable,
    507: errors.StoreFull,
}
_BUSY = (429, 502, 503, 504)


def error_of(response: httpx.Response) -> CrowdSkyError:
    """The error that an answer stands for.

    Parameters
    ----------
    response : httpx.Response
        Read, with a status of 400 or more.

    Returns
    -------
    CrowdSkyError
        Of the kind that the service names, as far as it is one; else by the status. Carries
        ``status`` and the numbers that the service gave (``limit``, ``retry_after_s``, ...).
    """
    table = _table(response)
    kind = getattr(errors, str(table.pop("error", "")), None)
    if not (isinstance(kind, type) and issubclass(kind, CrowdSkyError)):
        kind = _BY_STATUS.get(response.status_code, errors.ServiceError)
    message = table.pop("message", None) or _told(response)
    numbers = {
        name: value
        for name, value in table.items()
        if name.isidentifier() and name not in ("rule", "file", "value", "numbers", "args")
    }
    return kind(str(message), **(numbers | {"status": response.status_code}))


def worth_waiting(response: httpx.Response) -> bool:
    """Whether the same request may well be answered later."""
    kind = _table(response).get("error")
    if response.status_code == 507:
        # Both have this status: a disk gets room again, a quota does not by itself.
        return kind in (None, "StoreFull")
    return response.status_code in _BUSY and kind not in ("ObjectRotten", "ObjectMissing")


def retry_after_s(response: httpx.Response) -> float | None:
    """Seconds of ``Retry-After``; None where there is none, or a date instead."""
    try:
        seconds = float(response.headers["Retry-After"])
    except (KeyError, ValueError):
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0.0 else None


def _table(response: httpx.Response) -> dict[str, Any]:
    try:
        table = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return {}
    return dict(table) if isinstance(table, dict) else {}


def _told(response: httpx.Response) -> str:
    detail = _table(response).get("detail")
    if isinstance(detail, str):
        return detail
    if isinstance(detail, list) and detail and isinstance(detail[0], dict):
        where = ".".join(str(part) for part in detail[0].get("loc", ()))
        return f"{where}: {detail[0].get('msg', 'not valid')}"
    return f"the service answered {response.status_code} {response.reason_phrase}".rstrip()
