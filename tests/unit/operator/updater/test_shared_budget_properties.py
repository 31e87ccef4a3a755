"""Whatever happens to several groups of one cluster, their updates together keep its budget, and all of them come to an end."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.planner_world import MIN_READY, SPREAD, World, apply_step
from tikv_operator.api import TiKV
from tikv_operator.common.keys import LABEL_GROUP
from tikv_operator.tikvgroup.elsewhere import in_motion
from tikv_operator.updater import Update
from tikv_operator.updater.budget import Budget


class Groups:
    """Several groups that look at each other before they move anything."""

    def __init__(self, budget: int, sizes: list[int]) -> None:
        self.budget = Budget(cluster=budget, group=budget)
        self.worlds = [Watched(self, size) for size in sizes]

    def moving(self, besides: str = "") -> list[TiKV]:
        return in_motion(self._all(), besides, is_given_up=lambda _: False, is_paused=lambda _: False)

    def _all(self) -> Iterable[TiKV]:
        for number, world in enumerate(self.worlds):
            for tikv in world.objects():
                assert tikv.status is not None
                tikv.metadata.labels[LABEL_GROUP] = f"group-{number}"
                # One that has never been ready has no data yet.
                tikv.status.id = "1" if world.members[tikv.metadata.name].running_revision else ""
                yield tikv

    def reconcile(self, number: int) -> bool:
        world = self.worlds[number]
        world.max_unavailable = self.budget.most(len(self.moving(f"group-{number}")))
        return world.reconcile()


class Watched(World):
    """A group whose updates are counted."""

    def __init__(self, groups: Groups, desired: int) -> None:
        super().__init__(desired=desired, max_unavailable=1, spread=SPREAD)
        self.groups = groups

    def carry_out(self, action: object) -> None:
        before = len(self.groups.moving())
        super().carry_out(action)
        if isinstance(action, Update) and len(self.groups.moving()) > before:
            assert before < self.groups.budget.cluster, (action, before)


STEPS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from(["reconcile", "reconcile", "settle", "settle", "fail", "stop", "scale", "roll", "time"]),
        st.integers(0, 6),
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(budget=st.integers(1, 3), sizes=st.lists(st.integers(0, 4), min_size=2, max_size=4), steps=STEPS)
def test_updates_of_all_groups_keep_the_budget_and_the_end_is_reached(
    budget: int, sizes: list[int], steps: list[tuple[int, str, int]]
) -> None:
    groups = Groups(budget, sizes)
    for which, kind, value in steps:
        number = which % len(sizes)
        if kind == "reconcile":
            groups.reconcile(number)
        elif kind == "time":
            for world in groups.worlds:
                world.now += float(value)
        else:
            apply_step(groups.worlds[number], (kind, value))

    for _ in range(200):
        done = [groups.reconcile(number) for number in range(len(sizes))]
        for world in groups.worlds:
            for name in sorted(world.members):
                world.settle(name)
            world.now += MIN_READY + 2
        if all(done) and all(len(world.members) == world.desired for world in groups.worlds):
            break
    for world in groups.worlds:
        assert len(world.members) == world.desired
        assert all(member.revision == world.revision and not member.offline for member in world.members.values())
