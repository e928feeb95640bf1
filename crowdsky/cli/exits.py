"""Exit codes of every command."""

from __future__ import annotations

__all__ = ["EXIT_INTERRUPTED", "EXIT_NOT_ALL", "EXIT_OK", "EXIT_USAGE"]

EXIT_OK = 0
EXIT_NOT_ALL = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
