"""What the demo counts: read from the operator's own metrics, and rows of instances from the watched world."""

from __future__ import annotations

from collections import Counter

from prometheus_client import CollectorRegistry

from controller_runtime.api import ObjectKey
from controller_runtime.api.k8s import Pod
from tikv_operator.app import Operator
from tikv_operator.common.conditions import READY, condition_is
from tikv_operator.common.names import tikv_client_address, tikv_pod_name
from tikv_operator.demo.view import InstanceRow, Totals
from tikv_operator.demo.world import World

__all__ = ["instance_rows", "totals"]


def totals(registry: CollectorRegistry) -> Totals:
    """Read all counters."""
    reconciles: Counter[str] = Counter()
    tasks: Counter[tuple[str, str, str]] = Counter()
    requests: Counter[str] = Counter()
    pd_requests = 0
    for family in registry.collect():
        for sample in family.samples:
            labels, value = sample.labels, int(sample.value)
            match sample.name:
                case "controller_runtime_reconcile_total":
                    reconciles[labels["controller"]] += value
                case "tikv_operator_task_results_total":
                    tasks[labels["controller"], labels["task"], labels["result"]] += value
                case "rest_client_requests_total":
                    requests[labels["method"]] += value
                case "tikv_operator_pd_requests_total":
                    pd_requests += value
    return Totals(reconciles, tasks, requests, pd_requests)


def instance_rows(world: World, operator: Operator) -> list[InstanceRow]:
    """Every TiKV with its pod, and its store as PD last described it."""
    rows = []
    for tikv in sorted(world.tikvs(), key=lambda found: found.key):
        cluster_key = ObjectKey(tikv.metadata.namespace, tikv.spec.cluster.name)
        cluster = world.cluster(cluster_key)
        handle = operator.pds.get(cluster_key)
        store = handle.store(tikv_client_address(tikv, cluster)) if handle is not None and cluster is not None else None
        pod = world.pod(ObjectKey(tikv.metadata.namespace, tikv_pod_name(tikv.metadata.name)))
        status = tikv.status
        rows.append(
            InstanceRow(
                name=tikv.metadata.name,
                zone=", ".join((tikv.spec.topology or {}).values()),
                pod=_pod_state(pod),
                store=(status.id if status else None) or "",
                state=(status.state if status else None) or "",
                leaders="" if store is None else str(store.leader_count),
                regions="" if store is None else str(store.region_count),
                ready=status is not None and condition_is(status.conditions or [], READY, "True"),
                offline=bool(tikv.spec.offline) or tikv.metadata.deletion_timestamp is not None,
            )
        )
    return rows


def _pod_state(pod: Pod | None) -> str:
    if pod is None:
        return "none"
    if pod.metadata.deletion_timestamp is not None:
        return "Terminating"
    return (pod.status.phase if pod.status else None) or "Pending"
