"""A night of raw frames to try the site with, where the operator has put one."""

from __future__ import annotations

from pathlib import Path

from tornado.web import HTTPError, StaticFileHandler

from crowdsky.pages_server.facts import Facts
from crowdsky.pages_server.handlers import set_headers, write_plain_error

__all__ = ["FILE_NAME", "ExampleNightHandler"]

FILE_NAME = "example-night.zip"
_NONE = "this site has no example night; any folder of your own raw frames will do"


class ExampleNightHandler(StaticFileHandler):
    """``example-night.zip``, whole or in ranges."""

    def initialize(self, facts: Facts) -> None:  # type: ignore[override]
        """Take the folder."""
        self.facts = facts
        super().initialize(path=str(facts.settings.home))

    def set_default_headers(self) -> None:
        """Headers of every answer."""
        set_headers(self)

    async def get(  # one file, whatever the path
        self,
        path: str = FILE_NAME,  # noqa: ARG002
        include_body: bool = True,
    ) -> None:
        """Send it."""
        if not (self.facts.settings.home / FILE_NAME).is_file():
            raise HTTPError(404, _NONE)
        await super().get(FILE_NAME, include_body)

    async def head(self, path: str = FILE_NAME) -> None:  # noqa: ARG002
        """Say how long it is."""
        await self.get(FILE_NAME, include_body=False)

    def set_extra_headers(self, path: str) -> None:  # noqa: ARG002
        """It is a file to keep, and may be asked for again after an hour."""
        self.set_header("Content-Disposition", f'attachment; filename="{FILE_NAME}"')
        self.set_header("Cache-Control", "public, max-age=3600")

    @classmethod
    def get_content_version(cls, abspath: str) -> str:
        """Size and time: the file is too long to be read for its name."""
        told = Path(abspath).stat()
        return f"{told.st_size:x}-{told.st_mtime_ns:x}"

    def compute_etag(self) -> str | None:
        """As `get_content_version` says."""
        return f'"{self.get_content_version(str(self.absolute_path))}"'

    def write_error(self, status_code: int, **told: object) -> None:
        """Say what is wrong in a sentence."""
        write_plain_error(self, self.facts, status_code, told.get("exc_info"))
