"""The simulated world around an embedded API server, in virtual time: what an operator will find."""

from __future__ import annotations

import asyncio

from controller_runtime.api import ObjectKey
from controller_runtime.api.k8s import (
    EndpointSlice,
    Node,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    Service,
    StorageClass,
)
from controller_runtime.client import Request, merge_patch
from helpers.simulated_world import FlakyTransport, simulated_world, tikv_config, tikv_pod
from tikv_operator.api import Cluster, PDGroup
from tikv_operator.simulation import PDOutage, SimulationSettings

TC = ObjectKey("ns1", "tc")


async def test_there_are_nodes_in_zones_and_a_default_storage_class() -> None:
    async with simulated_world(SimulationSettings(nodes=4, zones=("x", "y"))) as world:
        nodes = await world.client.list(Node)
        assert [node.metadata.labels["topology.kubernetes.io/zone"] for node in nodes] == ["x", "y", "x", "y"]
        assert all(node.status and node.status.conditions for node in nodes)
        (default,) = await world.client.list(StorageClass)
        assert default.metadata.annotations["storageclass.kubernetes.io/is-default-class"] == "true"
        assert default.allow_volume_expansion is True


async def test_a_pdgroup_becomes_ready_and_pd_answers_through_the_service_proxy() -> None:
    async with simulated_world() as world:
        await world.create_cluster(replicas=3)
        pd = world.simulation.pd(TC)
        assert pd is not None
        await world.until(lambda: len(pd.members.running) == 3)
        name = pd.members.all()[2].name
        path = "/api/v1/namespaces/ns1/services/tc-p-pd:client/proxy/pd/api/v1/members"
        answer = await world.cluster.transport.request(Request(method="GET", path=path))
        assert answer.status == 200
        assert name.encode() in answer.body

        async def settled() -> bool:
            group = await world.client.get(PDGroup, ObjectKey("ns1", "tc-p"))
            return bool(group.spec.bootstrapped and group.status and group.status.version == "v8.5.0")

        await world.until(settled)
        await world.client.patch(PDGroup, ObjectKey("ns1", "tc-p"), merge_patch({"spec": {"replicas": 5}}))
        await world.until(lambda: len(pd.members.running) == 5)


async def test_a_tikv_starts_registers_and_keeps_its_store_over_restarts() -> None:
    async with simulated_world() as world:
        await world.create_cluster()
        key = await world.start_tikv("kv-a")
        await world.until(lambda: world.pod_is_ready(key))
        await world.until(lambda: world.stores())
        (store,) = world.stores()
        assert store.address == "kv-a.peer.ns1:20160"
        claim = await world.find_claim("kv-a")
        assert claim is not None
        assert claim.status is not None
        assert (claim.status.phase, claim.status.capacity) == ("Bound", {"storage": "10Gi"})
        assert claim.spec is not None
        assert claim.spec.storage_class_name == "standard"

        await world.client.delete(Pod, key, grace_period=0)
        await world.until(lambda: world.stores()[0].state == "Disconnected")
        await world.client.create(tikv_pod("kv-a", "tc", "ns1"))
        await world.until(lambda: world.pod_is_ready(key))
        assert [(found.id, found.state) for found in world.stores()] == [(store.id, "Up")]


async def test_a_pod_in_termination_gives_up_its_leaders_first() -> None:
    async with simulated_world() as world:
        await world.create_cluster()
        keys = [await world.start_tikv(f"kv-{number}") for number in range(3)]
        await world.until(lambda: [store.leaders for store in world.stores()] == [20, 20, 20], timeout=60)
        await world.client.delete(Pod, keys[0])
        await asyncio.sleep(5)
        assert await world.pod_is_ready(keys[0])
        pd = world.simulation.pd(TC)
        assert pd is not None
        pd.evict_leaders(1, world.simulation.now())

        async def gone() -> bool:
            return await world.client.find(Pod, keys[0]) is None

        await world.until(gone, timeout=5)
        assert world.stores()[0].leaders == 0


async def test_a_volume_keeps_its_pod_in_its_zone_and_goes_with_its_claim() -> None:
    async with simulated_world() as world:
        await world.create_cluster()
        key = await world.start_tikv("kv-a", nodeSelector={"topology.kubernetes.io/zone": "b"})
        await world.until(lambda: world.pod_is_ready(key))
        await world.client.delete(Pod, key, grace_period=0)
        await asyncio.sleep(1)
        await world.client.create(tikv_pod("kv-a", "tc", "ns1"))
        await world.until(lambda: world.pod_is_ready(key))
        pod = await world.client.get(Pod, key)
        assert pod.spec is not None
        node = await world.client.get(Node, ObjectKey("", pod.spec.node_name or ""))
        assert node.metadata.labels["topology.kubernetes.io/zone"] == "b"

        claim_key = ObjectKey("ns1", "data-kv-a")
        await world.client.delete(PersistentVolumeClaim, claim_key)
        await asyncio.sleep(5)
        claim = await world.find_claim("kv-a")
        assert claim is not None, "a claim is protected while a pod uses it"
        assert len(await world.client.list(PersistentVolume)) == 2
        await world.client.delete(Pod, key, grace_period=0)

        async def all_gone() -> bool:
            return (
                await world.find_claim("kv-a") is None and len(await world.client.list(PersistentVolume)) == 1
            )  # of PD

        await world.until(all_gone)


async def test_a_volume_grows() -> None:
    async with simulated_world() as world:
        await world.create_cluster()
        key = await world.start_tikv("kv-a")
        await world.until(lambda: world.pod_is_ready(key))
        await world.create_volume("kv-a", storage="20Gi")

        async def grown() -> bool:
            claim = await world.find_claim("kv-a")
            volumes = await world.client.list(PersistentVolume)
            volume = next(found for found in volumes if found.metadata.name == claim.spec.volume_name)
            capacity = {"storage": "20Gi"}
            return claim.status.capacity == volume.spec.capacity == capacity

        await world.until(grown, timeout=5)


async def test_unknown_storage_classes_and_zones_appear_when_they_are_asked_for() -> None:
    async with simulated_world() as world:
        await world.create_cluster()
        selector = {"zone": "mars", "disk": "nvme"}
        key = await world.start_tikv("kv-a", volume={"storageClassName": "gp3"}, nodeSelector=selector)
        await world.until(lambda: world.pod_is_ready(key))
        pod = await world.client.get(Pod, key)
        node = await world.client.get(Node, ObjectKey("", pod.spec.node_name))
        assert node.metadata.labels["zone"] == "mars"
        assert node.metadata.labels["topology.kubernetes.io/zone"] == "mars"
        assert await world.client.find(StorageClass, ObjectKey("", "gp3")) is not None


async def test_without_provisioning_a_pod_that_fits_nowhere_says_so() -> None:
    async with simulated_world(SimulationSettings(provision_nodes=False)) as world:
        await world.create_cluster()
        key = await world.start_tikv("kv-a", nodeSelector={"zone": "mars"})
        await asyncio.sleep(5)
        pod = await world.client.get(Pod, key)
        (condition,) = pod.status.conditions
        assert (condition.type, condition.status, condition.reason) == ("PodScheduled", "False", "Unschedulable")
        assert "didn't match Pod's node affinity" in condition.message
        await world.client.patch(Node, ObjectKey("", "node-1"), merge_patch({"metadata": {"labels": {"zone": "mars"}}}))
        await world.until(lambda: world.pod_is_ready(key))


async def test_pd_is_really_dead_while_its_pods_are() -> None:
    async with simulated_world() as world:
        await world.create_cluster(replicas=3)
        key = await world.start_tikv("kv-a")
        await world.until(lambda: world.stores())
        pd = world.simulation.pd(TC)
        assert pd is not None
        assert await world.simulation.kill_pd(TC) == 3
        await asyncio.sleep(0.1)
        assert not world.pd_serves(TC)
        path = "/api/v1/namespaces/ns1/services/tc-p-pd:client/proxy/pd/api/v1/stores"
        await asyncio.sleep(0.2)
        assert (await world.cluster.transport.request(Request(method="GET", path=path))).status == 503
        await world.until(lambda: world.pd_serves(TC), timeout=10)
        assert world.simulation.pd(TC) is pd
        assert [store.id for store in world.stores()] == [1]
        assert await world.pod_is_ready(key)


async def test_a_group_takes_everything_with_it() -> None:
    async with simulated_world() as world:
        await world.create_cluster(replicas=3)
        await world.client.delete(PDGroup, ObjectKey("ns1", "tc-p"))

        async def gone() -> bool:
            kinds = (PDGroup, Pod, Service, EndpointSlice)
            return not any([await world.client.list(kind, namespace="ns1") for kind in kinds])

        await world.until(gone)
        assert world.simulation.clusters() == []


async def test_a_suspended_cluster_has_no_servers_but_remembers_its_stores() -> None:
    async with simulated_world() as world:
        await world.create_cluster(replicas=3)
        await world.start_tikv("kv-a")
        await world.until(lambda: world.stores())
        await world.client.patch(Cluster, TC, merge_patch({"spec": {"suspendAction": {"suspendCompute": True}}}))

        async def suspended() -> bool:
            group = await world.client.get(PDGroup, ObjectKey("ns1", "tc-p"))
            return any(found.type == "Suspended" and found.status == "True" for found in group.status.conditions)

        await world.until(suspended)
        assert not world.pd_serves(TC)
        await world.client.patch(Cluster, TC, merge_patch({"spec": {"suspendAction": None}}))
        await world.until(lambda: world.pd_serves(TC))
        assert len(world.stores()) == 1


async def test_a_new_version_replaces_the_servers_one_by_one_without_an_outage() -> None:
    async with simulated_world() as world:
        await world.create_cluster(replicas=3)
        group_key = ObjectKey("ns1", "tc-p")

        async def version() -> str | None:
            group = await world.client.get(PDGroup, group_key)
            return group.status.version if group.status else None

        async def is_old() -> bool:
            return await version() == "v8.5.0"

        await world.until(is_old)
        patch = {"spec": {"template": {"spec": {"version": "v8.5.1"}}}}
        await world.client.patch(PDGroup, group_key, merge_patch(patch))
        fewest = 3

        async def is_new() -> bool:
            nonlocal fewest
            fewest = min(fewest, len(world.simulation.pd(TC).members.running))
            return await version() == "v8.5.1"

        await world.until(is_new)
        assert fewest == 2


async def test_troubles_come_and_go() -> None:
    async with simulated_world(SimulationSettings(crashing_pods=frozenset({"kv-a"}))) as world:
        await world.create_cluster()
        key = await world.start_tikv("kv-a")
        await asyncio.sleep(30)
        pod = await world.client.get(Pod, key)
        (status,) = pod.status.container_statuses
        assert status.state.waiting.reason == "CrashLoopBackOff"
        assert status.restart_count >= 2
        world.simulation.troubles.crashing_pods.clear()
        await world.until(lambda: world.pod_is_ready(key))
        assert world.simulation.crash_pod(key)
        await asyncio.sleep(1)
        assert not await world.pod_is_ready(key)
        await world.until(lambda: world.pod_is_ready(key))
        world.simulation.troubles.dead_stores.add("kv-a")
        world.simulation.look_again()
        await world.until(lambda: world.stores()[0].state == "Disconnected")
        assert await world.pod_is_ready(key)


async def test_a_planned_outage_silences_pd() -> None:
    outage = PDOutage(cluster="tc", after=20, seconds=10)
    async with simulated_world(SimulationSettings(pd_outages=(outage,))) as world:
        await world.create_cluster()
        await asyncio.sleep(25 - asyncio.get_running_loop().time())
        assert not world.pd_serves(TC)
        await asyncio.sleep(6)
        assert world.pd_serves(TC)


async def test_clusters_live_side_by_side() -> None:
    async with simulated_world() as world:
        for namespace, name in (("ns1", "tc"), ("ns1", "other"), ("ns2", "tc")):
            await world.create_cluster(name, namespace=namespace)
            await world.start_tikv(f"{name}-kv", cluster=name, namespace=namespace)
        clusters = world.simulation.clusters()
        assert clusters == [ObjectKey("ns1", "other"), ObjectKey("ns1", "tc"), ObjectKey("ns2", "tc")]
        await world.until(lambda: all(world.simulation.stores(cluster) for cluster in clusters))
        assert len({world.simulation.pd(cluster).cluster_id for cluster in clusters}) == 3
        assert await world.simulation.kill_pd(ObjectKey("ns1", "other")) == 1
        assert world.pd_serves(TC)


async def test_plain_pods_just_run() -> None:
    async with simulated_world() as world:
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "web", "namespace": "ns1"},
            "spec": {"containers": [{"name": "web", "image": "nginx:1"}]},
        }
        await world.client.apply(pod)
        await world.until(lambda: world.pod_is_ready(ObjectKey("ns1", "web")))


async def test_the_world_goes_on_while_the_api_server_fails_now_and_then() -> None:
    async with simulated_world(wrap=FlakyTransport) as world:
        await world.create_cluster(replicas=3)
        keys = [await world.start_tikv(f"kv-{number}") for number in range(3)]
        for key in keys:
            await world.until(lambda key=key: world.pod_is_ready(key))
        await world.until(lambda: [store.leaders for store in world.stores()] == [20, 20, 20])
        for key in keys:
            await world.client.delete(Pod, key, grace_period=1)
            await world.client.delete(PersistentVolumeClaim, ObjectKey("ns1", f"data-{key.name}"))
        await world.client.delete(PDGroup, ObjectKey("ns1", "tc-p"))

        async def all_gone() -> bool:
            kinds = (Pod, PersistentVolumeClaim, PersistentVolume, PDGroup, EndpointSlice)
            return not any([await world.client.list(kind) for kind in kinds])

        await world.until(all_gone)


async def test_pods_may_come_before_their_volumes() -> None:
    async with simulated_world() as world:
        await world.create_cluster()
        await world.client.create(tikv_pod("kv-a", "tc", "ns1"))
        await asyncio.sleep(3)
        pod = await world.client.get(Pod, ObjectKey("ns1", "kv-a"))
        assert pod.status.conditions[0].message == "persistentvolumeclaim not found"
        await world.create_volume("kv-a")
        await asyncio.sleep(0.5)
        pod = await world.client.get(Pod, ObjectKey("ns1", "kv-a"))
        assert 'configmap "kv-a" not found' in pod.status.container_statuses[0].state.waiting.message
        await world.client.create(tikv_config("kv-a", "tc", "ns1"))
        await world.until(lambda: world.pod_is_ready(ObjectKey("ns1", "kv-a")), timeout=2)


async def test_a_settled_world_writes_nothing() -> None:
    async with simulated_world() as world:
        await world.create_cluster(replicas=3)
        key = await world.start_tikv("kv-a")
        await world.until(lambda: world.pod_is_ready(key))
        await asyncio.sleep(30)
        before = world.cluster.api.storage.version
        await asyncio.sleep(3600)
        assert world.cluster.api.storage.version == before
