"""The splash page: what CrowdSky is, over pictures of the sky, for everybody.

>>> from crowdsky.pages import splash
>>> splash.show()  # doctest: +SKIP

Its notebook is run by a timer, not by a visitor, and what comes out is served to everybody: one
piece of HTML without widgets, scripts, or anything of another site.
"""

from __future__ import annotations

import logging

from crowdsky.pages.splash.state import load_state
from crowdsky.pages.splash.view import page_html

__all__ = ["SplashPage", "show"]

_log = logging.getLogger(__name__)


class SplashPage:
    """The page; a notebook shows what `_repr_html_` gives.

    Parameters
    ----------
    html : str
    """

    def __init__(self, html: str) -> None:
        self.html = html

    def __repr__(self) -> str:
        return "<the splash page>"

    def _repr_html_(self) -> str:
        return self.html


def show() -> SplashPage:
    """Draw the page, of what the service tells just now.

    Returns
    -------
    SplashPage
        To be the last value of a cell.

    Raises
    ------
    SettingsError
        If the environment holds a setting that is none.
    """
    state = load_state()
    if state.problem:
        _log.info("the splash page is drawn without some facts: %s", state.problem)
    return SplashPage(page_html(state))
