"""What a group says about itself."""

from __future__ import annotations

from typing import Any

import pytest

from controller_runtime.api import Condition
from controller_runtime.client import Conflict, Forbidden, ServiceUnavailable
from controller_runtime.task import Status, fail
from helpers.group_fakes import FakeCluster, events_of
from helpers.group_instances import NEW, NOW, OLD, make_tikv
from helpers.group_world import group_context, make_cluster, make_group, of_group
from tikv_operator.api import TiKV, TiKVGroup
from tikv_operator.common.errors import SpecInvalid
from tikv_operator.group.build import Blueprint
from tikv_operator.group.tasks import status
from tikv_operator.group.tasks.state import AnyGroup, Revisions


def context(group: TiKVGroup, *instances: TiKV, suspend: bool = False, generation: int = 1) -> AnyGroup:
    world = FakeCluster()
    world.clock.seconds = NOW
    world.add(group)
    ctx = group_context(world)
    ctx.found = world.one(TiKVGroup, "basic")
    ctx.instances = list(of_group(group, *instances))
    action = {"suspendAction": {"suspendCompute": suspend}}
    ctx.cluster = make_cluster(metadata={"generation": generation}, spec=action)
    blueprint = Blueprint(revision=NEW, template=group.spec.template, features=())
    ctx.revisions = Revisions(update=blueprint, current=OLD, previous=blueprint, collision_count=0)
    return ctx


def condition(ctx: AnyGroup) -> tuple[str, str, str]:
    (found,) = ctx.status.conditions
    return found.status, found.reason, found.message


# Ready


@pytest.mark.parametrize(
    ("instances", "replicas", "expected"),
    [
        pytest.param([], 1, ("False", "NotAllInstancesReady", ": 1 to be created"), id="0 of 1"),
        pytest.param([], 0, ("True", "Ready", ""), id="0 of 0"),
        pytest.param(["a"], 0, ("False", "NotAllInstancesReady", ": 1 to be removed"), id="1 ready of 0"),
        pytest.param(["a", "b"], 2, ("True", "Ready", ""), id="2 ready of 2"),
        pytest.param(["a", "b?"], 2, ("False", "NotAllInstancesReady", ": b (NotReady)"), id="1 of 2 is not"),
        pytest.param(["a", "b"], 3, ("False", "NotAllInstancesReady", ": 1 to be created"), id="2 ready of 3"),
    ],
)
async def test_ready_means_as_many_as_wanted_and_all_of_them(
    instances: list[str], replicas: int, expected: tuple[str, str, str]
) -> None:
    found = [make_tikv(name.rstrip("?"), ready=not name.endswith("?")) for name in instances]
    ctx = context(make_group(replicas=replicas), *found)
    await status.ready(ctx)
    text = "all subreources are ready" if expected[0] == "True" else "not all instances are ready"
    assert condition(ctx) == (expected[0], expected[1], text + expected[2])


async def test_the_message_names_each_instance_with_its_reason() -> None:
    unknown, stale = make_tikv("b", ready=None), make_tikv("c", generation=2, observed=1)
    leaving = make_tikv("d", offline=True)
    assert leaving.status is not None
    leaving.status.conditions.append(Condition(type="Offlined", status="False", reason="Processing"))
    ctx = context(make_group(replicas=3), make_tikv("a", ready=False), unknown, stale, leaving)
    await status.ready(ctx)
    assert condition(ctx)[2] == (
        "not all instances are ready: a (NotReady), b (not reported yet), c (changed, not reported yet), "
        "d (leaving: Processing)"
    )


async def test_an_instance_that_leaves_counts_once_and_so_does_one_that_is_too_many() -> None:
    ctx = context(make_group(replicas=1), make_tikv("a"), make_tikv("b", ready=False, offline=True), make_tikv("c"))
    await status.ready(ctx)
    assert condition(ctx)[2] == "not all instances are ready: b (leaving), 1 to be removed"


async def test_of_many_instances_only_some_are_named() -> None:
    ctx = context(make_group(replicas=8), *(make_tikv(f"i{number}", ready=False) for number in range(8)))
    await status.ready(ctx)
    assert condition(ctx)[2].endswith("i4 (NotReady) and 3 more")


@pytest.mark.parametrize(
    ("synced", "told"),
    [
        pytest.param("True", ["Normal Ready all subreources are ready"], id="after trouble"),
        pytest.param("False", [], id="not between the steps of an update, whose end is told"),
    ],
)
async def test_becoming_ready_is_told_once(synced: str, told: list[str]) -> None:
    ctx = context(make_group(replicas=1), make_tikv("a", ready=False))
    ctx.status.conditions.append(Condition(type="Synced", status=synced))
    await status.ready(ctx)
    ctx.instances = [make_tikv("a")]
    await status.ready(ctx)
    await status.ready(ctx)
    assert events_of(ctx) == told


# Synced


async def test_synced_means_that_all_have_come_to_the_update_revision() -> None:
    ctx = context(make_group(replicas=2), make_tikv("a"), make_tikv("b"))
    await status.synced(ctx)
    assert condition(ctx) == ("True", "Synced", "all subreources are synced")


async def test_an_instance_at_another_revision_is_named() -> None:
    ctx = context(make_group(replicas=2), make_tikv("a"), make_tikv("b", revision=OLD))
    await status.synced(ctx)
    assert condition(ctx) == (
        "False",
        "NotAllInstancesUpToDate",
        "not all instances are up to date: b (not reported yet)",
    )


async def test_what_is_waited_for_takes_the_place_of_the_names_and_is_warned_of_once() -> None:
    ctx = context(make_group(replicas=1), make_tikv("a", revision=OLD))
    ctx.waiting_for = "upgrade to v8.1.0 waits: PDGroup/pd is not healthy and up to date"
    await status.synced(ctx)
    await status.synced(ctx)
    message = f"not all instances are up to date: {ctx.waiting_for}"
    assert condition(ctx) == ("False", "NotAllInstancesUpToDate", message)
    assert events_of(ctx) == [f"Warning UpgradeHeldBack {message}"]


async def test_a_missing_cluster_is_said_and_warned_of() -> None:
    ctx = context(make_group())
    result = await status.cluster_missing(ctx)
    await status.cluster_missing(ctx)
    assert (result.status, result.message) == (Status.WAIT, "wait until cluster tc exists")
    assert condition(ctx) == ("False", "ClusterNotFound", "cluster tc does not exist")
    assert events_of(ctx) == ["Warning ClusterNotFound cluster tc does not exist"]


# Suspended


def suspended_instance(name: str, generation: int) -> TiKV:
    instance = make_tikv(name)
    assert instance.status is not None
    instance.status.observed_cluster_generation = generation
    instance.status.conditions.append(Condition(type="Suspended", status="True", observed_generation=1))
    return instance


@pytest.mark.parametrize(
    ("suspend", "instances", "expected"),
    [
        pytest.param(False, ["a"], ("False", "Unsuspended", "group/instance is unsuspended"), id="not asked for"),
        pytest.param(True, [], ("True", "Suspended", "group/instance is suspended"), id="no instances"),
        pytest.param(True, ["b"], ("True", "Suspended", "group/instance is suspended"), id="all are"),
        pytest.param(True, ["a", "b"], ("False", "Suspending", "group/instance is suspending: a"), id="one is not yet"),
    ],
)
async def test_suspended_means_under_the_clusters_current_generation(
    suspend: bool, instances: list[str], expected: tuple[str, str, str]
) -> None:
    # "a" was suspended under an older generation of the Cluster.
    found = [suspended_instance(name, 10 if name == "a" else 11) for name in instances]
    ctx = context(make_group(), *found, suspend=suspend, generation=11)
    await status.suspended(ctx)
    assert condition(ctx) == expected
    assert ctx.status.observed_cluster_generation == 11


# Counts


@pytest.mark.parametrize(
    ("instances", "replicas", "expected"),
    [
        # instances: revision of each, with a ? if it isn't ready
        # expected: replicas, ready, updated, current, update and current revision
        pytest.param([], 1, (0, 0, 0, 0, NEW, OLD), id="0 of 1"),
        pytest.param([], 0, (0, 0, 0, 0, NEW, NEW), id="0 of 0"),
        pytest.param([NEW, NEW], 1, (2, 2, 2, 0, NEW, OLD), id="2 updated of 1"),
        pytest.param([NEW, NEW], 2, (2, 2, 2, 2, NEW, NEW), id="2 updated of 2"),
        pytest.param([NEW, OLD], 2, (2, 2, 1, 1, NEW, OLD), id="1 updated of 2"),
        pytest.param([f"{NEW}?", f"{NEW}?"], 2, (2, 0, 2, 2, NEW, NEW), id="2 updated of 2, none ready"),
    ],
)
async def test_counts(instances: list[str], replicas: int, expected: tuple[Any, ...]) -> None:
    found = [
        make_tikv(f"i{number}", revision=revision.rstrip("?"), ready=not revision.endswith("?"))
        for number, revision in enumerate(instances)
    ]
    ctx = context(make_group(replicas=replicas), *found)
    await status.replicas(ctx)
    said = ctx.status
    assert (
        said.replicas,
        said.ready_replicas,
        said.updated_replicas,
        said.current_replicas,
        said.update_revision,
        said.current_revision,
    ) == expected
    assert said.version == ("v8.1.0" if expected[5] == NEW else None)
    assert said.collision_count is None


async def test_a_collision_is_remembered() -> None:
    ctx = context(make_group())
    assert ctx.revisions is not None
    ctx.revisions = Revisions(update=ctx.revisions.update, current=OLD, previous=None, collision_count=2)
    await status.replicas(ctx)
    assert ctx.status.collision_count == 2


async def test_while_the_group_is_deleted_the_last_revisions_are_counted() -> None:
    reached = {"updateRevision": NEW, "currentRevision": OLD, "version": "v8.0.0"}
    ctx = context(make_group(status=reached), make_tikv("a"), make_tikv("b", revision=OLD, deleting=True))
    ctx.revisions = None
    await status.replicas(ctx)
    said = ctx.status
    assert (said.replicas, said.updated_replicas, said.current_replicas) == (2, 1, 1)
    assert (said.update_revision, said.current_revision, said.version) == (NEW, OLD, "v8.0.0")


async def test_the_selector_is_sorted_by_key() -> None:
    ctx = context(make_group())
    await status.selected(ctx)
    assert ctx.status.selector == (
        "pingcap.com/cluster=tc,pingcap.com/component=tikv,pingcap.com/group=basic,pingcap.com/managed-by=tidb-operator"
    )


# Writing


async def test_a_status_is_written_if_it_changed_and_only_then() -> None:
    world = FakeCluster()
    world.add(make_group())
    ctx = group_context(world)
    ctx.found = world.one(TiKVGroup, "basic")
    assert (await status.write(ctx)).message == "updated"
    assert world.one(TiKVGroup, "basic").status == ctx.status
    assert (await status.write(ctx)).message == "unchanged"
    assert world.writes == ["update-status TiKVGroup basic"]


async def test_a_status_that_somebody_else_changed_is_not_overwritten() -> None:
    world = FakeCluster()
    world.add(make_group())
    ctx = group_context(world)
    ctx.found = world.one(TiKVGroup, "basic")
    world.change(world.one(TiKVGroup, "basic"))
    with pytest.raises(Conflict):
        await status.write(ctx)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        pytest.param(SpecInvalid("a topology is empty"), True, id="a spec that can't be carried out"),
        pytest.param(Forbidden("no", code=403), True, id="a refusal"),
        pytest.param(Conflict("changed", code=409), False, id="a conflict"),
        pytest.param(ServiceUnavailable("later", code=503), False, id="an API server that is away"),
        pytest.param(
            ValueError("a value that nobody thought of"), True, id="a bug: nothing goes on, so somebody must know"
        ),
    ],
)
async def test_a_failure_that_needs_somebody_is_said(error: Exception, said: bool) -> None:
    world = FakeCluster()
    world.add(make_group())
    ctx = group_context(world)
    ctx.found = world.one(TiKVGroup, "basic")
    for _ in range(2):
        ctx.found = world.one(TiKVGroup, "basic")
        await status.failure(ctx, "Updater", fail(str(error), error))
    stored = world.one(TiKVGroup, "basic").status
    if not said:
        assert stored is None
        assert events_of(ctx) == []
        return
    assert stored is not None
    (found,) = stored.conditions
    assert (found.status, found.reason, found.message) == ("False", "ReconcileFailed", f"Updater: {error}")
    assert events_of(ctx) == [f"Warning ReconcileFailed Updater: {error}"]
    assert world.writes == ["update-status TiKVGroup basic"]


async def test_a_failure_without_a_group_says_nothing() -> None:
    await status.failure(group_context(FakeCluster()), "ContextObject", fail("x", Forbidden("x", code=403)))
