"""Which addresses there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jupyterhub.singleuser.extension import JupyterHubLogoutHandler, JupyterHubOAuthCallbackHandler
from tornado.web import RedirectHandler

from crowdsky.pages_server.channels import ChannelsHandler
from crowdsky.pages_server.example_night import FILE_NAME, ExampleNightHandler
from crowdsky.pages_server.facts import PAGES, Facts
from crowdsky.pages_server.handlers import Nothing, PublicHandler, SignedInHandler
from crowdsky.pages_server.images_route import ImageHandler, ImageListHandler
from crowdsky.pages_server.kernel_route import KERNEL_ID, KernelEndHandler, KernelHandler
from crowdsky.pages_server.kernels import PageKernels
from crowdsky.pages_server.page_route import PageHandler
from crowdsky.pages_server.pool import Pool
from crowdsky.pages_server.privacy import Privacy, PrivacyHandler
from crowdsky.pages_server.rendering import Renderer
from crowdsky.pages_server.sessions import Sessions
from crowdsky.pages_server.splash import Splash, SplashHandler
from crowdsky.pages_server.splash_images import SplashImages
from crowdsky.pages_server.static_files import StaticFiles, StaticHandler
from crowdsky.pages_server.ticket_route import TicketHandler
from crowdsky.pages_server.views import Views

__all__ = ["Parts", "make_routes"]


@dataclass(frozen=True, slots=True)
class Parts:
    """What the server is made of."""

    facts: Facts
    auth: Any
    kernels: PageKernels
    pool: Pool
    renderer: Renderer
    sessions: Sessions
    splash: Splash
    static: StaticFiles
    views: Views


class _Health(PublicHandler):
    def get(self) -> None:
        """Answer, whatever else is going on."""
        self.finish({"status": "ok"})


class _Callback(SignedInHandler, JupyterHubOAuthCallbackHandler):  # type: ignore[misc]
    """Where the Hub sends a browser back to."""


class _Logout(SignedInHandler, JupyterHubLogoutHandler):  # type: ignore[misc]
    """Signs out here, and then at the Hub."""


def make_routes(parts: Parts) -> list[tuple[Any, ...]]:
    """Addresses, what answers them, and what that is given."""
    base = parts.facts.base
    public = {"facts": parts.facts}
    kernel = {"kernels": parts.kernels}
    pages = "|".join(PAGES)
    settings = parts.facts.settings
    pictures = SplashImages(settings.home / "splash-images", settings.cache_dir / "splash-images")
    told = [
        ("", SplashHandler, public | {"splash": parts.splash}),
        ("health", _Health, public),
        ("privacy", PrivacyHandler, public | {"privacy": Privacy(parts.facts, parts.renderer)}),
        (r"static/(.*)", StaticHandler, public | {"files": parts.static}),
        (r"images/", ImageListHandler, public | {"images": pictures}),
        (r"images/([^/]+)", ImageHandler, public | {"images": pictures}),
        (FILE_NAME, ExampleNightHandler, public),
        (rf"(?P<page>{pages})", PageHandler, {"views": parts.views, "renderer": parts.renderer}),
        (f"api/kernels/{KERNEL_ID}", KernelHandler, kernel),
        (
            f"api/kernels/{KERNEL_ID}/channels",
            ChannelsHandler,
            kernel | {"sessions": parts.sessions},
        ),
        (f"voila/api/shutdown/{KERNEL_ID}", KernelEndHandler, kernel),
        (
            "ticket",
            TicketHandler,
            public | kernel | {"secret": parts.facts.settings.ticket_secret},
        ),
        ("oauth_callback", _Callback, {"hub_auth": parts.auth}),
        ("logout", _Logout, {}),
    ]
    routes: list[tuple[Any, ...]] = [(base + path, *rest) for path, *rest in told]
    routes.append((base.rstrip("/"), RedirectHandler, {"url": base, "permanent": False}))
    routes.append((".*", Nothing, public))
    return routes
