"""Jobs of every kind, as the front end gets them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from crowdsky.client.facts import Job
from crowdsky.pages.status.state import job_line

NOW = datetime(2026, 3, 27, 22, 0, 0, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
STATES = ("done", "done", "failed", "done", "running", "queued")


def made_job(number: int, **changes: Any) -> Job:
    """A job whose state goes by its number."""
    state = changes.get("state", STATES[number % len(STATES)])
    started = None if state == "queued" else NOW - timedelta(minutes=3, seconds=number % 40)
    facts: dict[str, Any] = {
        "id": number,
        "state": state,
        "target": ("M 94", "NGC 6888 Crescent", "M 31", "IC 434")[number % 4],
        "label": f"20260327.{number % 96:02d}_192.7_p41.1_IRCUT_10s",
        "n_frames": 60,
        "done_frames": {"done": 60, "running": 24}.get(state, 0),
        "n_used": {"done": 55, "failed": 0}.get(state),
        "n_rejected": {"done": 5, "failed": 2}.get(state),
        "step": {"running": "stacking"}.get(state, ""),
        "reason": {"failed": "no frame of the block survived: too few stars"}.get(state, ""),
        "attempts": 0 if state == "queued" else 1,
        "created_utc": NOW - timedelta(minutes=10),
        "started_utc": started,
        "finished_utc": NOW - timedelta(minutes=1) if state in ("done", "failed") else None,
        "worker": "" if state == "queued" else "nova:4711",
        "stack_id": number if state == "done" else None,
        "filter": "IRCUT",
        "exposure_s": 10.0,
        "block_start_utc": datetime(2026, 3, 27, 20, 15, tzinfo=UTC)
        - timedelta(minutes=15 * (number % 8)),
    }
    return Job(**(facts | changes))


def lines(numbers: range) -> list[dict[str, Any]]:
    """Jobs of these numbers, as rows."""
    return [job_line(made_job(number)) for number in numbers]


def message(rows: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A first message with these jobs, all that there are."""
    counts = dict.fromkeys(("queued", "running", "done", "failed"), 0)
    for row in rows:
        counts[row["state"]] += 1
    return {
        "type": "changes",
        "now_ms": NOW_MS,
        "rows": rows,
        "books": {"accepted": 1284, "stacked": 1100, "rejected": 60, "pending": 124},
        "head": {"loaded": True, "total": len(rows), "counts": counts, "delayed": "", "loose": 0},
    } | more
