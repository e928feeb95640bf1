"""Who visits: the Hub's sign-in for browsers, asked again every half minute.

The browser is sent to the Hub and comes back with a code; what that is changed for, a token of the
Hub that is good for this server alone, lies in a cookie that no script can read.
"""

from __future__ import annotations

import hashlib
from typing import Any

from jupyterhub.services.auth import HubOAuth
from jupyterhub.singleuser.extension import JupyterHubIdentityProvider
from tornado.web import HTTPError

__all__ = ["ASKED_AGAIN_S", "HUB_SILENT", "PagesIdentity", "cookie_secret_of", "hub_auth"]

ASKED_AGAIN_S = 30
HUB_SILENT = "sign-in cannot be checked just now, because the Hub does not answer"


def hub_auth() -> Any:
    """The Hub that this process's environment describes.

    Raises
    ------
    ValueError
        If it describes none.
    """
    auth = HubOAuth(cache_max_age=ASKED_AGAIN_S, cookie_options={"samesite": "lax"})
    # All of them read the environment when first asked, from which secrets are taken soon.
    told = (auth.api_token, auth.oauth_client_id, auth.access_scopes, auth.oauth_redirect_uri)
    if not all(told):
        raise ValueError("a token, a client id, scopes and an address to come back to are needed")
    _ = (auth.api_url, auth.base_url, auth.hub_host, auth.hub_prefix, auth.login_url)
    _ = (auth.oauth_token_url, auth.oauth_scopes, auth.cookie_host_prefix_enabled)
    return auth


def cookie_secret_of(auth: Any) -> bytes:
    """What cookies are signed with: the same after a restart, and known to nobody else."""
    return hashlib.sha256(b"crowdsky pages cookies:" + auth.api_token.encode("utf-8")).digest()


class PagesIdentity(JupyterHubIdentityProvider):  # type: ignore[misc]  # the Hub has no types
    """The Hub's identity, of users only."""

    async def get_user(self, handler: Any) -> Any:
        """Who asks; None if nobody has signed in.

        Raises
        ------
        HTTPError
            503, if the Hub does not answer.
        """
        try:
            user = await super().get_user(handler)
        except HTTPError as error:
            if error.status_code < 500:
                raise
            handler._jupyterhub_user = None  # or the page that says so would ask again
            raise HTTPError(503, HUB_SILENT) from error
        if user is not None and user.hub_user.get("kind") != "user":
            return None  # another service
        return user

    async def is_still(self, name: str, token: str, session_id: str) -> bool:
        """Whether a token is a user's even now; yes while the Hub does not answer."""
        try:
            user = await self.hub_auth.user_for_token(
                token, use_cache=False, session_id=session_id, sync=False
            )
        except HTTPError:
            return True
        if not user or user.get("name") != name:
            return False
        return bool(self.hub_auth.check_scopes(self.hub_auth.access_scopes, user))
