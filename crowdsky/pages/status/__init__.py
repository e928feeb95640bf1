"""The Status page: every job of the visitor, live, and the ledger of their frames.

>>> from crowdsky.pages import status
>>> status.show()  # doctest: +SKIP
"""

from __future__ import annotations

from crowdsky.pages.status.view import show

__all__ = ["show"]
