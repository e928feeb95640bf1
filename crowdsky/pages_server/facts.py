"""What every part of the server knows: addresses, folders, settings."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from crowdsky import __version__
from crowdsky.pages_server.places import site_folder
from crowdsky.settings import ServerSettings

__all__ = ["PAGES", "TEMPLATE", "Facts", "make_facts"]

TEMPLATE = "crowdsky"
# The pages that take a sign-in, and what is said of them in a browser's title.
PAGES = {"upload": "Upload", "status": "Status", "stacks": "Stacks"}


@dataclass(frozen=True, slots=True)
class Facts:
    """The server's facts.

    Attributes
    ----------
    base : str
        Path of the pages on the site; ends with a slash.
    hub, api : str
        Paths of the Hub (ends with a slash; with its host where that is another) and of the
        service (does not).
    notebooks, template : Path
        Absolute.
    version : str
        Of the static files; another one whenever any of them changes.
    """

    settings: ServerSettings
    base: str
    hub: str
    api: str
    notebooks: Path
    template: Path
    version: str

    @property
    def static(self) -> Path:
        """Folder of the static files."""
        return self.template / "static"

    def told(self, *, page: str, title: str, user: str = "", nonce: str = "") -> dict[str, str]:
        """What the template is told, as ``resources.crowdsky``."""
        return {
            "user": user,
            "page": page,
            "title": title,
            "base": self.base,
            "api": self.api,
            "hub": self.hub,
            "static": f"{self.base}static/{self.version}/",
            "version": __version__,
            "nonce": nonce,
        }


def make_facts(settings: ServerSettings, *, prefix: str, hub: str) -> Facts:
    """The facts of a server below a path.

    Parameters
    ----------
    settings : ServerSettings
    prefix : str
        As the Hub gives it: ``/services/pages/``.
    hub : str
        The Hub's path, or its address where it has another host.

    Raises
    ------
    SettingsError
        If notebooks or templates are not there.
    """
    base = f"/{prefix.strip('/')}/".replace("//", "/")
    template = site_folder("voila_templates") / TEMPLATE
    site = base.removesuffix("services/pages/")
    return Facts(
        settings=settings,
        base=base,
        hub=hub.rstrip("/") + "/",
        api=f"{site}services/crowdsky/api/v1",
        notebooks=site_folder("notebooks"),
        template=template,
        version=_version_of(template / "static"),
    )


def _version_of(folder: Path) -> str:
    """A name for the contents of a folder."""
    digest = hashlib.blake2b(digest_size=6)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(folder).as_posix().encode("utf-8") + b"\0")
            digest.update(path.read_bytes())
    return f"v{digest.hexdigest()}"
