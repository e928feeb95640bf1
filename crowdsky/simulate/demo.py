"""A short night to show the whole way from raw frames to stacks where no telescope is at hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from crowdsky.simulate.plan import Flaw, SessionPlan
from crowdsky.simulate.scene import Transient, VariableStar

__all__ = ["demo_plans"]

NIGHT = datetime(2025, 5, 24, 21, 58, 20, tzinfo=UTC)


def demo_plans(seed: int = 0, *, n_frames: int = 14) -> list[SessionPlan]:
    """Two targets of one night.

    A spiral galaxy far from the Milky Way, where stars are few, whose frames cross the edge of a
    15-minute block, and a nebula in the Milky Way, where they are many. Some frames are bad on
    purpose: one is cloudy, one trailed; a satellite crosses a third.

    Parameters
    ----------
    seed : int
        Another seed gives another night.
    n_frames : int
        Frames of each target, at least 8.
    """
    common = {
        "n_frames": max(n_frames, 8),
        "serial": "51a0c0de",
        "site_lat_deg": 48.21,
        "site_lon_deg": 16.37,
        "utc_offset_h": 2.0,
        "seed": seed,
    }
    second = NIGHT + timedelta(minutes=20)
    return [
        SessionPlan(
            target="M 51",
            ra_deg=202.4696,
            dec_deg=47.1952,
            start_utc=NIGHT,
            rotation_deg=-172.0,
            recentre_before=(5,),
            satellites=(2,),
            flaws=((6, Flaw.CLOUD),),
            # A supernova that never was, in the southern arm.
            transients=(Transient(202.4575, 47.1695, NIGHT - timedelta(days=3), 11.8),),
            **common,  # type: ignore[arg-type]
        ),
        SessionPlan(
            target="NGC 7023",
            ra_deg=315.42,
            dec_deg=68.15,
            start_utc=second,
            rotation_deg=58.0,
            sky_level=0.7,
            seeing=0.75,
            satellites=(7,),
            flaws=((4, Flaw.TRAILED),),
            variables=(VariableStar(315.80, 68.05, 11.0, 0.6, 600.0, second, shape="sinusoid"),),
            **common,  # type: ignore[arg-type]
        ),
    ]
