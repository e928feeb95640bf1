"""The template's files: public, packed once, kept for ever where their name says which they are.

``static/<version>/theme.css`` is this server's version of the file, and may be kept for a year;
``static/theme.css`` is whichever there is now, for pages that do not know the version, such as the
Hub's. A version that is not this server's gets what there is now: a page that was open while the
site was renewed is better off with that than with nothing.
"""

from __future__ import annotations

import mimetypes
import re
from pathlib import Path, PurePosixPath

from tornado.web import HTTPError

from crowdsky.pages_server.facts import Facts
from crowdsky.pages_server.handlers import PublicHandler
from crowdsky.pages_server.kept_answer import KeptAnswer, send_kept
from crowdsky.pages_server.security_headers import plain_policy

__all__ = ["StaticFiles", "StaticHandler"]

FOR_EVER = "public, max-age=31536000, immutable"
SHORTLY = "public, max-age=300"
_VERSION = re.compile(r"v[0-9a-f]{12}/")
# As the template's build names files by their contents: chunk-5XQ2W7ZD.js, bqplot-3344194b.js
_HASHED = re.compile(r"-(?:[0-9A-Z]{8}|[0-9a-f]{8})\.\w+$")
_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".wasm": "application/wasm",
    ".woff2": "font/woff2",
}
_KEPT_BYTES = 64 << 20


class StaticFiles:
    """Files of a folder, read once and again when they change.

    Parameters
    ----------
    folder : Path
    version : str
        Of its contents now.
    """

    def __init__(self, folder: Path, version: str) -> None:
        self.folder, self.version = folder.resolve(), version
        self._kept: dict[tuple[str, str], tuple[int, KeptAnswer]] = {}

    def find(self, path: str) -> KeptAnswer | None:
        """A file by its path below ``static/``; None if there is none."""
        version = _VERSION.match(path)
        name = path[version.end() :] if version else path
        pure = PurePosixPath(name)
        if not name or pure.is_absolute() or ".." in pure.parts or "\0" in name or "\\" in name:
            return None
        file = (self.folder / pure).resolve()
        try:
            if not file.is_relative_to(self.folder) or not file.is_file():
                return None
        except OSError:  # such as a name that is too long for any file
            return None
        is_this = version is not None and version[0] == f"{self.version}/"
        caching = FOR_EVER if is_this or _HASHED.search(name) else SHORTLY
        stamp = file.stat().st_mtime_ns
        kept = self._kept.get((name, caching))
        if kept is None or kept[0] != stamp:
            kept = (stamp, KeptAnswer(file.read_bytes(), media_type_of(file), caching))
            if sum(len(answer.body) for _, answer in self._kept.values()) < _KEPT_BYTES:
                self._kept[(name, caching)] = kept
        return kept[1]


def media_type_of(file: Path) -> str:
    """What browsers are told that a file is.

    Examples
    --------
    >>> media_type_of(Path("a.css")), media_type_of(Path("a.unheard-of"))
    ('text/css; charset=utf-8', 'application/octet-stream')
    """
    known = _TYPES.get(file.suffix.lower())
    return known or mimetypes.guess_type(file.name)[0] or "application/octet-stream"


class StaticHandler(PublicHandler):
    """``static/...``."""

    def initialize(self, facts: Facts, files: StaticFiles) -> None:  # type: ignore[override]
        """Take the files."""
        super().initialize(facts)
        self.files = files

    def get(self, path: str) -> None:
        """Send a file."""
        answer = self.files.find(path)
        if answer is None:
            raise HTTPError(404, "there is no such file; if this is right after an update, reload")
        # A worker that is loaded from here has this policy, not its page's.
        worker = answer.media_type.startswith("text/javascript")
        self.set_header(
            "Content-Security-Policy",
            "default-src 'self' blob:; script-src 'self' blob: 'wasm-unsafe-eval'"
            if worker
            else plain_policy(),
        )
        send_kept(self, answer)

    head = get
