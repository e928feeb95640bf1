"""Ends open pages when their visitor has signed out.

A websocket is asked who it is when it opens and never again, so a sign-out would leave it open for
as long as its page is. Here the Hub is asked again while pages are open.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from crowdsky.pages_server.identity import PagesIdentity
from crowdsky.pages_server.kernels import PageKernel, PageKernels

__all__ = ["CHECKED_EVERY_S", "SIGNED_OUT", "Sessions"]

log = logging.getLogger(__name__)
CHECKED_EVERY_S = 15.0
SIGNED_OUT = 4401  # a number of our own, as RFC 6455 leaves 4000 to 4999


@dataclass(frozen=True, slots=True)
class _Proof:
    name: str
    token: str
    session_id: str


class Sessions:
    """The open websockets, and by what their visitors had shown who they are.

    Parameters
    ----------
    identity : PagesIdentity
    kernels : PageKernels
    """

    def __init__(self, identity: PagesIdentity, kernels: PageKernels) -> None:
        self.identity, self.kernels = identity, kernels
        self._open: dict[Any, tuple[_Proof, PageKernel]] = {}

    def add(self, socket: Any, kernel: PageKernel) -> None:
        """A page has opened its websocket."""
        auth = self.identity.hub_auth
        proof = _Proof(kernel.owner, auth.get_token(socket) or "", auth.get_session_id(socket))
        self._open[socket] = (proof, kernel)

    def remove(self, socket: Any) -> None:
        """It is closed."""
        self._open.pop(socket, None)

    async def watch(self) -> None:
        """Ask the Hub again and again, until cancelled."""
        while True:
            await asyncio.sleep(CHECKED_EVERY_S)
            proofs = list({proof for proof, _ in self._open.values()})
            told = await asyncio.gather(
                *(self.identity.is_still(p.name, p.token, p.session_id) for p in proofs),
                return_exceptions=True,  # an answer that breaks off tells nothing
            )
            for proof, still in zip(proofs, told, strict=True):
                if still is False:
                    await self._end(proof)

    async def _end(self, proof: _Proof) -> None:
        ended = [(socket, kernel) for socket, (p, kernel) in self._open.items() if p == proof]
        log.info("%s has signed out: %d open pages end", proof.name, len(ended))
        for socket, kernel in ended:
            socket.close(SIGNED_OUT, "signed out")
            # Its tickets would go on to be given for as long as it lives.
            await self.kernels.end(kernel)
