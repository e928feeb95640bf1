"""Other ways to sign up: with an operator's approval, with a letter, or not at all."""

from __future__ import annotations

import email
import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from crowdsky.errors import SettingsError
from hub_config.mail import MailServer
from tests.hub_config.hubs import (
    PASSWORD,
    Hub,
    free_port,
    log_in,
    made_facts,
    running,
    send,
    sign_up,
    words,
)

pytestmark = [pytest.mark.enable_socket, pytest.mark.slow]


class PostOffice(socketserver.StreamRequestHandler):
    """As much of SMTP as handing in a letter needs."""

    def handle(self) -> None:
        self.say("220 post.example")
        while line := self.rfile.readline():
            word = line.split()[0].upper() if line.split() else b""
            if word == b"DATA":
                self.say("354 go on")
                lines = []
                while (line := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(line)
                self.server.letters.append(email.message_from_bytes(b"".join(lines)))  # type: ignore[attr-defined]
            if word == b"QUIT":
                self.say("221 bye")
                return
            self.say("250 well")

    def say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")


@contextmanager
def post_office(port: int = 0) -> Iterator[tuple[int, list[Message]]]:
    """A server that takes letters on 127.0.0.1."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", port), PostOffice) as server:
        server.letters = []  # type: ignore[attr-defined]
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], server.letters  # type: ignore[attr-defined]
        server.shutdown()


def test_no_password_is_sent_in_the_clear() -> None:
    with post_office() as (port, letters):
        open_one = MailServer("127.0.0.1", port, "sky@site.example")
        open_one.send("ann@example.org", "Hello", "text")
        with pytest.raises(OSError, match="no password is sent without TLS"):
            MailServer("127.0.0.1", port, "sky@site.example", "me", "secret").send(
                "ann@example.org", "Hello", "text"
            )
    assert [letter["To"] for letter in letters] == ["ann@example.org"]


@pytest.fixture(scope="module")
def approving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    pytest.importorskip("pytest_socket").enable_socket()
    home = tmp_path_factory.mktemp("approving")
    with running(home, admins=("oper",), sign_up="approval") as made:
        yield made


def test_an_operator_approves(approving: Hub) -> None:
    with approving.signed_up("oper") as oper, approving.browser() as ann:
        page = sign_up(ann, "ann")
        assert page.status_code == 200
        assert "Your account waits for an operator" in words(page)
        assert ann.get("/hub/home").url.path == "/hub/login"
        refused = log_in(ann, "ann")
        assert refused.status_code == 403
        assert "Your account waits for an operator" in words(refused)
        assert "Name and password do not match" in words(log_in(ann, "ann", "wrong"))
        token = re.search(r'name="_xsrf" value="([^"]+)"', oper.get("/hub/authorize").text)
        assert token is not None
        oper.post("/hub/authorize/ann", data={"_xsrf": token[1]})
        assert log_in(ann, "ann").url.path == "/services/pages/upload"
        with approving.browser() as bea:
            sign_up(bea, "bea")
            assert "bea" not in words(oper.post("/hub/discard/bea", data={"_xsrf": token[1]}))
            assert "Name and password do not match" in words(log_in(bea, "bea"))


@pytest.fixture(scope="module")
def post() -> Iterator[tuple[int, list[Message]]]:
    pytest.importorskip("pytest_socket").enable_socket()
    with post_office() as found:
        yield found


@pytest.fixture(scope="module")
def writing(
    tmp_path_factory: pytest.TempPathFactory, post: tuple[int, list[Message]]
) -> Iterator[Hub]:
    home = tmp_path_factory.mktemp("writing")
    server = {"host": "127.0.0.1", "port": post[0], "sender": "CrowdSky <sky@site.example>"}
    with running(home, admins=("oper",), email=server) as made:
        yield made


def link_in(letter: Message) -> str:
    text = letter.get_payload(decode=True)
    assert isinstance(text, bytes)
    found = re.search(rb"http://\S+", text.partition(b"open")[2])
    assert found is not None
    return found[0].decode()


def test_a_letter_confirms_an_address(writing: Hub, post: tuple[int, list[Message]]) -> None:
    letters = post[1]
    with writing.browser() as ann:
        assert "That is no e-mail address" in words(sign_up(ann, "ann", email="ann at home"))
        page = sign_up(ann, "ann", email="ann@example.org")
        assert "A letter is on its way to ann@example.org" in words(page)
        (letter,) = letters
        assert letter["To"] == "ann@example.org"
        assert letter["From"] == "CrowdSky <sky@site.example>"
        waiting = log_in(ann, "ann")
        assert waiting.status_code == 403
        assert "Open the link in the letter that was sent to ann@example.org" in words(waiting)
        assert len(letters) == 1  # not one a try
        address = link_in(letter)
        assert address.startswith(f"{writing.url}/hub/confirm?token=")
        path = address.removeprefix(writing.url)
        # Programs that look into letters follow links: that alone confirms nothing.
        assert "Confirm that ann is your account" in words(ann.get(path))
        assert log_in(ann, "ann").status_code == 403
        token = httpx.URL(path).params["token"]
        forged = send(ann, path, {"token": token[:-4] + "aaaa"})
        assert forged.status_code == 400
        assert "too old, or not whole" in words(forged)
        assert ann.post("/hub/confirm", data={"token": token}).status_code == 403
        assert "You can log in as ann" in words(send(ann, path, {"token": token}))
        assert log_in(ann, "ann").url.path == "/services/pages/upload"


def test_addresses_are_not_told(writing: Hub, post: tuple[int, list[Message]]) -> None:
    """An address that somebody has, and one that nobody has, get the same answer."""
    said = []
    for name, address in (("bob", "ann@example.org"), ("cyd", "cyd@example.org")):
        with writing.browser() as browser:
            page = words(sign_up(browser, name, email=address))
            said.append(page.replace(address, "ADDRESS").replace(name, "NAME"))
    assert said[0] == said[1]


def test_a_mail_server_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    from hub_config.login import CrowdSkyAuthenticator, Refused

    facts = made_facts(tmp_path)
    server = {"host": "127.0.0.1", "port": free_port(), "sender": "sky@site.example"}

    class Quiet(CrowdSkyAuthenticator):
        def add_new_table(self) -> None:
            pass

    class User:
        username, email, login_email_sent = "ann", "ann@example.org", False

    there = Quiet(mail=server, signing_key=facts.crypt_key, site="http://127.0.0.1:8000")
    for _ in range(2):  # a letter that was not sent does not stand in the way of the next try
        with pytest.raises(Refused, match="The letter could not be sent just now"):
            asyncio.run(there.send_letter(User()))
    assert User.login_email_sent is False
    with pytest.raises(SettingsError, match="needs the sender's address"):
        Quiet(mail={"host": "mail.example"})


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    pytest.importorskip("pytest_socket").enable_socket()
    home = tmp_path_factory.mktemp("closed")
    with running(home, admins=("oper",), sign_up="closed") as made:
        yield made


def test_a_closed_site_lets_in_operators_with_the_link_in_its_log(closed: Hub) -> None:
    with closed.browser() as browser:
        assert browser.get("/hub/signup").status_code == 404
        assert "/hub/signup" not in browser.get("/hub/login").text
        assert "made by the people who run this site" in words(browser.get("/hub/login"))
    found = re.search(r"sign up at (\S+)", closed.log.read_text())
    assert found is not None
    address = urlsplit(found[1])
    path = f"{address.path}?{address.query}"
    code = httpx.URL(found[1]).params["code"]
    with closed.browser() as browser:
        # The link is good for the operator's name alone, and only as it is.
        assert sign_up(browser, "ann", path=path, code=code).status_code == 404
        wrong = sign_up(browser, "oper", path=path, code="0" * 32)
        assert "The name oper is taken" in words(wrong)
        landed = sign_up(browser, "oper", path=path, code=code)
        assert landed.url.path == "/services/pages/upload"
        assert browser.get("/hub/authorize").status_code == 200
    with closed.browser() as browser:
        again = sign_up(browser, "oper", "another password", path=path, code=code)
        assert "The name oper is taken" in words(again)
    with closed.signed_in("oper", PASSWORD):
        pass
