"""The manager against an API server in this process, in virtual time: start, election, failure and stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from controller_runtime import (
    Context,
    Controller,
    Election,
    GracePeriodExceeded,
    LeaderElectionLost,
    Manager,
    Object,
    ObjectKey,
    ObjectMeta,
    Request,
    Requeue,
    Resource,
)
from controller_runtime.api.k8s import ConfigMap, Event, Lease
from controller_runtime.client.transport import Request as HttpRequest
from controller_runtime.client.transport import Response
from controller_runtime.clock import LoopClock
from controller_runtime.envtest import EmbeddedCluster
from helpers.recording_log import RecordingLog

LEASE = ObjectKey("default", "widgets.example.com")


@pytest_asyncio.fixture
async def cluster() -> AsyncIterator[EmbeddedCluster]:
    async with EmbeddedCluster(clock=LoopClock()) as cluster:
        yield cluster


class Stuck(Object):
    """A kind that nobody has installed."""

    resource = Resource(group="example.com", version="v1", kind="Stuck", plural="stucks")


class HangingTransport:
    """Passes requests on until somebody sets `hanging`; watches and lists are not touched."""

    def __init__(self, cluster: EmbeddedCluster) -> None:
        self._inner = cluster.transport
        self.stream = cluster.transport.stream
        self.hanging = False

    async def request(self, request: HttpRequest) -> Response:
        if self.hanging:
            await asyncio.Event().wait()
        return await self._inner.request(request)

    async def close(self) -> None:
        await self._inner.close()


def make_manager(cluster: EmbeddedCluster, *, transport: Any = None, election: bool = False, **options: Any) -> Manager:
    options.setdefault("log", RecordingLog())
    if election:
        options["election"] = Election(lease=LEASE, **options.pop("election_options", {}))
    return Manager(transport or cluster.transport, field_manager="test", clock=LoopClock(), **options)


@asynccontextmanager
async def running(manager: Manager) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(manager.run())
    try:
        await asyncio.sleep(1)
        yield task
    finally:
        manager.stop()
        await asyncio.gather(task, return_exceptions=True)


class Job:
    """A runnable that writes down when it starts and ends."""

    def __init__(
        self, name: str, diary: list[str], *, needs_leader: bool = True, error: Exception | None = None
    ) -> None:
        self.name = name
        self.needs_leader = needs_leader
        self._diary = diary
        self._error = error

    async def run(self) -> None:
        self._diary.append(f"{self.name} starts")
        try:
            await asyncio.sleep(5 if self._error else 1e9)
            if self._error:
                raise self._error
        finally:
            self._diary.append(f"{self.name} ends")


def config_map(name: str = "a") -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, namespace="default"), data={"x": "1"})


def controller_of(runs: list[str], *, seconds: float = 0.0, **options: Any) -> Controller:
    async def reconcile(_: Context, request: Request) -> Requeue | None:
        runs.append(f"{request.name} starts")
        await asyncio.sleep(seconds)
        runs.append(f"{request.name} ends")
        return None

    return Controller("configmap", reconcile, **options).reconciles(ConfigMap)


async def holder(manager: Manager) -> str:
    lease = await manager.client.live.get(Lease, LEASE)
    return (lease.spec and lease.spec.holder_identity) or ""


class TestStart:
    async def test_an_object_is_reconciled_with_a_cached_client(self, cluster: EmbeddedCluster) -> None:
        seen: list[str] = []

        async def reconcile(ctx: Context, request: Request) -> None:
            found = await ctx.client.find(ConfigMap, request.key)
            seen.append(f"{request.key}: {found.data if found else 'gone'}")
            if found:
                ctx.events.normal(found, "Seen", "it is there")

        manager = make_manager(cluster)
        manager.add(Controller("configmap", reconcile).reconciles(ConfigMap))
        async with running(manager):
            await manager.client.create(config_map())
            await asyncio.sleep(1)
            await manager.client.delete(ConfigMap, ObjectKey("default", "a"))
            await asyncio.sleep(1)
            assert seen == ["default/a: {'x': '1'}", "default/a: gone"]
            (event,) = await manager.client.live.list(Event)
            assert (event.reason, event.note, event.reporting_controller) == ("Seen", "it is there", "test")

    async def test_what_needs_no_leader_starts_before_what_does(self, cluster: EmbeddedCluster) -> None:
        diary: list[str] = []
        manager = make_manager(cluster, election=True)
        manager.add(Job("leader's", diary))
        manager.add(Job("everybody's", diary, needs_leader=False))
        async with running(manager):
            assert diary == ["everybody's starts", "leader's starts"]
            assert manager.elected.is_set()

    async def test_runnables_can_be_added_later(self, cluster: EmbeddedCluster) -> None:
        diary: list[str] = []
        manager = make_manager(cluster)
        async with running(manager):
            manager.add(Job("late", diary))
            manager.add(controller_of(diary))
            await manager.client.create(config_map())
            await asyncio.sleep(1)
        assert diary == ["late starts", "a starts", "a ends", "late ends"]
        with pytest.raises(RuntimeError, match="the manager is stopping"):
            manager.add(Job("too late", diary))

    async def test_a_kind_that_does_not_exist_degrades_its_controller_alone(self, cluster: EmbeddedCluster) -> None:
        async def never(_: Context, __: Request) -> None:
            raise AssertionError("this kind does not exist")

        runs: list[str] = []
        manager = make_manager(cluster)
        manager.add(Controller("stuck", never, sync_timeout=10).reconciles(Stuck))
        manager.add(controller_of(runs))
        async with running(manager):
            await manager.client.create(config_map())
            await asyncio.sleep(5)
            assert runs == ["a starts", "a ends"]
            await asyncio.sleep(10)
            ready = manager.endpoints.readyz.answer()
            assert ready.status == 500
            assert "[-]informers failed: stucks.example.com/v1: NotFound" in ready.body
            assert "controller 'stuck' waits for its sources since 10 s" in ready.body
            assert manager.endpoints.healthz.answer().status == 200

    async def test_it_is_ready_only_while_it_runs(self, cluster: EmbeddedCluster) -> None:
        manager = make_manager(cluster)
        assert manager.endpoints.readyz.answer().status == 500
        async with running(manager):
            assert manager.endpoints.readyz.answer().status == 200

    async def test_two_managers_live_side_by_side(self, cluster: EmbeddedCluster) -> None:
        runs: list[str] = []
        one, two = make_manager(cluster), make_manager(cluster)
        one.add(controller_of(runs))
        two.add(controller_of(runs))
        async with running(one), running(two):
            await one.client.create(config_map())
            await asyncio.sleep(1)
        assert sorted(runs) == ["a ends", "a ends", "a starts", "a starts"]

    async def test_mistakes_are_told_at_once(self, cluster: EmbeddedCluster) -> None:
        manager = make_manager(cluster)
        manager.add(controller_of([]))
        with pytest.raises(ValueError, match="there is a controller 'configmap' already"):
            manager.add(controller_of([]))
        with pytest.raises(ValueError, match="exists already"):
            manager.add_page("/metrics", lambda _: "")
        with pytest.raises(ValueError, match="is no address"):
            make_manager(cluster, metrics_address="nonsense")
        async with running(manager):
            with pytest.raises(RuntimeError, match="runs once"):
                await manager.run()
            with pytest.raises(RuntimeError, match="cannot be added any more"):
                manager.add_page("/late", lambda _: "")


class TestStop:
    async def test_running_reconciles_finish_before_what_they_use_goes(self, cluster: EmbeddedCluster) -> None:
        diary: list[str] = []
        manager = make_manager(cluster)
        manager.add(Job("helper", diary))
        manager.add(Job("everybody's", diary, needs_leader=False))
        manager.add(controller_of(diary, seconds=10))
        async with running(manager) as task:
            await manager.client.create(config_map())
            await asyncio.sleep(1)
            manager.stop()
            await task
        assert diary[-3:] == ["a ends", "helper ends", "everybody's ends"]

    async def test_cancelling_is_a_graceful_stop(self, cluster: EmbeddedCluster) -> None:
        runs: list[str] = []
        manager = make_manager(cluster)
        manager.add(controller_of(runs, seconds=10))
        async with running(manager) as task:
            await manager.client.create(config_map())
            await asyncio.sleep(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert runs == ["a starts", "a ends"]

    async def test_cancelling_again_skips_the_grace_period(self, cluster: EmbeddedCluster) -> None:
        runs: list[str] = []
        manager = make_manager(cluster, grace_period=None)
        manager.add(controller_of(runs, seconds=1000))
        async with running(manager) as task:
            await manager.client.create(config_map())
            await asyncio.sleep(1)
            task.cancel()
            await asyncio.sleep(5)
            assert not task.done()
            task.cancel()
            with pytest.raises(GracePeriodExceeded, match="configmap"):
                await task
        assert runs == ["a starts"]
        assert asyncio.get_running_loop().time() == pytest.approx(7, abs=0.1)

    @pytest.mark.parametrize(
        ("grace", "seconds", "error"), [(0.0, 0, None), (4.0, 4, GracePeriodExceeded), (None, 100, None)]
    )
    async def test_the_grace_period(
        self, cluster: EmbeddedCluster, grace: float | None, seconds: float, error: type[Exception] | None
    ) -> None:
        manager = make_manager(cluster, grace_period=grace)
        manager.add(controller_of([], seconds=100))
        async with running(manager) as task:
            await manager.client.create(config_map())
            await asyncio.sleep(0.1)
            began = asyncio.get_running_loop().time()
            manager.stop()
            (result,) = await asyncio.gather(task, return_exceptions=True)
            assert isinstance(result, error) if error else result is None
            assert asyncio.get_running_loop().time() - began == pytest.approx(seconds, abs=0.2)

    async def test_a_failing_runnable_stops_everything_and_is_what_run_raises(self, cluster: EmbeddedCluster) -> None:
        diary: list[str] = []
        manager = make_manager(cluster)
        manager.add(Job("bad", diary, error=OSError("disk full")))
        manager.add(Job("good", diary, needs_leader=False))
        async with running(manager) as task:
            with pytest.raises(OSError, match="disk full"):
                await task
        assert diary == ["good starts", "bad starts", "bad ends", "good ends"]

    async def test_a_failure_and_an_exceeded_grace_period_are_told_together(self, cluster: EmbeddedCluster) -> None:
        manager = make_manager(cluster, grace_period=2)
        manager.add(Job("bad", [], error=OSError("disk full")))
        manager.add(controller_of([], seconds=100))
        async with running(manager) as task:
            await manager.client.create(config_map())
            with pytest.raises(OSError, match="disk full") as caught:
                await task
        assert caught.value.__notes__ == ["runnables did not end within the grace period of 2 s: configmap"]

    async def test_stopping_while_the_cache_fills_does_not_hang(self, cluster: EmbeddedCluster) -> None:
        transport = HangingTransport(cluster)
        transport.hanging = True
        manager = make_manager(cluster, transport=transport)
        diary: list[str] = []
        manager.cache.declare(Stuck)
        manager.add(Job("others", diary, needs_leader=False))
        async with running(manager) as task:
            manager.stop()
            await task
        assert diary == []

    async def test_signals(self, cluster: EmbeddedCluster) -> None:
        exits: list[int] = []
        manager = make_manager(cluster, handle_signals=True, grace_period=None)
        manager._exit = exits.append
        runs: list[str] = []
        manager.add(controller_of(runs, seconds=10))
        async with running(manager) as task:
            await manager.client.create(config_map())
            await asyncio.sleep(1)
            signal.raise_signal(signal.SIGTERM)
            await asyncio.sleep(1)
            assert not task.done()
            assert exits == []
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(1)
            assert exits == [1]
            await task
        assert runs == ["a starts", "a ends"]
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


class TestElection:
    async def test_a_standby_runs_nothing_until_the_leader_is_gone(self, cluster: EmbeddedCluster) -> None:
        diary: list[str] = []
        first, second = make_manager(cluster, election=True), make_manager(cluster, election=True)
        first.add(Job("first", diary))
        second.add(Job("second", diary))
        async with running(first), running(second):
            await asyncio.sleep(120)
            assert diary == ["first starts"]
            assert await holder(first) == first.identity
            first.stop()
            await asyncio.sleep(2)
            assert diary == ["first starts", "first ends", "second starts"]
            assert await holder(second) == second.identity

    async def test_a_manager_that_was_never_elected_starts_nothing_when_it_stops(
        self, cluster: EmbeddedCluster
    ) -> None:
        diary: list[str] = []
        first, second = make_manager(cluster, election=True), make_manager(cluster, election=True)
        second.add(Job("second", diary))
        async with running(first):
            async with running(second):
                await asyncio.sleep(10)
            assert diary == []
            assert await holder(first) == first.identity

    async def test_the_lease_is_released_after_the_last_reconcile(self, cluster: EmbeddedCluster) -> None:
        holders: list[str] = []
        manager = make_manager(cluster, election=True)

        async def reconcile(_: Context, __: Request) -> None:
            await asyncio.sleep(25)
            holders.append(await holder(manager))

        manager.add(Controller("configmap", reconcile).reconciles(ConfigMap))
        async with running(manager):
            await manager.client.create(config_map())
            await asyncio.sleep(1)
        assert holders == [manager.identity]
        assert await holder(manager) == ""

    async def test_a_lost_lease_interrupts_reconciles_at_once_and_ends_the_manager(
        self, cluster: EmbeddedCluster
    ) -> None:
        transport, runs = HangingTransport(cluster), []  # type: ignore[var-annotated]
        manager = make_manager(cluster, transport=transport, election=True)
        manager.add(controller_of(runs, seconds=1000))
        async with running(manager) as task:
            await manager.client.create(config_map())
            await asyncio.sleep(1)
            transport.hanging = True
            began = asyncio.get_running_loop().time()
            while not isinstance(manager._error, LeaderElectionLost):
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.1)
            assert asyncio.get_running_loop().time() - began < 10.5
            assert manager._leaders.running == []
            with pytest.raises(LeaderElectionLost):
                await task
        assert runs == ["a starts"]

    async def test_a_lease_lost_while_stopping_ends_the_grace_period(self, cluster: EmbeddedCluster) -> None:
        transport = HangingTransport(cluster)
        manager = make_manager(cluster, transport=transport, election=True, grace_period=None)
        manager.add(controller_of([], seconds=1000))
        async with running(manager) as task:
            await manager.client.create(config_map())
            await asyncio.sleep(1)
            transport.hanging = True
            manager.stop()
            with pytest.raises(GracePeriodExceeded):
                await task
        assert asyncio.get_running_loop().time() < 30

    async def test_the_lease_can_be_competed_for_again(self, cluster: EmbeddedCluster) -> None:
        transport, runs = HangingTransport(cluster), []  # type: ignore[var-annotated]
        manager = make_manager(cluster, transport=transport, election=True, election_options={"rejoin": True})
        manager.add(controller_of(runs))
        async with running(manager):
            await manager.client.create(config_map())
            await asyncio.sleep(1)
            transport.hanging = True
            await asyncio.sleep(30)
            assert not manager.elected.is_set()
            transport.hanging = False
            await asyncio.sleep(30)
            assert manager.elected.is_set()
        assert runs == ["a starts", "a ends"] * 2

    async def test_a_warm_standby_works_off_its_backlog_as_soon_as_it_is_elected(
        self, cluster: EmbeddedCluster
    ) -> None:
        runs: list[str] = []
        first, second = make_manager(cluster, election=True), make_manager(cluster, election=True)
        warm = controller_of(runs, warm_up=True)
        second.add(warm)
        async with running(first), running(second):
            for name in ("a", "b"):
                await first.client.create(config_map(name))
            await asyncio.sleep(60)
            assert runs == []
            statistics = warm.statistics()
            assert statistics is not None
            assert (statistics.queued, statistics.waiters) == (2, 0)
            first.stop()
            await second.elected.wait()
            await asyncio.sleep(0)
            await asyncio.sleep(0.01)
            assert runs == ["a starts", "a ends", "b starts", "b ends"]

    async def test_a_warm_standby_that_is_never_elected_ends_without_a_run(self, cluster: EmbeddedCluster) -> None:
        runs: list[str] = []
        first, second = make_manager(cluster, election=True), make_manager(cluster, election=True)
        second.add(controller_of(runs, warm_up=True))
        async with running(first):
            await first.client.create(config_map())
            async with running(second) as task:
                await asyncio.sleep(10)
            await task
        assert runs == []

    async def test_a_former_leader_warms_up_again(self, cluster: EmbeddedCluster) -> None:
        transport, runs = HangingTransport(cluster), []  # type: ignore[var-annotated]
        manager = make_manager(cluster, transport=transport, election=True, election_options={"rejoin": True})
        warm = controller_of(runs, warm_up=True)
        manager.add(warm)
        async with running(manager):
            await manager.client.create(config_map())
            await asyncio.sleep(1)
            transport.hanging = True
            await asyncio.sleep(30)
            assert not manager.elected.is_set()
            statistics = warm.statistics()
            assert statistics is not None
            assert (statistics.queued, statistics.processing) == (1, 0)
            assert runs == ["a starts", "a ends"]
            transport.hanging = False
            await asyncio.sleep(30)
        assert runs == ["a starts", "a ends"] * 2

    async def test_without_election_warming_up_changes_nothing(self, cluster: EmbeddedCluster) -> None:
        runs: list[str] = []
        manager = make_manager(cluster)
        manager.add(controller_of(runs, warm_up=True))
        async with running(manager):
            await manager.client.create(config_map())
            await asyncio.sleep(1)
        assert runs == ["a starts", "a ends"]

    def test_who_needs_no_leader_cannot_warm_up(self) -> None:
        with pytest.raises(ValueError, match="nothing to warm up for"):
            controller_of([], warm_up=True, needs_leader=False)

    async def test_it_shows_who_leads(self, cluster: EmbeddedCluster) -> None:
        manager = make_manager(cluster, election=True)

        def status() -> float | None:
            return manager.registry.get_sample_value("leader_election_master_status", {"name": LEASE.name})

        assert status() == 0
        async with running(manager):
            assert status() == 1
            (event,) = await manager.client.live.list(Event)
            assert event.note == f"{manager.identity} became leader"
        assert status() == 0


async def _leaves_nothing(action: Callable[[], Any]) -> None:
    before = asyncio.all_tasks()
    await action()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_starting_and_stopping_leaves_no_task_behind(cluster: EmbeddedCluster) -> None:
    async def once() -> None:
        manager = make_manager(cluster, election=True)
        manager.add(controller_of([]))
        async with running(manager):
            pass

    for _ in range(5):
        await _leaves_nothing(once)
