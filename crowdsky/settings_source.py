"""Texts by name, over a table of them, each checked as it is asked for."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

from crowdsky.errors import SettingsError

__all__ = ["Source", "broken", "host_of", "read_toml"]


def host_of(url: str) -> str:
    """Name of an address's host; empty for no address.

    Examples
    --------
    >>> host_of("http://127.0.0.1:8000/hub/api")
    '127.0.0.1'
    """
    authority = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    return authority.partition("]")[0] if authority[:1] == "[" else authority.partition(":")[0]


def read_toml(path: Path, *, must_be_there: bool) -> dict[str, object]:
    """Table of a configuration file; empty if there is none and none was named.

    Raises
    ------
    SettingsError
        If it cannot be read.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError) and not must_be_there:
            return {}
        raise SettingsError(f"the configuration file cannot be read ({error})", file=path) from None


class Source:
    """The environment over a configuration file, asked for one setting after the other.

    Parameters
    ----------
    variables : mapping of str to str
    table : mapping, optional
        Of the file; its keys are the variables' names in lower case and without ``CROWDSKY_``.

    Notes
    -----
    Every method raises `SettingsError` with the name, the value and the rule that it breaks.
    """

    def __init__(
        self, variables: Mapping[str, str], table: Mapping[str, object] | None = None
    ) -> None:
        self.variables, self.table = variables, {} if table is None else table
        self.asked: set[str] = set()

    def text(self, name: str) -> str:
        """A text, and a list as one with commas; empty if it is not set."""
        key = name.removeprefix("CROWDSKY_").lower()
        self.asked.add(key)
        text = self.variables.get(name, "").strip()
        if text or key not in self.table:
            return text
        value = self.table[key]
        if isinstance(value, list):
            return ",".join(map(str, value))
        if isinstance(value, (bool, dict)):
            raise broken(name, str(value), "must be text, a number or a list")
        return str(value).strip()

    def refuse_unknown(self) -> None:
        """Refuse what the file has and nobody asked for."""
        for key in self.table:
            if key not in self.asked:
                raise broken(key, "", "is no setting; see the head of crowdsky/settings.py")

    def folder(self, name: str, default: Callable[[], Path]) -> Path:
        """A folder by its absolute path; it need not be there."""
        text = self.text(name)
        if not text:
            return default()
        path = Path(text).expanduser()
        if not path.is_absolute():
            raise broken(name, text, "must be an absolute path")
        if path.exists() and not path.is_dir():
            raise broken(name, text, "must be a directory")
        return path

    def address(self, name: str) -> str:
        """An address without a slash at its end; empty if it is not set."""
        text = self.text(name)
        if text and not text.startswith(("http://", "https://")):
            raise broken(name, text, "must begin with http:// or https://")
        return text.rstrip("/")

    def one_of(self, name: str, choices: tuple[str, ...]) -> str:
        """The first one unless another is named."""
        text = self.text(name) or choices[0]
        if text not in choices:
            raise broken(name, text, f"must be one of {', '.join(choices)}")
        return text

    def names(self, name: str) -> tuple[str, ...]:
        """Names with commas between them."""
        return tuple(part.strip() for part in self.text(name).split(",") if part.strip())

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        """A whole number within bounds."""
        text = self.text(name)
        if not text:
            return default
        rule = f"must be a whole number from {least} to {most}"
        try:
            number = int(text)
        except ValueError:
            raise broken(name, text, rule) from None
        if not least <= number <= most:
            raise broken(name, text, rule)
        return number

    def number(self, name: str, default: float, least: float, most: float) -> float:
        """A number within bounds."""
        text = self.text(name)
        if not text:
            return default
        rule = f"must be a number from {least:g} to {most:g}"
        try:
            number = float(text)
        except ValueError:
            raise broken(name, text, rule) from None
        if not least <= number <= most:
            raise broken(name, text, rule)
        return number


def broken(name: str, value: str, rule: str) -> SettingsError:
    """The error of a setting that breaks a rule."""
    return SettingsError(f"{name} {rule}", value=value or None, name=name)
