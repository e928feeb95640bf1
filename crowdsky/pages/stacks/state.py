"""What the Stacks page lists, as plain data: which stacks, and each as a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Choice", "position", "stack_line"]

_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Choice:
    """Which stacks are listed.

    Attributes
    ----------
    scope : {'mine', 'public'}
        The visitor's own, or everyone's that are public.
    target : str
        Part of the target's name; empty for all.
    """

    scope: str = "mine"
    target: str = ""

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Choice:
        """A choice from an address or a message; what is not understood is left out.

        Examples
        --------
        >>> Choice.of({"scope": "public", "target": " m 94 "})
        Choice(scope='public', target='m 94')
        >>> Choice.of({"scope": "everything", "x": "1"})
        Choice(scope='mine', target='')
        """
        scope = told.get("scope")
        target = told.get("target")
        return cls(
            "public" if scope == "public" else "mine",
            " ".join(target.split())[:_LONGEST] if isinstance(target, str) else "",
        )

    def query(self) -> dict[str, str]:
        """As the service takes it."""
        return {"scope": self.scope} | ({"target": self.target} if self.target else {})


def stack_line(stack: Mapping[str, Any]) -> dict[str, Any]:
    """A stack as the front end has it; what is empty is left out."""
    line = {
        "id": stack["id"],
        "target": stack.get("target"),
        "label": stack.get("label"),
        "from": stack.get("start_utc"),
        "to": stack.get("end_utc"),
        "position": position(stack.get("ra_deg"), stack.get("dec_deg")),
        "filter": stack.get("filter"),
        "telescope": stack.get("telescope"),
        "used": stack.get("n_used"),
        "n": stack.get("n_frames"),
        "exposure_s": stack.get("exposure_s"),
        "total_s": stack.get("exposure_total_s"),
        "bytes": stack.get("n_bytes"),
        "observer": stack.get("observer"),
        "mine": stack.get("mine"),
    }
    return {name: value for name, value in line.items() if value}


def position(ra_deg: float | None, dec_deg: float | None) -> str:
    """Right ascension in hours and declination in degrees, to a minute; empty if not known.

    Examples
    --------
    >>> position(192.7208, 41.1194)
    '12h 50.9m  +41° 07′'
    >>> position(359.999, -0.001)
    '00h 00.0m  −00° 00′'
    >>> position(None, None)
    ''
    """
    if ra_deg is None or dec_deg is None:
        return ""
    tenths = round(ra_deg % 360.0 * 40.0) % 14400  # tenths of a minute of time
    minutes = round(abs(dec_deg) * 60.0)
    sign = "−" if dec_deg < 0.0 else "+"
    hours, left = divmod(tenths, 600)
    ra = f"{hours:02d}h {left // 10:02d}.{left % 10}m"
    return f"{ra}  {sign}{minutes // 60:02d}° {minutes % 60:02d}′"
