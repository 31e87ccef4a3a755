"""The tasks by which a group finds out what there is, and its headless service; each alone."""

from __future__ import annotations

from typing import Any

import pytest

from controller_runtime.api.k8s import Service
from controller_runtime.client import Forbidden
from controller_runtime.task import Status, Task
from helpers.group_fakes import FakeCluster, names
from helpers.group_instances import make_tikv
from helpers.group_world import group_context, make_cluster, make_group, of_group
from tikv_operator.api import TiKVGroup
from tikv_operator.group.tasks import ctx as looks
from tikv_operator.group.tasks import state, svc
from tikv_operator.tikvgroup.controller import pipeline
from tikv_operator.tikvgroup.tasks.state import TiKVGroupContext


def context(*objects: Any, found: bool = True) -> TiKVGroupContext:
    world = FakeCluster()
    world.add(make_group(), *objects)
    ctx = group_context(world)
    if found:
        ctx.found = world.one(TiKVGroup, "basic")
    return ctx


def test_the_order_of_tasks_is_that_of_a_run_from_top_to_bottom() -> None:
    deletion = ["FinalizerDel", "CondReady", "CondSynced", "Status", "UpdateStatus"]
    no_cluster = ["CondSynced", "GroupStatusSelector", "Status", "UpdateStatus"]
    suspended = ["CondSuspended", "CondReady", "CondSynced", "GroupStatusSelector", "Status", "UpdateStatus"]
    assert [task.name for task in pipeline().tasks()] == [
        "ContextObject",
        "ContextSlice",
        "ContextCluster",
        *deletion,
        *no_cluster,
        "ClusterDeleting",
        "Paused",
        "Features",
        "FinalizerAdd",
        "ContextRevision",
        *suspended,
        "Service",
        "PodDisruptionBudget",
        "Updater",
        "Updater",
        "Annotations",
        "GroupStatusSelector",
        "CondSuspended",
        "CondReady",
        "CondSynced",
        "Status",
        "UpdateStatus",
        "RevisionHistory",
    ]


class TestContextObject:
    async def test_finds_the_group(self) -> None:
        ctx = context(found=False)
        assert (await looks.group(ctx)).status is Status.COMPLETE
        assert ctx.group.metadata.name == "basic"

    async def test_leaves_it_empty_if_there_is_none_and_forgets_its_names(self) -> None:
        ctx = group_context(FakeCluster())
        group = make_group()
        (first,) = [next(ctx.names.candidates(group))]
        ctx.names.observe(group, [first])
        assert (await looks.group(ctx)).status is Status.COMPLETE
        assert ctx.found is None
        assert next(ctx.names.candidates(group)) == first


class TestContextCluster:
    async def test_finds_the_cluster(self) -> None:
        ctx = context(make_cluster())
        assert (await looks.cluster(ctx)).status is Status.COMPLETE
        assert ctx.cluster is not None

    async def test_a_missing_cluster_is_waited_for_not_a_failure(self) -> None:
        ctx = context(make_cluster("other"))
        result = await looks.cluster(ctx)
        assert (result.status, result.message) == (Status.WAIT, "cluster tc does not exist")
        assert ctx.cluster is None


class TestContextSlice:
    async def test_finds_the_groups_own_instances_by_name(self) -> None:
        own = of_group(make_group(), make_tikv("basic-b"), make_tikv("basic-a"))
        others = [
            *of_group(make_group("other"), make_tikv("other-a")),
            *of_group(make_group(cluster={"name": "elsewhere"}), make_tikv("elsewhere-a")),
            make_tikv("nobodys-a"),
        ]
        ctx = context(*own, *others)
        assert (await looks.instances(ctx)).status is Status.COMPLETE
        assert names(ctx.instances) == ["basic-a", "basic-b"]

    async def test_names_that_are_taken_are_not_given_again(self) -> None:
        ctx = context(*of_group(make_group(), make_tikv("basic-000000")))
        await looks.instances(ctx)
        assert next(ctx.names.candidates(ctx.group)) == "basic-000001"


@pytest.mark.parametrize("task", [looks.group, looks.cluster, looks.instances], ids=lambda task: task.name)
async def test_an_error_of_the_api_server_fails_the_task(task: Task[Any]) -> None:
    ctx = context()

    async def refuse(*_: Any, **__: Any) -> Any:
        raise Forbidden("no", code=403)

    ctx.client.find = ctx.client.list = refuse  # type: ignore[method-assign]
    with pytest.raises(Forbidden):
        await task(ctx)


class TestWhyNothingIsDone:
    async def test_the_cluster_is_paused(self) -> None:
        ctx = context()
        result = await looks.paused(ctx)
        assert (result.status, result.message) == (Status.WAIT, "cluster tc is paused")

    async def test_the_cluster_is_being_deleted(self) -> None:
        ctx = context()
        result = await looks.deleting(ctx)
        message = "cluster tc is being deleted: wait until the group is, too"
        assert (result.status, result.message) == (Status.WAIT, message)

    async def test_its_features_are_not_copied_yet(self) -> None:
        ctx = context()
        result = await looks.features(ctx)
        message = "wait until the features of the cluster are copied to the group"
        assert (result.status, result.message) == (Status.WAIT, message)


VAC, FM = "VolumeAttributesClass", "FeatureModification"


@pytest.mark.parametrize(
    ("own", "cluster", "waits"),
    [
        pytest.param(None, None, False, id="none"),
        pytest.param([], None, False, id="an empty list and none"),
        pytest.param([VAC, FM], [VAC, FM], False, id="the same"),
        pytest.param(None, [VAC], True, id="not copied yet"),
        pytest.param([VAC], [], True, id="not taken away yet"),
        pytest.param([FM, VAC], [VAC, FM], True, id="in another order"),
    ],
)
def test_a_group_waits_for_its_clusters_features(own: list[str] | None, cluster: list[str] | None, waits: bool) -> None:
    ctx = context()
    ctx.found = make_group(features=own)
    gates = {} if cluster is None else {"featureGates": [{"name": name} for name in cluster]}
    ctx.cluster = make_cluster(spec=gates)
    assert state.features_are_not_copied(ctx) is waits


class TestService:
    async def test_is_applied_once(self) -> None:
        ctx = context()
        for _ in range(2):
            assert (await svc.service(ctx)).message == "service basic-tikv-peer"
        world: Any = ctx.client
        assert world.writes == ["apply Service basic-tikv-peer"]
        assert names(world.all(Service)) == ["basic-tikv-peer"]

    async def test_an_error_of_the_api_server_fails_the_task(self) -> None:
        ctx = context()
        world: Any = ctx.client

        def refuse(*_: Any) -> None:
            raise Forbidden("no", code=403)

        world.before_write = refuse
        with pytest.raises(Forbidden):
            await svc.service(ctx)
