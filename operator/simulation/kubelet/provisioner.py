"""The provisioner: binds, grows and removes volumes, and protects claims in use. Two controllers.

One looks at claims: a claim with a node gets a volume after a moment, grows when it asks for more, and is let go when it is
deleted and no pod uses it. The other looks at volumes: one whose claim is gone is removed, with what was written to it.

Concurrency: one event loop.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from controller_runtime.api import ObjectKey
from controller_runtime.api.k8s import Node, PersistentVolume, PersistentVolumeClaim, Pod, StorageClass
from controller_runtime.cache import CacheEvent, Entry
from controller_runtime.client import AlreadyExists, Client, NotFound, merge_patch
from controller_runtime.clock import Clock
from controller_runtime.controller import Controller
from controller_runtime.handler import each_state
from controller_runtime.reconcile import Context, Request, Requeue
from controller_runtime.workqueue import ExponentialBackoff
from tikv_operator.simulation.kubelet import volumes
from tikv_operator.simulation.kubelet.processes import Disk
from tikv_operator.simulation.kubelet.scheduler import claim_keys
from tikv_operator.simulation.settings import SimulationSettings
from tikv_operator.simulation.steadyclock import look_again_at

__all__ = ["Disks", "Provisioner"]


class Disks:
    """What is written on the volumes, by the uid of the claim each was made for."""

    def __init__(self) -> None:
        self._disks: dict[str, Disk] = {}

    def of(self, claim_uid: str) -> Disk:
        return self._disks.setdefault(claim_uid, Disk())

    def wipe(self, claim_uid: str) -> None:
        self._disks.pop(claim_uid, None)


class Provisioner:
    """See the module docstring.

    Args:
        client: cached for pods, claims, volumes, nodes and storage classes.
    """

    def __init__(self, client: Client, settings: SimulationSettings, clock: Clock, disks: Disks) -> None:
        self._client = client
        self._settings = settings
        self._clock = clock
        self._disks = disks
        self._due: dict[ObjectKey, tuple[tuple[str, str], float]] = {}  # work under way at a claim, and when it is done

    def controllers(self) -> Iterable[Controller]:
        """The controllers to give to a manager."""
        yield (
            Controller("simulated-claims", self._reconcile_claim, workers=2, rate_limiter=ExponentialBackoff(0.05, 2.0))
            .reconciles(PersistentVolumeClaim)
            .watches(Pod, _claims_of_deleted)
        )
        yield (
            Controller("simulated-volumes", self._reconcile_volume, rate_limiter=ExponentialBackoff(0.05, 2.0))
            .reconciles(PersistentVolume)
            .watches(PersistentVolumeClaim, each_state(_volume_of))
        )

    # -- claims

    async def _reconcile_claim(self, _: Context, request: Request) -> Requeue | None:
        claim = await self._client.find(PersistentVolumeClaim, request.key)
        if claim is None:
            self._due.pop(request.key, None)
            return None
        if claim.metadata.deletion_timestamp is not None:
            await self._let_go(claim)
            return None
        if not _is_bound(claim):
            return await self._bind(claim)
        return await self._grow(claim) if volumes.outgrown(claim) else None

    async def _bind(self, claim: PersistentVolumeClaim) -> Requeue | None:
        """Give a claim its volume, if it is known where."""
        wanted = volumes.class_name(claim)
        storage_class = await self._client.find(StorageClass, ObjectKey("", wanted))
        if storage_class is None:
            if not self._settings.provision_storage_classes:
                return None
            await self._client.create(volumes.make_storage_class(wanted))
        chosen = claim.metadata.annotations.get(volumes.SELECTED_NODE)
        node = await self._client.find(Node, ObjectKey("", chosen)) if chosen else None
        if node is None:
            return None  # the scheduler's choice will be an event
        if (wait := self._wait(claim, "bind")) is not None:
            return wait
        with contextlib.suppress(AlreadyExists):  # an earlier attempt got so far
            await self._client.create(volumes.make_volume(claim, node))
        bound = await self._client.patch(PersistentVolumeClaim, claim.key, merge_patch(volumes.binding_patch(claim)))
        await self._write_status(bound)
        return None

    async def _grow(self, claim: PersistentVolumeClaim) -> Requeue | None:
        if (wait := self._wait(claim, volumes.requested(claim))) is not None:
            return wait
        volume = ObjectKey("", volumes.volume_name(claim.metadata.uid))
        patch = {"spec": {"capacity": {"storage": volumes.requested(claim)}}}
        await self._client.patch(PersistentVolume, volume, merge_patch(patch))
        await self._write_status(claim)
        return None

    async def _write_status(self, claim: PersistentVolumeClaim) -> None:
        status = {"metadata": {"uid": claim.metadata.uid}, "status": volumes.status_of_bound(claim)}
        await self._client.patch(PersistentVolumeClaim, claim.key, merge_patch(status), subresource="status")

    async def _let_go(self, claim: PersistentVolumeClaim) -> None:
        """Allow a claim to be deleted, unless a pod uses it: then the pod's end will be an event."""
        if volumes.PROTECTION not in claim.metadata.finalizers:
            return
        pods = await self._client.list(Pod, namespace=claim.metadata.namespace)
        if any(claim.key in claim_keys(pod) for pod in pods):
            return
        claim.metadata.finalizers.remove(volumes.PROTECTION)
        await self._client.update(claim)

    def _wait(self, claim: PersistentVolumeClaim, what: str) -> Requeue | None:
        """Take the time that a provisioner takes."""
        now = self._clock.now()
        work = (claim.metadata.uid, what)
        under_way, due = self._due.get(claim.key, (work, now + self._settings.bind_seconds))
        if under_way != work:
            due = now + self._settings.bind_seconds
        if now < due:
            self._due[claim.key] = (work, due)
            return look_again_at(due, now)
        self._due.pop(claim.key, None)
        return None

    # -- volumes

    async def _reconcile_volume(self, _: Context, request: Request) -> Requeue | None:
        volume = await self._client.find(PersistentVolume, request.key)
        owner = volume.spec.claim_ref if volume is not None and volume.spec is not None else None
        if volume is None or owner is None or not volumes.is_ours(volume):
            return None
        claim = await self._client.find(PersistentVolumeClaim, ObjectKey(owner.namespace or "", owner.name or ""))
        if claim is not None and claim.metadata.uid == owner.uid:
            if volume.status is None or volume.status.phase != "Bound":
                bound = merge_patch({"status": {"phase": "Bound"}})
                await self._client.patch(PersistentVolume, volume.key, bound, subresource="status")
            return None
        self._disks.wipe(owner.uid or "")
        with contextlib.suppress(NotFound):
            await self._client.delete(PersistentVolume, volume.key)
        return None


def _is_bound(claim: PersistentVolumeClaim) -> bool:
    return claim.status is not None and claim.status.phase == "Bound"


def _claims_of_deleted(event: CacheEvent) -> Iterator[ObjectKey]:
    """The claims of a pod that is gone."""
    if event.type == "deleted" and event.old is not None:
        yield from claim_keys(event.old.decode(Pod))


def _volume_of(entry: Entry) -> Iterator[ObjectKey]:
    """The volume that was made for a claim."""
    yield ObjectKey("", volumes.volume_name(entry.meta.uid))
