"""Sessions drawn once for all tests of the simulator."""

from __future__ import annotations

import pytest

from crowdsky.simulate import DrawnFrame, Session
from tests.simulate.sessions import plan


@pytest.fixture(scope="session")
def pole() -> tuple[Session, DrawnFrame]:
    """A clear session at the galactic pole, and its first frame."""
    session = Session(plan())
    return session, session.draw(0)
