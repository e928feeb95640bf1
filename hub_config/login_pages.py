"""Pages on which people sign up, sign in, confirm their address and change their password."""

from __future__ import annotations

from typing import Any

from jupyterhub import orm
from jupyterhub._xsrf_utils import _set_xsrf_cookie
from nativeauthenticator import handlers as native
from tornado import web
from tornado.httputil import url_concat

from hub_config.base import is_local
from hub_config.login import SIGN_UPS_FROM_ADDRESS, Refused

__all__ = ["login_handlers"]

WRONG = "Name and password do not match."
_WAITING = "Your account waits for an operator of this site to let it in."
_HOUR_S = 3600.0


def wait_text(seconds: float) -> str:
    """What is said to whoever tried too often.

    Examples
    --------
    >>> wait_text(61)
    'Too many tries. Wait 2 minutes, then try again.'
    """
    minutes = max(1, -int(-seconds // 60))
    return f"Too many tries. Wait {minutes} minute{'s' * (minutes > 1)}, then try again."


class LoginPage(native.LoginHandler):  # type: ignore[misc]
    """Signing in."""

    def _render(
        self, login_error: str = "", username: str = "", notice: str = "", **more: Any
    ) -> Any:
        # Also called by the Hub with what it would have put on a page of errors.
        following = self.get_argument("next", "")
        return self.render_template(
            "native-login.html",
            username=username,
            login_error=login_error,
            notice=notice,
            enable_signup=self.authenticator.enable_signup,
            action=url_concat(f"{self.hub.base_url}login", {"next": following}),
            signup_url=url_concat(f"{self.hub.base_url}signup", {"next": following}),
            **{name: value for name, value in more.items() if name in ("status_code", "sync")},
        )

    async def post(self) -> None:
        """Sign in, or say why not; for a name that nobody has in the same words and time."""
        name = self.get_body_argument("username", "")
        data = {
            "username": name,
            "password": self.get_body_argument("password", "", strip=False),
        }
        authenticator = self.authenticator
        known = authenticator.normalize_username(name)[:64]
        limits = authenticator.limits_of(known, self.request.remote_ip)
        wait = authenticator.attempts.take(limits, authenticator.seconds_before_next_try)
        if wait:
            self.set_status(429)
            self.set_header("Retry-After", str(int(wait) + 1))
            self.finish(await self._render(wait_text(wait), known[:32]))
            return
        user = await self.login_user(data)
        if user:
            authenticator.attempts.give_back(limits)
            authenticator.attempts.clear(next(iter(limits)))
            self._jupyterhub_user = user
            self.redirect(self.get_next_url(user))
            return
        self.set_status(403)
        self.finish(await self._render(await self._why(data), known[:32]))

    async def _why(self, data: dict[str, str]) -> str:
        """Why somebody is not let in; only who knows the password learns more."""
        account = self.authenticator.get_user(data["username"])
        if account is None or account.is_authorized:
            return WRONG
        if not await self.authenticator.is_password_of(account, data["password"]):
            return WRONG
        if not (self.authenticator.confirms_mail and account.email):
            return _WAITING
        try:
            await self.authenticator.send_letter(account)
        except Refused as refused:
            return str(refused)
        return f"Open the link in the letter that was sent to {account.email} first."


class SignUpPage(native.LocalBase):  # type: ignore[misc]
    """Signing up; who may go in at once is signed in at once."""

    def _page(self, error: str = "") -> Any:
        following = self.get_argument("next", "")
        return self.render_template(
            "signup.html",
            error=error,
            username=self.get_argument("username", "")[:64],
            email=self.get_argument("email", "")[:128],
            code=self.get_argument("code", "")[:64],
            ask_email=self.authenticator.ask_email_on_signup,
            sign_up=self.authenticator.sign_up,
            minimum=self.authenticator.minimum_password_length,
            action=url_concat(f"{self.hub.base_url}signup", {"next": following}),
            login_url=url_concat(f"{self.hub.base_url}login", {"next": following}),
        )

    def prepare(self) -> Any:
        """Where nobody may sign up there is no page, but for operators with their link."""
        if not self.authenticator.enable_signup and not self.get_argument("code", ""):
            raise web.HTTPError(404)
        return super().prepare()

    async def get(self) -> None:
        """The form."""
        if self.current_user:
            self.redirect(self.get_next_url(self.current_user))
            return
        if self.request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate":
            # As the Hub's own log-in does, so that a form left open for long can still be sent.
            token = self.xsrf_token
            _set_xsrf_cookie(
                self, self._xsrf_token_id, cookie_path=self.hub.base_url, xsrf_token=token
            )
        self.finish(await self._page())

    async def post(self) -> None:
        """Make the account."""
        address = self.request.remote_ip
        limits: dict[Any, int] = {}
        if not is_local(f"http://{address}"):
            limits = {("sign-up", address): SIGN_UPS_FROM_ADDRESS}
        wait = self.authenticator.attempts.take(limits, _HOUR_S)
        if wait:
            self.set_status(429)
            self.set_header("Retry-After", str(int(wait) + 1))
            self.finish(await self._page(wait_text(wait)))
            return
        name = self.authenticator.normalize_username(self.get_body_argument("username", ""))
        password = self.get_body_argument("signup_password", "", strip=False)
        again = self.get_body_argument("signup_password_confirmation", "", strip=False)
        code = self.get_body_argument("code", "")
        if not self.authenticator.enable_signup and name not in self.authenticator.admin_users:
            raise web.HTTPError(404)
        try:
            account = await self.authenticator.register(
                *(name, password, again), email=self.get_body_argument("email", ""), code=code
            )
        except Refused as refused:
            self.authenticator.attempts.give_back(limits)  # no account was made
            self.set_status(400)
            self.finish(await self._page(str(refused)))
            return
        if account.is_authorized:
            user = await self.login_user({"username": name, "password": password})
            if user:
                self._jupyterhub_user = user
                self.redirect(self.get_next_url(user))
                return
        self.finish(await self._what_next(account))

    async def _what_next(self, account: Any) -> str:
        title, message = "Thank you", _WAITING + " You can sign in once that is done."
        if self.authenticator.confirms_mail:
            title = "Look into your mail"
            message = f"A letter is on its way to {account.email}: open the link in it."
            try:
                await self.authenticator.send_letter(account)
            except Refused as refused:
                title, message = "Your account is made, but not open yet", str(refused)
        page: str = await self.render_template(
            "my_message.html", title=title, message=message, link="login", link_text="Log in"
        )
        return page


class ConfirmPage(native.LocalBase):  # type: ignore[misc]
    """What the link in a letter leads to; programs that look into letters only see a button."""

    def _account(self) -> Any:
        return self.authenticator.confirmed_by(self.get_argument("token", "")[:2000])

    async def get(self) -> None:
        """The button."""
        await self._answer(self._account(), done=False)

    async def post(self) -> None:
        """Let the account in."""
        account = self._account()
        if account is not None:
            account.is_authorized = True
            self.db.commit()
        await self._answer(account, done=True)

    async def _answer(self, account: Any, *, done: bool) -> None:
        about: dict[str, Any] = {"link": "login", "link_text": "Log in"}
        if account is None:
            self.set_status(400)
            about["title"] = "This link is too old, or not whole"
            about["message"] = "Log in with your name and password, and another letter is sent."
        elif done or account.is_authorized:
            about["title"] = "Your address is confirmed"
            about["message"] = f"You can log in as {account.username}."
        else:
            about["title"] = "One more step"
            about["message"] = f"Confirm that {account.username} is your account."
            about["button"], about["token"] = "Confirm", self.get_argument("token")
        self.finish(await self.render_template("my_message.html", **about))


class PasswordPage(native.LocalBase):  # type: ignore[misc]
    """Changing one's own password; whoever else is signed in with the old one is signed out."""

    async def _show(self, error: str = "", done: str = "") -> None:
        minimum = self.authenticator.minimum_password_length
        page = await self.render_template(
            "change-password.html",
            user_name=self.current_user.name,
            error=error,
            done=done,
            minimum=minimum,
        )
        self.finish(page)

    @web.authenticated
    async def get(self) -> None:
        """The form."""
        await self._show()

    @web.authenticated
    async def post(self) -> None:
        """Change it."""
        user = self.current_user
        account = self.authenticator.get_user(user.name)
        limits = {("old", user.name): self.authenticator.allowed_failed_logins}
        wait = self.authenticator.attempts.take(limits, self.authenticator.seconds_before_next_try)
        if wait:
            self.set_status(429)
            await self._show(wait_text(wait))
            return
        fields = ("old_password", "new_password", "new_password_confirmation")
        old, new, again = (self.get_body_argument(name, "", strip=False) for name in fields)
        if not await self.authenticator.is_password_of(account, old):
            self.set_status(400)
            await self._show("The old password is not right. Type it again.")
            return
        self.authenticator.attempts.give_back(limits)
        try:
            await self.authenticator.set_password(account, new, again)
        except Refused as refused:
            self.set_status(400)
            await self._show(str(refused))
            return
        end_sessions(self.db, user, but=self.get_session_cookie())
        self.set_hub_cookie(user)
        await self._show(done="Your password is changed. Other devices have to log in again.")


def end_sessions(db: Any, user: Any, *, but: str | None = None, tokens: bool = False) -> None:
    """Sign somebody out of the Hub and the services, but for one session.

    Tokens that people made for their scripts, and those of running servers, stay unless `tokens`.
    """
    user.orm_user.cookie_id = orm.new_token()
    for token in list(user.orm_user.api_tokens):
        if tokens or (token.session_id and token.session_id != but):
            db.delete(token)
    db.commit()


def login_handlers() -> list[Any]:
    """Addresses below ``/hub`` and what answers there."""
    return [
        (r"/login", LoginPage),
        (r"/signup", SignUpPage),
        (r"/confirm", ConfirmPage),
        (r"/change-password", PasswordPage),
    ]
