"""Operators' pages: who is let in, and new passwords for those who forgot theirs.

NativeAuthenticator changes accounts on a GET, which any page elsewhere could have a browser send.
"""

from __future__ import annotations

from typing import Any

from jupyterhub.scopes import needs_scope
from nativeauthenticator import handlers as native
from nativeauthenticator.orm import UserInfo
from tornado import web

from hub_config.login import Refused
from hub_config.login_pages import end_sessions

__all__ = ["operators_handlers"]

_operators_only = needs_scope("admin:users")


class AccountsPage(native.LocalBase):  # type: ignore[misc]
    """Everybody's account."""

    @_operators_only
    async def get(self) -> None:
        """The list, with those that wait first."""
        accounts = self.db.query(UserInfo).order_by(UserInfo.is_authorized, UserInfo.username)
        page = await self.render_template(
            "authorization-area.html",
            ask_email=self.authenticator.ask_email_on_signup,
            accounts=accounts.all(),
        )
        self.finish(page)


class AccountAction(native.LocalBase):  # type: ignore[misc]
    """One account: let in, shut out, or thrown away if it never was let in."""

    @_operators_only
    async def post(self, action: str, name: str) -> None:
        """Do it, and show the list again; a second time changes nothing."""
        account = self.authenticator.get_user(name)
        if account is None:
            raise web.HTTPError(404)
        if name == self.current_user.name:
            raise web.HTTPError(400, "Nobody shuts out themselves: ask another operator.")
        if action == "discard":
            if account.is_authorized:
                raise web.HTTPError(400, "This account is in use: shut it out first.")
            if self.find_user(name) is not None:
                # The name would be free, and whoever takes it would get the folder that it has.
                raise web.HTTPError(
                    400, "Somebody was here by this name: remove them among everybody's servers."
                )
            self.db.delete(account)
        else:
            account.is_authorized = action == "authorize"
        self.db.commit()
        user = self.find_user(name)
        if action == "unauthorize" and user is not None:
            # Tokens of their scripts go too, and notebooks, which need none for what they do.
            end_sessions(self.db, user, tokens=True)
            if user.spawner.active and not user.spawner.pending:
                await self.stop_single_user(user)
        self.log.info("%s: account %s, action %s", self.current_user.name, name, action)
        self.redirect(f"{self.hub.base_url}authorize#{name}")


class OthersPasswordPage(native.LocalBase):  # type: ignore[misc]
    """A new password for somebody who forgot theirs."""

    async def _show(self, name: str, error: str = "", done: str = "") -> None:
        if not self.authenticator.user_exists(name):
            raise web.HTTPError(404)
        minimum = self.authenticator.minimum_password_length
        page = await self.render_template(
            "change-password-admin.html", user_name=name, error=error, done=done, minimum=minimum
        )
        self.finish(page)

    @_operators_only
    async def get(self, user_name: str) -> None:
        """The form."""
        await self._show(user_name)

    @_operators_only
    async def post(self, user_name: str) -> None:
        """Set it."""
        account = self.authenticator.get_user(user_name)
        if account is None:
            raise web.HTTPError(404)
        fields = ("new_password", "new_password_confirmation")
        new, again = (self.get_body_argument(name, "", strip=False) for name in fields)
        try:
            await self.authenticator.set_password(account, new, again)
        except Refused as refused:
            self.set_status(400)
            await self._show(user_name, str(refused))
            return
        user = self.find_user(user_name)
        if user is not None:
            end_sessions(self.db, user)
        await self._show(user_name, done=f"{user_name} has a new password: tell it to them.")


def operators_handlers() -> list[Any]:
    """Addresses below ``/hub`` and what answers there."""
    return [
        (r"/authorize", AccountsPage),
        (r"/(authorize|unauthorize|discard)/([^/]+)", AccountAction),
        (r"/change-password/([^/]+)", OthersPasswordPage),
    ]
