"""Signing up, signing in and operators' pages, at a real Hub behind its proxy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from crowdsky.errors import SettingsError
from hub_config.people import ensure_user
from tests.hub_config.hubs import (
    PASSWORD,
    Hub,
    log_in,
    running,
    send,
    sign_up,
    words,
)

pytestmark = [pytest.mark.enable_socket, pytest.mark.slow]

WRONG = "Name and password do not match."


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    pytest.importorskip("pytest_socket").enable_socket()
    home = tmp_path_factory.mktemp("home")
    ensure_user(home / "hub", "demo", PASSWORD)
    with running(home, admins=("oper",)) as made:
        yield made


@pytest.fixture(scope="module")
def ann(hub: Hub) -> Iterator[httpx.Client]:
    with hub.signed_up("ann") as browser:
        yield browser


@pytest.fixture(scope="module")
def oper(hub: Hub) -> Iterator[httpx.Client]:
    with hub.signed_up("oper") as browser:
        yield browser


def test_signing_up_signs_in(hub: Hub) -> None:
    with hub.browser() as browser:
        landed = sign_up(browser, "first")
        assert landed.url.path == "/services/pages/upload"
        assert [answer.status_code for answer in landed.history] == [302]
        assert words(browser.get("/hub/home")).startswith("Notebooks and account")
    with hub.browser() as browser:
        landed = sign_up(browser, "second", path="/hub/signup?next=%2Fservices%2Fpages%2Fstacks")
        assert landed.url.path == "/services/pages/stacks"


def test_signing_in_leads_where_one_wanted_to_go(hub: Hub, ann: httpx.Client) -> None:
    with hub.browser() as browser:
        assert browser.get("/hub/home").url.path == "/hub/login"
        landed = log_in(browser, "ann", path="/hub/login?next=%2Fhub%2Fhome")
        assert landed.url.path == "/hub/home"
    with hub.browser() as browser:
        landed = log_in(browser, "ann", path="/hub/login?next=https%3A%2F%2Fexample.org%2F")
        assert landed.url.path == "/services/pages/upload"
    with hub.browser() as browser:
        assert log_in(browser, "  ANN ").url.path == "/services/pages/upload"


def test_the_platforms_own_account(hub: Hub) -> None:
    with hub.signed_in("demo") as browser:
        assert browser.get("/hub/home").status_code == 200
    with hub.browser() as browser:
        assert "The name demo is taken" in words(sign_up(browser, "demo"))


def test_the_platforms_account_has_the_password_that_is_said_last(tmp_path: Path) -> None:
    import bcrypt
    from jupyterhub.orm import new_session_factory
    from nativeauthenticator.orm import UserInfo

    kept = []
    for password in ("one password", "one password", "another password"):
        ensure_user(tmp_path, "demo", password)
        session = new_session_factory(f"sqlite:///{tmp_path}/jupyterhub.sqlite")()
        (found,) = session.query(UserInfo).all()
        kept.append(found.password)
        session.close()
        session.get_bind().dispose()
    assert kept[0] == kept[1]
    assert bcrypt.checkpw(b"another password", kept[2])
    with pytest.raises(SettingsError, match="'Demo User' is no name for a user"):
        ensure_user(tmp_path, "Demo User", "one password")


@pytest.mark.parametrize(
    ("name", "password", "again", "said"),
    [
        ("a", PASSWORD, PASSWORD, "A name has 2 to 32 characters"),
        ("a" * 33, PASSWORD, PASSWORD, "A name has 2 to 32 characters"),
        ("../etc", PASSWORD, PASSWORD, "A name has 2 to 32 characters"),
        ("ann bob", PASSWORD, PASSWORD, "A name has 2 to 32 characters"),
        ("änn", PASSWORD, PASSWORD, "A name has 2 to 32 characters"),
        ("<b>ann</b>", PASSWORD, PASSWORD, "A name has 2 to 32 characters"),
        ("zoe", "too short", "too short", "A password has at least 10 characters."),
        ("zoe", "x" * 73, "x" * 73, "A password has at most 72 letters."),
        ("zoe", "1234567890", "1234567890", "That password is too common"),
        ("the-same-name", "The-Same-Name", "The-Same-Name", "That password is too common"),
        ("zoe", PASSWORD, PASSWORD + "s", "The two passwords are not the same."),
        ("ann", PASSWORD, PASSWORD, "The name ann is taken."),
    ],
)
def test_what_is_no_account(
    hub: Hub, ann: httpx.Client, name: str, password: str, again: str, said: str
) -> None:
    with hub.browser() as browser:
        refused = sign_up(browser, name, password, signup_password_confirmation=again)
        assert refused.status_code == 400
        assert said in words(refused)
        assert "<b>ann" not in refused.text
        assert browser.get("/hub/home").url.path == "/hub/login"
    with hub.browser() as browser:
        if name == "zoe":
            assert words(log_in(browser, name, password)).startswith(f"Log in {shown()} {WRONG}")


def shown() -> str:
    return "This page came over a connection that others can read. Passwords belong on https."


def test_unknown_names_and_wrong_passwords_look_alike(hub: Hub) -> None:
    with hub.signed_up("first-known"):
        pass
    answers = []
    for name in ("first-known", "never-known"):
        with hub.browser() as browser:
            refused = log_in(browser, name, "a wrong password")
            assert refused.status_code == 403
            text = re.sub(r'(name="_xsrf" value=|xsrf_token: )"[^"]+"', "", refused.text)
            answers.append(text.replace(name, "NAME"))
    assert WRONG in answers[0]
    assert answers[0] == answers[1]


def test_guessing_is_stopped_for_names_that_nobody_has_too(hub: Hub) -> None:
    with hub.signed_up("guessed"):
        pass
    found = []
    for name in ("guessed", "never-signed-up"):
        with hub.browser() as browser:
            tries = [log_in(browser, name, f"wrong password {n}") for n in range(9)]
            found.append([answer.status_code for answer in tries])
            assert "Too many tries. Wait" in words(tries[-1])
            assert int(tries[-1].headers["retry-after"]) > 0
            # Nor does the right one get through now; others are not held up.
            assert log_in(browser, name).status_code == 429
    assert found[0] == found[1] == [403] * 8 + [429]
    with hub.signed_in("demo"):
        pass


def test_a_password_longer_than_any_is_only_wrong(hub: Hub, ann: httpx.Client) -> None:
    with hub.browser() as browser:
        for password in ("x" * 5000, "", "a\0b"):
            assert WRONG in words(log_in(browser, "nobody-either", password))


def test_a_form_from_elsewhere_is_not_taken(hub: Hub) -> None:
    fields = {"username": "ann", "password": PASSWORD}
    with hub.browser() as browser:
        refused = browser.post("/hub/login", data=fields)
        assert refused.status_code == 403
        assert "Login form invalid or expired" in words(refused)
    with hub.browser() as browser:
        fields = {"username": "forged", "signup_password": PASSWORD}
        fields["signup_password_confirmation"] = PASSWORD
        assert browser.post("/hub/signup", data=fields).status_code == 403
        assert log_in(browser, "forged").status_code == 403


@pytest.mark.parametrize("page", ["upload", "status", "stacks"])
def test_short_addresses_lead_to_the_pages(hub: Hub, page: str) -> None:
    with hub.browser() as browser:
        landed = browser.get(f"/{page}?target=M%2031&from=2026-01-01")
        assert landed.text == f"page /services/pages/{page}?target=M%2031&from=2026-01-01"
        assert {answer.status_code for answer in landed.history} == {302}


def test_the_site_begins_with_its_splash(hub: Hub, ann: httpx.Client) -> None:
    with hub.browser() as browser:
        for visitor in (browser, ann):
            assert visitor.get("/").text == "page /services/pages/"


def test_changing_ones_password(hub: Hub) -> None:
    with hub.signed_up("cara") as browser, hub.signed_in("cara") as elsewhere:

        def change(old: str, new: str, again: str = "") -> httpx.Response:
            fields = {"old_password": old, "new_password": new}
            fields["new_password_confirmation"] = again or new
            return send(browser, "/hub/change-password", fields)

        assert "The old password is not right" in words(change("not this one", "night after night"))
        assert "at least 10 characters" in words(change(PASSWORD, "short"))
        assert "not the same" in words(change(PASSWORD, "night after night", "day after day"))
        assert elsewhere.get("/hub/home").url.path == "/hub/home"
        assert "Your password is changed" in words(change(PASSWORD, "night after night"))
        # This browser goes on; the other one has to sign in again.
        assert browser.get("/hub/home").url.path == "/hub/home"
        assert elsewhere.get("/hub/home").url.path == "/hub/login"
    with hub.browser() as browser:
        assert WRONG in words(log_in(browser, "cara", PASSWORD))
        assert log_in(browser, "cara", "night after night").url.path == "/services/pages/upload"


def test_pages_of_operators(hub: Hub, ann: httpx.Client, oper: httpx.Client) -> None:
    for page in ("/hub/admin", "/hub/authorize", "/hub/change-password/demo"):
        assert ann.get(page).status_code == 403, page
        assert oper.get(page).status_code == 200, page
    assert "/hub/authorize" not in ann.get("/hub/home").text
    assert "/hub/authorize" in oper.get("/hub/home").text
    assert 'id="react-admin-hook"' in oper.get("/hub/admin").text
    assert oper.get("/hub/change-password/nobody").status_code == 404


def test_an_operator_shuts_out_and_lets_in(hub: Hub, oper: httpx.Client) -> None:
    with hub.signed_up("dave") as dave, hub.signed_up("eve") as eve:
        own = re.search(r'name="_xsrf" value="([^"]+)"', eve.get("/hub/change-password").text)
        assert own is not None
        assert eve.post("/hub/unauthorize/dave", data={"_xsrf": own[1]}).status_code == 403
        assert oper.post("/hub/unauthorize/dave").status_code == 403  # a form of another site

        def act(action: str, name: str = "dave") -> httpx.Response:
            token = re.search(r'name="_xsrf" value="([^"]+)"', oper.get("/hub/authorize").text)
            assert token is not None
            return oper.post(f"/hub/{action}/{name}", data={"_xsrf": token[1]})

        # What NativeAuthenticator does on a GET, any page could have a browser do.
        assert oper.get("/hub/authorize/dave").status_code == 405
        assert oper.get("/hub/discard/dave").status_code == 405
        assert dave.get("/hub/home").url.path == "/hub/home"
        assert "dave … waits" in words(act("unauthorize"))
        assert dave.get("/hub/home").url.path == "/hub/login"
        waiting = log_in(dave, "dave")
        assert waiting.status_code == 403
        assert "Your account waits for an operator" in words(waiting)
        # Only who knows the password learns that the account waits.
        assert WRONG in words(log_in(dave, "dave", "not the password"))
        assert "dave ✓ may log in" in words(act("authorize"))
        assert log_in(dave, "dave").url.path == "/services/pages/upload"
        assert act("discard").status_code == 400
        assert act("unauthorize", "oper").status_code == 400
        act("unauthorize")
        # The name stays: its next owner would get what its last one has left here.
        refused = act("discard")
        assert refused.status_code == 400
        assert "Somebody was here by this name" in words(refused)
        with hub.browser() as browser:
            assert "The name dave is taken" in words(sign_up(browser, "dave"))


def test_an_operator_gives_a_new_password(hub: Hub, oper: httpx.Client) -> None:
    with hub.signed_up("finn") as finn:
        fields = {"new_password": "rain and wind", "new_password_confirmation": "rain and wind"}
        done = send(oper, "/hub/change-password/finn", fields)
        assert "finn has a new password" in words(done)
        assert finn.get("/hub/home").url.path == "/hub/login"
    with hub.signed_in("finn", "rain and wind"):
        pass


def test_signing_out(hub: Hub) -> None:
    with hub.signed_in("demo") as browser:
        assert browser.get("/hub/logout").url.path == "/hub/login"
        assert browser.get("/hub/home").url.path == "/hub/login"


def test_sessions_are_out_of_reach_of_scripts(hub: Hub, ann: httpx.Client) -> None:
    cookie = next(cookie for cookie in ann.cookies.jar if cookie.name == "jupyterhub-hub-login")
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite") == "Lax"
    assert cookie.path == "/hub/"


def test_pages_ask_no_other_host_and_are_in_no_frame(hub: Hub, ann: httpx.Client) -> None:
    with hub.browser() as anonymous:
        for visitor, page in (
            (anonymous, "/hub/login"),
            (anonymous, "/hub/signup"),
            (ann, "/hub/home"),
            (ann, "/hub/token"),
            (ann, "/hub/no-such-page"),
        ):
            shown = visitor.get(page)
            assert 'aria-label="Main"' in shown.text
            for name in ("Home", "Upload", "Status", "Stacks", "Notebooks"):
                assert f">{name}</a>" in shown.text
            assert "/services/pages/static/theme.css" in shown.text
            asked = re.findall(r'(?:src|href)="((?:https?:)?//[^"]+)"', shown.text)
            assert [one for one in asked if "jupyterhub.readthedocs.io" not in one] == []
            assert "frame-ancestors 'none'" in shown.headers["content-security-policy"]


def test_nothing_secret_is_in_the_log(hub: Hub, ann: httpx.Client) -> None:
    log = hub.log.read_text()
    for secret in (
        PASSWORD,
        hub.facts.cookie_secret,
        hub.facts.crypt_key,
        hub.facts.proxy_token,
        hub.facts.service_token,
    ):
        assert secret not in log
