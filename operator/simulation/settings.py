"""How fast the simulated world is, and what goes wrong in it.

Durations are seconds of the injected clock and the loop, rates are per second. The defaults make a world that a person can
watch: what takes minutes on real machines takes a second or two.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["PDOutage", "SimulationSettings"]


@dataclass(frozen=True, slots=True)
class PDOutage:
    """The PD of one cluster answers nobody for a while.

    Attributes:
        cluster: name of the Cluster.
        after: seconds from the start of the simulation until the outage begins.
        seconds: how long it lasts.
        namespace: of the Cluster; empty means the cluster of that name in any namespace.
    """

    cluster: str
    after: float
    seconds: float
    namespace: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationSettings:
    """Speed and trouble. Pods and stores in trouble are named by their pod's name, in any namespace.

    Attributes:
        zones: the zones of the nodes that exist from the start, one after the other.
        nodes: how many nodes exist from the start, spread over the zones.
        provision_nodes: add a node when no node fits a pod's node selector, as an autoscaler would; without it such a
            pod stays unschedulable.
        provision_storage_classes: add a storage class when a claim names one that doesn't exist; without it such a claim
            stays pending.
        schedule_seconds: from a pod's creation until it is bound to a node.
        init_seconds: each init container runs so long.
        start_seconds: from a container's creation until its process runs; pulling the image is part of it.
        ready_seconds: from the start of the process until a pod without trouble is ready.
        stop_seconds: from the signal to stop until the process is gone.
        bind_seconds: from a claim's creation until it is bound; also how long the growth of a volume takes.
        crash_backoff: delay before a crashed container starts again; it doubles with each crash.
        crash_backoff_max: longest such delay.
        prestop_poll: between two looks of the pre-stop checker at the store's leaders.
        prestop_find_store: how long the pre-stop checker looks for its store in PD.
        prestop_stalled_polls: the checker gives up after so many looks in a row that saw no leader leave.
        register_retry: between two attempts of a TiKV to reach its PD.
        regions: regions of each cluster.
        region_size: of each region, MiB.
        max_replicas: peers of each region, unless the PDGroup's configuration says otherwise.
        location_labels: store labels that say where a store is, unless the PDGroup's configuration says otherwise.
        isolation_level: the location label at which no two peers of a region stand together, as PD's configuration says.
        schedule_interval: between two rounds of PD's scheduling.
        leader_rate: leaders that PD moves, per second and cluster.
        region_rate: peers that PD moves, per second and cluster.
        preparing_seconds: a new store is Preparing so long before it is Serving.
        heartbeat_seconds: between two heartbeats of a store.
        election_timeout: after the death of a leader the others of its region elect a new one so much later.
        disconnect_after: a store that was silent so long is called Disconnected.
        down_after: a store that was silent so long is called Down, and PD replaces its peers.
        peer_down_after: a peer whose store was silent so long is reported as down.
        pd_revive_seconds: how long PD servers that have a quorum again need to elect a leader.
        pd_load_seconds: how long a PD server that starts needs to load its regions.
        pd_prepare_seconds: how long a PD server that begins to lead collects what it must know, before it takes up its schedulers
            and counts leaders and peers.
        pd_join_seconds: from the admission of a PD server that joins until it starts.
        crashing_pods: the main containers of these pods never come up.
        unready_pods: these pods run but never become ready.
        dead_stores: these TiKVs run but send no heartbeats and lead nothing.
        stubborn_stores: these stores don't give up their leaders.
        busy_stores: these stores call themselves busy.
        pd_outages: when PDs are silent.
    """

    zones: tuple[str, ...] = ("a", "b", "c")
    nodes: int = 6
    provision_nodes: bool = True
    provision_storage_classes: bool = True
    schedule_seconds: float = 0.05
    init_seconds: float = 0.1
    start_seconds: float = 0.3
    ready_seconds: float = 0.3
    stop_seconds: float = 0.2
    bind_seconds: float = 0.1
    crash_backoff: float = 2.0
    crash_backoff_max: float = 60.0
    prestop_poll: float = 1.0
    prestop_find_store: float = 15.0
    prestop_stalled_polls: int = 30
    register_retry: float = 1.0
    regions: int = 60
    region_size: int = 96
    max_replicas: int = 3
    location_labels: tuple[str, ...] = ()
    isolation_level: str = ""
    schedule_interval: float = 0.1
    leader_rate: float = 60.0
    region_rate: float = 40.0
    preparing_seconds: float = 0.5
    heartbeat_seconds: float = 10.0
    election_timeout: float = 1.0
    disconnect_after: float = 20.0
    down_after: float = 1800.0
    peer_down_after: float = 30.0
    pd_revive_seconds: float = 0.3
    pd_load_seconds: float = 0.2
    pd_prepare_seconds: float = 0.5
    pd_join_seconds: float = 0.1
    crashing_pods: frozenset[str] = field(default_factory=frozenset)
    unready_pods: frozenset[str] = field(default_factory=frozenset)
    dead_stores: frozenset[str] = field(default_factory=frozenset)
    stubborn_stores: frozenset[str] = field(default_factory=frozenset)
    busy_stores: frozenset[str] = field(default_factory=frozenset)
    pd_outages: tuple[PDOutage, ...] = ()
