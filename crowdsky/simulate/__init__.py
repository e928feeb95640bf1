"""Simulated Seestar sessions: raw frames with known truth, for the demo and for tests."""

from crowdsky.simulate.demo import demo_plans
from crowdsky.simulate.extended import Galaxy, Nebula
from crowdsky.simulate.plan import Flaw, Mount, SessionPlan
from crowdsky.simulate.scene import Transient, VariableStar
from crowdsky.simulate.session import DrawnFrame, Session, simulate_session
from crowdsky.simulate.star_lists import random_pointings, simulate_star_list
from crowdsky.simulate.tan_wcs import TanWcs
from crowdsky.simulate.truth import FrameTruth, LightCurve, Truth, read_truth

__all__ = [
    "DrawnFrame",
    "Flaw",
    "FrameTruth",
    "Galaxy",
    "LightCurve",
    "Mount",
    "Nebula",
    "Session",
    "SessionPlan",
    "TanWcs",
    "Transient",
    "Truth",
    "VariableStar",
    "demo_plans",
    "random_pointings",
    "read_truth",
    "simulate_session",
    "simulate_star_list",
]
