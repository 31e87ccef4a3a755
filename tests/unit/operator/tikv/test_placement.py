"""A node's labels reach PD as soon as they change."""

from __future__ import annotations

import asyncio

import pytest

from controller_runtime.api import ObjectKey, encode
from controller_runtime.api.k8s import Node, Pod
from controller_runtime.cache import Entry
from controller_runtime.cache.meta import EntryDecoder
from controller_runtime.client import merge_patch
from helpers.tikv_fakes import make_pod
from helpers.whole_system import whole_system
from tikv_operator.api import PDGroup, TiKVGroup
from tikv_operator.common.instances import is_group_healthy_and_up_to_date
from tikv_operator.common.settings import Settings
from tikv_operator.demo.manifests import load
from tikv_operator.demo.stage import sample_folder
from tikv_operator.tikv.placement import node_names


def entry(pod: Pod) -> Entry:
    return EntryDecoder(Pod.resource).entry(encode(pod))


def pd_pod() -> Pod:
    pod = make_pod()
    pod.metadata.labels["pingcap.com/component"] = "pd"
    return pod


@pytest.mark.parametrize(
    ("pod", "nodes"),
    [
        pytest.param(make_pod(), ["node-1"], id="a tikv"),
        pytest.param(make_pod(node=None), [], id="not scheduled yet"),
        pytest.param(pd_pod(), [], id="another component"),
        pytest.param(Pod(metadata=make_pod().metadata), [], id="without a spec"),
    ],
)
def test_which_pods_are_found_by_their_node(pod: Pod, nodes: list[str]) -> None:
    assert list(node_names(entry(pod))) == nodes


async def test_a_label_that_a_node_gets_is_a_label_of_its_stores_at_once() -> None:
    async with whole_system(Settings()) as system:
        for manifest in load((sample_folder(),)):
            await system.user.apply(manifest)
        while not [found for found in await system.user.list(TiKVGroup) if is_group_healthy_and_up_to_date(found)]:
            await asyncio.sleep(1)
        group = (await system.user.list(PDGroup))[0]
        config = '[replication]\nlocation-labels = ["rack"]\n'
        await system.user.patch(PDGroup, group.key, merge_patch({"spec": {"template": {"spec": {"config": config}}}}))
        await asyncio.sleep(120)
        pods = [pod for pod in await system.user.list(Pod) if "-tikv-" in pod.metadata.name]
        assert pods[0].spec is not None
        node = pods[0].spec.node_name
        assert node is not None
        await system.user.patch(Node, ObjectKey("", node), merge_patch({"metadata": {"labels": {"rack": "r7"}}}))
        await asyncio.sleep(1)
        stores = system.simulation.stores(system.simulation.clusters()[0])
        labelled = [store.address.split(".")[0] for store in stores if ("rack", "r7") in store.labels]
        assert labelled == [pod.metadata.name for pod in pods if pod.spec is not None and pod.spec.node_name == node]
