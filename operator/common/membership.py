"""Which objects belong to which Cluster, and what of them the cache holds.

Groups and instances name their Cluster in `spec.cluster.name`; nothing else says so reliably, because their labels are the
users'. `declare` tells the cache about kinds in the one form that all controllers agree on: our own kinds with an index by
that name, built-in kinds only as far as they carry our managed-by label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from controller_runtime.api import Model, Object, ObjectKey
from controller_runtime.cache import Cache, CacheEvent, Entry
from controller_runtime.client.interface import Reader
from tikv_operator.api import GROUP, Cluster, PDGroup, TiKVGroup
from tikv_operator.common.keys import MANAGED

__all__ = [
    "CLUSTER_INDEX",
    "GROUP_KINDS",
    "GroupKind",
    "cluster_changed",
    "cluster_key",
    "cluster_name",
    "cluster_names",
    "declare",
    "groups_of",
    "member_keys",
    "members",
]

CLUSTER_INDEX: Final = "spec.cluster.name"
"""The index of groups and instances by the name of their Cluster."""


@dataclass(frozen=True, slots=True)
class GroupKind:
    """A kind of group that a Cluster can have.

    Attributes:
        component: how `status.components` of a Cluster calls it.
    """

    kind: type[PDGroup | TiKVGroup]
    component: str


GROUP_KINDS: Final = (GroupKind(PDGroup, "PD"), GroupKind(TiKVGroup, "TiKV"))
"""Every kind of group, in the order in which messages list them."""


class _Reference(Model):
    name: str = ""


class _Spec(Model):
    cluster: _Reference | None = None


class _Member(Model):
    """The only part of a group or an instance that is read to find its Cluster."""

    spec: _Spec | None = None


_decoder: Final = msgspec.json.Decoder(_Member)


def cluster_name(entry: Entry) -> str:
    """Return the name of the Cluster that a group or an instance belongs to; empty if it names none."""
    spec = _decoder.decode(entry.raw).spec
    return "" if spec is None or spec.cluster is None else spec.cluster.name


def cluster_names(entry: Entry) -> Iterable[str]:
    """Index groups and instances by their Cluster: the function behind `CLUSTER_INDEX`."""
    name = cluster_name(entry)
    return (name,) if name else ()


def cluster_key(event: CacheEvent) -> Iterable[ObjectKey]:
    """Map the event of a group or an instance to its Cluster. The reference never changes, so one state is enough."""
    entry = event.new or event.old
    if entry is not None and (name := cluster_name(entry)):
        yield ObjectKey(entry.key.namespace, name)


def members(cache: Cache, kind: type[Object]) -> Callable[[CacheEvent], Iterable[ObjectKey]]:
    """Return a function that maps the event of a Cluster to the keys of its groups or instances of one kind."""
    return lambda event: member_keys(cache, kind, event.key)


def member_keys(cache: Cache, kind: type[Object], cluster: ObjectKey) -> list[ObjectKey]:
    """Return the keys of the groups or instances of one kind that belong to a Cluster; nothing is decoded for it.

    While the kind is not in the cache yet there are none: each object tells of itself when it comes.
    """
    if not cache.informer(kind).synced:
        return []
    found = cache.entries(kind, namespace=cluster.namespace, index=(CLUSTER_INDEX, cluster.name))
    return [entry.key for entry in found]


def declare(cache: Cache, *kinds: type[Object]) -> None:
    """Make the cache hold these kinds, each in the form that all controllers agree on. Idempotent."""
    for kind in kinds:
        if kind is Cluster:
            cache.declare(kind)
        elif kind.resource.group == GROUP:
            cache.declare(kind, indexes={CLUSTER_INDEX: cluster_names})
        else:
            cache.declare(kind, labels=MANAGED)


async def groups_of(client: Reader, cluster: Cluster) -> list[PDGroup | TiKVGroup]:
    """Return all groups of a Cluster: kind by kind as in `GROUP_KINDS`, each sorted by name."""
    found: list[PDGroup | TiKVGroup] = []
    for group_kind in GROUP_KINDS:
        found += await client.list(
            group_kind.kind, namespace=cluster.metadata.namespace, index=(CLUSTER_INDEX, cluster.metadata.name)
        )
    return found


def cluster_changed(event: CacheEvent) -> bool:
    """A Cluster came or went, or changed in what its instances are made from.

    The generation stands for the whole spec; of the status only PD's URL and the cluster's id matter, not the counts and
    conditions that each change of a group writes there.
    """
    if event.old is None or event.new is None:
        return True
    old, new = event.old.decode(Cluster), event.new.decode(Cluster)
    return _concerns(old) != _concerns(new)


def _concerns(cluster: Cluster) -> tuple[object, ...]:
    status = cluster.status
    return (
        cluster.metadata.generation,
        cluster.metadata.deletion_timestamp,
        status.pd if status is not None else None,
        status.id if status is not None else "",
    )
