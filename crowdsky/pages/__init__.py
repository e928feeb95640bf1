"""The pages: one folder each, ``show()`` in one cell of a notebook.

>>> from crowdsky.pages import upload
>>> upload.show()  # doctest: +SKIP

A page is what is shown (``state.py``, which needs no widgets) and how (``view.py`` and its front
end). Pages reach the archive through `crowdsky.client` alone, as the visitor whose page it is.
"""

from __future__ import annotations
