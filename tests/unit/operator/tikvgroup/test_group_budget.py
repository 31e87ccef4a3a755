"""Groups of one cluster share its budget; annotations of a group pause it, and say how much of it may be down."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from controller_runtime.api import ObjectKey
from controller_runtime.api.k8s import PodDisruptionBudget
from controller_runtime.client import merge_patch
from controller_runtime.task import Status
from helpers.group_fakes import FakeCluster, events_of, names
from helpers.group_instances import NEW, NOW, OLD, make_tikv
from helpers.group_world import group_context, make_cluster, make_group
from tikv_operator.api import TiKV, TiKVGroup
from tikv_operator.common.keys import component_labels
from tikv_operator.group.build import Blueprint
from tikv_operator.group.tasks import pdb
from tikv_operator.group.tasks.state import Revisions
from tikv_operator.pdclient import PDError, PDSnapshot, Store
from tikv_operator.tikvgroup.elsewhere import given_up, in_motion
from tikv_operator.tikvgroup.rollouts import Rollouts
from tikv_operator.tikvgroup.tasks import annotated, updater
from tikv_operator.tikvgroup.tasks.state import TiKVGroupContext

MAX = "core.pingcap.com/max-unavailable"
PAUSED = "core.pingcap.com/paused"
NO_PDB = "core.pingcap.com/pod-disruption-budget"


def instance(name: str, group: str = "basic", *, store: str = "", state: str = "Serving", **said: Any) -> TiKV:
    made = make_tikv(name, **said)
    made.metadata.labels |= component_labels("tc", "tikv", group)
    assert made.status is not None
    made.status.id, made.status.state = store or f"1{len(name)}", state
    return made


@dataclass
class StillPD:
    snapshot: PDSnapshot | None
    error: PDError | None = None
    trusted: bool = True

    def fresh(self, now: float | None = None) -> bool:
        return self.trusted

    def get(self, cluster: ObjectKey) -> StillPD:
        return self


class World:
    """A group `basic` that has something to update, and whatever else there is in its cluster."""

    def __init__(
        self,
        *others: TiKV,
        own: tuple[TiKV, ...] | None = None,
        cluster: dict[str, str] | None = None,
        group: dict[str, str] | None = None,
        pd: StillPD | None = None,
    ) -> None:
        self.server = FakeCluster()
        self.server.clock.seconds = NOW
        self.rollouts = Rollouts()
        self.pd = pd
        self.cluster = make_cluster(metadata={"annotations": cluster or {}})
        instances = own or tuple(instance(f"basic-{suffix}", revision=OLD) for suffix in "abc")
        made = make_group(replicas=len(instances), metadata={"annotations": group or {}})
        self.server.add(self.cluster, made, make_group("other"), *instances, *others)

    def context(self) -> TiKVGroupContext:
        ctx = group_context(self.server, rollouts=self.rollouts, pds=self.pd)
        ctx.found = self.server.one(TiKVGroup, "basic")
        ctx.cluster = self.cluster
        ctx.instances = [found for found in self.server.all(TiKV) if found.metadata.name.startswith("basic-")]
        blueprint = Blueprint(revision=NEW, template=ctx.group.spec.template, features=())
        ctx.revisions = Revisions(update=blueprint, current=OLD, previous=blueprint, collision_count=0)
        return ctx

    async def update(self) -> TiKVGroupContext:
        ctx = self.context()
        self.result = await updater.update(ctx)
        return ctx

    @property
    def updated(self) -> list[str]:
        return [write.removeprefix("apply TiKV ") for write in self.server.writes if write.startswith("apply TiKV ")]


# What others have in motion


@pytest.mark.parametrize(
    ("other", "counts"),
    [
        pytest.param(instance("o", "other"), False, id="one that serves and is up to date"),
        pytest.param(instance("o", "other", ready=False), True, id="one that does not serve"),
        pytest.param(instance("o", "other", generation=2, observed=1), True, id="one that was changed a moment ago"),
        pytest.param(instance("o", "other", synced=False), True, id="one that is about to be taken down"),
        pytest.param(instance("o", "resting", synced=False), False, id="the same in a group that is paused"),
        pytest.param(instance("o", "resting", ready=False), True, id="one of a paused group that does not serve"),
        pytest.param(instance("o", "other", ready=False, offlined=True), False, id="one whose store has left"),
        pytest.param(instance("o", "other", ready=False, state="Removed"), False, id="one whose store is buried"),
        pytest.param(instance("o", "other", ready=False, store="99"), False, id="one that PD has given up"),
        pytest.param(instance("o", "basic", ready=False), False, id="one of the group that asks"),
        pytest.param(instance("o", "", ready=False), True, id="one that somebody made by hand"),
    ],
)
def test_what_uses_up_the_budget(other: TiKV, counts: bool) -> None:
    snapshot = PDSnapshot(stores={"x": Store(id="99", address="x", state_name="Down")})
    found = in_motion([other], "basic", is_given_up=given_up(snapshot), is_paused=lambda group: group == "resting")
    assert bool(found) is counts


def test_one_that_has_no_data_yet_does_not() -> None:
    starting = make_tikv("o", ready=False)
    assert in_motion([starting], "basic", is_given_up=given_up(None), is_paused=lambda _: False) == []


# What a group does then


async def test_a_group_goes_on_while_all_others_rest() -> None:
    world = World(instance("other-a", "other"))
    await world.update()
    assert world.updated == ["basic-a"]
    assert list(world.rollouts.waiting(world.cluster.key)) == []


async def test_a_group_waits_for_others_and_says_for_whom() -> None:
    world = World(instance("other-a", "other", ready=False))
    ctx = await world.update()
    message = "update waits for other: in the cluster 1 store may be down at a time"
    assert (world.result.status, world.result.message, ctx.queued_for) == (Status.RETRY, message, message)
    assert world.updated == []
    assert list(world.rollouts.waiting(world.cluster.key)) == [ctx.key]


async def test_a_group_that_waits_is_repaired_all_the_same() -> None:
    down = instance("basic-b", revision=OLD, ready=False, running=False)
    own = (instance("basic-a", revision=OLD), down)
    world = World(instance("other-a", "other", ready=False), own=own)
    await world.update()
    assert world.updated == ["basic-b"]


async def test_a_group_that_waits_is_scaled_all_the_same() -> None:
    world = World(instance("other-a", "other", ready=False))
    group = world.server.one(TiKVGroup, "basic")
    await world.server.patch(TiKVGroup, group.key, merge_patch({"spec": {"replicas": 5}}))
    await world.update()
    assert world.updated == ["basic-000000", "basic-000001"]


async def test_a_store_that_pd_has_given_up_holds_up_nobody_but_an_old_opinion_of_pd_does() -> None:
    snapshot = PDSnapshot(stores={"x": Store(id="99", address="x", state_name="Down")})
    dead = instance("other-a", "other", ready=False, store="99")
    for trusted, updated in ((True, ["basic-a"]), (False, [])):
        world = World(dead, pd=StillPD(snapshot, trusted=trusted))
        await world.update()
        assert world.updated == updated


@pytest.mark.parametrize(
    ("cluster", "group", "down_elsewhere", "updated"),
    [
        pytest.param({}, {}, 0, 1, id="one at a time"),
        pytest.param({MAX: "2"}, {}, 0, 2, id="two of the cluster, both of this group"),
        pytest.param({MAX: "2"}, {}, 1, 1, id="two of the cluster, one is another group's"),
        pytest.param({MAX: "3"}, {MAX: "1"}, 1, 1, id="one of the group"),
        pytest.param({}, {MAX: "3"}, 0, 3, id="three of the group, while all others serve"),
        pytest.param({}, {MAX: "3"}, 1, 0, id="and none while one doesn't"),
        pytest.param({MAX: "none"}, {MAX: "0"}, 0, 1, id="what is no number is not heeded"),
    ],
)
async def test_several_are_updated_in_one_run_where_the_budget_allows(
    cluster: dict[str, str], group: dict[str, str], down_elsewhere: int, updated: int
) -> None:
    others = [instance(f"other-{number}", "other", ready=False) for number in range(down_elsewhere)]
    world = World(*others, cluster=cluster, group=group)
    await world.update()
    assert len(world.updated) == updated


async def test_of_two_groups_that_look_at_each_other_one_goes() -> None:
    world = World(instance("other-a", "other", revision=OLD))

    async def other_group() -> None:
        """What another group's run does: it looks, and then moves an instance."""
        async with world.rollouts.turn(world.cluster.key):
            await asyncio.sleep(1)
            key = ObjectKey("ns1", "other-a")
            await world.server.patch(TiKV, key, merge_patch({"spec": {"config": "a = 1"}}))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(other_group())
        await asyncio.sleep(0.1)
        tasks.create_task(world.update())
    assert world.updated == []


def test_a_turn_is_a_clusters_own_and_leaves_nothing_behind() -> None:
    rollouts, one, two = Rollouts(), ObjectKey("ns", "one"), ObjectKey("ns", "two")
    turn = rollouts.turn(one)
    assert rollouts.turn(one) is turn
    assert rollouts.turn(two) is not turn
    rollouts.wait(ObjectKey("ns", "group"), one)
    assert list(rollouts.waiting(two)) == []
    rollouts.leave(ObjectKey("ns", "group"))
    rollouts.leave(ObjectKey("ns", "group"))
    assert list(rollouts.waiting(one)) == []


# A pause


async def test_a_group_that_is_paused_changes_no_instance_and_says_so_once() -> None:
    world = World(group={PAUSED: "true"})
    ctx = world.context()
    for _ in range(2):
        assert (await updater.paused(ctx)).status is Status.WAIT
        await annotated.annotated(ctx)
    assert world.server.writes == []
    assert ctx.queued_for == "the group is paused"
    assert [(found.type, found.status) for found in ctx.status.conditions] == [("Paused", "True")]
    message = "the group is paused: no instance is created, changed or removed"
    assert events_of(ctx) == [f"Normal Paused {message}"]
    ctx.group.metadata.annotations = {}
    await annotated.annotated(ctx)
    assert ctx.status.conditions == []
    assert events_of(ctx)[1:] == [f"Normal PausedEnded no longer: {message}"]


async def test_a_budget_that_is_no_number_is_warned_of_once() -> None:
    ctx = World(group={MAX: "many"}).context()
    for _ in range(2):
        await annotated.annotated(ctx)
    assert [found.type for found in ctx.status.conditions] == ["BudgetInvalid"]
    assert events_of(ctx) == [f"Warning AnnotationInvalid not a number above 0, so it is not heeded: annotation {MAX}"]


# The PodDisruptionBudget


async def test_a_drain_may_take_as_many_pods_as_the_operator() -> None:
    world = World(cluster={MAX: "2"})
    for _ in range(2):
        await pdb.budget(world.context())
    assert world.server.writes == ["apply PodDisruptionBudget basic-tikv-pdb"]
    made = world.server.one(PodDisruptionBudget, "basic-tikv-pdb")
    assert made.spec is not None
    assert made.spec.selector is not None
    assert (made.spec.max_unavailable, made.spec.min_available) == (2, None)
    assert made.spec.selector.match_labels == component_labels("tc", "tikv", "basic")
    assert [(owner.kind, owner.name, owner.controller) for owner in made.metadata.owner_references] == [
        ("TiKVGroup", "basic", True)
    ]


async def test_another_budget_changes_it() -> None:
    world = World()
    await pdb.budget(world.context())
    world.cluster.metadata.annotations = {MAX: "3"}
    await pdb.budget(world.context())
    made = world.server.one(PodDisruptionBudget, "basic-tikv-pdb")
    assert made.spec is not None
    assert made.spec.max_unavailable == 3


async def test_a_group_that_wants_none_has_none_and_those_of_others_stay() -> None:
    world = World()
    await pdb.budget(world.context())
    foreign = world.server.one(PodDisruptionBudget, "basic-tikv-pdb")
    ctx = world.context()
    ctx.group.metadata.annotations = {NO_PDB: "false"}
    for _ in range(2):
        await pdb.budget(ctx)
    assert world.server.all(PodDisruptionBudget) == []
    foreign.metadata.owner_references = []
    world.server.add(foreign)
    await pdb.budget(ctx)
    assert names(world.server.all(PodDisruptionBudget)) == ["basic-tikv-pdb"]
