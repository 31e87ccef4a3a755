"""One container: waiting, running, or crashed and waiting to be started again. A pure state machine.

Times are seconds since the epoch and come from the caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from controller_runtime.api import format_time
from controller_runtime.api.k8s import (
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
)
from tikv_operator.simulation.settings import SimulationSettings

__all__ = ["SimulatedContainer"]

_KILLED: Final = 137
_FORGIVEN_AFTER: Final = 600.0  # a container that ran so long starts again without back-off


@dataclass(slots=True)
class _End:
    exit_code: int
    reason: str
    message: str
    started_at: float
    finished_at: float


class SimulatedContainer:
    """See the module docstring. A new container waits until `create`."""

    def __init__(self, name: str, image: str, settings: SimulationSettings) -> None:
        self.name = name
        self.image = image
        self.restarts = 0
        self.running_since: float | None = None
        self._settings = settings
        self._starts_at: float | None = None
        self._reason = "PodInitializing"
        self._message = ""
        self._crashes = 0
        self._last: _End | None = None
        self._over = False

    @property
    def starts_at(self) -> float | None:
        """When its process will start; None if it runs, is over, or waits for something else than time."""
        return self._starts_at

    def wait_for(self, reason: str, message: str = "") -> None:
        """It cannot be created yet."""
        self._reason, self._message = reason, message

    def create(self, now: float) -> None:
        """Its process will start after the usual time."""
        self._reason, self._message = "ContainerCreating", ""
        self._starts_at = now + self._settings.start_seconds

    def start(self, now: float) -> None:
        self.running_since = now
        self._starts_at = None

    def crash(self, now: float, message: str, *, exit_code: int = 1) -> None:
        """Its process ends by itself; it will be started again with back-off."""
        if self.running_since is not None and now - self.running_since >= _FORGIVEN_AFTER:
            self._crashes = 0
        self._end(now, exit_code, "Error", message)
        backoff = min(self._settings.crash_backoff * 2**self._crashes, self._settings.crash_backoff_max)
        self._crashes += 1
        self.restarts += 1
        self._starts_at = now + backoff
        self._reason = "CrashLoopBackOff"
        self._message = f"back-off {backoff:g}s restarting failed container={self.name}"

    def replace(self, image: str, now: float) -> None:
        """It gets another image in place: it is stopped and created anew, which is not a crash."""
        self.image = image
        if self.running_since is None:
            return
        self._end(now, 0, "Completed", "")
        self.restarts += 1
        self.create(now)

    def stop(self, now: float) -> None:
        """It is over for good."""
        self._starts_at = None
        self._over = True
        if self.running_since is not None:
            self._end(now, 0, "Completed", "")

    def kill(self, now: float) -> None:
        """Its process is killed from outside; it will be started again."""
        self.crash(now, "killed", exit_code=_KILLED)

    def status(self, *, ready: bool) -> ContainerStatus:
        last = None if self._last is None else ContainerState(terminated=self._terminated(self._last))
        if self.running_since is not None:
            state = ContainerState(running=ContainerStateRunning(started_at=format_time(self.running_since)))
        elif self._over and last is not None:
            state, last = last, None
        else:
            waiting = ContainerStateWaiting(reason=self._reason, message=self._message or None)
            state = ContainerState(waiting=waiting)
        return ContainerStatus(
            name=self.name,
            image=self.image,
            image_id=f"simulated://{self.image}",
            container_id=self._id if self.running_since is not None else None,
            ready=ready,
            started=self.running_since is not None,
            restart_count=self.restarts,
            state=state,
            last_state=last,
        )

    def _end(self, now: float, exit_code: int, reason: str, message: str) -> None:
        started = now if self.running_since is None else self.running_since
        self._last = _End(exit_code, reason, message, started, now)
        self.running_since = None

    def _terminated(self, end: _End) -> ContainerStateTerminated:
        return ContainerStateTerminated(
            exit_code=end.exit_code,
            reason=end.reason,
            message=end.message or None,
            started_at=format_time(end.started_at),
            finished_at=format_time(end.finished_at),
        )

    @property
    def _id(self) -> str:
        return f"simulated://{self.name}-{self.restarts}"
