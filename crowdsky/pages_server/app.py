"""The server: a Voila that draws the site's pages for those who signed in at the Hub.

It is registered at the Hub as the service ``pages`` and started by `crowdsky up`. Of Voila it takes
the running and the drawing of notebooks and the kernels' websocket; which addresses there are, who
may use them and what a kernel may be told is decided here.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import tornado.web
from jupyter_server.auth.authorizer import AllowAllAuthorizer
from jupyter_server.services.contents.largefilemanager import LargeFileManager
from traitlets.config import Config
from voila.app import Voila

from crowdsky.errors import CrowdSkyError
from crowdsky.pages_server.facts import PAGES, Facts, make_facts
from crowdsky.pages_server.identity import PagesIdentity, cookie_secret_of, hub_auth
from crowdsky.pages_server.kernels import ALLOWED_MESSAGES, PageKernels, all_ended
from crowdsky.pages_server.own_secrets import hide_secrets
from crowdsky.pages_server.pool import Pool
from crowdsky.pages_server.rendering import Renderer
from crowdsky.pages_server.routes import Parts, make_routes
from crowdsky.pages_server.sessions import Sessions
from crowdsky.pages_server.splash import Splash
from crowdsky.pages_server.static_files import StaticFiles
from crowdsky.pages_server.views import Views
from crowdsky.settings import load_server_settings

__all__ = ["PagesServer", "main"]

log = logging.getLogger(__name__)
_PING_MS = 30_000  # Jupyter's own time between pings; longer than it makes no sense
_MESSAGE_BYTES = 4 << 20  # of one message of a page; states of widgets are far smaller


class PagesServer(Voila):  # type: ignore[misc]  # Voila has no types
    """The server.

    `prepare` makes its parts, `serve` runs until it is told to stop.
    """

    name = "crowdsky-pages"

    def prepare(self, facts: Facts, auth: Any) -> None:
        """Make what the server is made of.

        Parameters
        ----------
        facts : Facts
        auth : jupyterhub.services.auth.HubOAuth
        """
        self.facts = facts
        self.base_url = self.server_url = facts.base
        self.root_dir = str(facts.notebooks)
        self.port, self.ip = facts.settings.pages_port, "127.0.0.1"
        self.connection_dir = tempfile.mkdtemp(prefix=self._folder_prefix())
        Path(self.connection_dir).chmod(0o711)  # kernels find their own file, and list none
        self.contents_manager = LargeFileManager(parent=self)
        self.kernel_manager = self._make_kernels()
        self.identity_provider = PagesIdentity(parent=self, hub_auth=auth)
        self.authorizer = AllowAllAuthorizer(parent=self, identity_provider=self.identity_provider)
        self.renderer = Renderer(facts, self.contents_manager)
        settings = facts.settings
        pool = Pool(self.kernel_manager, self.renderer, tuple(PAGES), settings.pages_preheat)
        self.parts = Parts(
            facts=facts,
            auth=auth,
            kernels=self.kernel_manager,
            pool=pool,
            renderer=self.renderer,
            sessions=Sessions(self.identity_provider, self.kernel_manager),
            splash=Splash(facts, pool),
            static=StaticFiles(facts.static, facts.version),
            views=Views(self.kernel_manager, pool, settings.pages_views, settings.pages_user_views),
        )
        self.app = tornado.web.Application(
            make_routes(self.parts), **self.init_settings(cookie_secret_of(auth))
        )

    def setup_template_dirs(self) -> None:
        """Nothing: the renderer knows the one template there is."""

    def init_settings(self, cookie_secret: bytes) -> dict[str, Any]:
        """What handlers of Jupyter and Tornado look up."""
        return {
            "facts": self.facts,
            "base_url": self.base_url,
            "server_url": self.server_url,
            "kernel_manager": self.kernel_manager,
            "contents_manager": self.contents_manager,
            "identity_provider": self.identity_provider,
            "authorizer": self.authorizer,
            "kernel_websocket_connection_class": _connection_class(),
            "cookie_secret": cookie_secret,
            "login_url": self.parts.auth.login_url,
            # The proxy in front listens for whatever name the site has.
            "allow_remote_access": True,
            "ws_ping_timeout": _PING_MS,
            "websocket_max_message_size": _MESSAGE_BYTES,
            "compress_response": True,
            "log_function": _log_request,
            "server_root_dir": "/",
        }

    async def serve(self) -> None:
        """Listen, then make kernels ready; return when told to stop."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        # The Hub gives up on a service that is mute at its start: kernels come after.
        try:
            server = self.app.listen(self.port, self.ip, max_body_size=1 << 20)
        except OSError:  # it is tried again and again, and each try has made a folder
            shutil.rmtree(self.connection_dir, ignore_errors=True)
            raise
        self._remove_remains()
        log.info("the pages are at http://%s:%d%s", self.ip, self.port, self.base_url)
        tasks = [loop.create_task(self._work())]
        try:
            await stop.wait()
        finally:
            server.stop()
            self.parts.pool.stop()
            for task in tasks:
                task.cancel()
            await all_ended(self.kernel_manager)
            shutil.rmtree(self.connection_dir, ignore_errors=True)

    async def _work(self) -> None:
        parts = self.parts
        users = await self.kernel_manager.users()
        if not users.apart:
            log.warning("kernels run as the user of this server: %s", users.reason)
        for sentence in await self.renderer.check(("splash", *PAGES)):
            log.error("%s", sentence)
        parts.pool.begin()
        await asyncio.gather(parts.splash.keep_drawing(), parts.sessions.watch())

    def _folder_prefix(self) -> str:
        return f"crowdsky-pages-{self.port}-"

    def _remove_remains(self) -> None:
        """Of servers that were killed: whoever has the port is the only one that lives."""
        own = Path(self.connection_dir)
        for folder in own.parent.glob(f"{self._folder_prefix()}*"):
            # Others may put a link there, also one that leads nowhere.
            with suppress(OSError):
                if folder != own and folder.lstat().st_uid == own.stat().st_uid:
                    shutil.rmtree(folder, ignore_errors=True)

    def _make_kernels(self) -> PageKernels:
        idle_s = self.facts.settings.pages_idle_s
        config = Config()
        # A kernel that died has lost its page's state; another one would answer nothing.
        config.KernelRestarter.restart_limit = 0
        config.ZMQChannelsWebsocketConnection.limit_rate = False
        # Else whoever runs notebooks on this machine could hear what kernels tell their pages.
        config.MappingKernelManager.transport_encryption = "auto"
        self.update_config(config)
        made = PageKernels(
            parent=self,
            connection_dir=self.connection_dir,
            kernel_manager_class="crowdsky.pages_server.kernels.PageKernelManager",
            allowed_message_types=list(ALLOWED_MESSAGES),
            cull_idle_timeout=max(1, int(idle_s)),
            cull_interval=max(1, int(idle_s / 10.0)),
        )
        made.facts = self.facts
        return made


def _connection_class() -> Any:
    from crowdsky.pages_server.channels import PageConnection

    return PageConnection


def _log_request(handler: tornado.web.RequestHandler) -> None:
    """A line for what failed; addresses are told without their query, which may hold a code."""
    status = handler.get_status()
    if status >= 500:
        path = handler.request.path
        log.warning("%d %s %s", status, handler.request.method, path)


def main() -> int:
    """Run the server; its exit status."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    for name in ("tornado.application", "tornado.general"):
        # Below that, they tell of every visit, and the Hub's part of what cookies hold.
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        settings = load_server_settings()
        auth = hub_auth()
        facts = make_facts(settings, prefix=auth.base_url, hub=f"{auth.hub_host}{auth.hub_prefix}")
    except (CrowdSkyError, ValueError) as error:
        print(f"crowdsky pages: {error}", file=sys.stderr)  # noqa: T201
        return 2
    server = PagesServer(log_level=logging.WARNING)
    server.prepare(facts, auth)
    if not hide_secrets():
        log.warning("this system does not hide a process from others of the same user")
    try:
        asyncio.run(server.serve())
    except OSError as error:
        print(f"crowdsky pages: port {settings.pages_port}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0
