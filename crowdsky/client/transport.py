"""Requests that outlive a service that is restarted, busy or full for a while."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urljoin

import httpx

from crowdsky import __version__
from crowdsky.client.patience import Patience, Wait
from crowdsky.client.refusals import error_of, retry_after_s, worth_waiting
from crowdsky.errors import CrowdSkyError, ServiceUnreachable, SettingsError

__all__ = ["API", "Transport"]

API = "/api/v1"
_TIMEOUT = httpx.Timeout(60.0, connect=10.0, read=120.0)
_LOOPBACK = ("all://127.0.0.1", "all://localhost", "all://[::1]")


class Transport:
    """Speaks HTTP with one service.

    Parameters
    ----------
    server : str
        Address, with or without a path in front of ``/api/v1``.
    api_key : str
    patience_s : float
        See `Patience`.
    on_wait : callable, optional
    auth : httpx.Auth, optional
        What each request shows in place of the key, where that changes with time.
    scheme : str
        ``Bearer``, or ``token`` where the key is a token of the Hub.
    """

    def __init__(
        self,
        server: str,
        api_key: str,
        *,
        patience_s: float = 60.0,
        on_wait: Wait | None = None,
        auth: httpx.Auth | None = None,
        scheme: str = "Bearer",
    ) -> None:
        if not server.startswith(("http://", "https://")):
            raise SettingsError(
                "no address of a service: set CROWDSKY_SERVER, for instance to "
                "https://sky.example.org",
                value=server or None,
                name="CROWDSKY_SERVER",
            )
        if not api_key.isascii() or not api_key.isprintable():
            raise SettingsError("CROWDSKY_API_KEY is not a key", name="CROWDSKY_API_KEY")
        self.server = server.rstrip("/")
        self.patience_s, self.on_wait = patience_s, on_wait
        headers = {"User-Agent": f"crowdsky/{__version__}", "Accept": "application/json"}
        if api_key and auth is None:
            headers["Authorization"] = f"{scheme} {api_key}"
        self._http = httpx.Client(
            headers=headers,
            auth=auth,
            timeout=_TIMEOUT,
            # This machine is never reached through a proxy.
            mounts=dict.fromkeys(_LOOPBACK),
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=32),
        )

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    def patience(self, stop: threading.Event | None = None, times: float = 1.0) -> Patience:
        """A new budget of waiting."""
        return Patience(times * self.patience_s, stop=stop, on_wait=self.on_wait)

    def url(self, path: str) -> str:
        """Address of a route, or of what the service itself named: our key goes to ours alone."""
        if path.startswith(API):
            return self.server + path
        url, ours = httpx.URL(urljoin(f"{self.server}{API}/", path)), httpx.URL(self.server)
        if (url.scheme, url.netloc) != (ours.scheme, ours.netloc):
            # Behind a proxy a service may not know its own name; its path is what counts.
            return self.url(url.raw_path.decode("ascii"))
        return str(url)

    def get(self, path: str, **params: Any) -> Any:
        """JSON of a GET; parameters that are None are left out."""
        asked = {name: value for name, value in params.items() if value is not None}
        return self.ask("GET", path, params=asked).json()

    def ask(
        self, method: str, path: str, *, patience: Patience | None = None, **more: Any
    ) -> httpx.Response:
        """Send a request until it is answered.

        Parameters
        ----------
        method, path : str
        patience : Patience, optional
            A budget that is shared with other requests; a new one when omitted.
        **more
            As `httpx.Client.request` takes them; a body must be one that can be sent twice.

        Raises
        ------
        ServiceUnreachable
            If no answer comes within the budget.
        CrowdSkyError
            Of the kind that the service named.
        """
        patience = patience or self.patience()
        while True:
            try:
                response = self.once(method, path, **more)
            except ServiceUnreachable as error:
                patience.spend(error)
                continue
            if response.is_success:
                patience.progress()
                return response
            if not worth_waiting(response):
                raise error_of(response)
            patience.spend(error_of(response), _told_s(response))

    def once(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Send a request a single time, whatever the answer is.

        Raises
        ------
        ServiceUnreachable
            If there is none.
        """
        with self._told_as_lost():
            return self._http.request(method, self.url(path), **more)

    @contextmanager
    def stream(self, path: str, headers: dict[str, str], **more: Any) -> Iterator[httpx.Response]:
        """A GET whose body is read as it comes; more, as `httpx.Client.stream` takes it.

        Raises
        ------
        ServiceUnreachable
            If there is no answer, or if it breaks off.
        """
        # No compression: a Range counts bytes of the file as it is.
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"} | headers
        with (
            self._told_as_lost(),
            self._http.stream("GET", self.url(path), headers=headers, **more) as response,
        ):
            yield response

    def refused(self, response: httpx.Response, patience: Patience) -> None:
        """Wait after an answer that may be another one later, raise after any other.

        Raises
        ------
        CrowdSkyError
        """
        response.read()
        if not worth_waiting(response):
            raise error_of(response)
        patience.spend(error_of(response), _told_s(response))

    @contextmanager
    def _told_as_lost(self) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError as error:
            why = str(error) or type(error).__name__
            raise ServiceUnreachable(
                f"the service does not answer ({why})", value=self.server
            ) from error
        except (httpx.InvalidURL, httpx.DecodingError, httpx.TooManyRedirects) as error:
            raise _not_understood(error, self.server) from error


def _told_s(response: httpx.Response) -> float | None:
    told = retry_after_s(response)
    if told is None and response.status_code in (429, 507):
        return 2.0  # it is alive all the same
    return told


def _not_understood(error: Exception, server: str) -> CrowdSkyError:
    return ServiceUnreachable(f"no service answers there ({error})", value=server)
