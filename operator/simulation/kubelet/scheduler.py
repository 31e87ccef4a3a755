"""The scheduler: gives a pod a node, and its claims with it.

One pod is placed at a time, so that two never count on the same emptiness. A pod that fits nowhere says so in its condition
`PodScheduled`; unless the settings forbid it, a node that fits is added first, as an autoscaler would.

Concurrency: `place` may be called from several tasks.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from controller_runtime.api import ObjectKey, encode, format_time
from controller_runtime.api.k8s import Node, PersistentVolume, PersistentVolumeClaim, Pod
from controller_runtime.client import AlreadyExists, Client, Request, Transport, merge_patch
from controller_runtime.client.errors import error_from_response
from controller_runtime.clock import Clock
from tikv_operator.simulation.kubelet.nodes import (
    HOSTNAME,
    REGION,
    ZONE,
    Placement,
    choose_node,
    describe_misfit,
    make_node,
    wanted_labels,
)
from tikv_operator.simulation.kubelet.volumes import SELECTED_NODE
from tikv_operator.simulation.settings import SimulationSettings

__all__ = ["Scheduler", "claim_keys", "create_node"]

_SHORT_LABELS: Final = {"region": REGION, "zone": ZONE}
"""Short names that people use in node selectors for labels that every node has."""


class Scheduler:
    """See the module docstring.

    Args:
        transport: for the one request that no client knows.
        running: returns group and node of every pod that has a node.
    """

    def __init__(
        self,
        client: Client,
        transport: Transport,
        settings: SimulationSettings,
        clock: Clock,
        running: Callable[[], Iterable[tuple[str, str]]],
    ) -> None:
        self._client = client
        self._transport = transport
        self._settings = settings
        self._clock = clock
        self._running = running
        self._one_at_a_time = asyncio.Lock()

    async def place(self, pod: Pod, group: str) -> str | None:
        """Bind a pod to a node; return the node's name, or None if the pod fits nowhere now.

        Raises:
            ApiError: the API server refused something; try again.
        """
        async with self._one_at_a_time:
            claims = [await self._client.find(PersistentVolumeClaim, key) for key in claim_keys(pod)]
            if any(claim is None for claim in claims):
                await self._say_unschedulable(pod, "persistentvolumeclaim not found")
                return None
            zones = [zone for claim in claims if claim is not None and (zone := await self._zone_of(claim))]
            selector = pod.spec.node_selector if pod.spec else None
            wanted = wanted_labels(selector, zones)
            name = await self._node_for(wanted, group)
            if name is None:
                nodes = len(await self._client.list(Node))
                await self._say_unschedulable(pod, describe_misfit(nodes, wanted))
                return None
            for claim in claims:
                if claim is not None and SELECTED_NODE not in claim.metadata.annotations:
                    patch = {"metadata": {"uid": claim.metadata.uid, "annotations": {SELECTED_NODE: name}}}
                    await self._client.patch(PersistentVolumeClaim, claim.key, merge_patch(patch))
            await self._bind(pod, name)
            return name

    async def _zone_of(self, claim: PersistentVolumeClaim) -> str | None:
        """Where the volume of a claim is, or will be; None if that is still open."""
        if claim.spec is not None and claim.spec.volume_name:
            volume = await self._client.find(PersistentVolume, ObjectKey("", claim.spec.volume_name))
            return None if volume is None else volume.metadata.labels.get(ZONE)
        chosen = claim.metadata.annotations.get(SELECTED_NODE)
        node = await self._client.find(Node, ObjectKey("", chosen)) if chosen else None
        return None if node is None else node.metadata.labels.get(ZONE)

    async def _node_for(self, wanted: dict[str, str] | None, group: str) -> str | None:
        if wanted is None:
            return None
        nodes = await self._client.list(Node)
        name = choose_node(nodes, wanted, self._load(group))
        if name is not None or not self._settings.provision_nodes:
            return name
        name = wanted.get(HOSTNAME) or f"node-{len(nodes) + 1}"
        labels = dict(wanted)
        for short, label in _SHORT_LABELS.items():
            if short in labels:
                labels.setdefault(label, labels[short])
        node = make_node(name, labels, number=len(nodes) + 1, now=self._clock.now())
        try:
            await create_node(self._client, node)
        except AlreadyExists:  # it has a name that the pod insists on, but not the other labels
            return None
        return name

    def _load(self, group: str) -> dict[str, Placement]:
        running = list(self._running())
        pods = Counter(node for _, node in running)
        alike = Counter(node for other, node in running if other == group)
        return {node: Placement(alike[node], count) for node, count in pods.items()}

    async def _bind(self, pod: Pod, node: str) -> None:
        """Pods get their node through their binding subresource, and only once."""
        meta = pod.metadata
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": meta.name, "namespace": meta.namespace, "uid": meta.uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        path = Pod.resource.path(meta.namespace, meta.name, "binding")
        request = Request(method="POST", path=path, body=encode(binding), content_type="application/json")
        answer = await self._transport.request(request)
        if answer.status >= 300:
            raise error_from_response(answer.status, answer.headers, answer.body)

    async def _say_unschedulable(self, pod: Pod, message: str) -> None:
        conditions = (pod.status.conditions if pod.status else None) or []
        if any(found.type == "PodScheduled" and found.message == message for found in conditions):
            return
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
            "lastTransitionTime": format_time(self._clock.now()),
        }
        patch = {"metadata": {"uid": pod.metadata.uid}, "status": {"phase": "Pending", "conditions": [condition]}}
        await self._client.patch(Pod, pod.key, merge_patch(patch), subresource="status")


async def create_node(client: Client, node: Node) -> None:
    """Create a node with its status.

    Raises:
        AlreadyExists: there is a node of that name.
    """
    status = node.status
    created = await client.create(node)
    if created.status is None or not created.status.conditions:
        created.status = status
        await client.update_status(created)


def claim_keys(pod: Pod) -> list[ObjectKey]:
    """The claims that a pod's volumes name."""
    volumes = (pod.spec.volumes if pod.spec else None) or []
    return [
        ObjectKey(pod.metadata.namespace, volume.persistent_volume_claim.claim_name)
        for volume in volumes
        if volume.persistent_volume_claim is not None
    ]
