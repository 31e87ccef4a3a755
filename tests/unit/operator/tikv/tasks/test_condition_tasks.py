from __future__ import annotations

from typing import Any

import pytest

from controller_runtime.api import format_time
from controller_runtime.client import Conflict, Forbidden
from controller_runtime.task import Result, Status, fail
from helpers.tikv_fakes import (
    NOW,
    condition,
    make_cluster,
    make_context,
    make_pod,
    make_store,
    make_tikv,
    summary,
    with_condition,
)
from tikv_operator.api import SuspendAction, TiKV
from tikv_operator.common.errors import ConfigInvalid
from tikv_operator.pdclient import PDError
from tikv_operator.tikv.health import Health
from tikv_operator.tikv.tasks import conditions
from tikv_operator.tikv.tasks.state import Problem

SUSPENDING = SuspendAction(suspend_compute=True)


def terminating() -> Any:
    pod = make_pod()
    pod.metadata.deletion_timestamp = "2026-01-01T00:00:00Z"
    return pod


class TestSuspended:
    @pytest.mark.parametrize(
        ("pod", "suspend", "expected", "message"),
        [
            pytest.param(False, False, "False/Unsuspended", "instance is not suspended", id="no pod, not suspending"),
            pytest.param(True, False, "False/Unsuspended", "instance is not suspended", id="pod, not suspending"),
            pytest.param(False, True, "True/Suspended", "group/instance is suspended", id="no pod, suspending"),
            pytest.param(True, True, "False/Suspending", "group/instance is suspending", id="pod, suspending"),
        ],
    )
    async def test_cases(self, pod: bool, suspend: bool, expected: str, message: str) -> None:
        cluster = make_cluster(suspend_action=SUSPENDING if suspend else None)
        cluster.metadata.generation = 7
        ctx = make_context(
            with_condition(make_tikv(), "Suspended", True, "Suspended"),
            cluster=cluster,
            pod=make_pod() if pod else None,
        )
        assert (await conditions.suspended(ctx)).status is Status.COMPLETE
        found = condition(ctx.tikv, "Suspended")
        assert found is not None
        assert (f"{found.status}/{found.reason}", found.message) == (expected, message)
        assert ctx.status.observed_cluster_generation == 7


class TestSynced:
    @pytest.mark.parametrize(
        ("deleting", "suspending", "pod", "revision", "expected", "status"),
        [
            pytest.param(True, False, True, True, "False/PodNotDeleted", Status.WAIT, id="deleting, pod"),
            pytest.param(True, False, False, True, "True/Synced", Status.COMPLETE, id="deleting, no pod"),
            pytest.param(False, True, False, True, "True/Synced", Status.COMPLETE, id="suspending, no pod"),
            pytest.param(False, True, True, True, "False/PodNotDeleted", Status.WAIT, id="suspending, pod"),
            pytest.param(False, False, False, True, "False/PodNotUpToDate", Status.WAIT, id="no pod"),
            pytest.param(False, False, True, False, "False/PodNotUpToDate", Status.WAIT, id="revision differs"),
            pytest.param(False, False, True, True, "True/Synced", Status.COMPLETE, id="equal revision"),
        ],
    )
    async def test_cases(
        self, deleting: bool, suspending: bool, pod: bool, revision: bool, expected: str, status: Status
    ) -> None:
        tikv = make_tikv()
        tikv.metadata.deletion_timestamp = "2026-01-01T00:00:00Z" if deleting else None
        found = make_pod() if pod else None
        if found is not None and not revision:
            found.metadata.labels["pingcap.com/instance-revision-hash"] = "old"
        ctx = make_context(tikv, cluster=make_cluster(suspend_action=SUSPENDING if suspending else None), pod=found)
        assert (await conditions.synced(ctx)).status is status
        assert summary(ctx.tikv) == {"Synced": expected}

    async def test_terminating(self) -> None:
        ctx = make_context(pod=terminating())
        await conditions.synced(ctx)
        assert summary(ctx.tikv) == {"Synced": "False/PodNotUpToDate"}

    async def test_problems_come_first_and_are_all_told(self) -> None:
        ctx = make_context(pod=make_pod())
        ctx.problem("VolumeShrinkRefused", "a")
        ctx.problem("StoreRemovalRefused", "b")
        assert (await conditions.synced(ctx)) == Result(Status.WAIT, "a; b")
        assert summary(ctx.tikv) == {"Synced": "False/VolumeShrinkRefused"}


class TestReady:
    @pytest.mark.parametrize(
        ("pod", "healthy", "expected"),
        [
            pytest.param(None, True, "False/PodNotCreated", id="no pod"),
            pytest.param(terminating(), True, "False/PodTerminating", id="terminating"),
            pytest.param(make_pod(ready_for=None), True, "False/PodNotReady", id="not ready"),
            pytest.param(make_pod(phase="Pending"), True, "False/PodNotReady", id="not running"),
            pytest.param(make_pod(), False, "False/InstanceNotHealthy", id="not healthy"),
            pytest.param(make_pod(), True, "True/Ready", id="ready"),
        ],
    )
    async def test_cases(self, pod: Any, healthy: bool, expected: str) -> None:
        ctx = make_context(pod=pod)
        ctx.health = Health(store_ready=True, healthy=healthy)
        result = await conditions.ready(ctx)
        assert summary(ctx.tikv) == {"Ready": expected}
        assert result.status is (Status.COMPLETE if expected.startswith("True") else Status.WAIT)

    @pytest.mark.parametrize(("age", "moved"), [(30, True), (7200, False)])
    async def test_the_time_counts_anew_for_a_pod_that_nobody_saw_being_unready(self, age: float, moved: bool) -> None:
        ctx = make_context(with_condition(make_tikv(), "Ready", True, "Ready", age=3600), pod=make_pod(ready_for=age))
        ctx.health = Health(healthy=True)
        await conditions.ready(ctx)
        found = condition(ctx.tikv, "Ready")
        assert found is not None
        assert found.last_transition_time == format_time(NOW if moved else NOW - 3600)


class TestOfflined:
    @pytest.mark.parametrize(
        ("offline", "state", "expected", "status"),
        [
            pytest.param(True, "", "True/Completed", Status.COMPLETE, id="offline, no store"),
            pytest.param(True, "Removed", "True/Completed", Status.COMPLETE, id="offline, Removed"),
            pytest.param(False, "Removed", "True/Completed", Status.COMPLETE, id="not offline, Removed"),
            pytest.param(True, "Preparing", "False/Processing", Status.WAIT, id="offline, Preparing"),
            pytest.param(True, "Serving", "False/Processing", Status.WAIT, id="offline, Serving"),
            pytest.param(True, "Removing", "False/Processing", Status.WAIT, id="offline, Removing"),
            pytest.param(False, "", None, Status.COMPLETE, id="not offline, no store"),
            pytest.param(False, "Preparing", None, Status.COMPLETE, id="not offline, Preparing"),
            pytest.param(False, "Serving", None, Status.COMPLETE, id="not offline, Serving"),
            pytest.param(False, "Removing", "False/Canceling", Status.WAIT, id="not offline, Removing"),
        ],
    )
    async def test_cases(self, offline: bool, state: str, expected: str | None, status: Status) -> None:
        tikv = with_condition(make_tikv(offline=offline), "Offlined", False, "Processing")
        ctx = make_context(tikv, store=make_store(node_state=state) if state else None)
        assert (await conditions.offlined(ctx)).status is status
        assert summary(ctx.tikv).get("Offlined") == expected

    async def test_the_message_says_how_much_is_left(self) -> None:
        ctx = make_context(make_tikv(offline=True), store=make_store(leader_count=7, region_count=1234))
        await conditions.offlined(ctx)
        found = condition(ctx.tikv, "Offlined")
        assert found is not None
        assert found.message == "store is removing: 7 leaders and about 1300 regions left"


class TestRestartRequired:
    async def test_exists_while_something_waits_for_a_restart(self) -> None:
        ctx = make_context(make_tikv())
        ctx.needs_restart("ConfigNeedsRestart", "a")
        ctx.needs_restart("PodRenderedDifferently", "b")
        await conditions.restart_required(ctx)
        found = condition(ctx.tikv, "RestartRequired")
        assert found is not None
        assert (found.status, found.reason, found.message) == ("True", "ConfigNeedsRestart", "a; b")

    @pytest.mark.parametrize(("looked", "kept"), [([], False), (None, True)], ids=["nothing waits", "nobody looked"])
    async def test_goes_when_nothing_does_any_more(self, looked: list[Problem] | None, kept: bool) -> None:
        ctx = make_context(with_condition(make_tikv(), "RestartRequired", True, "ConfigNeedsRestart"))
        ctx.restart = looked
        await conditions.restart_required(ctx)
        assert (condition(ctx.tikv, "RestartRequired") is not None) is kept


async def test_what_the_pod_waits_for_is_part_of_the_message() -> None:
    ctx = make_context(make_tikv())
    ctx.pod_waits = "pod must be recreated when its leaders are evicted"
    await conditions.synced(ctx)
    found = condition(ctx.tikv, "Synced")
    assert found is not None
    assert found.message == "pod is not up to date: pod must be recreated when its leaders are evicted"


class TestRunning:
    @pytest.mark.parametrize(
        ("pod", "expected", "message"),
        [
            pytest.param(None, "False/PodNotCreated", "pod of the instance does not exist", id="no pod"),
            pytest.param(terminating(), "False/PodTerminating", "pod of the instance is terminating", id="terminating"),
            pytest.param(
                make_pod(phase="Pending"),
                "False/PodNotRunning",
                "pod of the instance is not running, detail: pod is not running",
                id="not running",
            ),
            pytest.param(make_pod(), "True/Running", "pod is running", id="running"),
        ],
    )
    async def test_cases(self, pod: Any, expected: str, message: str) -> None:
        ctx = make_context(pod=pod)
        await conditions.running(ctx)
        found = condition(ctx.tikv, "Running")
        assert found is not None
        assert (f"{found.status}/{found.reason}", found.message) == (expected, message)


class TestFailures:
    """What a failed run leaves behind."""

    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (ConfigInvalid("no TOML"), "ConfigInvalid"),
            (PDError("no TOML"), "PDRequestFailed"),
            (Forbidden("no TOML", code=403), "APIRequestFailed"),
            (RuntimeError("no TOML"), "TaskFailed"),
            (None, "TaskFailed"),
        ],
    )
    async def test_are_persisted_with_the_task_and_the_cause(self, error: Exception | None, reason: str) -> None:
        ctx = make_context(pod=make_pod())
        await conditions.suspended(ctx)
        await conditions.record_failure(ctx, "ConfigMap", fail("no TOML", error))
        stored = ctx.client.stored(TiKV, "basic-abc123")
        assert summary(stored) == {
            "Suspended": "False/Unsuspended",
            "Synced": f"False/{reason}",
            "Running": "True/Running",
        }
        found = condition(stored, "Synced")
        assert found is not None
        assert found.message == "ConfigMap: no TOML"
        assert ctx.events.events == [f"Warning {reason}: ConfigMap: no TOML"]

    async def test_are_written_once(self) -> None:
        ctx = make_context()
        for _ in range(3):
            await conditions.record_failure(ctx, "ConfigMap", fail("no TOML", ConfigInvalid("no TOML")))
        assert ctx.client.writes == ["update_status TiKV basic-abc123"]
        assert len(ctx.events.events) == 1

    @pytest.mark.parametrize("task", ["Status", "UpdateStatus"])
    async def test_to_write_the_status_are_not(self, task: str) -> None:
        ctx = make_context()
        await conditions.record_failure(ctx, task, fail("no"))
        assert ctx.client.writes == []

    async def test_before_the_tikv_is_known_are_not(self) -> None:
        ctx = make_context(found=False)
        await conditions.record_failure(ctx, "ContextObject", fail("no"))
        assert ctx.client.writes == []


class TestNothingCanGoOn:
    async def test_without_a_cluster(self) -> None:
        ctx = make_context()
        assert (await conditions.cluster_missing(ctx)).status is Status.WAIT
        assert summary(ctx.client.stored(TiKV, "basic-abc123")) == {"Synced": "False/ClusterNotFound"}
        assert ctx.events.events == ["Warning ClusterNotFound: cluster tc does not exist"]

    async def test_while_the_cluster_is_paused(self) -> None:
        ctx = make_context()
        assert (await conditions.deletion_paused(ctx)).status is Status.WAIT
        assert summary(ctx.client.stored(TiKV, "basic-abc123")) == {"Synced": "False/ClusterPaused"}


class TestEvents:
    async def test_are_written_after_the_status_and_only_then(self) -> None:
        ctx = make_context(pod=make_pod())
        ctx.observe("Ready", True, "Ready", "all subreources are ready")
        ctx.client.errors["update_status TiKV"] = Conflict("changed", code=409)
        with pytest.raises(Conflict):
            await ctx.write_status()
        assert ctx.events.events == []
        await ctx.write_status()
        assert ctx.events.events == ["Normal Ready: all subreources are ready"]
        await ctx.write_status()
        assert len(ctx.events.events) == 1
