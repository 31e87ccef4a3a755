"""A pod's life on its simulated node, second by second."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from controller_runtime.api import parse_time
from controller_runtime.api.k8s import ContainerStatus
from tikv_operator.simulation.kubelet.pods import PodFacts, PodMachine, PodPlan, Stage
from tikv_operator.simulation.settings import SimulationSettings

START = 1_767_225_600.0
SETTINGS = SimulationSettings(init_seconds=2.0, start_seconds=3.0, ready_seconds=4.0, stop_seconds=5.0)
IMAGES = {"tikv": "tikv:v1", "sidecar": "log:v1"}
PLAN = PodPlan(
    containers=("tikv", "sidecar"), init_containers=(("checker", "checker:v1"),), main="tikv", checked_stop=True
)


class FakeProcess:
    """Notes what happens to it."""

    def __init__(self) -> None:
        self.failure = ""
        self.healthy = True
        self.events: list[str] = []
        self.leading: int | None = 0
        self.known = True
        self.poll_again: float | None = None

    def start(self, now: float) -> None:
        self.failure = ""
        self.events.append("start")

    def poll(self, now: float) -> float | None:
        return self.poll_again

    def serve(self, ready: bool, now: float) -> None:
        self.events.append("ready" if ready else "unready")

    def stop(self, now: float) -> None:
        self.events.append("stop")

    def leaders(self, now: float) -> int | None:
        return self.leading

    def known_to_pd(self, now: float) -> bool:
        return self.known


class Pod:
    """A machine with a clock."""

    def __init__(self, plan: PodPlan = PLAN, **facts: Any) -> None:
        self.now = START
        self.process = FakeProcess()
        self.facts = PodFacts(images=IMAGES, **facts)
        self.machine = PodMachine(plan, self.process, SETTINGS, now=START)
        self.after(0)

    def after(self, seconds: float, **facts: Any) -> Pod:
        """Advance as a kubelet would: whenever the machine wants to be woken, and at the end."""
        self.facts = replace(self.facts, **facts)
        end = self.now + seconds
        self.machine.advance(self.facts, self.now)
        while (wake := self.machine.wake()) is not None and wake <= end:
            assert wake >= self.now
            self.now = wake
            self.machine.advance(self.facts, self.now)
        self.now = end
        self.machine.advance(self.facts, self.now)
        return self

    def delete(self, grace: float) -> Pod:
        return self.after(0, gone_by=self.now + grace)

    def conditions(self) -> dict[str, tuple[str, float]]:
        found = self.machine.status().conditions or []
        return {
            condition.type: (condition.status, parse_time(condition.last_transition_time or "") - START)
            for condition in found
        }

    def container(self, name: str = "tikv") -> ContainerStatus:
        statuses = self.machine.status().container_statuses or []
        return next(status for status in statuses if status.name == name)


def test_starts_step_by_step() -> None:
    pod = Pod()
    assert pod.machine.status().phase == "Pending"
    assert pod.conditions() == {
        "PodScheduled": ("True", 0),
        "Initialized": ("False", 0),
        "ContainersReady": ("False", 0),
        "Ready": ("False", 0),
    }
    pod.after(2)
    assert pod.machine.status().phase == "Running"
    assert pod.conditions()["Initialized"] == ("True", 2)
    assert pod.container().state.waiting.reason == "ContainerCreating"
    pod.after(3)
    assert pod.container().state.running is not None
    assert pod.container().started is True
    assert pod.conditions()["Ready"] == ("False", 0)
    pod.after(4)
    assert pod.container().ready is True
    assert pod.conditions()["Ready"] == ("True", 9)
    assert pod.process.events == ["start", "ready"]
    assert pod.machine.wake() is None


def test_waits_for_its_volumes_and_says_so() -> None:
    pod = Pod(missing="waiting for volume claim data")
    pod.after(100)
    waiting = pod.container().state.waiting
    assert (waiting.reason, waiting.message) == ("ContainerCreating", "waiting for volume claim data")
    assert pod.machine.status().phase == "Pending"
    pod.after(9, missing="")
    assert pod.machine.ready


def test_init_containers_are_reported() -> None:
    pod = Pod()
    (before,) = pod.machine.status().init_container_statuses or []
    assert (before.name, before.image, before.ready) == ("checker", "checker:v1", False)
    (after,) = pod.after(2).machine.status().init_container_statuses or []
    assert after.ready
    assert after.state.terminated.reason == "Completed"


def test_a_probed_container_is_ready_when_its_process_is_healthy() -> None:
    pod = Pod(replace(PLAN, probed=True))
    pod.process.healthy = False
    pod.process.poll_again = START + 30
    pod.after(29)
    assert not pod.machine.ready
    pod.process.healthy, pod.process.poll_again = True, None
    pod.after(0)
    assert pod.machine.ready
    assert pod.conditions()["Ready"] == ("True", 29)


def test_a_sidecar_does_not_make_the_process_ready() -> None:
    pod = Pod(unready=True)
    pod.after(100)
    assert pod.container("sidecar").ready is True
    assert pod.container("tikv").ready is False
    assert "ready" not in pod.process.events
    message = next(c.message for c in pod.machine.status().conditions or [] if c.type == "Ready")
    assert message == "containers with unready status: [tikv]"


def test_a_failing_process_is_restarted_with_growing_pauses() -> None:
    pod = Pod()
    pod.after(9)
    pod.process.failure = "cluster ID mismatch"
    pod.after(0)
    status = pod.container()
    assert status.state.waiting.reason == "CrashLoopBackOff"
    assert status.last_state.terminated.message == "cluster ID mismatch"
    assert (status.restart_count, status.ready) == (1, False)
    assert pod.conditions()["Ready"] == ("False", 9)
    pod.after(SETTINGS.crash_backoff)
    assert pod.container().state.running is not None
    pod.process.failure = "again"
    pod.after(SETTINGS.crash_backoff)
    assert pod.container().state.waiting.message == "back-off 4s restarting failed container=tikv"
    pod.after(SETTINGS.crash_backoff)
    assert pod.container().restart_count == 2
    assert pod.container().state.running is not None


def test_a_crashing_pod_never_starts_its_process_until_the_trouble_ends() -> None:
    pod = Pod(crashing=True)
    pod.after(300)
    assert "start" not in pod.process.events
    assert pod.container().restart_count > 5
    pod.after(SETTINGS.crash_backoff_max + 4, crashing=False)
    assert pod.machine.ready


def test_a_killed_process_comes_back() -> None:
    pod = Pod()
    pod.after(9)
    pod.machine.kill_main(pod.now)
    pod.after(0)
    assert pod.container().last_state.terminated.exit_code == 137
    assert not pod.machine.ready
    pod.after(SETTINGS.crash_backoff + 4)
    assert pod.machine.ready
    assert pod.process.events == ["start", "ready", "stop", "unready", "start", "ready"]


def test_a_new_image_restarts_its_container_alone() -> None:
    pod = Pod()
    pod.after(9)
    pod.after(0, images={"tikv": "tikv:v1", "sidecar": "log:v2"})
    assert pod.container("tikv").state.running is not None
    assert pod.container("sidecar").state.waiting.reason == "ContainerCreating"
    assert pod.conditions()["Ready"] == ("False", 9)
    pod.after(7)
    assert pod.container("sidecar").image == "log:v2"
    assert pod.container("sidecar").restart_count == 1
    assert pod.conditions()["Ready"] == ("True", 16)
    assert pod.process.events == ["start", "ready"]
    pod.after(7, images={"tikv": "tikv:v2", "sidecar": "log:v2"})
    assert pod.process.events == ["start", "ready", "stop", "unready", "start", "ready"]


class TestTermination:
    def test_waits_until_the_store_leads_nothing(self) -> None:
        pod = Pod()
        pod.after(9)
        pod.process.leading = 3
        pod.delete(grace=1000)
        pod.after(20)
        assert pod.machine.stage is Stage.STOPPING
        assert pod.machine.ready
        pod.process.leading = 0
        pod.after(SETTINGS.prestop_poll)
        assert pod.machine.stage is Stage.KILLING
        pod.after(SETTINGS.stop_seconds)
        assert pod.machine.stage is Stage.GONE
        assert pod.process.events[-2:] == ["stop", "unready"]

    def test_ends_with_the_grace_period(self) -> None:
        pod = Pod()
        pod.after(9)
        pod.process.leading = 3
        pod.delete(grace=7).after(6)
        assert pod.machine.stage is Stage.STOPPING
        pod.after(1 + SETTINGS.stop_seconds)
        assert pod.machine.stage is Stage.GONE

    def test_heeds_a_grace_period_that_becomes_shorter(self) -> None:
        pod = Pod()
        pod.after(9)
        pod.process.leading = 3
        pod.delete(grace=1000).after(5)
        pod.delete(grace=2).after(2 + SETTINGS.stop_seconds)
        assert pod.machine.stage is Stage.GONE

    def test_gives_up_on_leaders_that_do_not_leave(self) -> None:
        pod = Pod()
        pod.after(9)
        pod.process.leading = 3
        pod.delete(grace=65535)
        pod.after((SETTINGS.prestop_stalled_polls - 1) * SETTINGS.prestop_poll)
        assert pod.machine.stage is Stage.STOPPING
        pod.after(SETTINGS.prestop_poll)
        assert pod.machine.stage is Stage.KILLING

    def test_gives_up_on_a_store_that_pd_does_not_know(self) -> None:
        pod = Pod()
        pod.after(9)
        pod.process.known, pod.process.leading = False, None
        pod.delete(grace=65535).after(SETTINGS.prestop_find_store)
        assert pod.machine.stage is Stage.KILLING

    def test_is_quick_without_a_checker(self) -> None:
        pod = Pod(replace(PLAN, checked_stop=False))
        pod.after(9)
        pod.process.leading = 3
        pod.delete(grace=30).after(SETTINGS.stop_seconds)
        assert pod.machine.stage is Stage.GONE

    @pytest.mark.parametrize("age", [0, 1, 4])
    def test_is_immediate_before_anything_runs(self, age: float) -> None:
        pod = Pod()
        pod.after(age)
        assert pod.delete(grace=30).machine.stage is Stage.GONE
        assert "start" not in pod.process.events

    def test_does_not_start_containers_any_more(self) -> None:
        pod = Pod()
        pod.after(9)
        pod.machine.kill_main(pod.now)
        pod.delete(grace=1000)
        assert pod.machine.stage is Stage.KILLING
        pod.after(SETTINGS.stop_seconds)
        assert pod.process.events.count("start") == 1

    def test_by_force_kills_the_process(self) -> None:
        pod = Pod()
        pod.after(9)
        pod.machine.abandon(pod.now)
        assert pod.process.events[-1] == "stop"
        assert pod.machine.stage is Stage.GONE


STEPS = st.one_of(
    st.tuples(st.just("wait"), st.floats(0, 20)),
    st.tuples(st.just("crashing"), st.booleans()),
    st.tuples(st.just("unready"), st.booleans()),
    st.tuples(st.just("image"), st.sampled_from(["v1", "v2"])),
    st.tuples(st.just("missing"), st.sampled_from(["", "a claim"])),
    st.tuples(st.just("leading"), st.integers(0, 2)),
    st.tuples(st.just("fail"), st.none()),
    st.tuples(st.just("kill"), st.none()),
    st.tuples(st.just("delete"), st.floats(0, 100)),
)


@hypothesis_settings(deadline=None)
@given(st.lists(STEPS, max_size=30))
def test_whatever_happens_a_machine_never_spins_and_always_ends(steps: list[tuple[str, Any]]) -> None:
    pod = Pod()
    for what, value in steps:
        match what:
            case "wait":
                pod.after(value)
            case "delete":
                pod.delete(value)
            case "kill":
                pod.machine.kill_main(pod.now)
            case "fail":
                pod.process.failure = "oops"
            case "leading":
                pod.process.leading = value
            case "image":
                pod.after(0, images={**IMAGES, "tikv": value})
            case _:
                pod.after(0, **{what: value})
        if what != "kill":
            assert (wake := pod.machine.wake()) is None or wake > pod.now - 1e-9
    pod.delete(grace=10).after(10 + SETTINGS.stop_seconds)
    assert pod.machine.stage is Stage.GONE
    assert pod.machine.wake() is None
    runs = [event for event in pod.process.events if event in ("start", "stop")]
    assert all(pair != ("start", "start") for pair in itertools.pairwise(runs))
    assert runs[-1:] in ([], ["stop"])
    assert not pod.machine.ready
