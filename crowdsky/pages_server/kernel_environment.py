"""What a page's kernel is told by its environment: an allow-list, and nothing else.

The server's own environment holds its token of the Hub and the secret that signs tickets, so
nothing of it is passed on but what is named here.
"""

from __future__ import annotations

import sys
from pathlib import Path

from crowdsky.pages_server.facts import Facts
from crowdsky.settings import inherited

__all__ = ["kernel_environment"]

# Where programs are, how text is written, and what a checkout that is not installed needs.
_PASSED_ON = ("LANG", "LC_ALL", "LC_CTYPE", "PATH", "PYTHONPATH", "TZ", "VIRTUAL_ENV")


def kernel_environment(facts: Facts, key: str, home: Path) -> dict[str, str]:
    """The environment of one kernel.

    Parameters
    ----------
    facts : Facts
    key : str
        By which this server knows the kernel when it asks for a ticket.
    home : Path
        Its own empty folder.
    """
    settings = facts.settings
    passed = inherited(_PASSED_ON)
    passed.setdefault("PATH", str(Path(sys.executable).parent))
    return passed | {
        "HOME": str(home),
        "IPYTHONDIR": str(home / ".ipython"),
        "JUPYTER_PLATFORM_DIRS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "CROWDSKY_SERVER": f"http://127.0.0.1:{settings.api_port}/services/crowdsky",
        "CROWDSKY_PAGES_URL": f"http://127.0.0.1:{settings.pages_port}{facts.base.rstrip('/')}",
        "CROWDSKY_KERNEL_KEY": key,
        # Numerical libraries would start a thread a core in each of dozens of kernels.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "NUMBA_NUM_THREADS": "1",
    }
