"""Parts of a pod's status: conditions that remember when they changed, and init containers."""

from __future__ import annotations

from dataclasses import dataclass

from controller_runtime.api import format_time
from controller_runtime.api.k8s import (
    ContainerState,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    PodCondition,
)

__all__ = ["PodConditions", "init_container_status"]


@dataclass(frozen=True, slots=True)
class _Condition:
    holds: bool
    since: float
    reason: str = ""
    message: str = ""


class PodConditions:
    """The conditions of a pod, in the order in which they were set first; a transition time moves with the status alone."""

    def __init__(self) -> None:
        self._known: dict[str, _Condition] = {}

    def set(self, name: str, holds: bool, now: float, reason: str = "", message: str = "") -> None:
        """Set a condition. Reason and message say why it does not hold."""
        before = self._known.get(name)
        since = before.since if before is not None and before.holds is holds else now
        self._known[name] = _Condition(holds, since, "" if holds else reason, "" if holds else message)

    def render(self) -> list[PodCondition]:
        return [
            PodCondition(
                type=name,
                status="True" if condition.holds else "False",
                last_transition_time=format_time(condition.since),
                reason=condition.reason or None,
                message=condition.message or None,
            )
            for name, condition in self._known.items()
        ]


def init_container_status(name: str, image: str, done_at: float | None) -> ContainerStatus:
    """The status of an init container that has run, or (None) has not run yet."""
    if done_at is None:
        state = ContainerState(waiting=ContainerStateWaiting(reason="PodInitializing"))
    else:
        moment = format_time(done_at)
        ended = ContainerStateTerminated(exit_code=0, reason="Completed", started_at=moment, finished_at=moment)
        state = ContainerState(terminated=ended)
    return ContainerStatus(
        name=name,
        image=image,
        image_id=f"simulated://{image}",
        ready=done_at is not None,
        started=False,
        restart_count=0,
        state=state,
    )
