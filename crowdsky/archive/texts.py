"""Text from strangers, so that every database takes it."""

from __future__ import annotations

import re

__all__ = ["storable"]

# PostgreSQL stores no NUL, and neither database a half of a surrogate pair (which is what a byte
# that is no UTF-8 becomes in a file name).
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str, limit: int | None = None) -> str:
    """Replace what a database cannot hold, and cut to `limit` characters.

    Examples
    --------
    >>> storable("a" + chr(0) + "b"), storable("Light_M 94.fit", 5)
    ('a�b', 'Light')
    """
    return _UNSTORABLE.sub("�", text)[:limit]
