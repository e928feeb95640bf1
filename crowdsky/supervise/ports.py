"""Ports of 127.0.0.1."""

from __future__ import annotations

import errno
import socket

from crowdsky.errors import SettingsError

__all__ = ["HOST", "free_port", "refuse_taken_port"]

HOST = "127.0.0.1"


def free_port() -> int:
    """A port that nobody uses just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def refuse_taken_port(port: int, *, variable: str, option: str) -> None:
    """Say it before anything is started, rather than in the log of a child that died.

    Raises
    ------
    SettingsError
        Naming the port, the setting and the option, if nothing can listen there.
    """
    with socket.socket() as probe:
        # As servers do: a port whose last connection is only being forgotten is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            why = (
                "is taken by another program"
                if error.errno == errno.EADDRINUSE
                else f"cannot be used ({error.strerror})"
            )
            raise SettingsError(
                f"port {port} of {HOST} {why}; choose another with {option} or {variable}",
                name=variable,
                port=port,
            ) from None
