"""Making a cluster forget its past, which a real one does every few minutes."""

from __future__ import annotations

import aiohttp

from controller_runtime.envtest import BinaryCluster, Cluster, EmbeddedCluster

__all__ = ["forget_the_past"]


async def forget_the_past(cluster: Cluster, version: int) -> None:
    """Let what was before `version` be gone from where the objects are kept.

    What the real API server has in its caches it still remembers: the recent past of kinds that are in use.
    """
    if isinstance(cluster, BinaryCluster):
        async with aiohttp.ClientSession() as session:
            body = {"revision": version, "physical": True}
            async with session.post(f"{cluster.etcd_url}/v3/kv/compaction", json=body) as response:
                assert response.status in (200, 400), await response.text()  # 400: it is forgotten already
    else:
        assert isinstance(cluster, EmbeddedCluster)
        cluster.faults.forget_history()
