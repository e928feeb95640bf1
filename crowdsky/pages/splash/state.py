"""What the splash page tells: the newest public stacks, the site's figures, where it has looked.

Everything is asked for as anybody may ask, without credentials, and nothing is needed: what the
service does not tell is left out, and the page is drawn all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from crowdsky.client.transport import API, Transport
from crowdsky.client.views import stack_page
from crowdsky.errors import CrowdSkyError, SettingsError
from crowdsky.pages.splash.pictures import OwnPicture, own_pictures
from crowdsky.settings import Settings, load_settings

__all__ = [
    "CELL_ORDER",
    "NEWEST",
    "Figures",
    "Places",
    "ShownStack",
    "SplashState",
    "load_state",
]

#: Stacks in the gallery.
NEWEST = 12
#: HEALPix order of the map: 3,072 cells of some 3.7 degrees.
CELL_ORDER = 4

_PATIENCE_S = 0.5
_PAGES_PATH = "/services/pages"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Places:
    """Addresses on this site, as a visitor's browser needs them; paths without a host.

    Attributes
    ----------
    site : str
        Of everything; ends with a slash.
    """

    site: str = "/"

    @property
    def pages(self) -> str:
        """Of the pages; ends with a slash."""
        return f"{self.site}services/pages/"

    @property
    def sign_up(self) -> str:
        """Where an account is made."""
        return f"{self.site}hub/signup"

    @property
    def log_in(self) -> str:
        """Where one logs in, to go on to the upload page."""
        return f"{self.site}hub/login?next={self.pages}upload"

    def thumbnail(self, stack_id: int) -> str:
        """The small picture of a stack."""
        return f"{self.site}services/crowdsky{API}/stacks/{int(stack_id)}/thumbnail"


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts of what is public."""

    stacks: int
    exposure_hours: float
    telescopes: int
    observers: int
    nights: int


@dataclass(frozen=True, slots=True)
class ShownStack:
    """A public stack, as the gallery shows it.

    Attributes
    ----------
    target, observer, telescope, licence : str
        As their owner wrote them: not to be trusted.
    start_utc : datetime
    exposure_total_s : float
    n_used : int
        Frames.
    """

    id: int
    target: str
    observer: str
    telescope: str
    licence: str
    start_utc: datetime
    exposure_total_s: float
    n_used: int

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> ShownStack:
        """From the service's JSON."""
        return cls(
            id=int(told["id"]),
            target=str(told.get("target") or ""),
            observer=str(told.get("observer") or ""),
            telescope=str(told.get("telescope") or ""),
            licence=str(told.get("licence") or ""),
            start_utc=datetime.fromisoformat(told["start_utc"]).astimezone(UTC),
            exposure_total_s=float(told["exposure_total_s"]),
            n_used=int(told["n_used"]),
        )


@dataclass(frozen=True, slots=True)
class SplashState:
    """All that the page tells.

    Attributes
    ----------
    figures : Figures or None
    stacks : tuple of ShownStack
        Newest first.
    cells : tuple of (int, int)
        HEALPix cells (NESTED, `CELL_ORDER`) that hold public stacks, and how many.
    pictures : tuple of OwnPicture
        The operator's.
    problem : str
        Why something is missing; empty if the service answered everything.
    """

    places: Places = Places()
    figures: Figures | None = None
    stacks: tuple[ShownStack, ...] = ()
    cells: tuple[tuple[int, int], ...] = ()
    pictures: tuple[OwnPicture, ...] = ()
    problem: str = ""


def load_state(settings: Settings | None = None, *, patience_s: float = _PATIENCE_S) -> SplashState:
    """Ask the service, and the server of the pages, for what there is.

    Parameters
    ----------
    settings : Settings, optional
        Those of the environment when omitted.
    patience_s : float
        How long a service that does not answer is asked again.

    Returns
    -------
    SplashState
    """
    settings = load_settings() if settings is None else settings
    places = Places(_site_of(settings.pages_url))
    pictures = own_pictures(settings.pages_url, places.pages)
    try:
        # An empty key: the page tells everybody the same, whoever's environment it is drawn in.
        transport = Transport(settings.server, "", patience_s=patience_s)
    except SettingsError as error:
        return SplashState(places, pictures=pictures, problem=str(error))
    problems: list[str] = []

    def asked(ask: Callable[[Transport], T], otherwise: T) -> T:
        if problems:  # one that is away is not waited for three times
            return otherwise
        try:
            return ask(transport)
        except CrowdSkyError as error:
            problems.append(str(error))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            problems.append(f"the service's answer is not understood ({error!r})")
        return otherwise

    try:
        return SplashState(
            places,
            figures=asked(_figures, None),
            stacks=asked(_newest, ()),
            cells=asked(_cells, ()),
            pictures=pictures,
            problem="".join(problems),
        )
    finally:
        transport.close()


def _figures(transport: Transport) -> Figures | None:
    told = transport.get(f"{API}/site")
    return Figures(
        stacks=int(told["stacks"]),
        exposure_hours=float(told["exposure_hours"]),
        telescopes=int(told["telescopes"]),
        observers=int(told["observers"]),
        nights=int(told["nights"]),
    )


def _newest(transport: Transport) -> tuple[ShownStack, ...]:
    page = stack_page(transport, limit=NEWEST, scope="public")
    return tuple(ShownStack.of(told) for told in page.stacks)


def _cells(transport: Transport) -> tuple[tuple[int, int], ...]:
    told = transport.get(f"{API}/sky/density", scope="public", order=CELL_ORDER)
    if int(told["order"]) != CELL_ORDER:
        raise ValueError("cells of another order")
    found: Sequence[tuple[Any, Any]] = list(zip(told["cells"], told["counts"], strict=True))
    return tuple((int(cell), int(n)) for cell, n in found if 0 <= cell < 12 * 4**CELL_ORDER)


def _site_of(pages_url: str) -> str:
    """Path of the site, from the address of its pages."""
    path = urlsplit(pages_url).path.rstrip("/")
    if not path.endswith(_PAGES_PATH):
        return "/"
    return path.removesuffix(_PAGES_PATH) + "/"
