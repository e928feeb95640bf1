"""The Stacks page: what there is to look at and to take home.

>>> from crowdsky.pages import stacks
>>> stacks.show()  # doctest: +SKIP
"""

from __future__ import annotations

from crowdsky.pages.stacks.view import show

__all__ = ["show"]
