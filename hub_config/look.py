"""What the Hub's own pages look like, and the addresses that lead to the site's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jupyterhub.handlers import BaseHandler
from jupyterhub.handlers.pages import RootHandler

from crowdsky.supervise.hub_file import HubFile

__all__ = ["configure", "page_handlers"]

PAGES = "/services/pages/"
_TEMPLATES = Path(__file__).resolve().parent / "templates"


def configure(c: Any, facts: HubFile, *, notice: str = "") -> None:
    """Templates, and where people land.

    Parameters
    ----------
    c : traitlets.config.Config
    facts : HubFile
    notice : str
        What whoever starts a notebook server should know first.
    """
    hub = c.JupyterHub
    hub.template_paths = [str(_TEMPLATES)]
    hub.template_vars = {
        "templates_public": facts.templates_public,
        "pages": PAGES,
        "notebook_notice": notice,
        "sign_up": facts.sign_up,
    }
    hub.logo_file = str(_TEMPLATES / "logo.svg")
    hub.default_url = landing


def landing(handler: Any) -> str:
    """The splash for whoever comes to the site, the upload page for whoever has just signed in."""
    return PAGES if isinstance(handler, RootHandler) else f"{PAGES}upload"


class PageRedirect(BaseHandler):  # type: ignore[misc]
    """``/upload`` and its like, which the Hub makes ``/hub/upload``, are pages of the site."""

    def get(self, page: str) -> None:
        """Go there, with the query."""
        query = f"?{self.request.query}" if self.request.query else ""
        self.redirect(f"{PAGES}{page}{query}")


def page_handlers() -> list[Any]:
    """Addresses below ``/hub`` and what answers there."""
    return [(r"/(upload|status|stacks|privacy)", PageRedirect)]
