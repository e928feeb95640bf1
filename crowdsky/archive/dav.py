"""The two requests of WebDAV that a generic client has not: a streamed PUT, and MOVE (RFC 4918)."""

from __future__ import annotations

import base64
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from time import sleep
from urllib.parse import quote, urlsplit

from crowdsky.errors import StoreError, StoreFull

__all__ = ["DavSender", "basic_auth"]

_TIMEOUT_S = 60.0
_TRIES = 4
_REST_S = 0.1
_BLOCK = 1 << 20
_UNMOVED, _NO_PARENT, _FULL = (412, 404), (404, 409), (413, 507)


class DavSender:
    """Sends files to a folder of a WebDAV server.

    Parameters
    ----------
    url : str
        Of the folder, ``http://`` or ``https://``, without a slash at the end.
    headers : dict
        Sent with every request.
    """

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self.url, self.headers = url, headers
        parts = urlsplit(url)
        self._host, self._path = parts.netloc.rpartition("@")[2], parts.path.rstrip("/")
        self._kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection

    def put(self, path: Path, name: str) -> None:
        """Send a file, in blocks; folders are made where they are missing.

        Raises
        ------
        StoreFull, StoreError
        """
        status = self._repeated("PUT", name, body=path)
        if status in _NO_PARENT:
            self._make_folders(name)
            status = self._repeated("PUT", name, body=path)
        _expect(status, (200, 201, 204), "PUT", name)

    def move(self, source: str, target: str, *, overwrite: bool) -> bool:
        """Give a file its name; False if that is taken and `overwrite` is not set.

        False also where there is nothing to move, which is so when an answer was cut off on its way
        and the request repeated: look at the target.

        Raises
        ------
        StoreError
        """
        extra = {
            "Destination": f"{self.url}/{quote(target)}",
            "Overwrite": "T" if overwrite else "F",
        }
        status = self._repeated("MOVE", source, extra=extra)
        if status in _NO_PARENT:
            self._make_folders(target)
            status = self._repeated("MOVE", source, extra=extra)
        if status in _UNMOVED and not overwrite:
            return False
        _expect(status, (201, 204), "MOVE", target)
        return True

    def _make_folders(self, name: str) -> None:
        """Make the folders above a file, the root's too.

        What the server says to that is of no use: a folder may be there already, may just have
        been made by somebody else, or may be above what is ours. The next request will tell.
        """
        folders = [part for part in self._path.split("/") if part] + name.split("/")[:-1]
        for depth in range(1, len(folders) + 1):
            try:
                self._request("MKCOL", "/" + "/".join(folders[:depth]), None, {})
            except (HTTPException, OSError):
                continue

    def _repeated(
        self,
        method: str,
        name: str,
        *,
        body: Path | None = None,
        extra: dict[str, str] | None = None,
    ) -> int:
        """Status of a request that may be sent again: after a cut, or while the server is ill."""
        problem: Exception | None = None
        for number in range(_TRIES):
            if number:
                sleep(_REST_S * 2**number)
            try:
                status = self._request(method, f"{self._path}/{quote(name)}", body, extra or {})
            except (HTTPException, OSError) as error:
                problem = error
                continue
            if status < 500 or status in _FULL:
                return status
            problem = None
        if problem is None:
            return status
        raise StoreError("the file store failed or cannot be reached", value=name) from problem

    def _request(self, method: str, path: str, body: Path | None, extra: dict[str, str]) -> int:
        connection = self._kind(self._host, timeout=_TIMEOUT_S, blocksize=_BLOCK)
        headers = self.headers | extra
        try:
            if body is None:
                connection.request(method, path, headers=headers)
            else:
                with body.open("rb") as stream:
                    headers["Content-Length"] = str(body.stat().st_size)
                    connection.request(method, path, body=stream, headers=headers)
            with connection.getresponse() as response:
                response.read()
                return response.status
        finally:
            connection.close()


def basic_auth(user: str, password: str) -> str:
    """The value of an ``Authorization`` header (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _expect(status: int, good: tuple[int, ...], method: str, name: str) -> None:
    if status in good:
        return
    if status in _FULL:
        raise StoreFull(
            "there is no space left in the file store; what was accepted is safe", value=name
        )
    if status in (401, 403):
        raise StoreError("the file store refuses access", value=name, status=status)
    raise StoreError(f"the file store answered {method} with {status}", value=name, status=status)
