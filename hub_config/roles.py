"""What each may do at the Hub: no more than it needs.

A role that is named here is wholly replaced, also where the Hub brings one of that name.
"""

from __future__ import annotations

from typing import Any

from crowdsky.supervise.hub_file import HubFile

__all__ = ["SERVER_SCOPES", "configure"]

_SERVICES = ("crowdsky", "pages")

# The Hub's "self" without its shares: nobody is let into another's server, not even by invitation.
_OWN = (
    "read:users!user",
    "users:activity!user",
    "servers!user",
    "access:servers!user",
    "tokens!user",
)

# Of the token that a user's server and its kernels have. It cannot start servers, make tokens or
# read users; at the pages it is of no use.
SERVER_SCOPES = (
    "users:activity!user",
    "access:servers!server",
    "access:services!service=crowdsky",
)


def configure(c: Any, facts: HubFile) -> None:
    """Roles of users, their servers, and the supervisor."""
    del facts
    c.JupyterHub.load_roles = [
        {
            "name": "user",
            "description": "Own account and server, and the pages of this site",
            "scopes": [*_OWN, *(f"access:services!service={name}" for name in _SERVICES)],
        },
        {
            "name": "server",
            "description": "Tells that it is in use, and asks the service",
            "scopes": list(SERVER_SCOPES),
        },
        {
            "name": "supervisor",
            "description": "Sees that the Hub answers, and has it tell a new proxy its routes",
            "scopes": ["read:hub", "proxy"],
            "services": ["supervisor"],
        },
    ]
    c.Spawner.server_token_scopes = list(SERVER_SCOPES)
