"""Whether the cluster can spare one more store now: who else doesn't serve, and what the budget says.

Every store counts, of whatever group, and of no TiKV at all: what is down is down. Two checks make the decision. `at_first`
looks at what PD tells, before leaders are moved away for nothing. `finally_` looks at every store and its pod, and must be
called with the lock `disruption` held until the pod is deleted: so of two that look at each other one sees that the other goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from controller_runtime.api import ObjectKey
from controller_runtime.api.k8s import Pod
from tikv_operator.api import TiKV, TiKVGroup
from tikv_operator.common import names
from tikv_operator.common.keys import ANNOTATION_PAUSED, LABEL_GROUP
from tikv_operator.common.membership import CLUSTER_INDEX
from tikv_operator.common.pods import is_terminating, ready_since
from tikv_operator.pdclient import PDError, PDHandle, PDSnapshot, Store
from tikv_operator.tikv.health import assess
from tikv_operator.tikv.stores import find_store
from tikv_operator.tikv.tasks.state import TiKVContext
from tikv_operator.updater.budget import Budget, budget_of
from tikv_operator.updater.isolation import Placement, can_be_down_together

__all__ = ["at_first", "finally_", "group_is_paused"]

_LOST: Final = "Disconnected"
"""PD's name for the state of a store whose heartbeats are missing since less than half an hour."""
_GIVEN_UP: Final = "Down"
"""PD's name for the state of a store whose heartbeats are missing for longer: its peers are being replaced."""


@dataclass(frozen=True, slots=True)
class _Down:
    """A store that holds data and doesn't serve now. `why` is for a person, `group` empty if no TiKV has the store."""

    store: Store
    group: str
    why: str


async def group_is_paused(ctx: TiKVContext) -> bool:
    """Return whether nobody may change the TiKV's group but to repair it."""
    return (await _group_annotations(ctx)).get(ANNOTATION_PAUSED) == "true"


async def at_first(ctx: TiKVContext, pd: PDHandle) -> str:
    """Return why the cluster cannot spare this store, as far as PD can tell; empty if PD sees no reason.

    PD calls a peer down only after minutes. A store that it has lost sight of since then is seen in the snapshot; one that it
    has given up ("Down") has no peers left that matter, or they are counted.
    """
    own = ctx.store.id if ctx.store is not None else ""
    stores = pd.snapshot.stores.values() if pd.snapshot is not None else ()
    lost = [store for store in stores if store.state_name == _LOST and store.id != own]
    budget = await _budget(ctx)
    if len(lost) >= max(budget.cluster, budget.group, budget.zone):
        return f"another store is disconnected: {', '.join(sorted(store.address for store in lost))}"
    try:
        down = await pd.client.down_peers()
    except PDError as error:
        return f"pd does not tell which peers are down: {error.message}"
    known = sum(down.by_store.get(store_id, 0) for store_id in {own, *(store.id for store in lost)} if store_id)
    count = max(0, down.count - known)
    return f"{count} regions have a down peer on another store" if count else ""


async def finally_(ctx: TiKVContext, pd: PDHandle) -> str:
    """Return why the cluster cannot spare this store; empty if it can."""
    down = await _others_down(ctx, pd)
    if not down:
        return ""
    budget = await _budget(ctx)
    group = ctx.tikv.metadata.labels.get(LABEL_GROUP, "")
    own = sum(bool(group) and found.group == group for found in down)
    if budget.allows(own=own, elsewhere=len(down) - own):
        return ""
    if budget.allows_in_zone(own=own, elsewhere=len(down) - own) and _in_one_zone(ctx, pd, down):
        return ""
    said = ", ".join(found.why for found in down)
    return said if budget == Budget() else f"{said}; {_said(budget, len(down) - own)}"


def _in_one_zone(ctx: TiKVContext, pd: PDHandle, down: Sequence[_Down]) -> bool:
    """Return whether this store and those that are down stand in one zone that PD promises the cluster can spare."""
    snapshot = pd.snapshot
    if ctx.store is None or snapshot is None:
        return False
    config = snapshot.config
    placement = Placement(
        location_labels=config.location_labels, isolation_level=config.isolation_level, replicas=config.max_replicas
    )
    stores = [store.labels for store in snapshot.stores.values() if store.engine == "tikv" and not store.tombstone]
    return can_be_down_together([ctx.store.labels, *(found.store.labels for found in down)], stores, placement)


def _said(budget: Budget, elsewhere: int) -> str:
    return f"at most {budget.most(elsewhere)} of the group may be down now"


async def _others_down(ctx: TiKVContext, pd: PDHandle) -> Sequence[_Down]:
    """Return every other store of the cluster that holds data and doesn't serve it now.

    PD notices only after a while that a store is gone; the pods tell at once.
    """
    snapshot = pd.snapshot or PDSnapshot()
    cluster = ctx.cluster.metadata.name
    own = ctx.store.id if ctx.store is not None else ""
    found = {
        store.id: _Down(store, "", f"another store is disconnected: {store.address}")
        for store in snapshot.stores.values()
        if store.state_name == _LOST and store.id != own
    }
    for other in await ctx.client.list(TiKV, namespace=ctx.key.namespace, index=(CLUSTER_INDEX, cluster)):
        store = find_store(snapshot, other, ctx.cluster)
        if other.key == ctx.key or store is None or store.tombstone or store.state_name == _GIVEN_UP:
            continue
        group = other.metadata.labels.get(LABEL_GROUP, "")
        if not await _serves(ctx, other, store, snapshot):
            found[store.id] = _Down(store, group, f"{other.key.name} does not serve")
        elif store.id in found:
            found[store.id] = _Down(store, group, found[store.id].why)
    return list(found.values())


async def _serves(ctx: TiKVContext, other: TiKV, store: Store, snapshot: PDSnapshot) -> bool:
    """Return whether a store serves, and has caught up since its last start.

    One without leaders isn't behind if PD moves them away: it would be waited for by the one that waits for it.
    """
    pod = await ctx.client.find(Pod, ObjectKey(other.key.namespace, names.tikv_pod_name(other.key.name)))
    if is_terminating(pod) or ready_since(pod) is None:
        return False
    health = assess(store, pod, ready_api=False, settings=ctx.settings, now=ctx.now)
    return not health.unseen and (health.store_ready or store.id in snapshot.evicting)


async def _budget(ctx: TiKVContext) -> Budget:
    return budget_of(ctx.cluster.metadata.annotations, await _group_annotations(ctx))


async def _group_annotations(ctx: TiKVContext) -> Mapping[str, str]:
    """Return the annotations of the TiKV's group; none if it has no group."""
    name = ctx.tikv.metadata.labels.get(LABEL_GROUP)
    found = await ctx.client.find(TiKVGroup, ObjectKey(ctx.key.namespace, name)) if name else None
    return found.metadata.annotations if found is not None else {}
