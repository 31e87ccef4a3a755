"""Both controllers at work: a group's whole life, event by event, on an API server in virtual time."""

from __future__ import annotations

import asyncio

from controller_runtime.api.k8s import ControllerRevision, Service
from helpers.group_system import CLUSTER, GROUP, GroupSystem, group_system
from helpers.group_world import make_cluster, make_group, make_pd_group
from tikv_operator.api import Cluster, PDGroup, TiKV, TiKVGroup
from tikv_operator.common.keys import LABEL_INSTANCE_REVISION


async def start(system: GroupSystem, replicas: int = 3, **cluster: object) -> None:
    await system.create(make_cluster(**cluster), make_pd_group(), make_group(replicas=replicas))
    await asyncio.sleep(1)
    await system.settle(rounds=2)


async def test_a_group_is_created_and_says_when_it_is_ready() -> None:
    async with group_system() as system:
        await system.create(make_cluster(), make_pd_group(), make_group())
        await asyncio.sleep(1)
        group = await system.group()
        assert len(await system.instances()) == 3
        assert system.said(group, "Ready")[0] == "False"
        await system.settle(rounds=2)
        group = await system.group()
        assert group.status is not None
        assert system.said(group, "Ready") == ("True", "all subreources are ready")
        assert system.said(group, "Synced") == ("True", "all subreources are synced")
        assert group.status.version == "v8.1.0"
        assert group.status.replicas == group.status.ready_replicas == group.status.current_replicas == 3
        assert [service.metadata.name for service in await system.user.list(Service, namespace="ns1")] == [
            "basic-tikv-peer"
        ]


async def test_a_settled_group_writes_nothing() -> None:
    async with group_system() as system:
        await start(system)
        before = [found.metadata.resource_version for found in (await system.group(), *(await system.instances()))]
        await asyncio.sleep(3600)
        after = [found.metadata.resource_version for found in (await system.group(), *(await system.instances()))]
        assert before == after


async def test_scaling_out_and_in_leaves_the_others_alone() -> None:
    async with group_system() as system:
        await start(system)
        first = await system.names()
        await system.scale(5)
        await asyncio.sleep(1)
        assert len(await system.names()) == 5
        assert await system.names() > first
        await system.settle(rounds=2)
        await system.scale(3)
        await asyncio.sleep(1)
        assert sum(bool(instance.spec.offline) for instance in await system.instances()) == 2
        await system.settle(rounds=4)
        assert len(await system.names()) == 3
        assert system.said(await system.group(), "Ready")[0] == "True"


async def test_a_scale_in_that_is_taken_back_creates_nothing_new() -> None:
    async with group_system() as system:
        await start(system)
        first = await system.names()
        await system.scale(1)
        await asyncio.sleep(1)
        await system.scale(3)
        await asyncio.sleep(1)
        await system.settle(rounds=3)
        assert await system.names() == first
        assert not any(instance.spec.offline for instance in await system.instances())


async def test_a_rolling_update_moves_one_instance_after_the_other() -> None:
    async with group_system() as system:
        await start(system)
        names = await system.names()
        await system.edit(TiKVGroup, GROUP, {"spec": {"template": {"spec": {"config": "a = 1"}}}})
        await asyncio.sleep(1)
        seen = []
        for _ in range(5):
            revision = (await system.group()).status
            assert revision is not None
            seen.append(
                sum(
                    instance.metadata.labels[LABEL_INSTANCE_REVISION] == revision.update_revision
                    for instance in await system.instances()
                )
            )
            await system.settle()
        assert seen == [1, 2, 3, 3, 3]
        assert await system.names() == names
        assert system.said(await system.group(), "Synced")[0] == "True"


async def test_between_two_instances_the_minimum_time_is_waited_and_no_longer() -> None:
    async with group_system() as system:
        await start(system)
        await system.edit(
            TiKVGroup, GROUP, {"spec": {"minReadySeconds": 20, "template": {"spec": {"config": "a = 1"}}}}
        )
        await asyncio.sleep(1)
        await system.settle(seconds=19)
        assert sum(bool(instance.spec.config) for instance in await system.instances()) == 1
        await asyncio.sleep(2)
        assert sum(bool(instance.spec.config) for instance in await system.instances()) == 2


async def test_an_upgrade_waits_for_pd_and_goes_on_by_itself_as_soon_as_pd_is_there() -> None:
    async with group_system() as system:
        system.pd_version = "v8.1.0"
        await start(system)
        await system.edit(TiKVGroup, GROUP, {"spec": {"template": {"spec": {"version": "v8.5.0"}}}})
        await asyncio.sleep(1)
        assert {instance.spec.version for instance in await system.instances()} == {"v8.1.0"}
        assert system.said(await system.group(), "Synced")[1] == (
            "not all instances are up to date: upgrade to v8.5.0 waits: PDGroup/pd is at version v8.1.0, not at v8.5.0"
        )
        await system.scale(4)
        await asyncio.sleep(1)
        assert [instance.spec.version for instance in await system.instances()] == ["v8.1.0"] * 4
        await system.settle()
        system.pd_version = "v8.5.0"
        await system.settle(seconds=1)
        assert [instance.spec.version for instance in await system.instances()].count("v8.5.0") == 1
        await system.settle(rounds=5)
        group = await system.group()
        assert group.status is not None
        assert group.status.version == "v8.5.0"


async def test_features_reach_the_group_before_anything_is_made_from_them() -> None:
    async with group_system() as system:
        gates = [{"name": "UseTiKVReadyAPI"}, {"name": "ClusterSubdomain"}]
        await system.create(make_group(replicas=1))
        await asyncio.sleep(1)
        assert await system.instances() == []
        await system.create(make_cluster(spec={"featureGates": gates}))
        await asyncio.sleep(1)
        (instance,) = await system.instances()
        assert instance.spec.features == ["UseTiKVReadyAPI", "ClusterSubdomain"]
        assert instance.spec.subdomain == "tc-cluster"


async def test_a_group_without_a_cluster_says_so_and_can_be_deleted() -> None:
    async with group_system() as system:
        await system.create(make_group())
        await asyncio.sleep(1)
        assert system.said(await system.group(), "Synced") == ("False", "cluster tc does not exist")
        await system.user.delete(TiKVGroup, GROUP)
        await asyncio.sleep(1)
        assert await system.user.list(TiKVGroup) == []


async def test_a_paused_cluster_stops_everything_but_deletion() -> None:
    async with group_system() as system:
        await start(system)
        await system.edit(Cluster, CLUSTER, {"spec": {"paused": True}})
        await asyncio.sleep(1)
        await system.scale(5)
        await asyncio.sleep(60)
        assert len(await system.instances()) == 3
        await system.user.delete(TiKVGroup, GROUP)
        await asyncio.sleep(1)
        await system.settle(rounds=2)
        assert await system.user.list(TiKVGroup) == []


async def test_suspending_changes_no_instance_and_is_said() -> None:
    async with group_system() as system:
        await start(system)
        await system.edit(Cluster, CLUSTER, {"spec": {"suspendAction": {"suspendCompute": True}}})
        await asyncio.sleep(1)
        group = await system.group()
        assert system.said(group, "Suspended")[0] == "False"
        assert system.said(group, "Synced")[0] == "True"
        await system.edit(Cluster, CLUSTER, {"spec": {"suspendAction": None}})
        await asyncio.sleep(1)
        assert system.said(await system.group(), "Suspended") == ("False", "group/instance is unsuspended")


async def test_deleting_a_cluster_deletes_everything_without_polling() -> None:
    async with group_system() as system:
        await start(system)
        await system.user.delete(Cluster, CLUSTER)
        await asyncio.sleep(1)
        (group,) = await system.user.list(TiKVGroup)
        assert group.metadata.deletion_timestamp is not None
        await system.settle(seconds=1)
        for kind in (Cluster, TiKVGroup, PDGroup, TiKV, Service, ControllerRevision):
            assert await system.user.list(kind, namespace="ns1") == [], kind


async def test_a_service_that_somebody_deleted_comes_back() -> None:
    async with group_system() as system:
        await start(system)
        (service,) = await system.user.list(Service, namespace="ns1")
        await system.user.delete(Service, service.key)
        await asyncio.sleep(1)
        assert len(await system.user.list(Service, namespace="ns1")) == 1


async def test_old_revisions_go_beyond_the_limit_of_the_cluster() -> None:
    async with group_system() as system:
        await start(system, replicas=1, spec={"revisionHistoryLimit": 2})
        for number in range(5):
            await system.edit(TiKVGroup, GROUP, {"spec": {"template": {"spec": {"config": f"a = {number}"}}}})
            await system.settle(rounds=2)
        revisions = await system.user.list(ControllerRevision, namespace="ns1")
        assert sorted(revision.revision for revision in revisions) == [4, 5, 6]


async def test_a_cluster_knows_where_its_pd_is_and_what_it_consists_of() -> None:
    async with group_system() as system:
        await start(system)
        cluster = await system.user.get(Cluster, CLUSTER)
        assert cluster.status is not None
        assert cluster.status.pd == "http://pd-pd.ns1:2379"
        assert cluster.status.id == ""
        assert [(part.kind, part.replicas) for part in cluster.status.components or ()] == [("PD", 3), ("TiKV", 3)]


async def test_what_the_api_server_refuses_is_said_on_the_group() -> None:
    async with group_system() as system:
        await start(system)
        # The template passes the group's schema, but a TiKV's labels are stricter than a template's.
        await system.edit(TiKVGroup, GROUP, {"spec": {"template": {"metadata": {"labels": {"a": "not a label!"}}}}})
        await asyncio.sleep(1)
        status, message = system.said(await system.group(), "Synced")
        assert status == "False"
        assert message.startswith("Updater: ")
        assert "not a label!" in message
