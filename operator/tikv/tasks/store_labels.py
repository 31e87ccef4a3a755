"""The task that tells PD where a store is and whose it is, as labels of the store.

Labels come from the node (PD's location labels), from `spec.server.labels`, and from the operator itself. A label that was
in the spec when the pod was made, and isn't any more, is removed from the store; labels that others have set stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from controller_runtime.api import ObjectKey
from controller_runtime.api.k8s import Node
from controller_runtime.task import Result, complete, task, wait
from tikv_operator.common.keys import LABEL_GROUP
from tikv_operator.pdclient import PDError, PDHandle, Store
from tikv_operator.tikv.tasks.state import TiKVContext
from tikv_operator.tikv.template import recorded_template

__all__ = ["drop", "dropped", "labels_from_node", "server_labels"]

_GROUP: Final = "k/tikvgroup"
_EXCLUSIVE: Final = "$k/exclusive"
_WELL_KNOWN: Final = {
    "region": "topology.kubernetes.io/region",
    "zone": "topology.kubernetes.io/zone",
    "host": "kubernetes.io/hostname",
}
"""PD's names for what Kubernetes calls differently."""


@task("ServerLabels")
async def server_labels(ctx: TiKVContext) -> Result:
    """Set the store's labels, and remove what no longer holds."""
    if ctx.pd is None:
        return wait(f"pd cannot be asked: {ctx.pd_trouble}")
    node_name = ctx.pod.spec.node_name if ctx.pod is not None and ctx.pod.spec is not None else None
    if ctx.pod_terminating or not node_name:
        return wait("pod is not running on any node")
    if ctx.store is None:
        return wait("store does not exist")
    node = await ctx.client.find(Node.resource, ObjectKey("", node_name))  # untyped: only its metadata is cached
    if node is None:
        return wait(f"node {node_name} does not exist")
    wanted = _wanted(ctx, ctx.pd, node["metadata"].get("labels") or {})
    try:
        changed = await _set(ctx.pd, ctx.store, wanted)
    except PDError as error:
        if error.retryable:
            raise
        # Somebody has to change the labels; leaders can be evicted, and stores removed, meanwhile.
        message = f"pd refuses the labels of the store: {error.message}"
        ctx.problem("StoreLabelsRefused", message)
        return wait(message)
    if _EXCLUSIVE not in wanted and _EXCLUSIVE in ctx.store.labels:
        await ctx.pd.client.delete_store_label(ctx.store.id, _EXCLUSIVE)
        changed = True
        ctx.pd.note_labels(ctx.store.id, {_EXCLUSIVE: None})
    return complete("store labels are set" if changed else "store labels are synced")


def labels_from_node(keys: Iterable[str], node_labels: Mapping[str, str]) -> dict[str, str]:
    """Return the values of PD's location labels on a node; a label that the node doesn't have is left out."""
    found = {key: node_labels.get(key) or node_labels.get(_WELL_KNOWN.get(key, "")) for key in keys}
    return {key: value for key, value in found.items() if value}


def dropped(ctx: TiKVContext) -> frozenset[str]:
    """Return the keys of `spec.server.labels` that were there when the pod was made or changed last, and aren't any more."""
    recorded = recorded_template(ctx.pod) if ctx.pod is not None else None
    server = recorded.spec.server if recorded is not None else None
    before = (server.labels if server is not None else None) or {}
    return frozenset(before) - _own_labels(ctx).keys()


async def drop(ctx: TiKVContext) -> None:
    """Remove labels from the store that are no longer wanted, before the pod forgets that they were."""
    if ctx.pd is None or ctx.store is None:
        return
    kept = ctx.pd.snapshot.config.location_labels if ctx.pd.snapshot is not None else ()
    for key in sorted(dropped(ctx).intersection(ctx.store.labels) - set(kept)):
        await ctx.pd.client.delete_store_label(ctx.store.id, key)
        ctx.pd.note_labels(ctx.store.id, {key: None})


def _own_labels(ctx: TiKVContext) -> Mapping[str, str]:
    server = ctx.tikv.spec.server
    return (server.labels if server is not None else None) or {}


def _wanted(ctx: TiKVContext, pd: PDHandle, node_labels: Mapping[str, str]) -> dict[str, str]:
    location = pd.snapshot.config.location_labels if pd.snapshot is not None else ()
    labels = {**_own_labels(ctx), **labels_from_node(location, node_labels)}
    group = ctx.tikv.metadata.labels.get(LABEL_GROUP)
    if group:  # a TiKV that somebody created by hand has none
        labels[_GROUP] = f"{ctx.key.namespace}.{group}"
    placement = ctx.tikv.spec.placement
    if placement is not None and placement.exclusive:
        labels[_EXCLUSIVE] = "true"
    return labels


async def _set(pd: PDHandle, store: Store, wanted: Mapping[str, str]) -> bool:
    if all(store.labels.get(key) == value for key, value in wanted.items()):
        return False
    await pd.client.set_store_labels(store.id, wanted)
    pd.note_labels(store.id, wanted)
    return True
