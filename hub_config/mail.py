"""The letter with which somebody confirms an address."""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from crowdsky.errors import SettingsError

__all__ = ["MailServer", "is_address"]

_ADDRESS = re.compile(r"[A-Za-z0-9.+_-]{1,64}@[A-Za-z0-9._-]{1,255}\.[A-Za-z]{2,63}")
_TIMEOUT_S = 20.0


def is_address(text: str) -> bool:
    r"""Whether a text looks like an e-mail address.

    Examples
    --------
    >>> is_address("ann@sky.example"), is_address("ann@sky.example\nBcc: bob@sky.example")
    (True, False)
    """
    return len(text) <= 128 and _ADDRESS.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where letters are handed in.

    Attributes
    ----------
    host : str
    port : int
        465 speaks TLS from the first byte; elsewhere STARTTLS is used where it is offered, and is a
        must before a password is sent.
    sender, user : str
    password : str
    """

    host: str
    port: int
    sender: str
    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> MailServer | None:
        """From the Hub's file; None where no host is named.

        Raises
        ------
        SettingsError
            If the sender is missing.
        """
        host = str(table.get("host", ""))
        if not host:
            return None
        sender = str(table.get("sender", ""))
        if not sender:
            raise SettingsError("a mail server needs the sender's address", name="sender")
        user, password = str(table.get("user", "")), str(table.get("password", ""))
        return cls(host, int(table.get("port") or 587), sender, user, password)

    def send(self, to: str, subject: str, text: str) -> None:
        """Hand in a letter. This takes as long as the server takes.

        Raises
        ------
        OSError
            The server cannot be reached, or refuses (`smtplib.SMTPException` is one).
        """
        letter = EmailMessage()
        letter["From"], letter["To"], letter["Subject"] = self.sender, to, subject
        letter.set_content(text)
        context = ssl.create_default_context()
        if self.port == 465:
            with smtplib.SMTP_SSL(
                self.host, self.port, timeout=_TIMEOUT_S, context=context
            ) as server:
                self._hand_in(server, letter)
            return
        with smtplib.SMTP(self.host, self.port, timeout=_TIMEOUT_S) as server:
            server.ehlo()
            if server.has_extn("starttls"):
                server.starttls(context=context)
            elif self.user:
                raise smtplib.SMTPNotSupportedError("no password is sent without TLS")
            self._hand_in(server, letter)

    def _hand_in(self, server: smtplib.SMTP, letter: EmailMessage) -> None:
        if self.user:
            server.login(self.user, self.password)
        server.send_message(letter)
