"""Every condition that a TiKV can have, with its reason and its words: other tools, and people's searches, know them."""

from __future__ import annotations

from typing import Any

import pytest

from controller_runtime.api.k8s import Pod
from controller_runtime.task import Task
from helpers.tikv_fakes import (
    FakePD,
    condition,
    make_cluster,
    make_context,
    make_pod,
    make_store,
    make_tikv,
    with_condition,
)
from tikv_operator.api import SuspendAction
from tikv_operator.tikv.health import Health
from tikv_operator.tikv.tasks import conditions
from tikv_operator.tikv.tasks.evict_leader import evict_leader


def context(
    *,
    pod: Pod | None = None,
    suspending: bool = False,
    healthy: bool = True,
    terminating: bool = False,
    revision: str = "",
    state: str = "Serving",
    leaders: int = 0,
    offline: bool | None = None,
    evict: bool = False,
    evicting: bool = False,
) -> Any:
    cluster = make_cluster(suspend_action=SuspendAction(suspend_compute=True) if suspending else None)
    if pod is not None and terminating:
        pod.metadata.deletion_timestamp = "2026-01-01T00:00:00Z"
    if pod is not None and revision:
        pod.metadata.labels["pingcap.com/instance-revision-hash"] = revision
    store = make_store(node_state=state, leader_count=leaders) if state else None
    pd = FakePD(*[store] if store else [])
    tikv = make_tikv(offline=offline)
    if evicting:
        with_condition(tikv, "LeadersEvicted", False, "Evicting")
    ctx = make_context(tikv, cluster=cluster, pod=pod, pd=pd, store=store)
    ctx.health, ctx.evict_leaders, ctx.leaders_leaving = Health(healthy=healthy), evict, evicting
    return ctx


GONE, NOT_READY, TERMINATING = "does not exist", "is not ready", "is terminating"


@pytest.mark.parametrize(
    ("task", "given", "expected", "message"),
    [
        pytest.param(
            conditions.suspended,
            {"suspending": True},
            "Suspended=True/Suspended",
            "group/instance is suspended",
            id="Suspended: Suspended",
        ),
        pytest.param(
            conditions.suspended,
            {"suspending": True, "pod": make_pod()},
            "Suspended=False/Suspending",
            "group/instance is suspending",
            id="Suspended: Suspending",
        ),
        pytest.param(
            conditions.suspended,
            {"pod": make_pod()},
            "Suspended=False/Unsuspended",
            "instance is not suspended",
            id="Suspended: Unsuspended",
        ),
        pytest.param(
            conditions.running, {"pod": make_pod()}, "Running=True/Running", "pod is running", id="Running: Running"
        ),
        pytest.param(
            conditions.running,
            {},
            "Running=False/PodNotCreated",
            f"pod of the instance {GONE}",
            id="Running: PodNotCreated",
        ),
        pytest.param(
            conditions.running,
            {"pod": make_pod(phase="Pending")},
            "Running=False/PodNotRunning",
            "pod of the instance is not running, detail: pod is not running",
            id="Running: PodNotRunning",
        ),
        pytest.param(
            conditions.running,
            {"pod": make_pod(), "terminating": True},
            "Running=False/PodTerminating",
            f"pod of the instance {TERMINATING}",
            id="Running: PodTerminating",
        ),
        pytest.param(
            conditions.ready,
            {"pod": make_pod()},
            "Ready=True/Ready",
            "all subreources are ready",
            id="Ready: Ready",
        ),
        pytest.param(
            conditions.ready,
            {},
            "Ready=False/PodNotCreated",
            f"pod of the instance {GONE}",
            id="Ready: PodNotCreated",
        ),
        pytest.param(
            conditions.ready,
            {"pod": make_pod(ready_for=None)},
            "Ready=False/PodNotReady",
            f"pod of the instance {NOT_READY}",
            id="Ready: PodNotReady",
        ),
        pytest.param(
            conditions.ready,
            {"pod": make_pod(), "terminating": True},
            "Ready=False/PodTerminating",
            f"pod of the instance {TERMINATING}",
            id="Ready: PodTerminating",
        ),
        pytest.param(
            conditions.ready,
            {"pod": make_pod(), "healthy": False},
            "Ready=False/InstanceNotHealthy",
            "instance is not probed as healthy",
            id="Ready: InstanceNotHealthy",
        ),
        pytest.param(
            conditions.synced,
            {"pod": make_pod()},
            "Synced=True/Synced",
            "all subreources are synced",
            id="Synced: Synced",
        ),
        pytest.param(
            conditions.synced,
            {"pod": make_pod(), "revision": "old"},
            "Synced=False/PodNotUpToDate",
            "pod is not up to date",
            id="Synced: PodNotUpToDate",
        ),
        pytest.param(
            conditions.synced,
            {"pod": make_pod(), "suspending": True},
            "Synced=False/PodNotDeleted",
            "cluster is suspending or instance is deleting, pod still exists",
            id="Synced: PodNotDeleted",
        ),
        pytest.param(
            conditions.offlined,
            {"state": "Removed", "offline": True},
            "Offlined=True/Completed",
            "store has been removed",
            id="Offlined: Completed",
        ),
        pytest.param(
            conditions.offlined,
            {"state": "Removing", "offline": True, "leaders": 2},
            "Offlined=False/Processing",
            "store is removing: 2 leaders and 10 regions left",
            id="Offlined: Processing",
        ),
        pytest.param(
            conditions.offlined,
            {"state": "Removing"},
            "Offlined=False/Canceling",
            "store removing is canceling",
            id="Offlined: Canceling",
        ),
        pytest.param(
            evict_leader,
            {"state": ""},
            "LeadersEvicted=True/StoreNotExist",
            "store does not exist",
            id="LeadersEvicted: StoreNotExist",
        ),
        pytest.param(
            evict_leader,
            {"evict": True, "evicting": True},
            "LeadersEvicted=True/Evicted",
            "all leaders are evicted",
            id="LeadersEvicted: Evicted",
        ),
        pytest.param(
            evict_leader,
            {"evict": True, "leaders": 3},
            "LeadersEvicted=False/Evicting",
            "not all leaders are evicted, still: 3",
            id="LeadersEvicted: Evicting",
        ),
        pytest.param(
            evict_leader,
            {"leaders": 3},
            "LeadersEvicted=False/NotEvicted",
            "leaders are not all evicted",
            id="LeadersEvicted: NotEvicted",
        ),
    ],
)
async def test_a_condition(task: Task[Any], given: dict[str, Any], expected: str, message: str) -> None:
    ctx = context(**given)
    await task(ctx)
    kind = expected.partition("=")[0]
    found = condition(ctx.tikv, kind)
    assert found is not None
    assert (f"{kind}={found.status}/{found.reason}", found.message) == (expected, message)
    assert found.observed_generation == ctx.tikv.metadata.generation
