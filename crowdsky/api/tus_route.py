"""What is the same for every request of tus: the version, also where the answer is an error."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from crowdsky.api.errors_http import error_answer
from crowdsky.api.tus_headers import VERSION
from crowdsky.errors import CrowdSkyError, UploadError

__all__ = ["TusRoute"]


class TusRoute(APIRoute):
    """A route of the protocol: says its version and speaks no other."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the handler."""
        handler = super().get_route_handler()

        async def tus(request: Request) -> Response:
            try:
                if request.headers.get("tus-resumable") != VERSION and request.method != "OPTIONS":
                    raise UploadError(f"the header Tus-Resumable: {VERSION} is needed", status=412)
                response = await handler(request)
            except CrowdSkyError as error:
                response = error_answer(error)
                if response.status_code == 412:
                    response.headers["Tus-Version"] = VERSION
            response.headers["Tus-Resumable"] = VERSION
            return response

        return tus
