"""The updater task: plans carried out against an API server."""

from __future__ import annotations

from typing import Any

import pytest

from controller_runtime.client import Conflict, Forbidden, ServiceUnavailable
from controller_runtime.task import Result, Status
from helpers.group_fakes import FakeCluster, FakeEvents, names
from helpers.group_instances import NEW, NOW, OLD, make_tikv
from helpers.group_world import group_context, make_cluster, make_group, make_pd_group, of_group
from tikv_operator.api import TiKV, TiKVGroup
from tikv_operator.group.allocation import NameAllocator
from tikv_operator.group.build import Blueprint
from tikv_operator.group.tasks.state import Revisions
from tikv_operator.tikvgroup.tasks import updater
from tikv_operator.tikvgroup.tasks.state import TiKVGroupContext


def context(world: FakeCluster, group: TiKVGroup, *instances: TiKV, cluster: Any = None) -> TiKVGroupContext:
    """Return a context as it is when the updater's turn comes; the clock says the instances' NOW."""
    world.clock.seconds = NOW
    world.add(group, *of_group(group, *instances))
    ctx = group_context(world)
    ctx.found = world.one(TiKVGroup, "basic")
    ctx.instances = world.all(TiKV)
    ctx.names.observe(ctx.group, names(ctx.instances))
    ctx.cluster = cluster or make_cluster()
    update = Blueprint(revision=NEW, template=group.spec.template, features=())
    old = make_group(template={"version": "v8.0.0"}).spec.template
    ctx.revisions = Revisions(
        update=update, current=OLD, previous=Blueprint(revision=OLD, template=old, features=()), collision_count=0
    )
    return ctx


def events(ctx: TiKVGroupContext) -> list[str]:
    assert isinstance(ctx.events, FakeEvents)
    return ctx.events.seen


ZONES = [{"zone": zone} for zone in "abc"]
SPREAD = {"type": "EvenlySpread", "evenlySpread": {"topologies": [{"topology": zone} for zone in ZONES]}}


class TestCases:
    """The table of TiDB Operator's own tests: what there is, what is wanted, and what becomes of it."""

    @pytest.mark.parametrize(
        ("instances", "replicas", "policies", "status", "exist"),
        [
            pytest.param([], 1, [], Status.WAIT, 1, id="none of 1"),
            pytest.param([NEW], 1, [], Status.COMPLETE, 1, id="1 updated of 1"),
            pytest.param([], 2, [], Status.WAIT, 2, id="none of 2"),
            pytest.param([OLD], 2, [], Status.WAIT, 2, id="1 outdated of 2"),
            pytest.param([NEW, NEW], 2, [], Status.COMPLETE, 2, id="2 updated of 2"),
            pytest.param([], 3, [SPREAD], Status.WAIT, 3, id="none of 3, three topologies"),
        ],
    )
    async def test_a_case(
        self, instances: list[str], replicas: int, policies: list[Any], status: Status, exist: int
    ) -> None:
        world = FakeCluster()
        found = [make_tikv(f"basic-{number}", revision=revision) for number, revision in enumerate(instances)]
        ctx = context(world, make_group(replicas=replicas, schedulePolicies=policies), *found)
        assert (await updater.update(ctx)).status is status
        assert len(world.all(TiKV)) == exist

    async def test_version_differs_and_pd_is_old(self) -> None:
        held = HeldBack(1, make_tikv("basic-a", revision=OLD))
        assert (await held.update()).status is Status.RETRY

    @pytest.mark.parametrize(
        ("instances", "fails"),
        [pytest.param([], True, id="something to write"), pytest.param([NEW, NEW], False, id="nothing to write")],
    )
    async def test_the_api_server_refuses_all_writes(self, instances: list[str], fails: bool) -> None:
        world = FakeCluster()
        found = [make_tikv(f"basic-{number}", revision=revision) for number, revision in enumerate(instances)]
        ctx = context(world, make_group(replicas=2), *found)

        def refuse(*_: Any) -> None:
            raise Forbidden("no", code=403)

        world.before_write = refuse
        if fails:
            with pytest.raises(Forbidden):
                await updater.update(ctx)
        else:
            assert (await updater.update(ctx)).status is Status.COMPLETE


async def test_missing_instances_are_created_and_waited_for() -> None:
    world = FakeCluster()
    ctx = context(world, make_group(replicas=2))
    result = await updater.update(ctx)
    assert result.status is Status.WAIT
    assert result.message == "wait for all instances ready: 2 to be created"
    assert world.writes == ["apply TiKV basic-000000", "apply TiKV basic-000001"]
    assert events(ctx) == [
        f"Normal Created basic-000000, basic-000001 at revision {NEW}",
    ]


async def test_a_name_that_a_tikv_of_anybody_has_is_passed_over() -> None:
    world = FakeCluster()
    world.add(make_tikv("basic-000000"))
    ctx = context(world, make_group(replicas=1))
    ctx.instances = []
    await updater.update(ctx)
    assert world.writes == ["apply TiKV basic-000001"]


async def test_an_instance_whose_creation_is_not_seen_yet_is_not_created_twice() -> None:
    world = FakeCluster()
    await updater.update(context(world, make_group(replicas=2)))

    async def nothing_seen(kind: Any, key: Any) -> None:
        """The cache of another process, which has seen neither of the two."""

    world.find = nothing_seen  # type: ignore[method-assign]
    ctx = context(world, make_group(replicas=2))
    ctx.instances, ctx.names = [], NameAllocator(lambda uid, generation, number: f"{number:06}")
    await updater.update(ctx)
    assert names(world.all(TiKV)) == ["basic-000000", "basic-000001"]


async def test_a_settled_group_costs_no_write() -> None:
    world = FakeCluster()
    result = await updater.update(context(world, make_group(replicas=2), make_tikv("basic-a"), make_tikv("basic-b")))
    assert (result.status, result.message) == (Status.COMPLETE, "all instances are synced")
    assert world.writes == []


async def test_an_outdated_instance_is_moved_and_keeps_what_is_its_own() -> None:
    world = FakeCluster()
    outdated = make_tikv("basic-a", revision=OLD, topology={"zone": "a"})
    outdated.spec.subdomain = "tc-cluster"
    ctx = context(world, make_group(replicas=1, template={"config": "a = 1"}), outdated)
    result = await updater.update(ctx)
    moved = world.one(TiKV, "basic-a")
    assert result.status is Status.WAIT
    assert moved.metadata.labels["pingcap.com/instance-revision-hash"] == NEW
    assert (moved.spec.topology, moved.spec.subdomain, moved.spec.config) == ({"zone": "a"}, "tc-cluster", "a = 1")
    assert events(ctx) == [f"Normal Updating basic-a to revision {NEW}"]


async def test_the_beginning_of_an_update_is_told_once_and_each_instance_tells_the_rest() -> None:
    old = [make_tikv(name, revision=OLD) for name in ("basic-a", "basic-b")]
    first = context(FakeCluster(), make_group(replicas=2), *old)
    await updater.update(first)
    assert events(first) == [f"Normal Updating basic-a to revision {NEW}, the others follow"]
    world = FakeCluster()
    second = context(world, make_group(replicas=2), make_tikv("basic-a"), old[1])
    await updater.update(second)
    assert world.writes == ["apply TiKV basic-b"]
    assert events(second) == []


async def test_an_instance_that_changed_since_it_was_read_is_not_overwritten() -> None:
    world = FakeCluster()
    ctx = context(world, make_group(replicas=1), make_tikv("basic-a", revision=OLD))
    world.change(world.one(TiKV, "basic-a"))
    with pytest.raises(Conflict):
        await updater.update(ctx)


async def test_scaling_in_sets_instances_offline_in_one_request_each() -> None:
    world = FakeCluster()
    ctx = context(world, make_group(replicas=1), make_tikv("basic-a"), make_tikv("basic-b"))
    result = await updater.update(ctx)
    assert result.status is Status.COMPLETE
    assert world.writes == ["patch TiKV basic-a"]
    assert world.one(TiKV, "basic-a").spec.offline is True
    assert events(ctx) == ["Normal GoingOffline basic-a leaving the cluster"]


async def test_a_removal_is_taken_back_by_applying_the_instance() -> None:
    world = FakeCluster()
    ctx = context(world, make_group(replicas=1), make_tikv("basic-a", revision=OLD, offline=True))
    await updater.update(ctx)
    back = world.one(TiKV, "basic-a")
    assert back.spec.offline is False
    assert back.metadata.labels["pingcap.com/instance-revision-hash"] == NEW
    assert events(ctx) == ["Normal OfflineCanceled basic-a staying in the cluster"]


async def test_an_outdated_surplus_is_only_marked() -> None:
    world = FakeCluster()
    ctx = context(world, make_group(replicas=1), make_tikv("basic-a", revision=OLD), make_tikv("basic-b", revision=OLD))
    await updater.update(ctx)
    assert world.writes == ["patch TiKV basic-a", "apply TiKV basic-b"]
    assert world.one(TiKV, "basic-a").metadata.annotations["core.pingcap.com/defer-delete"] == "true"
    assert world.one(TiKV, "basic-a").spec.offline is None


async def test_the_mark_goes_when_the_instance_does() -> None:
    world = FakeCluster()
    ctx = context(world, make_group(replicas=1), make_tikv("basic-a"), make_tikv("basic-b", deferred="true"))
    await updater.update(ctx)
    leaving = world.one(TiKV, "basic-b")
    assert leaving.spec.offline is True
    assert "core.pingcap.com/defer-delete" not in leaving.metadata.annotations


async def test_an_instance_whose_store_has_left_is_deleted_by_its_own_controller() -> None:
    world = FakeCluster()
    ctx = context(world, make_group(replicas=0), make_tikv("basic-a", offline=True, offlined=True))
    assert (await updater.update(ctx)).status is Status.COMPLETE
    assert world.writes == []
    assert events(ctx) == []


def offlined_before_its_last_change() -> TiKV:
    """What its own controller doesn't delete: the condition is of an older generation."""
    return make_tikv("basic-a", offline=True, offlined=True, generation=2, observed=1)


async def test_an_instance_without_a_store_is_deleted_if_it_is_still_the_same() -> None:
    world = FakeCluster()
    ctx = context(world, make_group(replicas=0), offlined_before_its_last_change())
    await updater.update(ctx)
    assert world.writes == ["delete TiKV basic-a"]
    assert world.all(TiKV) == []

    world = FakeCluster()
    ctx = context(world, make_group(replicas=0), offlined_before_its_last_change())
    world.change(world.one(TiKV, "basic-a"))
    with pytest.raises(Conflict):
        await updater.update(ctx)


async def test_an_instance_that_was_deleted_first_by_somebody_else_is_no_error() -> None:
    world = FakeCluster()
    ctx = context(world, make_group(replicas=0), offlined_before_its_last_change())
    world.remove(ctx.instances[0])
    assert (await updater.update(ctx)).status is Status.COMPLETE
    assert events(ctx) == []


async def test_the_first_action_that_fails_is_the_last() -> None:
    world = FakeCluster()
    ctx = context(world, make_group(replicas=3))

    def fail_second(verb: str, kind: str, key: Any) -> None:
        if len(world.writes) == 2:
            raise ServiceUnavailable("later", code=503)

    world.before_write = fail_second
    with pytest.raises(ServiceUnavailable):
        await updater.update(ctx)
    assert names(world.all(TiKV)) == ["basic-000000"]


async def test_new_instances_are_spread() -> None:
    world = FakeCluster()
    await updater.update(context(world, make_group(replicas=3, schedulePolicies=[SPREAD])))
    assert [instance.spec.topology for instance in world.all(TiKV)] == ZONES


@pytest.mark.parametrize(
    ("ready_for", "spec", "after"),
    [
        pytest.param(3, {}, 2, id="the default minimum"),
        pytest.param(3, {"minReadySeconds": 10}, 7, id="the group's minimum"),
    ],
)
async def test_the_rest_of_the_minimum_is_waited_for(ready_for: float, spec: dict[str, Any], after: float) -> None:
    world = FakeCluster()
    ctx = context(world, make_group(replicas=1, **spec), make_tikv("basic-a", ready_for=ready_for))
    result = await updater.update(ctx)
    assert result.status is Status.RETRY
    assert result.after == pytest.approx(after, abs=0.01)
    assert "basic-a (ready for less than" in result.message


async def test_a_minimum_of_zero_waits_for_nothing() -> None:
    ctx = context(FakeCluster(), make_group(replicas=1, minReadySeconds=0), make_tikv("basic-a", ready_for=0))
    assert (await updater.update(ctx)).status is Status.COMPLETE


class HeldBack:
    """An upgrade from v8.0.0 to v8.1.0 while PD is at v8.0.0."""

    def __init__(self, replicas: int, *instances: TiKV, cluster: Any = None) -> None:
        self.world = FakeCluster()
        self.world.add(make_pd_group(version="v8.1.0", reached="v8.0.0"))
        group = make_group(replicas=replicas, status={"version": "v8.0.0", "currentRevision": OLD})
        self.ctx = context(self.world, group, *instances, cluster=cluster)

    async def update(self) -> Result:
        return await updater.update(self.ctx)


async def test_an_upgrade_waits_for_pd_and_says_so() -> None:
    held = HeldBack(2, make_tikv("basic-a", revision=OLD), make_tikv("basic-b", revision=OLD))
    result = await held.update()
    assert result.status is Status.RETRY
    assert result.after == held.ctx.settings.upgrade_check
    assert result.message == "upgrade to v8.1.0 waits: PDGroup/pd is at version v8.0.0, not at v8.1.0"
    assert held.ctx.waiting_for == result.message
    assert held.world.writes == []


async def test_without_constraints_it_does_not_wait() -> None:
    cluster = make_cluster(spec={"upgradePolicy": "NoConstraints"})
    held = HeldBack(1, make_tikv("basic-a", revision=OLD), cluster=cluster)
    assert (await held.update()).status is Status.WAIT
    assert held.world.writes == ["apply TiKV basic-a"]


async def test_an_upgrade_that_waits_keeps_nobody_from_scaling_out_at_the_old_version() -> None:
    held = HeldBack(2, make_tikv("basic-a", revision=OLD))
    await held.update()
    assert held.world.writes == ["apply TiKV basic-000000"]
    made = held.world.one(TiKV, "basic-000000")
    assert made.spec.version == "v8.0.0"
    assert made.metadata.labels["pingcap.com/instance-revision-hash"] == OLD


async def test_nor_from_scaling_in() -> None:
    held = HeldBack(1, make_tikv("basic-a", revision=OLD), make_tikv("basic-b", revision=OLD))
    await held.update()
    assert held.world.one(TiKV, "basic-a").spec.offline is True


async def test_nor_from_taking_a_removal_back_as_the_instance_is() -> None:
    held = HeldBack(1, make_tikv("basic-a", revision=OLD, offline=True))
    await held.update()
    back = held.world.one(TiKV, "basic-a")
    assert back.spec.offline is False
    assert back.metadata.labels["pingcap.com/instance-revision-hash"] == OLD


async def test_if_the_old_revision_is_unknown_creating_waits_too() -> None:
    held = HeldBack(2, make_tikv("basic-a", revision=OLD))
    assert held.ctx.revisions is not None
    held.ctx.revisions = Revisions(update=held.ctx.revisions.update, current=OLD, previous=None, collision_count=0)
    result = await held.update()
    assert held.world.writes == []
    assert "no instance can be created before" in result.message


async def test_what_the_api_server_refuses_is_raised() -> None:
    world = FakeCluster()
    ctx = context(world, make_group(replicas=1))

    def refuse(*_: Any) -> None:
        raise Forbidden("quota", code=403)

    world.before_write = refuse
    with pytest.raises(Forbidden):
        await updater.update(ctx)
