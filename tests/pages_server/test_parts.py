"""The server's parts, each by itself: drawing, keeping kernels ready, room, files, secrets."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from crowdsky.errors import SettingsError
from crowdsky.pages.splash.privacy import PRIVACY
from crowdsky.pages_server import kernel_user, kernels, pool, sessions, splash, views
from crowdsky.pages_server.app import PagesServer
from crowdsky.pages_server.facts import PAGES, Facts, make_facts
from crowdsky.pages_server.kept_answer import KeptAnswer
from crowdsky.pages_server.kernel_user import KernelUsers, find_kernel_users
from crowdsky.pages_server.kernels import PageKernel, PageKernelManager
from crowdsky.pages_server.places import site_folder
from crowdsky.pages_server.plain_pages import plain_page
from crowdsky.pages_server.pool import Pool
from crowdsky.pages_server.privacy import Privacy
from crowdsky.pages_server.rendering import PageNotDrawn, Renderer, written
from crowdsky.pages_server.sessions import Sessions
from crowdsky.pages_server.splash import Splash
from crowdsky.pages_server.static_files import FOR_EVER, SHORTLY, StaticFiles
from crowdsky.pages_server.views import SiteFull, TooManyViews, Views
from crowdsky.settings import load_server_settings
from tests.pages_server.site import write_notebook, write_site

pytestmark = [pytest.mark.enable_socket]


@pytest.fixture
def facts(tmp_path: Path) -> Facts:
    write_site(tmp_path)
    settings = load_server_settings({"CROWDSKY_HOME": str(tmp_path)})
    found = make_facts(settings, prefix="/services/pages/", hub="/hub/")
    return dataclasses.replace(
        found, notebooks=tmp_path / "notebooks", template=tmp_path / "crowdsky"
    )


def run(task: Awaitable[Any]) -> Any:
    async def bounded() -> Any:
        return await asyncio.wait_for(task, 60.0)

    return asyncio.run(bounded())


# --- places and facts -----------------------------------------------------------------------------


def test_folders_of_the_site(repo_root: Path) -> None:
    assert site_folder("notebooks") == repo_root / "notebooks"
    with pytest.raises(SettingsError, match="the folder 'nowhere' is not there; looked for"):
        site_folder("nowhere")


def test_addresses_follow_the_prefix(tmp_path: Path) -> None:
    settings = load_server_settings({"CROWDSKY_HOME": str(tmp_path)})
    found = make_facts(settings, prefix="/sky/services/pages", hub="/sky/hub")
    assert (found.base, found.hub) == ("/sky/services/pages/", "/sky/hub/")
    assert found.api == "/sky/services/crowdsky/api/v1"
    told = found.told(page="upload", title="Upload", user="ann", nonce="n")
    assert told["static"] == f"/sky/services/pages/static/{found.version}/"
    assert (told["user"], told["page"], told["nonce"]) == ("ann", "upload", "n")


# --- drawing --------------------------------------------------------------------------------------


def draw(facts: Facts) -> str:
    renderer = Renderer(facts, None)
    told = facts.told(page="upload", title="T", user="<ann>")
    return str(run(renderer.draw(written(), "the-kernel", told)))


def test_a_page_is_drawn_for_whoever_visits(facts: Facts) -> None:
    html = draw(facts)
    assert '<p id="kernel">the-kernel</p>' in html


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (None, r"cannot draw a page \(TemplateNotFound: "),
        ("", "draws no whole page"),
        ("{% if %}", r"cannot draw a page \(TemplateSyntaxError: "),
        ("{{ nothing.at.all }}", r"cannot draw a page \(UndefinedError: "),
        ("<html>" + "x" * 400, "draws no whole page"),
    ],
)
def test_a_template_that_does_not_work_is_told(
    facts: Facts, template: str | None, reason: str
) -> None:
    file = facts.template / "index.html.j2"
    file.unlink()
    if template is not None:
        file.write_text(template)
    with pytest.raises(PageNotDrawn, match=f"the template 'crowdsky' {reason}"):
        draw(facts)
    (sentence,) = run(Renderer(facts, None).check(("upload",)))
    assert "the template 'crowdsky'" in sentence


def test_notebooks_are_looked_at_when_the_server_starts(facts: Facts) -> None:
    assert run(Renderer(facts, None).check(("splash", *PAGES))) == []
    (facts.notebooks / "stacks.ipynb").unlink()
    (facts.notebooks / "status.ipynb").write_text("{")
    missing, broken = run(Renderer(facts, None).check(("stacks", "status")))
    assert missing == "the notebook of the page 'stacks' is not there"
    assert broken.startswith("the notebook of the page 'status' cannot be read")


def test_outputs_that_a_notebook_was_saved_with_are_not_shown(facts: Facts) -> None:
    path = facts.notebooks / "upload.ipynb"
    text = path.read_text().replace('"outputs": []', '"outputs": [{"output_type": "stream", '
                                    '"name": "stdout", "text": "somebody\'s"}]')  # fmt: skip
    assert "somebody" in text
    path.write_text(text)
    assert Renderer(facts, None).load("upload").cells[0].outputs == []


def test_privacy_is_told_even_where_the_template_does_not_work(facts: Facts) -> None:
    for broken in (False, True):
        if broken:
            (facts.template / "index.html.j2").unlink()
        privacy = Privacy(facts, Renderer(facts, None))
        page = run(privacy.answer()).body.decode()
        assert bool(privacy.nonce) is not broken
        assert ("data-page" in page) is not broken
        for heading, paragraphs in PRIVACY:
            assert f"<h2>{heading}</h2>" in page
            assert f"<p>{paragraphs[0]}</p>" in page


def test_a_plain_page_is_text() -> None:
    settings = load_server_settings({"CROWDSKY_HOME": "/nowhere"})
    found = make_facts(settings, prefix="/services/pages/", hub="/hub/")
    html = plain_page(found, "<b>", ("a & <script>",), refresh_s=5)
    assert "a &amp; &lt;script&gt;" in html
    assert "<h1>&lt;b&gt;</h1>" in html
    assert '<nav class="cs-nav" aria-label="Main">' in html
    for name in ("Home", "Upload", "Status", "Stacks", "Notebooks"):
        assert f">{name}</a>" in html


# --- kernels that are ready -----------------------------------------------------------------------


class Manager:
    """Stands for the manager of one kernel."""

    alive = True

    async def is_alive(self) -> bool:
        return self.alive


class Kernels:
    """Stands for all kernels: no process is started."""

    def __init__(self) -> None:
        self.managers: dict[str, Manager] = {}
        self.handed: list[PageKernel] = []
        self.open: set[str] = set()
        self.started = 0

    def __contains__(self, kernel_id: str) -> bool:
        return kernel_id in self.managers

    def get_kernel(self, kernel_id: str) -> Manager:
        return self.managers[kernel_id]

    async def start_for(self, page: str) -> PageKernel:
        self.started += 1
        await asyncio.sleep(0)
        kernel = PageKernel(f"{page}-{self.started}", page, b"", Path("/nowhere"), None)
        self.managers[kernel.id] = Manager()
        return kernel

    async def end(self, kernel: PageKernel) -> None:
        self.managers.pop(kernel.id, None)
        self.handed = [other for other in self.handed if other is not kernel]

    def hand_to(self, kernel: PageKernel, name: str) -> None:
        kernel.owner, kernel.handed_s = name, time.monotonic()
        self.handed.append(kernel)

    def owned(self, name: str | None = None) -> list[PageKernel]:
        return [kernel for kernel in self.handed if name in (None, kernel.owner)]

    def connections(self, kernel: PageKernel) -> int:
        return int(kernel.id in self.open)


class Drawer:
    """Stands for the renderer; some pages fail."""

    def __init__(self, *failing: str) -> None:
        self.failing = set(failing)
        self.drawn = 0

    def load(self, page: str) -> None:
        return None

    async def run(self, page: str, manager: Any) -> str:
        await asyncio.sleep(0)
        if page in self.failing:
            raise PageNotDrawn(f"{page} failed")
        return f"notebook of {page}"

    async def draw(self, notebook: Any, kernel_id: str, told: dict[str, str]) -> str:
        self.drawn += 1
        return f"<html>drawing {self.drawn}</html>"


def make_pool(drawer: Drawer, size: int = 1, spare_mb: float = 1e6, **named: Any) -> Any:
    return Pool(Kernels(), drawer, ("upload", "status"), size, lambda: spare_mb, **named)  # type: ignore[arg-type]


async def until(done: Callable[[], bool]) -> None:
    while not done():
        await asyncio.sleep(0.01)


def test_each_page_has_its_kernels_ready() -> None:
    async def story() -> None:
        made = make_pool(Drawer(), size=2)
        made.begin()
        await until(lambda: made.ready("upload") == made.ready("status") == 2)
        taken = [await made.take("upload", "ann") for _ in range(3)]
        assert len({kernel.id for kernel in taken}) == 3
        assert {kernel.owner for kernel in taken} == {"ann"}
        await until(lambda: made.ready("upload") == 2)
        assert made.kernels.started == 7
        made.stop()

    run(story())


def test_a_dead_kernel_is_not_handed_out() -> None:
    async def story() -> None:
        made = make_pool(Drawer())
        made.begin()
        await until(lambda: made.ready("upload") == 1)
        first = made._ready["upload"][0]
        made.kernels.managers[first.id].alive = False
        taken = await made.take("upload", "ann")
        assert taken is not first
        assert first.id not in made.kernels
        made.stop()

    run(story())


def test_a_page_that_fails_does_not_keep_the_others_from_being_ready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool, "_FIRST_PAUSE_S", 0.05)

    async def story() -> None:
        drawer = Drawer("upload")
        made = make_pool(drawer)
        made.begin()
        await until(lambda: made.ready("status") == 1)
        with pytest.raises(PageNotDrawn, match="upload failed"):
            await made.take("upload", "ann")
        assert len(made.kernels.managers) <= 2  # none is left of those that failed
        drawer.failing.clear()
        await until(lambda: made.ready("upload") == 1)  # and it is tried again
        made.stop()

    run(story())


def test_whatever_a_kernel_dies_of_the_next_one_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    from zmq import ZMQError

    monkeypatch.setattr(pool, "_FIRST_PAUSE_S", 0.01)

    async def story() -> None:
        drawer = Drawer()
        failing: list[Exception] = [ZMQError(24), KeyError("gone"), OSError(28, "full")]
        good = drawer.run

        async def run_badly(page: str, manager: Any) -> str:
            if failing:
                raise failing.pop()
            return await good(page, manager)

        drawer.run = run_badly  # type: ignore[method-assign]
        made = make_pool(drawer)
        made.begin()
        await until(lambda: made.ready("upload") == made.ready("status") == 1)
        assert made.kernels.started == 5
        assert len(made.kernels.managers) == 2
        made.stop()

    run(story())


def test_where_memory_is_short_only_what_is_asked_for_is_started() -> None:
    async def story() -> None:
        made = make_pool(Drawer(), spare_mb=100.0)
        made.begin()
        await asyncio.sleep(0.05)
        assert made.kernels.started == 0
        assert (await made.take("upload", "ann")).owner == "ann"
        assert made.kernels.started == 1
        made.stop()

    run(story())


# --- room -----------------------------------------------------------------------------------------


def test_pages_that_were_closed_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "_COMES_BACK_WITHIN_S", -1.0)

    async def story() -> None:
        made = make_pool(Drawer(), size=0)
        room = Views(made.kernels, made, most=3, most_per_user=2)
        first, second = [await room.open("upload", "ann") for _ in range(2)]
        made.kernels.open = {second.id}
        # Neither has had the time to open its websocket.
        with pytest.raises(TooManyViews, match="you have 2 pages of this site open"):
            await room.open("upload", "ann")
        first.closed_s = 1.0
        third = await room.open("upload", "ann")
        assert first.id not in made.kernels
        assert await room.open("upload", "bob")
        with pytest.raises(SiteFull, match="3 pages are open"):
            await room.open("upload", "carol")
        third.closed_s = 2.0
        assert (await room.open("upload", "carol")).owner == "carol"
        assert third.id not in made.kernels

    run(story())


def test_visits_at_once_are_counted() -> None:
    async def story() -> None:
        made = make_pool(Drawer(), size=0)
        room = Views(made.kernels, made, most=10, most_per_user=3)
        tried = await asyncio.gather(
            *(room.open("upload", "ann") for _ in range(20)), return_exceptions=True
        )
        assert sum(isinstance(one, PageKernel) for one in tried) <= 3
        assert not [one for one in tried if not isinstance(one, (PageKernel, TooManyViews))]
        assert not room._coming

    run(story())


# --- the first page -------------------------------------------------------------------------------


def test_the_last_good_first_page_stays(facts: Facts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splash, "DRAWN_EVERY_S", 0.02)
    monkeypatch.setattr(splash, "DRAWN_AT_LEAST_EVERY_S", 0.02)
    monkeypatch.setattr(splash, "_FIRST_PAUSE_S", 0.01)

    async def story() -> None:
        drawer = Drawer("splash")
        made = make_pool(drawer, size=0)
        page = Splash(facts, made)
        keeping = asyncio.create_task(page.keep_drawing())
        await until(lambda: made.kernels.started > 1)
        waiting = page.answer()
        assert b'http-equiv="refresh" content="3"' in waiting.body
        assert b"/hub/signup" in waiting.body
        assert waiting.cache_control == "no-store"
        drawer.failing.clear()
        await until(lambda: b"drawing" in page.answer().body)
        await until(lambda: drawer.drawn > 2)
        drawer.failing.add("splash")
        started = made.kernels.started
        await until(lambda: made.kernels.started > started + 2)
        assert b"<html>drawing" in page.answer().body
        assert "max-age=30" in page.answer().cache_control
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await until(lambda: not made.kernels.managers)  # its kernels do not stay

    run(story())


def test_where_nobody_looks_nothing_is_drawn(facts: Facts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splash, "DRAWN_EVERY_S", 0.0)

    async def story() -> None:
        drawer = Drawer()
        page = Splash(facts, make_pool(drawer, size=0))
        keeping = asyncio.create_task(page.keep_drawing())
        await until(lambda: drawer.drawn == 1)
        await asyncio.sleep(0.1)
        assert drawer.drawn == 1
        page.answer()
        await until(lambda: drawer.drawn == 2)
        keeping.cancel()

    run(story())


# --- files ----------------------------------------------------------------------------------------


def test_files_of_this_version_are_kept_for_ever(facts: Facts) -> None:
    files = StaticFiles(facts.static, "v0123456789ab")
    found = {
        path: files.find(path)
        for path in (
            "v0123456789ab/theme.css",
            "v0123456789ff/theme.css",
            "theme.css",
            "app-5XQ2W7ZD.js",
            "v0123456789ab/../secret.txt",
            "v0123456789ab/",
            "../secret.txt",
            "nothing.css",
        )
    }
    caching = [answer and answer.cache_control for answer in found.values()]
    assert caching == [FOR_EVER, SHORTLY, SHORTLY, FOR_EVER, None, None, None, None]
    (facts.static / "theme.css").write_text("changed")
    os.utime(facts.static / "theme.css", (1, 1))
    changed = files.find("theme.css")
    assert changed is not None
    assert changed.body == b"changed"


def test_a_link_out_of_the_folder_is_not_followed(facts: Facts) -> None:
    (facts.static / "way-out").symlink_to(facts.template)
    assert StaticFiles(facts.static, "v0").find("way-out/secret.txt") is None


def test_a_name_too_long_for_a_file_is_that_of_none(facts: Facts) -> None:
    assert StaticFiles(facts.static, "v0").find("a" * 300) is None


def test_pictures_are_not_packed() -> None:
    assert KeptAnswer(b"a" * 1000, "text/css", "").packed
    assert not KeptAnswer(b"a" * 1000, "image/webp", "").packed
    assert not KeptAnswer(b"a" * 10, "text/css", "").packed


# --- who has signed out ---------------------------------------------------------------------------


def test_sign_outs_are_seen_also_after_an_answer_that_broke_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sessions, "CHECKED_EVERY_S", 0.01)

    class Identity:
        asked = 0

        async def is_still(self, name: str, token: str, session_id: str) -> bool:
            self.asked += 1
            if self.asked < 5:
                raise EOFError("the Hub was killed while it answered")
            return name == "bob"

    class Socket:
        closed = 0

        def close(self, code: int, reason: str) -> None:
            self.closed = code

    async def story() -> None:
        running = Kernels()
        watched = Sessions(Identity(), running)  # type: ignore[arg-type]
        sockets = {}
        for name in ("ann", "bob"):
            sockets[name] = Socket()
            proof = sessions._Proof(name, "token", "session")
            watched._open[sockets[name]] = (proof, await running.start_for(name))
        watching = asyncio.get_running_loop().create_task(watched.watch())
        await until(lambda: watching.done() or sockets["ann"].closed > 0)
        assert (sockets["ann"].closed, sockets["bob"].closed) == (sessions.SIGNED_OUT, 0)
        assert set(running.managers) == {"bob-2"}
        watching.cancel()

    run(story())


def test_remains_of_a_server_go_and_links_of_others_harm_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, left, other = (tmp_path / f"crowdsky-pages-1-{name}" for name in ("own", "left", "link"))
    own.mkdir()
    left.mkdir()
    other.symlink_to(tmp_path / "nowhere")
    server = PagesServer()
    server.port, server.connection_dir = 1, str(own)
    server._remove_remains()
    assert own.exists()
    assert not left.exists()


# --- users and secrets ----------------------------------------------------------------------------


def test_no_two_kernels_have_the_same_user() -> None:
    users = KernelUsers(apart=True)
    first, second = users.take(), users.take()
    assert first == kernel_user.FIRST_UID
    assert second == kernel_user.FIRST_UID + 1
    users.give_back(first)
    assert users.take() == first
    assert KernelUsers(apart=False).take() is None


def test_whether_kernels_can_have_users_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0:
        assert find_kernel_users({}).reason == "the server does not run as root"
        return
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    found = find_kernel_users({})
    assert not found.apart
    assert found.reason.startswith("other users cannot run /nowhere/python")
    everybodys = Path("/usr/bin/python3")
    if everybodys.exists():
        monkeypatch.setattr(sys, "executable", str(everybodys))
        monkeypatch.setattr(kernel_user, "_NEEDED", "import json")
        assert find_kernel_users({"PATH": "/usr/bin"}) == KernelUsers(apart=True)
        monkeypatch.setattr(kernel_user, "_NEEDED", "import nothing_of_that_name")
        assert "No module named" in find_kernel_users({"PATH": "/usr/bin"}).reason


@pytest.mark.slow
def test_nobody_else_hears_what_a_kernel_tells_its_page(
    facts: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import zmq

    monkeypatch.setattr(kernels, "find_kernel_users", lambda _: KernelUsers(apart=False))
    write_notebook(facts.notebooks / "upload.ipynb", "print('the stacks of ann')")

    async def story() -> None:
        server = PagesServer()
        server.facts, server.connection_dir = facts, str(tmp_path)
        made = server._make_kernels()
        kernel = await made.start_for("upload")
        manager = made.get_kernel(kernel.id)
        try:
            # Every user of this machine may knock at this port.
            with zmq.Context() as context, context.socket(zmq.SUB) as listener:
                listener.subscribe(b"")
                listener.connect(f"tcp://127.0.0.1:{manager.iopub_port}")
                notebook = await Renderer(facts, None).run("upload", manager)
                assert notebook.cells[0].outputs[0].text == "the stacks of ann\n"
                assert listener.poll(1000) == 0
        finally:
            await kernels.all_ended(made)

    run(story())


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives files away")
def test_a_connection_file_belongs_to_its_kernel(tmp_path: Path) -> None:
    async def story() -> None:
        file = tmp_path / "kernel.json"
        manager = PageKernelManager(connection_file=str(file), kernel_name="python3")
        await manager._async_pre_start_kernel(user=18500, group=18500, extra_groups=[])
        told = file.stat()
        assert (told.st_uid, told.st_gid, told.st_mode & 0o777) == (18500, 18500, 0o600)
        manager.cleanup_connection_file()

    run(story())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc")
def test_secrets_are_out_of_sight() -> None:
    code = """
import os
from crowdsky.pages_server.own_secrets import hide_secrets
before = open("/proc/self/environ").read()
assert "of-the-ticket" in before and "of-the-hub" in before
hidden = hide_secrets()
after = open("/proc/self/environ").read() if os.access("/proc/self/environ", os.R_OK) else ""
assert "of-the-ticket" not in after and "of-the-hub" not in after, after
assert "CROWDSKY_TICKET_SECRET" not in os.environ
print(hidden, os.stat("/proc/self/environ").st_uid)
"""
    secrets = {"CROWDSKY_TICKET_SECRET": "of-the-ticket", "JUPYTERHUB_API_TOKEN": "of-the-hub"}
    told = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        env={**os.environ, **secrets},
        capture_output=True,
        text=True,
    )
    # Root's now, whoever runs it: not to be read by others of the same user.
    assert told.stdout.split() == ["True", "0"], told.stderr
