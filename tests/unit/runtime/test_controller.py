"""A controller's promises: results, failures, serialisation, start and stop. In virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from controller_runtime.api.meta import ObjectMeta, OwnerReference
from controller_runtime.client.errors import Conflict, TooManyRequests
from controller_runtime.controller import Controller, SourcesNotSynced
from controller_runtime.predicate import generation_changed
from controller_runtime.reconcile import Context, Request, Requeue, TerminalError
from controller_runtime.source import ChannelSource
from helpers.controller_bench import ControllerBench, Part, Widget, key, widget

BOOM = RuntimeError("boom")


def conflict() -> Conflict:
    return Conflict("the object has been modified", code=409)


def working_for(seconds: float) -> Callable[[Request], Awaitable[None]]:
    async def work(_: Request) -> None:
        await asyncio.sleep(seconds)

    return work


class TestResults:
    async def test_failures_back_off_and_success_forgets_them(self) -> None:
        bench = ControllerBench(BOOM, BOOM, BOOM, None, BOOM, None)
        bench.informer.put(widget())
        async with bench.running():
            await asyncio.sleep(1)
            assert bench.pauses == [0.005, 0.010, 0.020]
            assert [run.attempt for run in bench.runs] == [0, 1, 2, 3]
            bench.informer.put(widget(resource_version="2"))
            await asyncio.sleep(1)
            assert bench.pauses[-1] == 0.005

    async def test_a_delay_forgets_earlier_failures(self) -> None:
        bench = ControllerBench(BOOM, BOOM, Requeue(after=7), BOOM)
        bench.informer.put(widget())
        async with bench.running():
            await asyncio.sleep(60)
        assert bench.pauses == [0.005, 0.010, 7, 0.005]

    async def test_a_requeue_with_back_off_counts_one_more(self) -> None:
        bench = ControllerBench(BOOM, BOOM, Requeue(), BOOM)
        bench.informer.put(widget())
        async with bench.running():
            await asyncio.sleep(60)
        assert bench.pauses == [0.005, 0.010, 0.020, 0.040]
        assert bench.value("reconcile_total", result="requeue") == 1

    async def test_a_requeue_after_no_time_comes_at_once(self) -> None:
        bench = ControllerBench(Requeue(after=0), None)
        bench.informer.put(widget())
        async with bench.running():
            await asyncio.sleep(60)
        assert bench.pauses == [0]

    async def test_a_terminal_error_is_not_retried_and_forgets_nothing(self) -> None:
        bench = ControllerBench(BOOM, TerminalError("never"), BOOM)
        bench.informer.put(widget())
        async with bench.running():
            await asyncio.sleep(60)
            assert len(bench.runs) == 2
            bench.informer.put(widget(resource_version="2"))
            await asyncio.sleep(60)
        assert bench.pauses[0] == 0.005
        assert bench.pauses[2] == 0.010
        assert bench.value("terminal_reconcile_errors_total") == 1
        assert bench.value("reconcile_errors_total") == 3
        assert "Reconciler error, not tried again before the next event" in bench.log.events("error")

    async def test_an_error_raised_from_a_terminal_one_is_terminal(self) -> None:
        error = RuntimeError("task failed")
        error.__cause__ = TerminalError("never")
        bench = ControllerBench(error)
        bench.informer.put(widget())
        async with bench.running():
            await asyncio.sleep(60)
        assert len(bench.runs) == 1

    async def test_a_retry_keeps_its_priority_and_a_result_may_change_it(self) -> None:
        bench = ControllerBench(BOOM, Requeue(after=1, priority=9), None)
        channel = ChannelSource()
        bench.controller.reconciles(Widget).watches_source(channel)
        priorities: list[int] = []
        async with bench.running():
            queue = bench.controller._running.queue  # type: ignore[union-attr]
            take = queue._take

            def recording() -> object:
                item = take()
                if item is not None:
                    priorities.append(item.priority)
                return item

            queue._take = recording  # type: ignore[method-assign, assignment]
            channel.send(key(), priority=7)
            await asyncio.sleep(60)
        assert priorities == [7, 7, 9]

    async def test_a_servers_wish_to_wait_is_respected(self) -> None:
        bench = ControllerBench(TooManyRequests("slow down", code=429, retry_after=3.0))
        bench.informer.put(widget())
        async with bench.running():
            await asyncio.sleep(60)
        assert bench.pauses == [3]

    async def test_a_key_is_given_up_after_too_many_failures(self) -> None:
        given_up: list[tuple[str, int, str]] = []
        bench = ControllerBench(
            *[BOOM] * 9,
            max_retries=3,
            on_give_up=lambda request, error: given_up.append((request.name, request.attempt, str(error))),
        )
        bench.informer.put(widget())
        async with bench.running():
            await asyncio.sleep(60)
            assert len(bench.runs) == 4
            assert given_up == [("a", 3, "boom")]
            bench.informer.put(widget(resource_version="2"))
            await asyncio.sleep(60)
        assert [run.attempt for run in bench.runs] == [0, 1, 2, 3, 0, 1, 2, 3]
        assert bench.value("reconcile_given_up_total") == 2


class TestConflicts:
    async def test_a_conflict_is_tried_again_at_once_and_is_no_error(self) -> None:
        bench = ControllerBench(conflict(), None)
        bench.informer.put(widget())
        async with bench.running():
            await asyncio.sleep(60)
        assert bench.pauses == [0]
        assert bench.value("reconcile_conflicts_total") == 1
        assert bench.value("reconcile_errors_total") == 0
        assert bench.log.events("warning", "error") == []

    async def test_conflicts_without_end_back_off(self) -> None:
        bench = ControllerBench(*[conflict() for _ in range(8)])
        bench.informer.put(widget())
        async with bench.running():
            await asyncio.sleep(60)
        assert bench.pauses == [0, 0, 0, 0, 0, 0.005, 0.010, 0.020]

    async def test_anything_else_ends_a_row_of_conflicts(self) -> None:
        row = [conflict() for _ in range(5)]
        bench = ControllerBench(*row, Requeue(after=1), *row)
        bench.informer.put(widget())
        async with bench.running():
            await asyncio.sleep(60)
        assert bench.pauses == [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]

    async def test_a_group_of_conflicts_is_one(self) -> None:
        bench = ControllerBench(
            ExceptionGroup("both", [conflict(), conflict()]), ExceptionGroup("mixed", [conflict(), BOOM])
        )
        bench.informer.put(widget())
        async with bench.running():
            await asyncio.sleep(60)
        assert bench.value("reconcile_conflicts_total") == 1
        assert bench.value("reconcile_errors_total") == 1


class TestSerialisation:
    async def test_events_during_a_run_lead_to_exactly_one_more(self) -> None:
        bench = ControllerBench(working_for(10), workers=3)
        bench.informer.put(widget())
        async with bench.running():
            for version in range(2, 7):
                await asyncio.sleep(1)
                bench.informer.put(widget(resource_version=str(version)))
            assert len(bench.runs) == 1
            await asyncio.sleep(60)
        assert bench.pauses == [10]

    async def test_a_hot_key_occupies_one_worker(self) -> None:
        bench = ControllerBench(*[working_for(1)] * 100, workers=3)
        async with bench.running():
            active = set()
            for version in range(2, 50):
                bench.informer.put(widget(resource_version=str(version)))
                await asyncio.sleep(0.3)
                active.add(bench.value("active_workers"))
            assert max(active) == 1

    async def test_different_keys_run_at_the_same_time_up_to_the_number_of_workers(self) -> None:
        bench = ControllerBench(*[working_for(10)] * 5, workers=3)
        for name in "abcde":
            bench.informer.put(widget(name))
        async with bench.running():
            await asyncio.sleep(5)
            assert bench.value("active_workers") == 3
            assert bench.value("max_concurrent_reconciles") == 3
            await asyncio.sleep(10)
            assert bench.value("active_workers") == 2

    async def test_reconcilers_that_never_wait_do_not_starve_the_loop(self) -> None:
        bench = ControllerBench()
        for number in range(1000):
            bench.informer.put(widget(f"w{number}"))
        async with bench.running():
            turns = 0
            while len(bench.runs) < 1000:
                await asyncio.sleep(0)
                turns += 1
        assert turns > 900


class TestFailures:
    async def test_a_bug_stays_with_its_key(self) -> None:
        bench = ControllerBench(TypeError("bad argument"), None, None, None)
        bench.informer.put(widget("bad"))
        bench.informer.put(widget("good"))
        async with bench.running():
            await asyncio.sleep(60)
        assert bench.names() == ["bad", "good", "bad"]
        assert bench.value("reconcile_panics_total") == 1
        line = bench.log.only("Reconciler error")
        assert (line["controller"], line["namespace"], line["name"]) == ("widget", "ns", "bad")
        assert line["error"] == "TypeError: bad argument"
        assert line["reconcileID"] == bench.runs[0].id
        assert isinstance(line["exc_info"], TypeError)

    async def test_a_cancellation_inside_a_run_does_not_kill_the_worker(self) -> None:
        async def awaiting_a_cancelled_task(_: Request) -> None:
            task = asyncio.create_task(asyncio.sleep(10))
            task.cancel()
            await task

        bench = ControllerBench(awaiting_a_cancelled_task, None)
        bench.informer.put(widget())
        async with bench.running():
            await asyncio.sleep(60)
        assert len(bench.runs) == 2
        assert "cancellation of its own" in bench.log.only("Reconciler error")["error"]

    async def test_a_run_that_takes_too_long_is_cancelled_and_retried(self) -> None:
        bench = ControllerBench(working_for(100), None, timeout=5)
        bench.informer.put(widget())
        async with bench.running():
            await asyncio.sleep(60)
        assert bench.pauses == [5.005]
        assert bench.value("reconcile_timeouts_total") == 1
        assert "ReconcileTimeout: the run was cancelled after 5 s" in bench.log.only("Reconciler error")["error"]

    async def test_a_time_out_of_the_reconcilers_own_is_an_ordinary_error(self) -> None:
        async def impatient(_: Request) -> None:
            async with asyncio.timeout(1):
                await asyncio.sleep(10)

        bench = ControllerBench(impatient, None, timeout=5)
        bench.informer.put(widget())
        async with bench.running():
            await asyncio.sleep(60)
        assert bench.pauses == [1.005]
        assert bench.value("reconcile_timeouts_total") == 0


class TestStart:
    async def test_no_run_before_every_source_is_in_sync(self) -> None:
        bench = ControllerBench(synced=False)
        bench.controller.reconciles(Widget).owns(Part)
        parts = bench.cache.declare(Part)
        for number in range(10):
            bench.informer.put(widget(f"w{number}"))
        async with bench.running():
            await asyncio.sleep(5)
            bench.informer.has_synced.set()
            await asyncio.sleep(5)
            assert bench.runs == []
            parts.has_synced.set()
            await asyncio.sleep(5)
            assert len(bench.runs) == 10

    async def test_sources_that_are_late_degrade_the_controller_and_are_named_with_the_reason(self) -> None:
        bench = ControllerBench(synced=False)
        bench.informer.trouble = "widgets.example.com is forbidden"
        bench.informer.put(widget())
        async with bench.running():
            await asyncio.sleep(119)
            assert bench.controller.trouble() is None
            await asyncio.sleep(2)
            trouble = bench.controller.trouble()
            assert trouble is not None
            assert "kind source: widgets.example.com/v1: widgets.example.com is forbidden" in trouble
            assert bench.log.only("Sources are not in sync; this controller waits for them")["error"] == trouble
            bench.informer.has_synced.set()
            await asyncio.sleep(1)
            assert bench.controller.trouble() is None
            assert bench.names() == ["a"]

    async def test_a_controller_that_must_sync_fails(self) -> None:
        bench = ControllerBench(synced=False, must_sync=True, sync_timeout=10)
        async with bench.running() as task:
            with pytest.raises(
                SourcesNotSynced, match=r"since 10 s: kind source: widgets\.example\.com/v1: not synced yet"
            ):
                await task

    async def test_a_stop_ends_the_waiting_for_sync(self) -> None:
        bench = ControllerBench(synced=False)
        async with bench.running() as task:
            await asyncio.sleep(1)
            bench.controller.stop()
            await task
        assert bench.informer.registrations == []

    async def test_first_runs_of_what_exists_have_low_priority(self) -> None:
        bench = ControllerBench(working_for(10))
        for name in "abc":
            bench.informer.put(widget(name))
        async with bench.running():
            await asyncio.sleep(5)
            bench.informer.put(widget("new"))
            await asyncio.sleep(60)
        assert bench.names() == ["a", "new", "b", "c"]

    async def test_metrics_exist_from_the_start(self) -> None:
        bench = ControllerBench()
        async with bench.running():
            for result in ("success", "error", "requeue", "requeue_after", "conflict"):
                assert bench.value("reconcile_total", result=result) == 0
            assert bench.value("reconcile_panics_total") == 0

    async def test_the_latency_from_an_event_to_its_run_is_measured(self) -> None:
        bench = ControllerBench(working_for(10))
        async with bench.running():
            bench.informer.put(widget("a"))
            bench.informer.put(widget("b"))
            await asyncio.sleep(60)
        assert bench.value("event_to_reconcile_seconds_sum") == pytest.approx(10)
        assert bench.value("event_to_reconcile_seconds_count") == 2
        assert bench.value("reconcile_time_seconds_sum") == pytest.approx(10)


class TestStop:
    async def test_running_reconciles_finish_and_queued_keys_are_left(self) -> None:
        finished: list[str] = []

        async def work(request: Request) -> None:
            await asyncio.sleep(10)
            finished.append(request.name)

        bench = ControllerBench(work, work)
        bench.informer.put(widget("a"))
        bench.informer.put(widget("b"))
        async with bench.running() as task:
            await asyncio.sleep(1)
            bench.controller.stop()
            await task
            assert finished == ["a"]
            assert asyncio.get_running_loop().time() == pytest.approx(10)
        assert bench.informer.registrations == []

    async def test_cancelling_interrupts_running_reconciles(self) -> None:
        interrupted: list[str] = []

        async def work(request: Request) -> None:
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                interrupted.append(request.name)
                raise

        bench = ControllerBench(work, work, workers=2)
        bench.informer.put(widget("a"))
        bench.informer.put(widget("b"))
        async with bench.running() as task:
            await asyncio.sleep(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert sorted(interrupted) == ["a", "b"]
            assert asyncio.get_running_loop().time() == pytest.approx(1)
        assert bench.informer.registrations == []
        assert bench.value("active_workers") == 0

    async def test_it_can_run_again(self) -> None:
        bench = ControllerBench()
        bench.informer.put(widget())
        for _ in range(2):
            async with bench.running():
                await asyncio.sleep(1)
        assert bench.names() == ["a", "a"]

    async def test_it_cannot_run_twice_at_once(self) -> None:
        bench = ControllerBench()
        async with bench.running():
            with pytest.raises(RuntimeError, match="is running already"):
                await bench.controller.run()
            with pytest.raises(RuntimeError, match="is running; add its sources"):
                bench.controller.watches_source(ChannelSource())
            assert bench.controller.statistics() is not None
        assert bench.controller.statistics() is None


class TestWatches:
    async def test_an_owned_object_wakes_its_owner(self) -> None:
        bench = ControllerBench()
        bench.controller.reconciles(Widget).owns(Part)
        parts = bench.cache.declare(Part)
        owner = OwnerReference(api_version="example.com/v1", kind="Widget", name="mine", uid="1", controller=True)
        async with bench.running():
            parts.put(Part(metadata=ObjectMeta(name="p", namespace="ns", owner_references=[owner])))
            await asyncio.sleep(1)
            assert bench.names() == ["mine"]
            parts.delete(key("p"))
            await asyncio.sleep(1)
            assert bench.names() == ["mine", "mine"]

    async def test_predicates_decide_which_events_count(self) -> None:
        bench = ControllerBench()
        bench.controller.reconciles(Widget, generation_changed)
        async with bench.running():
            bench.informer.put(widget(generation=1))
            await asyncio.sleep(1)
            bench.informer.put(widget(generation=1, resource_version="2"))
            await asyncio.sleep(1)
            assert len(bench.runs) == 1
            bench.informer.put(widget(generation=2, resource_version="3"))
            await asyncio.sleep(1)
            assert len(bench.runs) == 2

    async def test_a_mapped_object_wakes_what_the_function_names(self) -> None:
        bench = ControllerBench()
        bench.controller.watches(Part, lambda event: [key("x"), key("y"), key("x")])
        async with bench.running():
            bench.cache.declare(Part).put(Part(metadata=ObjectMeta(name="p", namespace="ns")))
            await asyncio.sleep(1)
        assert bench.names() == ["x", "y"]


class TestMistakes:
    async def _reconcile(self, _: Context, __: Request) -> None:
        return None

    def test_a_name_and_a_worker_are_needed(self) -> None:
        with pytest.raises(ValueError, match="needs a name and at least one worker"):
            Controller("", self._reconcile)
        with pytest.raises(ValueError, match="needs a name and at least one worker"):
            Controller("a", self._reconcile, workers=0)

    def test_one_primary_kind(self) -> None:
        controller = Controller("a", self._reconcile).reconciles(Widget)
        with pytest.raises(ValueError, match=r"reconciles widgets\.example\.com/v1 already"):
            controller.reconciles(Part)

    def test_owns_needs_to_know_the_owner(self) -> None:
        with pytest.raises(ValueError, match="needs reconciles"):
            Controller("a", self._reconcile).owns(Part)

    def test_a_controller_without_sources_would_never_run(self) -> None:
        bench = ControllerBench()
        with pytest.raises(ValueError, match="watches nothing"):
            bench.controller.bind(bench.services)

    async def test_a_controller_needs_a_manager_and_only_one(self) -> None:
        bench = ControllerBench()
        bench.controller.reconciles(Widget)
        with pytest.raises(RuntimeError, match="has no manager"):
            await bench.controller.run()
        bench.controller.bind(bench.services)
        with pytest.raises(RuntimeError, match="added to a manager already"):
            bench.controller.bind(bench.services)
