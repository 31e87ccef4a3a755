from __future__ import annotations

from typing import Any

import pytest

from controller_runtime.api.k8s import (
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    Pod,
    PodCondition,
    PodStatus,
)
from tikv_operator.common.pods import is_terminating, not_running_detail, ready_since, started_at

TIME = "2026-01-01T00:00:00Z"
SECONDS = 1_767_225_600.0


def pod(*containers: ContainerStatus, phase: str = "Running", **status: Any) -> Pod:
    return Pod(status=PodStatus(phase=phase, container_statuses=list(containers), **status))


def tikv(**status: Any) -> ContainerStatus:
    return ContainerStatus(name="tikv", **status)


WAITING = ContainerState(waiting=ContainerStateWaiting(reason="ImagePullBackOff", message="no such image"))
TERMINATED = ContainerState(terminated=ContainerStateTerminated(reason="OOMKilled", message="too much"))
RUNNING = ContainerState(running=ContainerStateRunning(started_at=TIME))


@pytest.mark.parametrize(
    ("pod", "detail"),
    [
        pytest.param(Pod(), "pod is not running", id="no status"),
        pytest.param(pod(tikv(ready=True), phase="Pending"), "pod is not running", id="another phase"),
        pytest.param(pod(ContainerStatus(name="x")), "main container tikv is not found", id="no such container"),
        pytest.param(pod(tikv(ready=True)), "", id="ready"),
        pytest.param(pod(tikv(started=True)), "", id="started"),
        pytest.param(pod(tikv(state=RUNNING)), "", id="running"),
        pytest.param(
            pod(tikv(state=TERMINATED)),
            "main container tikv is terminated, reason: OOMKilled, message: too much",
            id="terminated",
        ),
        pytest.param(
            pod(tikv(state=WAITING)),
            "main container tikv is waiting, reason: ImagePullBackOff, message: no such image",
            id="waiting",
        ),
        pytest.param(pod(tikv()), "main container tikv is waiting for initialize status", id="no state"),
        pytest.param(
            pod(tikv(ready=True), tikv()), "main container tikv is waiting for initialize status", id="the last"
        ),
    ],
)
def test_why_a_main_container_does_not_run(pod: Pod, detail: str) -> None:
    assert not_running_detail(pod, "tikv") == detail


class TestReadySince:
    def test_is_the_transition_time_of_the_condition(self) -> None:
        ready = PodCondition(type="Ready", status="True", last_transition_time=TIME)
        assert ready_since(pod(conditions=[PodCondition(type="Other", status="True"), ready])) == SECONDS
        assert ready_since(pod(conditions=[PodCondition(type="Ready", status="True")])) == 0.0

    def test_is_none_for_a_pod_that_is_not_ready(self) -> None:
        assert ready_since(None) is None
        assert ready_since(Pod()) is None
        assert ready_since(pod(conditions=[PodCondition(type="Ready", status="False")])) is None


class TestStartedAt:
    def test_is_the_containers_last_start(self) -> None:
        assert started_at(pod(tikv(state=RUNNING), start_time="2025-01-01T00:00:00Z"), "tikv") == SECONDS

    def test_is_the_pods_start_if_the_container_does_not_tell(self) -> None:
        assert started_at(pod(tikv(state=WAITING), start_time=TIME), "tikv") == SECONDS
        assert started_at(Pod(), "tikv") is None


def test_a_pod_is_terminating_once_it_has_been_deleted() -> None:
    deleted = Pod()
    deleted.metadata.deletion_timestamp = TIME
    assert is_terminating(deleted)
    assert not is_terminating(Pod())
    assert not is_terminating(None)
