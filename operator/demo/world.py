"""What the demo sees of the cluster: watched objects, and waiting for something to become true of them.

The world is read from informers of the demo's own, never from the operator's memory: what it says is what kubectl would
say. All methods are called from one event loop; `until` is the only one that waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from controller_runtime.api import Object, ObjectKey, selector
from controller_runtime.api.k8s import ConfigMap, PersistentVolumeClaim, Pod, Service
from controller_runtime.cache import Cache, CacheEvent
from tikv_operator.api import PD, Cluster, PDGroup, TiKV, TiKVGroup
from tikv_operator.common import keys
from tikv_operator.common.conditions import find_condition
from tikv_operator.common.instances import Group
from tikv_operator.common.names import TIKV_COMPONENT

__all__ = ["Missing", "TimedOut", "World", "all_of"]

CUSTOM: Final[tuple[type[Object], ...]] = (Cluster, PDGroup, PD, TiKVGroup, TiKV)
BUILT_IN: Final[tuple[type[Object], ...]] = (Pod, ConfigMap, PersistentVolumeClaim, Service)

Missing = Callable[[], str]
"""Says what is still missing; an empty text means that the end state is reached."""


class TimedOut(Exception):
    """An end state was not reached in time; the message says what is missing."""


def all_of(*conditions: Missing) -> Missing:
    """The first thing that is missing of several."""

    def missing() -> str:
        return next((reason for condition in conditions if (reason := condition())), "")

    return missing


class World:
    """See the module docstring. The cache must be run by its owner."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._changed = asyncio.Event()
        self.lowest_ready: dict[ObjectKey, int] = {}
        for kind in CUSTOM:
            cache.declare(kind).add_handler(self._note)
        for kind in BUILT_IN:
            cache.declare(kind, labels=keys.MANAGED).add_handler(self._note)

    def _note(self, _: CacheEvent) -> None:
        self._changed.set()
        for group, lowest in self.lowest_ready.items():
            self.lowest_ready[group] = min(lowest, self.ready_pods(group))

    async def until(self, what: str, missing: Missing, *, timeout: float) -> None:
        """Wait until nothing is missing any more.

        Raises:
            TimedOut: something still was after `timeout` seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                while missing():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            reason = missing()
            if reason:
                msg = f"{what}: not reached within {timeout:g} s: {reason}"
                raise TimedOut(msg) from None

    def observe_availability(self, groups: list[ObjectKey]) -> None:
        """From now on keep the lowest number of ready pods seen of each group, in `lowest_ready`."""
        self.lowest_ready = {group: self.ready_pods(group) for group in groups}

    def cluster(self, key: ObjectKey) -> Cluster | None:
        return self._cache.find(Cluster, key)

    def group(self, key: ObjectKey) -> TiKVGroup | None:
        return self._cache.find(TiKVGroup, key)

    def pd_group(self, key: ObjectKey) -> PDGroup | None:
        return self._cache.find(PDGroup, key)

    def pds(self, group: ObjectKey | None = None) -> list[PD]:
        """The PDs of one group, or all of them."""
        if group is None:
            return self._cache.list(PD)
        return self._cache.list(PD, namespace=group.namespace, labels=selector({keys.LABEL_GROUP: group.name}))

    def tikvs(self, group: ObjectKey | None = None) -> list[TiKV]:
        """The TiKVs of one group, or all of them."""
        if group is None:
            return self._cache.list(TiKV)
        labels = selector({keys.LABEL_GROUP: group.name})
        return self._cache.list(TiKV, namespace=group.namespace, labels=labels)

    def pod(self, key: ObjectKey) -> Pod | None:
        return self._cache.find(Pod, key)

    def pods(self, group: ObjectKey, component: str = TIKV_COMPONENT) -> list[Pod]:
        labels = selector({keys.LABEL_GROUP: group.name, keys.LABEL_COMPONENT: component})
        return self._cache.list(Pod, namespace=group.namespace, labels=labels)

    def claims(self, group: ObjectKey) -> list[PersistentVolumeClaim]:
        labels = selector({keys.LABEL_GROUP: group.name, keys.LABEL_COMPONENT: "tikv"})
        return self._cache.list(PersistentVolumeClaim, namespace=group.namespace, labels=labels)

    def pod_uids(self, group: ObjectKey, component: str = TIKV_COMPONENT) -> set[str]:
        return {pod.metadata.uid for pod in self.pods(group, component)}

    def ready_pods(self, group: ObjectKey) -> int:
        return sum(_is_ready(pod) for pod in self.pods(group))

    def missing_of_group(self, key: ObjectKey, replicas: int) -> str:
        """What a group lacks to be settled: ready, up to date, and with just so many instances."""
        return _missing(f"TiKVGroup {key}", self.group(key), replicas)

    def missing_of_pd_group(self, key: ObjectKey, replicas: int) -> str:
        """The same of a PD group."""
        return _missing(f"PDGroup {key}", self.pd_group(key), replicas)

    def missing_of_cluster(self, key: ObjectKey) -> str:
        """What a cluster lacks before anybody can use it."""
        cluster = self.cluster(key)
        if cluster is None:
            return f"Cluster {key} does not exist"
        if cluster.status is None or not cluster.status.id:
            return f"Cluster {key} has no id yet"
        return ""

    def leftovers(self) -> str:
        """What still exists of everything the operator makes."""
        left = [
            f"{kind.resource.kind} {found.key}" for kind in (*CUSTOM, *BUILT_IN) for found in self._cache.list(kind)
        ]
        return f"{len(left)} objects are left, {left[0]} first" if left else ""


def _missing(name: str, group: Group | None, replicas: int) -> str:
    if group is None:
        return f"{name} does not exist"
    status = group.status
    if status is None or status.observed_generation != group.metadata.generation:
        return f"{name} has not been looked at yet"
    if status.replicas != replicas:
        return f"{name} has {status.replicas} instances, not {replicas}"
    for condition in ("Synced", "Ready"):
        found = find_condition(status.conditions or [], condition)
        if found is None:
            return f"{name} has no condition {condition}"
        if found.status != "True" or found.observed_generation != group.metadata.generation:
            return f"{name}: {condition} is {found.status}: {found.message}"
    return ""


def _is_ready(pod: Pod) -> bool:
    if pod.status is None or pod.metadata.deletion_timestamp is not None:
        return False
    return any(condition.type == "Ready" and condition.status == "True" for condition in pod.status.conditions or [])
