"""Pictures for the splash page: the operator's folder, and those that come with the package.

The operator's lie in ``<home>/splash-images``; ``credits.txt`` there has a line ``name: credit``
for each. They are shown made smaller, since nobody cuts a camera's picture down to a page's size.
"""

from __future__ import annotations

import hashlib
import io
import logging
import re
from dataclasses import dataclass
from pathlib import Path

from crowdsky.aside import written_aside
from crowdsky.pages.splash.pictures import ART, ART_FOLDER, art_version

__all__ = ["SplashImage", "SplashImages"]

log = logging.getLogger(__name__)

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_MOST = 12
_LONGEST_PX = 1200
_LARGEST_BYTES = 200_000_000


@dataclass(frozen=True, slots=True)
class SplashImage:
    """A picture that may be shown.

    Attributes
    ----------
    name : str
        In its address.
    version : str
        Another one whenever the picture changes.
    path : Path
        The file that is sent: WebP.
    width, height : int
        Pixels.
    credit : str
    """

    name: str
    version: str
    path: Path
    width: int
    height: int
    credit: str


class SplashImages:
    """Finds pictures by the name in their address.

    Parameters
    ----------
    folder : Path
        The operator's; need not be there.
    cache : Path
        Where smaller copies are kept.
    """

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder, self.cache = folder, cache
        self._known: dict[str, SplashImage] = {}

    def own(self) -> list[SplashImage]:
        """The operator's pictures, by the names of their files; takes a while when one is new."""
        try:
            files = sorted(path for path in self.folder.iterdir() if _is_picture(path))
        except OSError:
            files = []
        credits_ = self._credits()
        found = [self._made_small(path, credits_.get(path.name, "")) for path in files[:_MOST]]
        images = [image for image in found if image is not None]
        self._known = {image.name: image for image in images}
        return images

    def find(self, name: str) -> SplashImage | None:
        """A picture; the operator's as they were when they were last listed."""
        if name not in self._known and name not in {art.name for art in ART.values()}:
            self.own()  # this server may have been started after the page was drawn
        if name in self._known:
            return self._known[name]
        for art in ART.values():
            if art.name == name:
                path = ART_FOLDER / name
                return SplashImage(name, art_version(name), path, art.width, art.height, "")
        return None

    def _credits(self) -> dict[str, str]:
        try:
            text = (self.folder / "credits.txt").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return {}
        pairs = (line.partition(":") for line in text.splitlines())
        return {name.strip(): credit.strip() for name, colon, credit in pairs if colon}

    def _made_small(self, path: Path, credit: str) -> SplashImage | None:
        from PIL import Image, ImageOps, UnidentifiedImageError

        try:
            facts = path.stat()
            told = f"{path} {facts.st_mtime_ns} {facts.st_size} {_LONGEST_PX}"
            version = hashlib.blake2b(told.encode("utf-8", "replace"), digest_size=5).hexdigest()
            small = self.cache / f"{version}.webp"
            if not small.exists():
                with Image.open(path) as opened:
                    turned = ImageOps.exif_transpose(opened).convert("RGB")
                turned.thumbnail((_LONGEST_PX, _LONGEST_PX), Image.Resampling.LANCZOS)
                # A new picture without the old one's tags: cameras write where they stood.
                packed = io.BytesIO()
                turned.save(packed, "WEBP", quality=78, method=4, exif=b"", xmp=b"")
                self.cache.mkdir(parents=True, exist_ok=True)
                with written_aside(small) as stream:
                    stream.write(packed.getvalue())
            with Image.open(small) as made:
                width, height = made.size
        except (OSError, ValueError, SyntaxError, UnidentifiedImageError) as error:
            log.warning("%s is not shown: %s", path, error)
            return None
        except Image.DecompressionBombError as error:
            log.warning("%s is not shown: %s", path, error)
            return None
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", path.stem).strip("-")[:60] or "picture"
        return SplashImage(f"own-{stem}-{version}.webp", version, small, width, height, credit)


def _is_picture(path: Path) -> bool:
    return (
        path.suffix.lower() in _SUFFIXES
        and not path.name.startswith(".")
        and path.is_file()
        and path.stat().st_size <= _LARGEST_BYTES
    )
