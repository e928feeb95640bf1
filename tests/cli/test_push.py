"""`crowdsky push`, `pull` and `jobs` against a running service, and what they tell scripts."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crowdsky.archive.leases import fail_attempt
from crowdsky.archive.models import Job
from crowdsky.archive.queue import lease_jobs
from crowdsky.cli.main import main
from crowdsky.supervise.ports import free_port
from tests.api.conftest import Running, opened, serving, settings_in
from tests.archive.queue_rows import make_jobs, make_observer
from tests.client.nights import make_night, make_stacks

pytestmark = [pytest.mark.enable_socket]

N_STACKS = 3


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Running]:
    """A service with three stacks of ada's."""
    home = tmp_path_factory.mktemp("platform")
    database = home / "crowdsky.db"
    database.write_bytes(sqlite_template.read_bytes())
    with opened(settings_in(home, f"sqlite:///{database}")) as context, serving(context) as service:
        ada = make_observer(context.archive, "ada")
        make_stacks(context, ada, home / "made", N_STACKS, n_bytes=20_000)
        yield service


@pytest.fixture(autouse=True)
def environment(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROWDSKY_SERVER", running.url)
    monkeypatch.setenv("CROWDSKY_API_KEY", running.key_for("ada"))


def as_user(name: str, running: Running, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("CROWDSKY_API_KEY", running.key_for(name))
    from crowdsky.archive.accounts import ensure_observer

    return ensure_observer(running.context.archive, name)


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    output = capsys.readouterr()
    assert output.err == ""
    return json.loads(output.out)


def test_push_says_what_came_of_the_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_night(tmp_path, 3, word="cli")
    assert main(["push", str(tmp_path)]) == 0
    size_mb = sum(path.stat().st_size for path in tmp_path.iterdir()) / 1e6
    assert capsys.readouterr().out == (
        f"3 files: 3 accepted, 0 here already, 0 not accepted ({size_mb:.1f} MB sent)\n"
    )
    assert main(["push", str(tmp_path)]) == 0
    assert capsys.readouterr().out == (
        "3 files: 0 accepted, 3 here already, 0 not accepted (0.0 MB sent)\n"
    )


def test_push_finalises(
    tmp_path: Path,
    running: Running,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    as_user("finaliser", running, monkeypatch)
    make_night(tmp_path, 4, word="finalised")
    assert main(["push", str(tmp_path), "--finalise", "--json"]) == 0
    report = printed(capsys)
    assert report["push"]["counts"] == {"accepted": 4}
    assert len(report["finalised"]["job_ids"]) == 1
    assert report["finalised"]["n_frames"] == 4
    assert main(["jobs", "--json"]) == 0
    (job,) = printed(capsys)
    assert (job["id"], job["state"]) == (report["finalised"]["job_ids"][0], "queued")


def test_a_refused_file_makes_the_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_night(tmp_path, 1, word="beside")
    (tmp_path / "page.fit").write_text("<html>", encoding="utf-8")
    assert main(["push", str(tmp_path)]) == 1
    output = capsys.readouterr().out
    assert output.startswith("refused    1  ")
    assert "2 files: 1 accepted, 0 here already, 1 not accepted" in output


def test_nothing_to_send_makes_the_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").touch()
    assert main(["push", str(tmp_path)]) == 1
    assert capsys.readouterr().out == "skipped    1  not a FITS image\nnothing to send\n"


def test_a_wrong_key_is_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_night(tmp_path, 1)
    monkeypatch.setenv("CROWDSKY_API_KEY", "csk_" + "y" * 43)
    assert main(["push", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("crowdsky: error: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["push"],
        ["push", ".", "--parallel", "0"],
        ["push", ".", "--patience", "-1"],
        ["pull"],
        ["pull", "--scope", "theirs"],
        ["jobs", "--delete", "one"],
        ["jobs", "--state", "lost"],
        ["key"],
        ["key", "create"],
        ["worker", "--jobs", "0"],
        ["up", "--once"],
        ["up", "--jobs", "0"],
        ["up", "--api-port", "99999"],
    ],
)
def test_wrong_usage(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROWDSKY_HOME", str(tmp_path))
    assert main(words) == 2


def test_no_address_is_wrong_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CROWDSKY_SERVER")
    assert main(["push", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        "crowdsky: error: no address of a service: set CROWDSKY_SERVER, for instance to "
        "https://sky.example.org\n"
    )


def test_no_service_makes_the_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = f"http://127.0.0.1:{free_port()}"
    assert main(["jobs", "--server", server, "--patience", "0"]) == 1
    assert f"{server}: the service does not answer" in capsys.readouterr().err


def test_an_interrupted_push_ends_with_130(tmp_path: Path) -> None:
    make_night(tmp_path, 1)
    server = f"http://127.0.0.1:{free_port()}"  # nobody is there, so it waits
    code = (
        "import os, signal, sys, threading\n"
        "from crowdsky.cli.main import main\n"
        "threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "push", str(tmp_path), "--server", server],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 130, done.stderr
    assert done.stderr.endswith("crowdsky: error: interrupted\n")


def test_pull_brings_what_fits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--ra", "0", "--dec", "41", "--size", "1.6"]
    assert main(["pull", *where, "-o", str(tmp_path / "stacks")]) == 0
    output = capsys.readouterr().out
    assert output.endswith(f"2 stacks, 0.0 MB in {tmp_path / 'stacks'}\n")
    names = sorted(path.name for path in (tmp_path / "stacks").iterdir())
    assert names == ["block_0.fits", "block_1.fits"]
    assert main(["pull", *where, "--list", "--json"]) == 0
    found = printed(capsys)
    assert {stack["label"] for stack in found["stacks"]} == {"block_0", "block_1"}
    assert found["files"] == []


def test_pull_brings_a_zip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pull", "--scope", "mine", "--zip", "-o", str(tmp_path), "--json"]) == 0
    assert printed(capsys)["files"] == [str(tmp_path / "crowdsky.zip")]
    with zipfile.ZipFile(tmp_path / "crowdsky.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".fits")]
    assert len(names) == N_STACKS


def test_pull_of_nothing_makes_the_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pull", "--target", "Nowhere", "-o", str(tmp_path / "new")]) == 1
    assert capsys.readouterr().out == "\n0 stacks, 0.0 MB\n"
    assert not (tmp_path / "new").exists()


def test_jobs_are_shown_deleted_and_retried(
    running: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = running.context.archive
    worker = make_observer(archive, "jobber")
    as_user("jobber", running, monkeypatch)
    first, second = make_jobs(archive, worker, 2)
    while True:
        (lease,) = lease_jobs(archive, "worker", 1, lease_s=60.0)
        if lease.job_id == first.job_id:
            break
    fail_attempt(archive, lease, "clouds", retry_after_s=1.0, max_attempts=1, permanent=True)
    assert main(["jobs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["job", "state", "target", "block", "frames", "used"]
    (failed,) = [line for line in lines if line.split()[0] == str(first.job_id)]
    assert "failed" in failed
    assert failed.endswith("clouds")

    assert main(["jobs", "--retry", str(first.job_id), "--state", "queued", "--json"]) == 0
    assert first.job_id in [job["id"] for job in printed(capsys)]
    assert main(["jobs", "--retry", str(first.job_id)]) == 1  # it waits already
    assert f"crowdsky: job {first.job_id}: " in capsys.readouterr().err

    assert main(["jobs", "--delete", str(second.job_id), "--json"]) == 0
    assert [job["id"] for job in printed(capsys)] == [first.job_id]
    with archive.reading() as session:
        assert session.get(Job, second.job_id) is None
    assert main(["jobs", "--delete", "999999"]) == 1
    assert "job 999999: " in capsys.readouterr().err


def test_others_jobs_are_not_there(
    running: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = running.context.archive
    (job,) = make_jobs(archive, make_observer(archive, "owner"), 1)
    as_user("stranger", running, monkeypatch)
    assert main(["jobs", "--delete", str(job.job_id)]) == 1
    assert capsys.readouterr().out == "no jobs\n"
    with archive.reading() as session:
        assert session.get(Job, job.job_id) is not None


def test_watching_ends_with_the_jobs_and_tells_if_one_failed(
    running: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = running.context.archive
    observer = make_observer(archive, "watcher")
    as_user("watcher", running, monkeypatch)
    assert main(["jobs", "--watch"]) == 0
    (made,) = make_jobs(archive, observer, 1)
    leases = {lease.job_id: lease for lease in lease_jobs(archive, "worker", 50, lease_s=60.0)}
    fail_attempt(
        archive, leases[made.job_id], "dome", retry_after_s=1.0, max_attempts=1, permanent=True
    )
    capsys.readouterr()
    # It has ended before, so there is nothing to watch.
    assert main(["jobs", "--watch", "--json"]) == 0
    assert [job["reason"] for job in printed(capsys)] == ["dome"]
