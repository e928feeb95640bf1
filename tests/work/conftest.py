"""Fixtures of the tests of the worker."""

from __future__ import annotations

from tests.work.fixtures import pool, sky

__all__ = ["pool", "sky"]
