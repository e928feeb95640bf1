"""``images/``: the pictures of the splash page, for everybody."""

from __future__ import annotations

import asyncio

from tornado.web import HTTPError

from crowdsky.pages_server.facts import Facts
from crowdsky.pages_server.handlers import PublicHandler
from crowdsky.pages_server.splash_images import SplashImages

__all__ = ["ImageHandler", "ImageListHandler"]

_YEAR_S = 31_536_000
_MINUTES_S = 300


class ImageListHandler(PublicHandler):
    """The operator's pictures as JSON, which the kernel that draws the splash page reads."""

    def initialize(self, facts: Facts, images: SplashImages) -> None:  # type: ignore[override]
        """Take what is needed to answer."""
        super().initialize(facts)
        self.images = images

    async def get(self) -> None:
        """Answer with their names, sizes and credits."""
        own = await asyncio.to_thread(self.images.own)
        self.finish(
            {
                "images": [
                    {
                        "name": image.name,
                        "version": image.version,
                        "width": image.width,
                        "height": image.height,
                        "credit": image.credit,
                    }
                    for image in own
                ]
            }
        )


class ImageHandler(PublicHandler):
    """One picture. Its address changes with its contents, so browsers may keep it."""

    def initialize(self, facts: Facts, images: SplashImages) -> None:  # type: ignore[override]
        """Take what is needed to answer."""
        super().initialize(facts)
        self.images = images

    async def get(self, name: str) -> None:
        """Answer with the picture."""
        image = await asyncio.to_thread(self.images.find, name)
        try:
            data = b"" if image is None else await asyncio.to_thread(image.path.read_bytes)
        except OSError:
            data = b""
        if image is None or not data:
            raise HTTPError(404, "there is no such picture")
        named = self.get_query_argument("v", "") == image.version
        self.set_header("Content-Type", "image/webp")
        self.set_header("Etag", f'"{image.version}"')
        self.set_header(
            "Cache-Control",
            f"public, max-age={_YEAR_S}, immutable" if named else f"public, max-age={_MINUTES_S}",
        )
        if self.check_etag_header():
            self.set_status(304)
            return
        self.finish(data)

    async def head(self, name: str) -> None:
        """As `get`; the body is left out."""
        await self.get(name)
