"""What may be asked of stacks: the same filters for lists, density and downloads."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import Depends
from pydantic import BaseModel, ConfigDict, Field

from crowdsky.api.serve_json import MAX_ID
from crowdsky.api.who import Caller, maybe_caller
from crowdsky.archive.regions import BadQuery, Cone, Polygon, Rectangle, Region
from crowdsky.archive.search import StackQuery, Viewer
from crowdsky.errors import NotAuthenticated, NotPermitted

__all__ = [
    "BodyFilters",
    "Filters",
    "PageFilters",
    "Someone",
    "UrlFilters",
    "parsed_time",
    "someone",
]

MAX_IDS = 10_000
_TEXT = 200
_LOST_PLUS = re.compile(r"(T[\d:.]+) (\d\d:\d\d)$")


async def someone(found: Annotated[Caller | None, Depends(maybe_caller)]) -> Caller | None:
    """Who asks, or None; what everyone may see needs no login (a FastAPI dependency).

    Raises
    ------
    NotAuthenticated, NotPermitted
        What was shown is no good, or its scopes do not hold this.
    """
    if found is not None and "read" not in found.scopes:
        raise NotPermitted("this needs the scope 'read'", scope="read")
    return found


Someone = Annotated[Caller | None, Depends(someone)]


class Filters(BaseModel):
    """Filters; what is left out does not matter. Degrees, seconds, ISO 8601 in UTC."""

    model_config = ConfigDict(extra="forbid")

    scope: Literal["mine", "public", "all"] = "all"
    ra_from: float | None = None
    ra_to: float | None = None
    dec_from: float | None = None
    dec_to: float | None = None
    ra: float | None = None
    dec: float | None = None
    radius: float | None = None
    from_: str | None = Field(None, alias="from", max_length=_TEXT)
    to: str | None = Field(None, max_length=_TEXT)
    target: str | None = Field(None, max_length=_TEXT)
    filter: str | None = Field(None, max_length=_TEXT)
    telescope: str | None = Field(None, max_length=_TEXT)
    min_exposure: float | None = None

    def corners(self) -> Sequence[tuple[float, float]] | None:
        """The polygon, if there is one."""
        return None

    def chosen_ids(self) -> Sequence[int] | None:
        """The stacks that are named by their ids, if they are."""
        return None

    def query(self) -> StackQuery:
        """The question as the archive takes it.

        Raises
        ------
        BadQuery
        """
        least = self.min_exposure
        if least is not None and not math.isfinite(least):
            raise BadQuery("an exposure is a finite number of seconds", value=least)
        ids = self.chosen_ids()
        if ids is not None and len(ids) > MAX_IDS:
            raise BadQuery(f"at most {MAX_IDS} ids at once", value=len(ids))
        if ids is not None and not all(1 <= number <= MAX_ID for number in ids):
            raise BadQuery("an id is a whole number from 1 on")
        return StackQuery(
            region=self._region(),
            from_utc=parsed_time(self.from_),
            to_utc=parsed_time(self.to),
            target=self.target,
            filter=self.filter,
            model=self.telescope,
            ids=ids,
            min_exposure_s=least,
        )

    def viewer(self, caller: Caller | None) -> Viewer:
        """For whose stacks they ask; without a login, everyone's.

        Raises
        ------
        NotAuthenticated
        """
        if caller is not None:
            return Viewer(caller.observer_id, self.scope)
        if self.scope == "mine":
            raise NotAuthenticated("sign in, or send an API key, to see stacks of your own")
        return Viewer(None, "public")

    def _region(self) -> Region | None:
        rectangle = (self.ra_from, self.ra_to, self.dec_from, self.dec_to)
        cone = (self.ra, self.dec, self.radius)
        corners = self.corners()
        asked = [
            any(value is not None for value in rectangle),
            any(value is not None for value in cone),
            corners is not None,
        ]
        if sum(asked) > 1:
            raise BadQuery("ask for a rectangle, a cone or a polygon, not for two of them")
        if asked[0]:
            ra_from, ra_to = self.ra_from, self.ra_to
            if (ra_from is None) != (ra_to is None):
                raise BadQuery("ra_from and ra_to belong together")
            return Rectangle(
                0.0 if ra_from is None else ra_from,
                360.0 if ra_to is None else ra_to,
                -90.0 if self.dec_from is None else self.dec_from,
                90.0 if self.dec_to is None else self.dec_to,
            )
        if asked[1]:
            if self.ra is None or self.dec is None or self.radius is None:
                raise BadQuery("a cone needs ra, dec and radius")
            return Cone(self.ra, self.dec, self.radius)
        return None if corners is None else Polygon(corners)


class UrlFilters(Filters):
    """Filters of a query string; lists are written with commas."""

    polygon: str | None = Field(None, max_length=100_000)
    ids: str | None = Field(None, max_length=200_000)

    def corners(self) -> Sequence[tuple[float, float]] | None:
        """The polygon, if there is one."""
        if self.polygon is None:
            return None
        try:
            numbers = [float(part) for part in self.polygon.split(",")]
        except ValueError:
            numbers = []
        if not numbers or len(numbers) % 2:
            raise BadQuery("a polygon is ra,dec,ra,dec,... in degrees", value=self.polygon[:80])
        return list(zip(numbers[::2], numbers[1::2], strict=True))

    def chosen_ids(self) -> Sequence[int] | None:
        """The stacks that are named by their ids, if they are."""
        if self.ids is None:
            return None
        try:
            return [int(part) for part in self.ids.split(",")]
        except ValueError:
            raise BadQuery("ids are whole numbers with commas", value=self.ids[:80]) from None


class PageFilters(UrlFilters):
    """Filters of a list that comes in pages."""

    limit: int = Field(1000, ge=1, le=10_000)
    after: int | None = Field(None, ge=1, le=MAX_ID)


class BodyFilters(Filters):
    """Filters in JSON."""

    polygon: list[tuple[float, float]] | None = None
    ids: list[int] | None = None

    def corners(self) -> Sequence[tuple[float, float]] | None:
        """The polygon, if there is one."""
        return self.polygon

    def chosen_ids(self) -> Sequence[int] | None:
        """The stacks that are named by their ids, if they are."""
        return self.ids


def parsed_time(text: str | None) -> datetime | None:
    """A time of a request; one without a zone is UTC.

    Raises
    ------
    BadQuery

    Examples
    --------
    >>> parsed_time("2026-03-27T20:15:00Z")
    datetime.datetime(2026, 3, 27, 20, 15, tzinfo=datetime.timezone.utc)
    """
    if text is None:
        return None
    try:
        # A plus sign that was not escaped in a URL arrives as a blank.
        moment = datetime.fromisoformat(_LOST_PLUS.sub(r"\1+\2", text.strip()))
        if moment.tzinfo is None:
            return moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadQuery("a time is written as 2026-03-27T20:15:00Z", value=text[:40]) from None
