"""The demonstration night."""

from __future__ import annotations

from crowdsky.simulate import Flaw, Session, demo_plans


def blocks(plan: object) -> set[int]:
    starts = [plan.start_of(i) for i in range(plan.n_frames)]  # type: ignore[attr-defined]
    return {int(t.timestamp()) // 900 for t in starts}


def test_the_demo_has_two_targets_and_crosses_the_edge_of_a_block() -> None:
    plans = demo_plans()
    assert [p.target for p in plans] == ["M 51", "NGC 7023"]
    assert [len(blocks(p)) for p in plans] == [2, 1]
    # Each half of the divided target keeps enough frames to stack.
    edge = [int(plans[0].start_of(i).timestamp()) // 900 for i in range(plans[0].n_frames)]
    assert min(edge.count(block) for block in set(edge)) >= 4


def test_the_demo_shows_rejections() -> None:
    flaws = {flaw for plan in demo_plans() for _, flaw in plan.flaws}
    assert flaws == {Flaw.CLOUD, Flaw.TRAILED}
    assert all(plan.satellites for plan in demo_plans())


def test_every_target_is_well_up() -> None:
    for plan in demo_plans(seed=3):
        session = Session(plan)
        assert min(aim.altitude_deg for aim in session.aims) > 30
        assert session.scene.patches


def test_another_seed_gives_another_night() -> None:
    assert demo_plans(1) != demo_plans(2)
    assert demo_plans(1) == demo_plans(1)
