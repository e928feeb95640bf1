"""One Hub for all tests, which takes longest to start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from crowdsky.errors import SettingsError
from crowdsky.supervise.proxy_program import proxy_command
from tests.pages_server.site import Site, running_site, write_site


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    pytest_socket = pytest.importorskip("pytest_socket")
    pytest_socket.enable_socket()
    repo_root = Path(__file__).parents[2]
    try:
        proxy_command()
    except SettingsError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("site")
    folder.chmod(0o755)
    write_site(folder)
    with running_site(folder, repo_root) as running:
        yield running


@pytest.fixture(scope="session")
def ann(site: Site) -> Iterator[httpx.Client]:
    with site.signed_in("ann") as browser:
        yield browser


@pytest.fixture(scope="session")
def bob(site: Site) -> Iterator[httpx.Client]:
    with site.signed_in("bob") as browser:
        yield browser
