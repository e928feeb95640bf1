"""The words of the queue: in a kernel, and the same ones in the browser."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crowdsky.pages.upload.state import STATES, UploadState
from crowdsky.pages.upload.view import UploadQueue

NIGHT = {"files": 4420, "bytes": 17_100_000_000, "sentFiles": 1204, "sentBytes": 4_650_000_000}
DONE = {
    "state": "done", "files": 4420, "bytes": 17_100_000_000, "sentFiles": 4417,
    "sentBytes": 17_090_000_000, "counts": {"accepted": 4105, "duplicate": 312, "refused": 3},
}  # fmt: skip
TOLD = "4,420 files done: 4,105 accepted, 312 already here, 3 refused."

CASES: list[tuple[dict[str, Any], int, str]] = [
    ({}, 0, "Nothing to upload yet."),
    ({"loading": True}, 0, "Looking for what was being uploaded."),
    ({"counts": {"skipped": 12}}, 0, "Nothing to upload: 12 files left out."),
    ({"state": "scanning", "files": 1}, 0, "Reading what you chose: 1 file so far."),
    (
        NIGHT | {"state": "uploading", "rateBytesPerS": 6_250_000.0, "secondsLeft": 1992.0},
        27,
        "1,204 of 4,420 files, 4.7 GB of 17.1 GB, 6.3 MB/s, 33 minutes left.",
    ),
    (NIGHT | {"state": "uploading"}, 27, "1,204 of 4,420 files, 4.7 GB of 17.1 GB."),
    (
        NIGHT | {"state": "uploading", "sentBytes": 17_099_999_999, "secondsLeft": 0.4},
        99,
        "1,204 of 4,420 files, 17.1 GB of 17.1 GB, 1 second left.",
    ),
    (
        NIGHT
        | {"state": "uploading", "sentBytes": 0, "rateBytesPerS": 1000.0, "secondsLeft": 9000},
        0,
        "1,204 of 4,420 files, 0 bytes of 17.1 GB, 1.0 kB/s, 2.5 hours left.",
    ),
    (NIGHT | {"state": "paused"}, 27, "Paused after 1,204 of 4,420 files. Nothing is lost."),
    (
        NIGHT | {"state": "waiting", "reason": "the disk of the server is full"},
        27,
        "Waiting after 1,204 of 4,420 files. The disk of the server is full.",
    ),
    (
        NIGHT | {"state": "waiting", "reason": ""},
        27,
        "Waiting after 1,204 of 4,420 files. The server does not answer; it goes on by itself.",
    ),
    (
        NIGHT | {"state": "signed-out"},
        27,
        "You are signed out. Log in, and the upload goes on after 1,204 of 4,420 files.",
    ),
    (
        NIGHT
        | {
            "state": "needs-files",
            "question": {"kind": "choose-again", "safe": 3127, "total": 4420},
        },
        27,
        "Choose the folder again: 3,127 of 4,420 are safe.",
    ),
    (
        DONE | {"finalisable": True},
        100,
        f"{TOLD} Now create the stacking jobs.",
    ),
    (
        DONE | {"finalisable": True, "receipt": {"jobs": [1]}},  # of an earlier night
        100,
        f"{TOLD} Now create the stacking jobs.",
    ),
    (
        DONE | {"receipt": {"jobs": [1]}},
        100,
        f"{TOLD} The stacking jobs are created.",
    ),
    (
        {"state": "done", "files": 1, "counts": {"refused": 1}},
        100,
        "1 file done: 1 refused. There is nothing to stack: the list says why.",
    ),
]


@pytest.mark.parametrize(("snapshot", "percent", "line"), CASES)
def test_a_moment_of_the_queue_in_words(snapshot: dict[str, Any], percent: int, line: str) -> None:
    state = UploadState.of(snapshot)
    assert (state.percent, state.headline) == (percent, line)


def test_the_browser_says_the_same(tmp_path: Path) -> None:
    module = tmp_path / "words.mjs"
    node = Path(sys.prefix) / "bin" / "node"
    if not node.exists():
        pytest.skip("needs node")
    ask = (
        "\nexport const told = (cases) => cases.map((one) => ["
        "percentOf(one), headline(one), countsInWords(one)]);"
    )
    module.write_text(str(UploadQueue._esm) + ask, encoding="utf-8")
    # The agent's snapshot is complete; what a case leaves out is as in an empty queue.
    empty = {
        "state": "empty", "reason": "", "files": 0, "bytes": 0, "sentFiles": 0, "sentBytes": 0,
        "counts": {}, "rateBytesPerS": 0, "secondsLeft": None, "finalisable": False,
        "question": None, "receipt": None,
    }  # fmt: skip
    cases = [empty | snapshot for snapshot, _, _ in CASES]
    run = tmp_path / "run.mjs"
    run.write_text(
        "import { told } from './words.mjs'; import fs from 'node:fs';"
        "console.log(JSON.stringify(told(JSON.parse(fs.readFileSync(0, 'utf8')))));",
        encoding="utf-8",
    )
    done = subprocess.run(
        [str(node), str(run)], input=json.dumps(cases), capture_output=True, text=True, check=True
    )
    states = [UploadState.of(case) for case in cases]
    assert json.loads(done.stdout) == [
        [state.percent, state.headline, state.counts_in_words] for state in states
    ]


def test_a_refused_file_does_not_stop_the_jobs() -> None:
    state = UploadState.of(DONE | {"finalisable": True})
    assert state.finalisable
    assert state.counts["refused"] == 3


def test_what_a_snapshot_lacks_is_as_in_an_empty_queue() -> None:
    state = UploadState.of(
        {"counts": {"accepted": 2, "of a later version": 3}, "secondsLeft": None}
    )
    assert state.counts == dict.fromkeys(STATES, 0) | {"accepted": 2}
    assert (state.seconds_left, state.receipt, state.percent) == (None, None, 0)
