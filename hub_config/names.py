"""What people may call themselves."""

from __future__ import annotations

import re

__all__ = ["NAME_PATTERN", "NAME_RULE", "is_name"]

NAME_PATTERN = r"[a-z0-9-]{2,32}\Z"
NAME_RULE = "A name has 2 to 32 characters: small letters from a to z, digits and hyphens."


def is_name(text: str) -> bool:
    r"""Whether somebody may be called this.

    Examples
    --------
    >>> is_name("ann-2"), is_name("Ann"), is_name("a"), is_name("ann\n")
    (True, False, False, False)
    """
    return re.match(NAME_PATTERN, text) is not None
