"""Keeps this process's secrets from the kernels that it starts, which may run as the same user.

On Linux a process may read the memory and the environment of another one of its user, unless that
one says that it is not to be dumped (prctl(2)). That holds against everybody but root.
"""

from __future__ import annotations

import ctypes
import sys

from crowdsky.settings import forget

__all__ = ["hide_secrets"]

_PR_SET_DUMPABLE = 4
_SECRETS = ("CROWDSKY_TICKET_SECRET", "JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN")
_OTHERS = (
    "CROWDSKY_DATABASE_URL",
    "CROWDSKY_DAV_PASSWORD",
    "CROWDSKY_HUB_DATABASE_URL",
    "CROWDSKY_MAIL_PASSWORD",
    "CROWDSKY_S3_SECRET",
)


def hide_secrets() -> bool:
    """Forget what the environment told, and become unreadable; whether the system does the latter.

    To be called after everything has been read that is read from the environment, and before the
    first kernel.
    """
    forget((*_SECRETS, *_OTHERS))
    if not sys.platform.startswith("linux"):
        return False
    return bool(ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
