"""What a pod's status says, in the words that conditions use. Pure functions; times are wall-clock seconds."""

from __future__ import annotations

from controller_runtime.api import parse_time
from controller_runtime.api.k8s import ContainerStatus, Pod

__all__ = ["is_terminating", "not_running_detail", "ready_since", "started_at"]


def is_terminating(pod: Pod | None) -> bool:
    """Return whether the pod is being deleted."""
    return pod is not None and pod.metadata.deletion_timestamp is not None


def ready_since(pod: Pod | None) -> float | None:
    """Return since when the pod is ready; None if it isn't, 0.0 if it doesn't say since when."""
    conditions = (pod.status.conditions if pod is not None and pod.status is not None else None) or ()
    for condition in conditions:
        if condition.type == "Ready" and condition.status == "True":
            return parse_time(condition.last_transition_time) if condition.last_transition_time else 0.0
    return None


def started_at(pod: Pod, container: str) -> float | None:
    """Return when a container was started last; when the pod was, if that isn't known; None if neither is."""
    status = _container(pod, container)
    running = status.state.running if status is not None and status.state is not None else None
    text = (running.started_at if running is not None else None) or (
        pod.status.start_time if pod.status is not None else None
    )
    return parse_time(text) if text else None


def not_running_detail(pod: Pod, container: str) -> str:
    """Return why a pod's main container doesn't run; empty if it does."""
    if pod.status is None or pod.status.phase != "Running":
        return "pod is not running"
    status = _container(pod, container)
    if status is None:
        return f"main container {container} is not found"
    state = status.state
    if status.ready or status.started or (state is not None and state.running is not None):
        return ""
    if state is not None and state.terminated is not None:
        how = state.terminated
        return f"main container {container} is terminated, reason: {how.reason or ''}, message: {how.message or ''}"
    if state is not None and state.waiting is not None:
        why = state.waiting
        return f"main container {container} is waiting, reason: {why.reason or ''}, message: {why.message or ''}"
    return f"main container {container} is waiting for initialize status"


def _container(pod: Pod, name: str) -> ContainerStatus | None:
    """Return a container's status; of several with one name the last."""
    statuses = (pod.status.container_statuses if pod.status is not None else None) or ()
    return next((status for status in reversed(list(statuses)) if status.name == name), None)
