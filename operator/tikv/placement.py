"""Which TiKVs run on a node, so that a node's labels reach PD as soon as they change.

The answer comes from an index of the pods in the cache; no pod is looked at but those of the node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from controller_runtime.api import Model, ObjectKey
from controller_runtime.api.k8s import Pod
from controller_runtime.cache import Cache, CacheEvent, Entry
from tikv_operator.common.keys import LABEL_COMPONENT, LABEL_INSTANCE
from tikv_operator.common.names import TIKV_COMPONENT

__all__ = ["NODE_INDEX", "node_names", "tikvs_on_node"]

NODE_INDEX: Final = "spec.nodeName"
"""The index of pods by the node that they run on."""


class _Spec(Model):
    node_name: str | None = None


class _Placed(Model):
    """The only part of a pod that is read to find its node."""

    spec: _Spec | None = None


_decoder: Final = msgspec.json.Decoder(_Placed)


def node_names(entry: Entry) -> Iterable[str]:
    """Index TiKV pods by their node: the function behind `NODE_INDEX`."""
    if entry.meta.labels.get(LABEL_COMPONENT) != TIKV_COMPONENT:
        return ()
    spec = _decoder.decode(entry.raw).spec
    return (spec.node_name,) if spec is not None and spec.node_name else ()


def tikvs_on_node(cache: Cache) -> Callable[[CacheEvent], Iterable[ObjectKey]]:
    """Return what names the TiKVs that run on a node, given an event of the node."""

    def named(event: CacheEvent) -> Iterable[ObjectKey]:
        if not cache.informer(Pod).synced:
            return  # each pod tells of itself when it comes
        for entry in cache.entries(Pod, index=(NODE_INDEX, event.key.name)):
            instance = entry.meta.labels.get(LABEL_INSTANCE)
            if instance:
                yield ObjectKey(entry.key.namespace, instance)

    return named
