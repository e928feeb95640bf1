"""One built copy of the template for the tests of a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.templates.served import copy_of_template


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the template, its front end built."""
    return copy_of_template(tmp_path_factory.mktemp("template"))
