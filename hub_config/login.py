"""Who signs in: accounts with a name and a password, kept in the Hub's own database.

NativeAuthenticator keeps the table and the operators' pages. What is different here: passwords are
checked in threads, so that guessing does not hold up the Hub; tries are counted for names that
nobody has too; and an operator's name is not free for whoever comes first.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import bcrypt
from nativeauthenticator import NativeAuthenticator
from nativeauthenticator.orm import UserInfo
from tornado.web import create_signed_value, decode_signed_value
from traitlets import Bool, Dict, Enum, Unicode

from crowdsky.supervise.hub_file import HubFile
from hub_config.attempts import Attempts
from hub_config.base import is_local
from hub_config.mail import MailServer, is_address
from hub_config.names import NAME_PATTERN, NAME_RULE, is_name

__all__ = ["CrowdSkyAuthenticator", "Refused", "configure"]

FAILED_LOGINS = 8  # of one name from one address, before it has to wait
FAILED_LOGINS_OF_NAME = 40  # from anywhere
FAILED_LOGINS_FROM_ADDRESS = 200
SIGN_UPS_FROM_ADDRESS = 20
WAIT_S = 600
CONFIRM_DAYS = 1.0
LETTER_EVERY_S = 300.0
_LONGEST_PASSWORD_BYTES = 72  # of bcrypt

_LETTER = """Hello {name},

somebody, probably you, made an account of this name at {site}. To confirm your address, open

    {link}

within a day. If it was not you, do nothing: the account stays shut.
"""


class Refused(Exception):
    """What somebody asked for is not done; the message is for them."""


def configure(c: Any, facts: HubFile) -> None:
    """How people sign up and in."""
    c.JupyterHub.authenticator_class = CrowdSkyAuthenticator
    # Everybody who has an account that was let in; there are no other ways in.
    c.Authenticator.allow_all = True
    c.Authenticator.admin_users = set(facts.admins)
    c.Authenticator.username_pattern = NAME_PATTERN
    native = c.CrowdSkyAuthenticator
    native.sign_up = facts.sign_up
    native.mail = dict(facts.email)
    native.site = (facts.public_url or facts.bind_url).rstrip("/")
    native.signing_key = facts.crypt_key
    native.operators_need_link = not is_local(native.site) or facts.sign_up == "closed"
    native.minimum_password_length = facts.minimum_password
    native.check_common_password = True
    native.allowed_failed_logins = FAILED_LOGINS
    native.seconds_before_next_try = WAIT_S


class CrowdSkyAuthenticator(NativeAuthenticator):  # type: ignore[misc]
    """Accounts of this site."""

    sign_up = Enum(["open", "approval", "closed"], "open", config=True, help="Who may sign up.")
    mail = Dict(config=True, help="host, port, sender, user, password; empty without mail.")
    site = Unicode(config=True, help="The address that people use.")
    signing_key = Unicode(config=True, help="Signs links in letters and for operators.")
    operators_need_link = Bool(
        True, config=True, help="Whether an operator's name is free only by the link in the log."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.enable_signup = self.sign_up != "closed"
        self.mail_server = MailServer.of(self.mail)
        self.confirms_mail = self.sign_up == "open" and self.mail_server is not None
        self.ask_email_on_signup = self.confirms_mail
        self.open_signup = self.sign_up == "open" and not self.confirms_mail
        self.attempts = Attempts()
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="passwords")
        # A mail server that is slow holds up letters, and nobody's sign-in.
        self._post = ThreadPoolExecutor(2, thread_name_prefix="letters")
        self._nobody = bcrypt.hashpw(b"", bcrypt.gensalt())
        for name in sorted(self.admin_users):
            if self.operators_need_link and not self.user_exists(name):
                asked = urlencode({"username": name, "code": self.operator_code(name)})
                self.log.warning(
                    "Operator %s has no account yet: sign up at %s/hub/signup?%s",
                    *(name, self.site, asked),
                )

    def get_handlers(self, app: Any) -> list[Any]:  # noqa: ARG002
        """Pages of signing up and in, and those that lead to the site's own."""
        from hub_config.login_operators import operators_handlers
        from hub_config.login_pages import login_handlers
        from hub_config.look import page_handlers

        return [*login_handlers(), *operators_handlers(), *page_handlers()]

    # --- signing in ------------------------------------------------------------------------------

    async def authenticate(self, handler: Any, data: Any) -> str | None:  # noqa: ARG002
        """Name of the user whose password this is; None otherwise, whoever that may be."""
        name = self.normalize_username(str(data.get("username", "")))
        user = self.get_user(name)
        right = await self.is_password_of(user, str(data.get("password", "")))
        return name if right and user.is_authorized else None

    async def is_password_of(self, user: Any, password: str) -> bool:
        """Whether a password is right; it takes as long for a name that nobody has."""
        known = user.password if user is not None else self._nobody
        if len(password.encode()) > _LONGEST_PASSWORD_BYTES or "\0" in password:
            password = ""
        right = await self._in_thread(bcrypt.checkpw, password.encode(), known)
        return bool(right) and user is not None and password != ""

    def limits_of(self, name: str, address: str) -> dict[Any, int]:
        """Whose tries a sign-in counts as, and how many each has."""
        return {
            ("both", name, address): self.allowed_failed_logins,
            ("name", name): FAILED_LOGINS_OF_NAME,
            ("address", address): FAILED_LOGINS_FROM_ADDRESS,
        }

    # --- signing up ------------------------------------------------------------------------------

    async def register(
        self, name: str, password: str, again: str, *, email: str = "", code: str = ""
    ) -> Any:
        """Make an account.

        Returns
        -------
        nativeauthenticator.orm.UserInfo

        Raises
        ------
        Refused
        """
        if not is_name(name):
            raise Refused(NAME_RULE)
        self._refuse_weak(name, password, again)
        if self.confirms_mail and not is_address(email):
            raise Refused("That is no e-mail address: it is like ann@example.org.")
        operator = name in self.admin_users
        allowed = hmac.compare_digest(code.encode(), self.operator_code(name).encode())
        kept = operator and self.operators_need_link and not allowed
        if kept or self.user_exists(name):
            raise Refused(f"The name {name} is taken. Choose another one.")
        hashed = await self._in_thread(bcrypt.hashpw, password.encode(), bcrypt.gensalt())
        if self.user_exists(name):  # it may have been taken while we were away
            raise Refused(f"The name {name} is taken. Choose another one.")
        user = UserInfo(
            username=name,
            password=hashed,
            email=email or None,
            is_authorized=operator or self.open_signup,
        )
        self.db.add(user)
        self.db.commit()
        return user

    def operator_code(self, name: str) -> str:
        """What an operator shows to get the account of that name."""
        key = bytes.fromhex(self.signing_key)
        return hmac.new(key, f"operator:{name}".encode(), hashlib.sha256).hexdigest()[:32]

    # --- confirming an address -------------------------------------------------------------------

    async def send_letter(self, user: Any) -> bool:
        """Send the link that confirms an address; False if one was sent a moment ago.

        Raises
        ------
        Refused
            The mail server does not take it.
        """
        name, email = str(user.username), str(user.email)
        if self.attempts.take({("letter", name): 1}, LETTER_EVERY_S):
            return False
        assert self.mail_server is not None
        token = create_signed_value(self.signing_key, "confirm", f"{name} {email}").decode()
        link = f"{self.site}/hub/confirm?{urlencode({'token': token})}"
        text = _LETTER.format(name=name, site=self.site, link=link)
        try:
            await asyncio.get_running_loop().run_in_executor(
                self._post, self.mail_server.send, email, "Confirm your CrowdSky account", text
            )
        except OSError as error:
            self.attempts.clear(("letter", name))
            self.log.error("The mail server did not take a letter: %s", error)
            raise Refused(
                "The letter could not be sent just now. Sign in later, and it is sent again."
            ) from None
        user.login_email_sent = True
        self.db.commit()
        return True

    def confirmed_by(self, token: str) -> Any:
        """The account that a letter's link belongs to; None if it is too old or of nobody."""
        value = decode_signed_value(
            self.signing_key, "confirm", token, max_age_days=CONFIRM_DAYS, min_version=2
        )
        name, _, email = (value or b"").decode().partition(" ")
        user = self.get_user(name) if name else None
        return user if user is not None and user.email == email else None

    # --- changing a password ---------------------------------------------------------------------

    async def set_password(self, user: Any, password: str, again: str) -> None:
        """Give somebody another password.

        Raises
        ------
        Refused
        """
        self._refuse_weak(str(user.username), password, again)
        user.password = await self._in_thread(bcrypt.hashpw, password.encode(), bcrypt.gensalt())
        self.db.commit()

    def _refuse_weak(self, name: str, password: str, again: str) -> None:
        if len(password) < self.minimum_password_length:
            raise Refused(f"A password has at least {self.minimum_password_length} characters.")
        if len(password.encode()) > _LONGEST_PASSWORD_BYTES or "\0" in password:
            raise Refused(f"A password has at most {_LONGEST_PASSWORD_BYTES} letters.")
        if password.lower() == name or self.is_password_common(password.lower()):
            raise Refused("That password is too common: others would guess it. Choose another one.")
        if password != again:
            raise Refused("The two passwords are not the same. Type them again.")

    async def _in_thread(self, function: Any, *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)
