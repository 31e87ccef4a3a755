"""Leader election on a `coordination.k8s.io/v1` Lease: the record's place, and how a manager takes part."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

from controller_runtime.api.k8s import Lease, LeaseSpec
from controller_runtime.api.meta import ObjectMeta, to_builtins
from controller_runtime.api.resource import ObjectKey
from controller_runtime.client.errors import ConfigError
from controller_runtime.client.interface import Client
from controller_runtime.client.patch import merge_patch
from controller_runtime.leaderelection import LeaseRecord, LeaseTimings

__all__ = ["Election", "KubernetesLease", "own_namespace", "unique_identity"]

_DEFAULT_DURATION: Final = 15.0
_NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def unique_identity() -> str:
    """Return an identity for this process: the host's name and a random part."""
    return f"{socket.gethostname()}_{uuid.uuid4()}"


def own_namespace(file: Path = _NAMESPACE_FILE) -> str:
    """Return the namespace of the pod this process runs in.

    Raises:
        ConfigError: this is no pod.
    """
    try:
        return file.read_text().strip()
    except OSError as error:
        msg = "leader election needs a namespace: this is no pod, so name one (leader_election_namespace)"
        raise ConfigError(msg) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Election:
    """Which Lease to compete for, and how.

    Attributes:
        lease: namespace and name.
        identity: of this process, unique among all candidates.
        labels: written into the Lease.
        rejoin: after a lost lease, stop the leader's runnables and compete again, instead of ending the manager with
            `LeaderElectionLost`. Only for runnables that may run again (controllers may).
    """

    lease: ObjectKey
    timings: LeaseTimings = field(default_factory=LeaseTimings)
    identity: str = field(default_factory=unique_identity)
    labels: Mapping[str, str] = field(default_factory=dict)
    rejoin: bool = False


@final
class KubernetesLease:
    """A `LeaseLock` on one Lease.

    Args:
        client: reads and writes past any cache.
        labels: written into the Lease; other labels are left alone.
    """

    def __init__(self, client: Client, key: ObjectKey, *, labels: Mapping[str, str] | None = None) -> None:
        self._client = client.live
        self._key = key
        self._labels = dict(labels or {})

    @property
    def name(self) -> str:
        return str(self._key)

    async def read(self) -> LeaseRecord | None:
        lease = await self._client.find(Lease, self._key)
        return None if lease is None else _record_of(lease)

    async def create(self, record: LeaseRecord) -> LeaseRecord:
        metadata = ObjectMeta(name=self._key.name, namespace=self._key.namespace, labels=self._labels)
        return _record_of(await self._client.create(Lease(metadata=metadata, spec=_spec_of(record))))

    async def update(self, record: LeaseRecord) -> LeaseRecord:
        metadata: dict[str, Any] = {"resourceVersion": record.version}
        if self._labels:
            metadata["labels"] = self._labels
        patch = merge_patch({"metadata": metadata, "spec": to_builtins(_spec_of(record))})
        return _record_of(await self._client.patch(Lease, self._key, patch))


def _spec_of(record: LeaseRecord) -> LeaseSpec:
    return LeaseSpec(
        holder_identity=record.holder,
        lease_duration_seconds=max(1, round(record.duration)),
        acquire_time=record.acquire_time,
        renew_time=record.renew_time,
        lease_transitions=record.transitions,
    )


def _record_of(lease: Lease) -> LeaseRecord:
    spec = lease.spec or LeaseSpec()
    return LeaseRecord(
        holder=spec.holder_identity or "",
        duration=float(spec.lease_duration_seconds or _DEFAULT_DURATION),
        acquire_time=spec.acquire_time or "",
        renew_time=spec.renew_time or "",
        transitions=spec.lease_transitions or 0,
        version=lease.metadata.resource_version,
    )
