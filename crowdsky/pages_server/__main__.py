"""``python -m crowdsky.pages_server``: what `crowdsky up` starts."""

from __future__ import annotations

import sys

from crowdsky.pages_server.app import main

if __name__ == "__main__":
    sys.exit(main())
