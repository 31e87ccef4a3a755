"""The Site operator, tested on the cluster that pytest's option `--cluster` names.

pytest examples                     on the embedded API server
pytest examples --cluster=real      on the real kube-apiserver
"""

from __future__ import annotations

import asyncio

from owning_children import Site, SiteSpec, assemble

from controller_runtime import Manager, ObjectKey, ObjectMeta
from controller_runtime.api.crd import custom_resource_definition
from controller_runtime.api.k8s import ConfigMap
from controller_runtime.client import LiveClient
from controller_runtime.envtest import Cluster


async def test_pages_that_somebody_deletes_come_back(cluster: Cluster, namespace: str) -> None:
    await cluster.install_crds(custom_resource_definition(Site))
    user = LiveClient(cluster.transport, field_manager="user")
    manager = Manager(cluster.transport, field_manager="site-operator")
    assemble(manager)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(manager.run())
        site = Site(metadata=ObjectMeta(name="blog", namespace=namespace), spec=SiteSpec(pages={"a.html": "Hello"}))
        await user.create(site)
        pages = ObjectKey(namespace, "site-blog")
        first = await appearance(user, pages)
        await user.delete(ConfigMap, pages)
        second = await appearance(user, pages)
        assert second.metadata.uid != first.metadata.uid
        assert second.data == first.data == {"a.html": "Hello"}
        manager.stop()


async def appearance(user: LiveClient, key: ObjectKey) -> ConfigMap:
    while (found := await user.find(ConfigMap, key)) is None:
        await asyncio.sleep(0.05)
    return found
