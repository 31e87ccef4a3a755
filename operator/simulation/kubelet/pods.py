"""The life of one pod on its node, as a pure state machine: from bound to gone.

| stage | until |
|---|---|
| CREATING | its claims are bound and its config maps exist |
| INITIALIZING | its init containers have run |
| RUNNING | somebody deletes it; containers start, become ready, crash, are replaced |
| STOPPING | its pre-stop hook has ended, or its grace period |
| KILLING | its processes have heard the signal |
| GONE | the API server is told |

`advance` does everything that is due at `now` and `wake` says when the next thing will be, so the shell calls `advance`
whenever something about the pod has changed or that time has come. Times are seconds since the epoch.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from controller_runtime.api import format_time
from controller_runtime.api.k8s import HostIP, PodIP, PodStatus
from tikv_operator.simulation.kubelet.containers import SimulatedContainer
from tikv_operator.simulation.kubelet.podstatus import PodConditions, init_container_status
from tikv_operator.simulation.kubelet.prestop import PreStopChecker
from tikv_operator.simulation.kubelet.processes import Process
from tikv_operator.simulation.settings import SimulationSettings

__all__ = ["PodFacts", "PodMachine", "PodPlan", "Stage"]


class Stage(enum.IntEnum):
    CREATING = 0
    INITIALIZING = 1
    RUNNING = 2
    STOPPING = 3
    KILLING = 4
    GONE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PodPlan:
    """What of a pod's spec never changes.

    Attributes:
        containers: names, in order.
        init_containers: names and images.
        main: the container in which the process runs.
        checked_stop: a pre-stop checker holds up the main container's end.
        probed: the main container is ready only when its process is healthy.
    """

    containers: tuple[str, ...]
    init_containers: tuple[tuple[str, str], ...] = ()
    main: str
    checked_stop: bool = False
    probed: bool = False
    node_ip: str = "10.0.0.1"
    pod_ip: str = "10.244.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodFacts:
    """What is the case at one moment.

    Attributes:
        images: of the containers, by name.
        missing: what the pod waits for before its containers can be created; empty for nothing.
        gone_by: when the pod's grace period ends, if it is being deleted.
        crashing: the main container doesn't come up.
        unready: it comes up but is never ready.
    """

    images: Mapping[str, str]
    missing: str = ""
    gone_by: float | None = None
    crashing: bool = False
    unready: bool = False


class PodMachine:
    """See the module docstring. Born when the pod is bound to its node."""

    def __init__(self, plan: PodPlan, process: Process, settings: SimulationSettings, *, now: float) -> None:
        self.plan = plan
        self.process = process
        self.stage = Stage.CREATING
        self._settings = settings
        self._born = self._since = self._now = now
        self._initialized: float | None = None
        self._containers = {name: SimulatedContainer(name, "", settings) for name in plan.containers}
        self._prestop: PreStopChecker | None = None
        self._gone_by = 0.0
        self._poll_at: float | None = None
        self._ready = False
        self._unready = False
        self._conditions = PodConditions()
        self._conditions.set("PodScheduled", True, now)

    @property
    def ready(self) -> bool:
        return self._ready

    def kill_main(self, now: float) -> None:
        """Kill the process of the main container; it will be started again."""
        main = self._containers[self.plan.main]
        if main.running_since is not None:
            self.process.stop(now)
            main.kill(now)

    def abandon(self, now: float) -> None:
        """The pod was removed from the API server by force: whatever runs is killed."""
        self.process.stop(now)
        self.stage = Stage.GONE

    def advance(self, facts: PodFacts, now: float) -> None:
        """Do what is due."""
        self._now = now
        self._unready = facts.unready
        if facts.gone_by is not None:
            self._gone_by = facts.gone_by
            if self.stage < Stage.STOPPING:
                self._begin_to_stop(now)
        if self.stage is Stage.CREATING:
            self._create(facts, now)
        if self.stage is Stage.INITIALIZING and now >= self._initialized_at:
            self.stage, self._since, self._initialized = Stage.RUNNING, now, now
            for container in self._containers.values():
                container.image = facts.images[container.name]
                container.create(now)
        if self.stage in (Stage.RUNNING, Stage.STOPPING):
            self._run(facts, now)
        if self.stage is Stage.STOPPING and self._may_be_killed(now):
            self.stage, self._since = Stage.KILLING, now
        if self.stage is Stage.KILLING and now >= self._dead_at:
            self._bury(now)
        self._observe(now)

    def wake(self) -> float | None:
        """When to advance at the latest; None if only the outside can change anything."""
        times: list[float | None] = []
        match self.stage:
            case Stage.INITIALIZING:
                times.append(self._initialized_at)
            case Stage.RUNNING:
                times.append(self._poll_at)
                for container in self._containers.values():
                    times.extend((container.starts_at, self._ready_at(container)))
            case Stage.STOPPING:
                times.extend((self._poll_at, self._gone_by, self._prestop.next_look if self._prestop else None))
            case Stage.KILLING:
                times.append(self._dead_at)
        return min((time for time in times if time is not None), default=None)

    def status(self) -> PodStatus:
        """The pod's status as the API server should have it."""
        return PodStatus(
            phase="Running" if self.stage >= Stage.RUNNING else "Pending",
            start_time=format_time(self._born),
            host_ip=self.plan.node_ip,
            host_ips=[HostIP(ip=self.plan.node_ip)],
            pod_ip=self.plan.pod_ip,
            pod_ips=[PodIP(ip=self.plan.pod_ip)],
            conditions=self._conditions.render(),
            init_container_statuses=[
                init_container_status(name, image, self._initialized) for name, image in self.plan.init_containers
            ]
            or None,
            container_statuses=[
                container.status(ready=self._is_ready(container)) for container in self._containers.values()
            ],
        )

    # -- the stages

    def _create(self, facts: PodFacts, now: float) -> None:
        for container in self._containers.values():
            container.image = facts.images[container.name]
            container.wait_for("ContainerCreating" if facts.missing else "PodInitializing", facts.missing)
        if not facts.missing:
            self.stage, self._since = Stage.INITIALIZING, now

    @property
    def _initialized_at(self) -> float:
        return self._since + len(self.plan.init_containers) * self._settings.init_seconds

    def _run(self, facts: PodFacts, now: float) -> None:
        for container in self._containers.values():
            if container.image != facts.images[container.name]:
                if container.name == self.plan.main:
                    self.process.stop(now)
                container.replace(facts.images[container.name], now)
            if container.starts_at is not None and container.starts_at <= now and self.stage is Stage.RUNNING:
                container.start(now)
                if container.name == self.plan.main:
                    self._start_main(container, facts, now)
        main = self._containers[self.plan.main]
        self._poll_at = self.process.poll(now) if main.running_since is not None else None
        if main.running_since is not None and self.process.failure:
            failure = self.process.failure
            self.process.stop(now)
            main.crash(now, failure)
        self._note_readiness(now)

    def _start_main(self, container: SimulatedContainer, facts: PodFacts, now: float) -> None:
        if facts.crashing:
            container.crash(now, "simulated crash at start")
        else:
            self.process.start(now)

    def _begin_to_stop(self, now: float) -> None:
        running = any(container.running_since is not None for container in self._containers.values())
        if not running:
            self._bury(now)
            return
        self.stage, self._since = Stage.STOPPING, now
        if self.plan.checked_stop and self._containers[self.plan.main].running_since is not None:
            self._prestop = PreStopChecker(self._settings, now)

    def _may_be_killed(self, now: float) -> bool:
        if self._prestop is None or now >= self._gone_by or self._containers[self.plan.main].running_since is None:
            return True
        self._prestop.look(self.process.leaders(now), now, known_to_pd=self.process.known_to_pd(now))
        return self._prestop.done

    @property
    def _dead_at(self) -> float:
        return self._since + self._settings.stop_seconds

    def _bury(self, now: float) -> None:
        self.process.stop(now)
        for container in self._containers.values():
            container.stop(now)
        self.stage = Stage.GONE
        self._note_readiness(now)

    # -- readiness and conditions

    def _ready_at(self, container: SimulatedContainer) -> float | None:
        """When a container that runs, but not for long enough yet, will be ready."""
        if container.running_since is None or self._is_ready(container):
            return None
        at = container.running_since + self._settings.ready_seconds
        return at if at > self._now else None

    def _is_ready(self, container: SimulatedContainer) -> bool:
        if container.running_since is None or container.running_since + self._settings.ready_seconds > self._now:
            return False
        if container.name != self.plan.main:
            return True
        return not self._unready and (not self.plan.probed or self.process.healthy)

    def _note_readiness(self, now: float) -> None:
        ready = self._is_ready(self._containers[self.plan.main])
        if ready is not self._ready:
            self._ready = ready
            self.process.serve(ready, now)

    def _observe(self, now: float) -> None:
        unready = [name for name, container in self._containers.items() if not self._is_ready(container)]
        message = f"containers with unready status: [{' '.join(unready)}]"
        waiting = [name for name, _ in self.plan.init_containers]
        self._conditions.set(
            "Initialized",
            self._initialized is not None,
            now,
            "ContainersNotInitialized",
            f"containers with incomplete status: [{' '.join(waiting)}]",
        )
        for name in ("ContainersReady", "Ready"):
            self._conditions.set(name, not unready, now, "ContainersNotReady", message)
