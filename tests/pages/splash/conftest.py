"""A real service for the tests of the splash page."""

from __future__ import annotations

from tests.api.conftest import service, settings

__all__ = ["service", "settings"]
