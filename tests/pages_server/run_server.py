"""The server with other notebooks and another template, and quicker than people need it.

``python run_server.py FOLDER``: ``notebooks/`` and ``crowdsky/`` are in it.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

from crowdsky.pages_server import app, facts, pool, sessions, splash


def main(folder: Path) -> int:
    assert 2.0 * sessions.CHECKED_EVERY_S <= 30.0
    sessions.CHECKED_EVERY_S = 0.5
    pool._LEAST_SPARE_MB = 0.0
    splash.DRAWN_EVERY_S = 3600.0  # once: kernels are counted here

    def made(*given: Any, **named: Any) -> facts.Facts:
        found = facts.make_facts(*given, **named)
        template = folder / "crowdsky"
        version = facts._version_of(template / "static")
        notebooks = folder / "notebooks"
        return dataclasses.replace(found, notebooks=notebooks, template=template, version=version)

    app.make_facts = made
    return app.main()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
