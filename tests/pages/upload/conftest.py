"""The Upload page, opened for a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.pages.upload.bench import open_page

__all__ = ["page", "page_of"]


@pytest.fixture
def page_of(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Opens pages; none of them may have met an error when the test ends."""
    opened: list[Any] = []

    def open_one(**options: Any) -> Any:
        page = open_page(chromium, **options)
        opened.append(page)
        return page

    yield open_one
    errors = [error for page in opened for error in page.errors]
    for page in opened:
        page.close()
    assert errors == []


@pytest.fixture
def page(page_of: Callable[..., Any]) -> Any:
    return page_of()
