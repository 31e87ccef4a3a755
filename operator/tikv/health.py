"""Whether a TiKV serves, judged by its pod and by what PD says of its store. Pure functions.

PD's word counts only if it is about the process that runs now: a store that was restarted keeps its old numbers in PD until
it registers again and sends its first heartbeat.
"""

from __future__ import annotations

from dataclasses import dataclass

from controller_runtime.api.k8s import Pod
from tikv_operator.common.pods import ready_since, started_at
from tikv_operator.common.settings import Settings
from tikv_operator.pdclient import Store
from tikv_operator.tikv import paths

__all__ = ["Health", "assess"]

_JUST_AFTER = 0.001


@dataclass(frozen=True, slots=True)
class Health:
    """A judgement about one TiKV.

    Attributes:
        store_ready: the store can serve: it isn't busy, and leads regions if it has many.
        healthy: the instance serves.
        recheck: seconds until it may be healthy without any event; None if only an event can change the judgement.
        unseen: PD hasn't heard from the running process yet: it should be asked again soon.
    """

    store_ready: bool = False
    healthy: bool = False
    recheck: float | None = None
    unseen: bool = False


def assess(store: Store | None, pod: Pod | None, *, ready_api: bool, settings: Settings, now: float) -> Health:
    """Judge a TiKV.

    Args:
        store: None if PD doesn't know it, or can't be trusted.
        ready_api: the pod's readiness probe asks TiKV itself, so nothing else needs to be considered.
        now: wall-clock seconds.
    """
    if store is None:
        return Health()
    leads_enough = store.region_count < settings.store_ready_min_regions or store.leader_count > 0
    store_ready = leads_enough and not store.busy
    if ready_api:
        return Health(store_ready, healthy=True)
    since = ready_since(pod)
    if pod is None or since is None:
        return Health(store_ready)
    if _is_about_an_earlier_process(store, pod):
        return Health(store_ready, recheck=settings.requeue, unseen=True)
    if not store_ready:
        return Health(store_ready)
    # Timestamps have whole seconds: the pod may be ready for almost one less than it says, hence "strictly before".
    left = since + settings.store_ready_seconds - now
    return Health(store_ready, healthy=left < 0, recheck=left + _JUST_AFTER if left >= 0 else None)


def _is_about_an_earlier_process(store: Store, pod: Pod) -> bool:
    """A store's start and its last heartbeat are 0 where PD doesn't know them: then nothing is concluded from them."""
    started = started_at(pod, paths.CONTAINER)
    if started is None:
        return False
    return 0 < store.start_timestamp < int(started) or 0 < store.last_heartbeat < started
