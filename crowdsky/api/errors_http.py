"""The tree of errors as HTTP answers, in one place.

Every refusal is ``{"error": kind, "message": text, ...}``: the class of the error, one sentence for
a person, and its numbers (``limit``, ``retry_after_s``, ``offset``). What is wrong on our side is
told in fixed words, because the text of such an error may hold a path or an address of ours.
"""

from __future__ import annotations

import logging
import math
from http import HTTPStatus
from pathlib import PurePath
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from crowdsky.api.serve_headers import SAFE_HEADERS
from crowdsky.errors import (
    ArchiveUnavailable,
    ChecksumMismatch,
    Conflict,
    CrowdSkyError,
    FrameError,
    LeaseLost,
    LimitExceeded,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    ObjectMissing,
    ObjectRotten,
    OffsetMismatch,
    ServiceUnreachable,
    StoreError,
    StoreFull,
    UploadError,
)

__all__ = ["error_answer", "install_errors", "status_of"]

BUSY_S = 5  # what Retry-After says while something of ours is away

#: The first that fits; an error may say its status itself (``status=413``).
_STATUS: tuple[tuple[type[CrowdSkyError], int], ...] = (
    (NotFound, 404),
    (Conflict, 409),
    (LimitExceeded, 413),
    (LeaseLost, 409),
    (ArchiveUnavailable, 503),
    (StoreFull, 507),
    (ObjectMissing, 410),
    (ObjectRotten, 502),
    (StoreError, 503),
    (OffsetMismatch, 409),
    (ChecksumMismatch, 460),
    (UploadError, 422),
    (FrameError, 422),
    (NotAuthenticated, 401),
    (NotPermitted, 403),
    (ServiceUnreachable, 503),
)

#: Told instead of the error's own text.
_FIXED: tuple[tuple[type[CrowdSkyError], str], ...] = (
    (ArchiveUnavailable, "the database cannot be used just now; nothing was changed; try again"),
    (ObjectMissing, "the file is not in the store"),
    (ObjectRotten, "the stored file is damaged; it is not served"),
)
_STORE_AWAY = "the file store cannot be used just now; nothing was changed; try again"
_TOLD = ("limit", "offset", "retry_after_s", "used_bytes", "scope")

_log = logging.getLogger(__name__)


def status_of(error: CrowdSkyError) -> int:
    """The HTTP status of an error."""
    own = error.numbers.get("status")
    if isinstance(own, int) and 400 <= own <= 599:
        return own
    if isinstance(error, LimitExceeded) and error.numbers.get("retry_after_s") is not None:
        return HTTPStatus.TOO_MANY_REQUESTS
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 400)


def error_answer(error: CrowdSkyError) -> JSONResponse:
    """The answer that tells an error.

    Parameters
    ----------
    error : CrowdSkyError

    Returns
    -------
    JSONResponse
    """
    status = status_of(error)
    told = {
        name: value
        for name in _TOLD
        if isinstance(value := error.numbers.get(name), (int, float, str))
    }
    headers: dict[str, str] = {}
    wait_s = error.numbers.get("retry_after_s")
    if wait_s is None and status == HTTPStatus.SERVICE_UNAVAILABLE:
        wait_s = told["retry_after_s"] = BUSY_S
    if wait_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(wait_s)))
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="crowdsky"'
    if isinstance(error, OffsetMismatch) and "offset" in told:
        headers["Upload-Offset"] = str(told["offset"])
    return _answer(status, type(error).__name__, _message(error), headers, **told)


def install_errors(app: FastAPI) -> None:
    """Have every error of an application answered as above."""
    app.add_exception_handler(CrowdSkyError, _crowdsky)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(PoolTimeout, _away)
    app.add_exception_handler(DBAPIError, _database)
    app.add_exception_handler(UnicodeError, _bad_value)
    app.add_exception_handler(OverflowError, _bad_value)
    app.add_exception_handler(Exception, _unforeseen)


async def _crowdsky(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, CrowdSkyError)
    if status_of(error) >= 500:
        _log.warning("%s: %s", type(error).__name__, error)
    return error_answer(error)


async def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    kind = HTTPStatus(error.status_code).phrase.title().replace(" ", "").replace("-", "")
    message = str(error.detail).lower() if error.status_code in (404, 405) else str(error.detail)
    return _answer(error.status_code, kind, message, dict(error.headers or {}))


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = []
    for fault in error.errors()[:5]:
        place = " ".join(str(part) for part in fault["loc"])
        faults.append(f"{place}: {fault['msg']}".lower())
    return _answer(422, "InvalidRequest", _safe("; ".join(faults)))


async def _away(_request: Request, _error: Exception) -> JSONResponse:
    return error_answer(ArchiveUnavailable("every connection is in use"))


async def _database(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, DataError):  # a NUL, or a number that no column holds
        return await _bad_value(request, error)
    assert isinstance(error, DBAPIError)
    if error.connection_invalidated:
        return await _away(request, error)
    return await _unforeseen(request, error)


async def _bad_value(_request: Request, _error: Exception) -> JSONResponse:
    return _answer(400, "InvalidRequest", "a value of the request is of no use")


async def _unforeseen(request: Request, error: Exception) -> JSONResponse:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    # This answer is made outside of all middleware.
    return _answer(
        500, "InternalError", "something went wrong here; it was written down", SAFE_HEADERS
    )


def _answer(
    status: int, kind: str, message: str, headers: dict[str, str] | None = None, **told: Any
) -> JSONResponse:
    return JSONResponse({"error": kind, "message": message, **told}, status, headers)


def _message(error: CrowdSkyError) -> str:
    for kind, text in _FIXED:
        if isinstance(error, kind):
            return text
    if isinstance(error, StoreError) and not isinstance(error, StoreFull):
        return _STORE_AWAY
    if error.file is None:
        return str(error)
    # A name says which file was meant; where it lay is our own affair.
    name = PurePath(error.file.replace("\\", "/")).name
    return str(CrowdSkyError(error.rule, file=name, value=error.value))


def _safe(text: str, limit: int = 500) -> str:
    printable = "".join(c if c.isprintable() else "�" for c in text)
    return printable[:limit]
