"""Whatever happens to a group, plans keep enough instances available and reach what was wanted."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.planner_world import MIN_READY, SPREAD, World, apply_step
from tikv_operator.common.instances import is_up_to_date

STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["reconcile", "reconcile", "settle", "settle", "settle", "fail", "stop", "scale", "roll", "time"]
        ),
        st.integers(0, 7),
    ),
    max_size=60,
)
WORLDS = st.builds(
    World,
    desired=st.integers(0, 6),
    max_unavailable=st.integers(1, 2),
    spread=st.sampled_from([None, SPREAD]),
)


@settings(max_examples=150, deadline=None)
@given(world=WORLDS, steps=STEPS)
def test_no_action_takes_away_availability_that_is_needed_and_the_end_is_reached(
    world: World, steps: list[tuple[str, int]]
) -> None:
    world = replace(world, members={})
    for step in steps:
        apply_step(world, step)

    for _ in range(100):
        done = world.reconcile()
        for name in sorted(world.members):
            world.settle(name)
        world.now += MIN_READY + 2
        if done and len(world.members) == world.desired:
            break
    found = world.objects()
    assert len(found) == world.desired
    assert all(member.revision == world.revision and not member.offline for member in world.members.values())
    assert all(is_up_to_date(instance) for instance in found)
    assert world.reconcile()
    assert len(world.members) == world.desired


@settings(max_examples=50, deadline=None)
@given(desired=st.integers(0, 9), extra=st.integers(0, 5))
def test_a_group_with_topologies_ends_evenly_spread(desired: int, extra: int) -> None:
    world = World(desired=desired + extra, max_unavailable=1, spread=SPREAD)
    for goal in (desired + extra, desired, desired + 1):
        world.desired = goal
        for _ in range(60):
            world.reconcile()
            for name in sorted(world.members):
                world.settle(name)
            world.now += MIN_READY + 2
        zones = [member.topology["zone"] for member in world.members.values() if member.topology]
        sizes = [zones.count(zone) for zone in "abc"]
        assert len(zones) == goal
        assert max(sizes) - min(sizes) <= 1
