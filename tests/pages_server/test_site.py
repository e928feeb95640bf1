"""The pages behind a real Hub: who gets in, whose kernel is whose, and what may be said to it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import httpx
import psutil
import pytest
from websockets.exceptions import InvalidStatus

from crowdsky import tickets
from tests.pages_server.site import BASE, PASSWORD, Site, wait_until
from tests.pages_server.sockets import page_socket
from tests.pages_server.visits import KERNEL, OURS, ended, first_page, kernels, opened

pytestmark = [pytest.mark.enable_socket, pytest.mark.slow]

ALLOWED = {
    "CROWDSKY_KERNEL_KEY",
    "CROWDSKY_PAGES_URL",
    "CROWDSKY_SERVER",
    "HOME",
    "IPYTHONDIR",
    "JPY_PARENT_PID",
    "JPY_SESSION_NAME",
    "JUPYTER_PLATFORM_DIRS",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "PATH",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONPATH",
    "TZ",
    "VIRTUAL_ENV",
    # set by the kernel itself
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "FORCE_COLOR",
    "GIT_PAGER",
    "MPLBACKEND",
    "PAGER",
    "PYDEVD_USE_FRAME_EVAL",
    "TERM",
}


@pytest.fixture(autouse=True)
def _as_usual(site: Site) -> None:
    site.have()


@pytest.fixture
def anns(site: Site, ann: httpx.Client) -> Iterator[str]:
    kernel_id, _ = opened(ann)
    yield kernel_id
    ann.post(f"{BASE}voila/api/shutdown/{kernel_id}", headers=OURS)


def test_the_first_page_costs_no_kernel(site: Site) -> None:
    drawn = first_page(site)
    assert 'data-user=""' in drawn.text
    assert '<p id="kernel"></p>' in drawn.text
    assert "max-age=30" in drawn.headers["cache-control"]
    wait_until(lambda: len(kernels(site)) == 3, "a kernel is ready for each page")
    before = kernels(site)
    with site.browser() as browser:
        for _ in range(200):
            answer = browser.get(BASE)
            assert answer.status_code == 200
            assert not answer.cookies
        etag = {"If-None-Match": answer.headers["etag"]}
        again = browser.get(BASE, headers=etag)
    assert kernels(site) == before
    assert (again.status_code, again.content) == (304, b"")


def test_a_visitor_signs_in_and_comes_back_with_the_query(site: Site) -> None:
    with site.browser() as browser:
        form = browser.get(f"{BASE}stacks?ra_from=10&q=a%20b")
        assert form.url.path == "/hub/login"
        told = {
            "username": "dora",
            "password": PASSWORD,
            "_xsrf": browser.cookies.get("_xsrf", path="/hub/"),
        }
        landed = browser.post(str(form.url), data=told)
        assert landed.status_code == 200
        assert landed.url.path == f"{BASE}stacks"
        assert landed.url.query == b"ra_from=10&q=a%20b"
        assert 'data-user="dora" data-page="stacks"' in landed.text
        found = KERNEL.search(landed.text)
        assert found
        ended(browser, found[1])


def test_an_anonymous_visit_to_a_page_starts_nothing(site: Site) -> None:
    wait_until(lambda: len(kernels(site)) == 3, "a kernel is ready for each page")
    for _ in range(5):  # until nothing of the tests before ends or begins meanwhile
        before = kernels(site)
        with site.browser(follow_redirects=False) as browser:
            for page in ("upload", "status", "stacks"):
                answer = browser.get(f"{BASE}{page}")
                assert answer.status_code == 302
                assert answer.headers["location"].startswith("/hub/api/oauth2/authorize?")
            state = next(cookie for cookie in browser.cookies.jar if "oauth-state" in cookie.name)
            assert state.has_nonstandard_attr("HttpOnly")
        if kernels(site) == before:
            return
        time.sleep(2.0)
    raise AssertionError("kernels come and go with every visit")


def test_each_has_a_kernel_and_a_name_of_their_own(
    site: Site, ann: httpx.Client, bob: httpx.Client
) -> None:
    seen = {}
    for name, browser in (("ann", ann), ("bob", bob), ("ann", ann)):
        kernel_id, page = opened(browser)
        assert f'data-user="{name}"' in page.text
        assert page.text.count("ann") + page.text.count("bob") == 1
        with page_socket(site, browser, kernel_id) as socket:
            told = socket.ask("ticket")
        assert (told["status"], told["name"]) == (200, name)
        seen[kernel_id] = browser
    assert len(seen) == 3
    for kernel_id, browser in seen.items():
        ended(browser, kernel_id)


def test_a_kernel_is_nobody_elses(
    site: Site, anns: str, ann: httpx.Client, bob: httpx.Client
) -> None:
    path = f"{BASE}api/kernels/{anns}"
    ended(bob, opened(bob)[0])  # who has signed in here too
    with site.browser() as nobody:
        for browser, status in ((bob, 404), (nobody, 403)):
            assert (
                browser.get(path, headers=OURS | {"Sec-Fetch-Mode": "cors"}).status_code == status
            )
            assert browser.delete(path, headers=OURS).status_code == status
            answer = browser.post(f"{BASE}voila/api/shutdown/{anns}", headers=OURS)
            assert answer.status_code == status
            with pytest.raises(InvalidStatus) as refused, page_socket(site, browser, anns):
                pass
            assert refused.value.response.status_code == status
            for verb in ("interrupt", "restart"):
                assert browser.post(f"{path}/{verb}", headers=OURS).status_code == 404
    assert ann.get(path).json()["id"] == anns
    # One that is ready belongs to nobody, and its id is not to be had, so neither is it.
    with page_socket(site, ann, anns) as socket:
        assert socket.ask("ran") == "no"


def test_names_in_headers_are_not_believed(site: Site, ann: httpx.Client) -> None:
    forged = {
        "X-Forwarded-User": "bob",
        "Remote-User": "bob",
        "X-CrowdSky-User": "bob",
        "Authorization": "token bob",
        "VOILA_REQUEST_URL": "bob",
    }
    kernel_id, page = opened(ann, headers=forged)
    assert 'data-user="ann"' in page.text
    with page_socket(site, ann, kernel_id) as socket:
        assert socket.ask("ticket")["name"] == "ann"
    ended(ann, kernel_id)


@pytest.mark.parametrize("v1", [True, False])
def test_nobody_runs_code_in_a_kernel(site: Site, anns: str, ann: httpx.Client, v1: bool) -> None:
    code = {"code": "ran = 'yes'", "silent": False, "store_history": False, "allow_stdin": True}
    with page_socket(site, ann, anns, v1=v1) as socket:
        for channel in ("shell", "control", "stdin", "iopub"):
            socket.send("execute_request", code, channel)
            socket.send("debug_request", {"command": "evaluate", "arguments": code}, channel)
            socket.send("shutdown_request", {"restart": False}, channel)
            socket.send("complete_request", {"code": "ran", "cursor_pos": 3}, channel)
            socket.send("input_reply", {"value": "ran = 'yes'"}, channel)
            socket.send("create_subshell_request", {}, channel)
        socket.send("kernel_info_request", {})
        kinds = []
        while "kernel_info_reply" not in kinds:
            kinds.append(socket.receive()["header"]["msg_type"])
        assert "execute_reply" not in kinds
        assert socket.ask("ran") == "no"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff" * 8,
        (2**62).to_bytes(8, "little") + b"x" * 64,
        b"\x06" + b"\0" * 200,
        "{",
        "[]",
        '{"channel": "shell", "header": []}',
        "[" * 100_000,
    ],
)
def test_a_message_that_is_none_ends_its_socket_only(
    site: Site, anns: str, ann: httpx.Client, raw: bytes | str
) -> None:
    with page_socket(site, ann, anns, v1=isinstance(raw, bytes)) as socket:
        socket.raw.send(raw)
        assert socket.why_closed()[0] == 1003
    with page_socket(site, ann, anns) as socket:
        assert socket.ask("ran") == "no"


def test_a_page_of_another_site_opens_no_socket(site: Site, anns: str, ann: httpx.Client) -> None:
    for origin in ("https://example.org", "null", site.url.replace("127.0.0.1", "localhost")):
        with (
            pytest.raises(InvalidStatus) as refused,
            page_socket(site, ann, anns, origin=origin),
        ):
            pass
        assert refused.value.response.status_code == 403
    path = f"{BASE}api/kernels/{anns}"
    for told in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://example.org"},
        {},
    ):
        assert ann.delete(path, headers=told).status_code == 403
    assert ann.get(path).status_code == 200
    picture = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    before = kernels(site)
    assert ann.get(f"{BASE}upload", headers=picture, follow_redirects=False).status_code == 302
    assert kernels(site) == before


def test_tickets(site: Site, anns: str, ann: httpx.Client) -> None:
    # While it was made ready, the notebook was told that nobody had come yet.
    kernel_id, page = opened(ann, "status")
    assert re.search(r"drawn by \d+ 409", page.text)
    ended(ann, kernel_id)
    with page_socket(site, ann, anns) as socket:
        told = socket.ask("ticket")
    assert told["expires_s"] == tickets.LIFE_S
    assert tickets.read(site.ticket_secret, told["ticket"], time.time()) == "ann"
    assert tickets.read(site.ticket_secret, told["ticket"], time.time() + 301.0) is None
    for shown in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Bearer \u00e9"},
                  {"Authorization": f"Basic {told['ticket']}"}):  # fmt: skip
        encoded = {name: value.encode("latin-1") for name, value in shown.items()}
        refused = httpx.get(f"{site.pages_url}{BASE}ticket", headers=encoded, trust_env=False)
        assert refused.status_code == 401
        assert "load the page again" in refused.json()["message"]


def test_a_kernel_knows_what_it_needs_and_nothing_else(
    site: Site, anns: str, ann: httpx.Client
) -> None:
    with page_socket(site, ann, anns) as socket:
        told = socket.ask("environ")
        parent = socket.ask("parent")
        files = socket.ask("home")
    assert set(told) - ALLOWED == set()
    secrets = [site.ticket_secret, site.environment["JUPYTERHUB_API_TOKEN"], "archive.db"]
    assert not [secret for secret in secrets if secret in str(told) + parent]
    assert told["CROWDSKY_PAGES_URL"] == f"{site.pages_url}{BASE.rstrip('/')}"
    assert told["CROWDSKY_SERVER"] == "http://127.0.0.1:8642/services/crowdsky"
    assert set(files) <= {".ipython", ".cache", ".config", ".local"}


def test_signing_out_ends_open_pages(site: Site) -> None:
    with site.signed_in("erik") as browser, site.signed_in("erik") as elsewhere:
        kernel_id, _ = opened(browser)
        other_id, _ = opened(elsewhere, "status")
        with (
            page_socket(site, browser, kernel_id) as socket,
            page_socket(site, elsewhere, other_id) as other,
        ):
            pid = socket.ask("pid")
            browser.get("/hub/logout")
            assert socket.why_closed() == (4401, "signed out")
            wait_until(lambda: not psutil.pid_exists(pid), "its kernel has ended")
            # Who signed in twice and out once is still here.
            assert other.ask("ticket")["name"] == "erik"
        assert browser.get(f"{BASE}upload").url.path == "/hub/login"
        with pytest.raises(InvalidStatus), page_socket(site, browser, kernel_id):
            pass
        ended(elsewhere, other_id)


def test_a_kernel_that_dies_is_told(site: Site, ann: httpx.Client) -> None:
    kernel_id, _ = opened(ann)
    with page_socket(site, ann, kernel_id) as socket:
        psutil.Process(socket.ask("pid")).kill()
        states = []
        while "dead" not in states:
            states.append(socket.receive()["content"].get("execution_state"))
        assert "restarting" not in states
    path = f"{BASE}api/kernels/{kernel_id}"
    wait_until(lambda: ann.get(path).status_code == 404, "the server has forgotten it")


@pytest.mark.parametrize(
    "path",
    [
        "api/kernels",
        "api/contents",
        "api/contents/upload.ipynb",
        "api/sessions",
        "api/terminals",
        "api/kernelspecs",
        "api/me",
        "api/status",
        "files/upload.ipynb",
        "voila/files/upload.ipynb",
        "voila/render/upload.ipynb",
        "voila/tree",
        "voila/static/voila.js",
        "voila/query/00000000-0000-0000-0000-000000000000",
        "voila/execution/00000000-0000-0000-0000-000000000000",
        "upload.ipynb",
        "splash",
        "static/",
        "static/../secret.txt",
        "static/%2e%2e/secret.txt",
        "static/..%2fsecret.txt",
        "static/v000000000000/../secret.txt",
        "static//etc/passwd",
        "static/theme.css%00.js",
    ],
)
def test_there_is_nothing_else(site: Site, ann: httpx.Client, path: str) -> None:
    for method in ("GET", "POST", "PUT"):
        answer = ann.request(method, BASE + path, headers=OURS)
        if method == "GET" or "static" not in path:
            assert answer.status_code == 404
            assert "<main" in answer.text
        assert "not static" not in answer.text


def test_files_of_the_template(site: Site) -> None:
    with site.browser() as browser:
        theme = browser.get(f"{BASE}static/theme.css")
        assert theme.headers["content-type"] == "text/css; charset=utf-8"
        assert theme.headers["content-encoding"] == "gzip"
        assert theme.headers["cache-control"] == "public, max-age=300"
        again = browser.get(theme.url, headers={"If-None-Match": theme.headers["etag"]})
        assert again.status_code == 304
        plain = browser.get(theme.url, headers={"Accept-Encoding": "identity"})
        assert plain.text == theme.text
        assert plain.headers["etag"] != theme.headers["etag"]
        script = browser.get(f"{BASE}static/app-5XQ2W7ZD.js")
        assert "immutable" in script.headers["cache-control"]
        assert script.headers["content-type"].startswith("text/javascript")
        old = browser.get(f"{BASE}static/v0123456789ab/theme.css")
        assert (old.text, old.headers["cache-control"]) == (theme.text, "public, max-age=300")
        assert browser.head(theme.url).headers["content-length"] == theme.headers["content-length"]


def test_the_example_night(site: Site) -> None:
    with site.browser() as browser:
        missing = browser.get(f"{BASE}example-night.zip")
        assert missing.status_code == 404
        assert "This site has no example night" in missing.text
        (site.folder / "example-night.zip").write_bytes(bytes(range(256)) * 40)
        whole = browser.get(f"{BASE}example-night.zip")
        assert len(whole.content) == 10240
        part = browser.get(whole.url, headers={"Range": "bytes=10238-"})
        assert (part.status_code, part.content) == (206, b"\xfe\xff")
        assert part.headers["content-range"] == "bytes 10238-10239/10240"
        etag = {"If-None-Match": whole.headers["etag"]}
        assert browser.get(whole.url, headers=etag).status_code == 304
        assert browser.head(whole.url).headers["content-length"] == "10240"
        (site.folder / "example-night.zip").unlink()


def test_headers_of_every_answer(site: Site, ann: httpx.Client) -> None:
    kernel_id, page = opened(ann)
    for answer in (page, ann.get(f"{BASE}privacy"), ann.get(f"{BASE}nothing"), ann.get(BASE)):
        assert answer.headers["x-content-type-options"] == "nosniff"
        policy = answer.headers["content-security-policy"]
        assert "frame-ancestors 'self'" in policy
        hosts = re.findall(r"(?:https?|wss?):[^ ;]*", policy)
        ours = site.url.removeprefix("http://")
        assert set(hosts) <= {f"ws://{ours}", f"wss://{ours}"}
        assert "unsafe-eval" not in policy.replace("wasm-unsafe-eval", "")
        assert "script-src 'self' 'unsafe-inline'" not in policy
    nonce = re.search(r'<script nonce="([^"]+)">', page.text)
    assert nonce
    assert f"'nonce-{nonce[1]}'" in page.headers["content-security-policy"]
    assert "blob:" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["content-encoding"] == "gzip"
    ended(ann, kernel_id)


def test_a_browser_that_looks_ahead_gets_no_kernel(site: Site, ann: httpx.Client) -> None:
    before = kernels(site)
    assert ann.head(f"{BASE}upload").status_code == 200
    ahead = ann.get(f"{BASE}upload", headers={"Sec-Purpose": "prefetch;prerender"})
    assert ahead.status_code == 503
    assert kernels(site) == before
