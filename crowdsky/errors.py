"""Every error that CrowdSky raises on purpose, as one tree.

::

    CrowdSkyError
    ├── FrameError                  a file is not a usable Seestar frame
    │   ├── UnreadableFrame         not FITS, truncated, forbidden structure
    │   ├── MissingHeaderCard       a card that a rule needs is absent
    │   ├── BadHeaderCard           a card is there and its value breaks a rule
    │   └── NotARawFrame            readable, but not a raw light frame (a stack, a preview)
    ├── DetectionError
    │   └── TooFewStars             fewer stars than the next step needs
    ├── RegistrationError           a frame could not be laid on its reference
    ├── PlateError
    │   └── NoSolution              no attitude is significant; carries the counts
    ├── CatalogueError              catalogue or index absent or damaged
    │   └── CatalogueOffline        a catalogue service cannot be reached
    ├── StackError
    │   └── NothingToStack          no frame of the block survived
    ├── SimulationError             a simulation was asked for that cannot be drawn
    ├── SettingsError               a setting has a value that its rule forbids
    ├── ArchiveError                the archive cannot do what was asked
    │   ├── NotFound                no such object, or it is not the asker's
    │   ├── Conflict                the object's state forbids it
    │   ├── LimitExceeded           a quota, a size or a rate; carries the limit
    │   ├── LeaseLost               a job is no longer this worker's
    │   ├── ArchiveUnavailable      the database cannot be reached just now
    │   └── StoreError              the file store failed
    │       ├── StoreFull           no space; everything accepted is safe, try again later
    │       ├── ObjectMissing       a file that a row names is not there
    │       └── ObjectRotten        a file's bytes are not those that were stored
    ├── UploadError                 bytes were offered that break a rule of the upload
    │   ├── OffsetMismatch          not where the upload stands
    │   ├── ChecksumMismatch        not the bytes that were announced
    │   └── RefusedArchive          a .zip, .tar or .gz beyond its limits
    └── ServiceError                what the service told its client
        ├── ServiceUnreachable      no answer
        ├── NotAuthenticated        no key, or one that is wrong, expired or revoked
        └── NotPermitted            the key's scopes do not hold this

An error carries its numbers as attributes and says which file, which value and which rule in one
line, so that a log line, a JSON field and a test all read the same facts.
"""

from __future__ import annotations

from os import PathLike, fspath
from typing import Any

__all__ = [
    "ArchiveError",
    "ArchiveUnavailable",
    "BadHeaderCard",
    "CatalogueError",
    "CatalogueOffline",
    "ChecksumMismatch",
    "Conflict",
    "CrowdSkyError",
    "DetectionError",
    "FrameError",
    "LeaseLost",
    "LimitExceeded",
    "MissingHeaderCard",
    "NoSolution",
    "NotARawFrame",
    "NotAuthenticated",
    "NotFound",
    "NotPermitted",
    "NothingToStack",
    "ObjectMissing",
    "ObjectRotten",
    "OffsetMismatch",
    "PlateError",
    "RefusedArchive",
    "RegistrationError",
    "ServiceError",
    "ServiceUnreachable",
    "SettingsError",
    "SimulationError",
    "StackError",
    "StoreError",
    "StoreFull",
    "TooFewStars",
    "UnreadableFrame",
    "UploadError",
]


class CrowdSkyError(Exception):
    """Root of the tree.

    Parameters
    ----------
    rule : str
        The rule that was broken, in plain words.
    file : path-like, optional
        The file it was broken by.
    value : object, optional
        The offending value.
    **numbers
        Further facts; each becomes an attribute.
    """

    def __init__(
        self,
        rule: str,
        *,
        file: str | PathLike[str] | None = None,
        value: object = None,
        **numbers: Any,
    ) -> None:
        self.rule = rule
        self.file = None if file is None else fspath(file)
        self.value = value
        self.numbers = numbers
        for name, number in numbers.items():
            setattr(self, name, number)
        super().__init__(self._message())

    def _message(self) -> str:
        parts = []
        if self.file is not None:
            parts.append(_printable(self.file))
        if self.value is not None:
            parts.append(_printable(str(self.value)))
        parts.append(self.rule)
        return ": ".join(parts)

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors cross process borders (one worker a block), so they must survive pickling.
        return _rebuild, (type(self), self.rule, self.file, self.value, self.numbers)


def _rebuild(
    kind: type[CrowdSkyError],
    rule: str,
    file: str | None,
    value: object,
    numbers: dict[str, Any],
) -> CrowdSkyError:
    return kind(rule, file=file, value=value, **numbers)


def _printable(text: str, limit: int = 200) -> str:
    """Make hostile text safe for one line of a terminal or a log."""
    safe = "".join(c if c.isprintable() else "�" for c in text)
    return safe if len(safe) <= limit else safe[: limit - 1] + "…"


class FrameError(CrowdSkyError):
    """A file is not a usable Seestar frame."""


class UnreadableFrame(FrameError):
    """Not FITS, truncated, or of a structure that is refused at the door."""


class MissingHeaderCard(FrameError):
    """A header card that a rule needs is absent."""


class BadHeaderCard(FrameError):
    """A header card is present and its value breaks a rule."""


class NotARawFrame(FrameError):
    """A readable image that is not a raw light frame (an on-board stack, for instance)."""


class DetectionError(CrowdSkyError):
    """Stars could not be measured on a frame."""


class TooFewStars(DetectionError):
    """Fewer stars than the next step needs."""


class RegistrationError(CrowdSkyError):
    """A frame could not be laid on its reference."""


class PlateError(CrowdSkyError):
    """Something is wrong between a star list and the sky."""


class NoSolution(PlateError):
    """No attitude is significant.

    Attributes
    ----------
    n_stars, n_candidates : int
        Stars offered, attitudes tried.
    best : dict or None
        The best attempt (matched stars, log-odds), for a log, never for use.
    """


class CatalogueError(CrowdSkyError):
    """The star catalogue or its triangle index is absent or damaged."""


class CatalogueOffline(CatalogueError):
    """A catalogue service cannot be reached."""


class StackError(CrowdSkyError):
    """A block could not be stacked."""


class NothingToStack(StackError):
    """No frame of the block survived."""


class SimulationError(CrowdSkyError):
    """A simulation was asked for that cannot be drawn."""


class SettingsError(CrowdSkyError):
    """A setting has a value that its rule forbids."""


class ArchiveError(CrowdSkyError):
    """The archive cannot do what was asked."""


class NotFound(ArchiveError):
    """No such object, or one that is not the asker's: nobody is told which."""


class Conflict(ArchiveError):
    """The object's state forbids it."""


class LimitExceeded(ArchiveError):
    """A quota, a size or a rate.

    Attributes
    ----------
    limit : int or float
        The limit; its unit is in the message.
    retry_after_s : float or None
        When it is worth another try; ``None`` where waiting does not help.
    """


class LeaseLost(ArchiveError):
    """A job is no longer this worker's: deleted, or its lease expired and another has it."""


class ArchiveUnavailable(ArchiveError):
    """The database cannot be reached just now; nothing was changed."""


class StoreError(ArchiveError):
    """The file store failed."""


class StoreFull(StoreError):
    """There is no space; everything accepted so far is safe."""


class ObjectMissing(StoreError):
    """A file that a row names is not there."""


class ObjectRotten(StoreError):
    """A file's bytes are not those that were stored."""


class UploadError(CrowdSkyError):
    """Bytes were offered that break a rule of the upload."""


class OffsetMismatch(UploadError):
    """The bytes do not begin where the upload stands.

    Attributes
    ----------
    offset : int
        Where it stands.
    """


class ChecksumMismatch(UploadError):
    """The bytes are not those that were announced."""


class RefusedArchive(UploadError):
    """A .zip, .tar or .gz that is beyond its limits or of a forbidden structure."""


class ServiceError(CrowdSkyError):
    """What the service told its client.

    Attributes
    ----------
    status : int
        The HTTP status.
    """


class ServiceUnreachable(ServiceError):
    """The service gave no answer."""


class NotAuthenticated(ServiceError):
    """No key, or one that is wrong, expired or revoked."""


class NotPermitted(ServiceError):
    """The key's scopes do not hold this."""
