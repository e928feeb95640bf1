"""One visitor's page, queue and notebooks are closed to every other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hub_config.isolation import find_isolation
from tests.browser.chromium import needs_chromium
from tests.browser.site import Site, small_night
from tests.browser.steps import choose_files, go_to, is_there, queue, queue_until, wait_for

pytestmark = [
    pytest.mark.enable_socket,
    pytest.mark.slow,
    needs_chromium,
]

KERNELS = "/services/pages/api/kernels"
_OPENS = """([address]) => new Promise(done => {
    const socket = new WebSocket(location.origin.replace('http', 'ws') + address);
    socket.onopen = () => { done(true); socket.close(); };
    socket.onclose = () => done(false);
})"""
_STATUS = (
    """async ([address, method]) => (await fetch(address, {method, redirect: 'manual'})).status"""
)
# Asks for code to be run, and then for something that is answered, in turn.
_RUN = """([address, code, allowed]) => new Promise((done, failed) => {
    const socket = new WebSocket(location.origin.replace('http', 'ws') + address);
    const heard = [];
    const say = (kind, content, channel = 'shell') => {
        const header = {msg_id: crypto.randomUUID(), msg_type: kind, username: '', session: 'mine',
                        version: '5.3', date: new Date().toISOString()};
        socket.send(JSON.stringify({channel, header, parent_header: {}, metadata: {}, content}));
    };
    socket.onopen = () => {
        const asked = {code, silent: false, store_history: false, user_expressions: {},
                       allow_stdin: false, stop_on_error: true};
        for (const channel of allowed ? ['shell'] : ['shell', 'control']) {
            say('execute_request', asked, channel);
        }
        if (!allowed) say('comm_info_request', {});
    };
    socket.onmessage = event => {
        if (typeof event.data !== 'string') return;
        const {header, content} = JSON.parse(event.data);
        heard.push([header.msg_type, content.text ?? content.evalue ?? '']);
        if (header.msg_type === (allowed ? 'execute_reply' : 'comm_info_reply')) {
            setTimeout(() => { socket.close(); done(heard); }, 300);
        }
    };
    socket.onclose = () => done(heard);
    setTimeout(() => failed(new Error('no answer: ' + JSON.stringify(heard))), 30000);
})"""


def kernel_of(page: Any) -> str:
    return str(json.loads(page.locator("#crowdsky-kernel").text_content())["id"])


def test_another_s_page_cannot_be_reached(
    site: Site, visit: Callable[..., Any], tmp_path: Path
) -> None:
    ann, bob = visit(), visit()
    for name, page in (("ann", ann), ("bob", bob)):
        site.sign_up(page, name)
        is_there(page, "Upload")
    mine, theirs = kernel_of(ann), kernel_of(bob)
    assert ann.evaluate(_OPENS, [f"{KERNELS}/{mine}/channels"]) is True
    assert ann.evaluate(_OPENS, [f"{KERNELS}/{theirs}/channels"]) is False
    for method in ("GET", "DELETE"):
        assert ann.evaluate(_STATUS, [f"{KERNELS}/{theirs}", method]) in (403, 404)
    assert ann.evaluate(_STATUS, [f"/services/pages/voila/api/shutdown/{theirs}", "POST"]) in (
        403, 404,
    )  # fmt: skip
    assert bob.evaluate(_STATUS, [f"{KERNELS}/{theirs}", "GET"]) == 200

    # Not even one's own kernel runs what one likes.
    trace = tmp_path / "trace"
    code = f"open({str(trace)!r}, 'w').write('here')"
    heard = ann.evaluate(_RUN, [f"{KERNELS}/{mine}/channels", code, False])
    kinds = {kind for kind, _ in heard}
    assert "comm_info_reply" in kinds
    assert not kinds & {"execute_reply", "execute_input", "execute_result"}
    assert not trace.exists()


def test_the_next_user_of_a_browser_sees_nothing_of_the_one_before(
    site: Site, visit: Callable[..., Any], tmp_path: Path
) -> None:
    page = visit()
    site.sign_up(page, "first")
    is_there(page, "Upload")
    page.evaluate("() => crowdsky.agent.pause()")
    choose_files(page, small_night(tmp_path / "night", 8, word="Private"))
    words = page.locator("main").inner_text
    wait_for(page, lambda: "Light_Private" in words(), "the list")
    log_out(page, "first")

    site.sign_up(page, "second")
    is_there(page, "Upload")
    now = queue(page)
    assert (now["files"], now["state"]) == (0, "empty")
    page.wait_for_timeout(500)  # what is drawn late counts too
    assert "Private" not in page.locator("html").inner_html()
    go_to(page, "Status")
    assert "Private" not in page.locator("html").inner_html()
    assert site.ask(page, "/uploads?limit=100")["json"]["uploads"] == []
    log_out(page, "second")

    site.sign_in(page, "first")
    go_to(page, "Upload")
    assert queue(page)["files"] == 8
    page.evaluate("() => crowdsky.agent.resume()")
    queue_until(page, lambda now: now["state"] == "done", "the rest")
    assert queue(page)["counts"]["accepted"] == 8


def log_out(page: Any, name: str) -> None:
    """By the menu."""
    page.locator("summary", has_text=name).click()
    page.get_by_role("link", name="Log out").click()
    page.get_by_role("link", name="Sign up").first.wait_for()
    page.wait_for_load_state()


@pytest.fixture
def notebook(site: Site, visit: Callable[..., Any]) -> Callable[[str], str]:
    """Runs code in somebody's own notebook server; gives what it prints."""
    page = visit()
    site.sign_up(page, "researcher")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Notebooks").click()
    page.wait_for_url("**/user/researcher/lab**", timeout=120_000)
    page.wait_for_function("() => document.title.length > 0", timeout=60_000)
    base = "/user/researcher/api/kernels"
    kernel = page.evaluate(
        """async ([base]) => {
            const token = document.cookie.match(/_xsrf=([^;]+)/)?.[1] ?? '';
            const answer = await fetch(base, {method: 'POST', body: '{}',
                headers: {'Content-Type': 'application/json', 'X-XSRFToken': token}});
            return answer.json();
        }""",
        [base],
    )

    def run(code: str) -> str:
        heard = page.evaluate(_RUN, [f"{base}/{kernel['id']}/channels", code, True])
        return "".join(text for kind, text in heard if kind in ("stream", "error"))

    return run


def test_a_notebook_works_and_sees_no_other(site: Site, notebook: Callable[[str], str]) -> None:
    told = notebook("import crowdsky.client, os; print(os.getcwd())")
    assert told.strip().endswith("/researcher"), told
    apart = find_isolation(site.home)
    if not apart.apart:
        pytest.skip(f"notebooks are not kept apart on this machine: {apart.reason}")
    other = apart.folder / "other"
    other.mkdir(mode=0o700)
    (other / "secret.txt").write_text("of another")
    closed = [other / "secret.txt", site.home / "crowdsky.db", site.home / "secrets.json"]
    for path in closed:
        assert "PermissionError" in notebook(f"print(open({str(path)!r}, 'rb').read(10))") or (
            "Permission denied" in notebook(f"print(open({str(path)!r}, 'rb').read(10))")
        ), path
