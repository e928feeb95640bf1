"""One chore in a process of its own: ``python -m tests.flows.one_chore URL FAILURES``."""

from __future__ import annotations

import asyncio
import sys

from crowdsky.errors import StoreError
from flows import maintenance
from flows.server import use_server


def main() -> None:
    use_server(sys.argv[1])
    failures = [StoreError("timed out")] * int(sys.argv[2])
    calls = []

    def sweep() -> str:
        calls.append("sweep")
        if failures:
            raise failures.pop()
        return "3 files removed"

    hasty = maintenance.upkeep_flow.with_options(retries=2, retry_delay_seconds=0)
    maintenance.upkeep_flow = hasty
    error = asyncio.run(maintenance.run_chore(maintenance.Chore("sweep the floor", sweep, 60.0)))
    print(f"{len(calls)} calls, {error}")


if __name__ == "__main__":
    main()
