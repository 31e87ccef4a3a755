"""The work queue's promises, in virtual time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from controller_runtime.workqueue import LOW_PRIORITY, ExponentialBackoff, QueueShutDown, WorkQueue


def make_queue(**options: float) -> WorkQueue[str]:
    return WorkQueue("test", rate_limiter=ExponentialBackoff(jitter=0), **options)


async def take(queue: WorkQueue[str]) -> str:
    return (await queue.get()).key


async def take_all(queue: WorkQueue[str]) -> list[str]:
    """Take and finish what is due now, in order."""
    keys = []
    while len(queue):
        key = await take(queue)
        queue.done(key)
        keys.append(key)
    return keys


def now() -> float:
    return asyncio.get_running_loop().time()


@asynccontextmanager
async def waiting(queue: WorkQueue[str]) -> AsyncIterator[asyncio.Task[str]]:
    """A task that waits for a key."""
    task = asyncio.create_task(take(queue))
    await asyncio.sleep(0)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class TestAdding:
    async def test_keys_come_in_the_order_of_their_adds(self) -> None:
        queue = make_queue()
        for key in "abc":
            queue.add(key)
        assert await take_all(queue) == ["a", "b", "c"]

    async def test_adds_of_a_queued_key_merge(self) -> None:
        queue = make_queue()
        for key in "aab":
            queue.add(key)
        assert len(queue) == 2
        assert await take_all(queue) == ["a", "b"]

    async def test_a_key_in_work_is_not_handed_out_and_comes_back_after_done(self) -> None:
        queue = make_queue()
        queue.add("a")
        assert await take(queue) == "a"
        queue.add("a")
        queue.add("a")
        async with waiting(queue) as second:
            await asyncio.sleep(60)
            assert not second.done()
            queue.done("a")
            assert await second == "a"
        queue.done("a")
        assert len(queue) == 0

    async def test_done_without_an_add_meanwhile_ends_it(self) -> None:
        queue = make_queue()
        queue.add("a")
        queue.done(await take(queue))
        assert len(queue) == 0
        assert queue.statistics().processing == 0

    async def test_done_of_a_key_that_is_not_in_work_is_a_mistake(self) -> None:
        with pytest.raises(ValueError, match="this key is not in work"):
            make_queue().done("a")

    async def test_add_wakes_one_waiter_for_each_key(self) -> None:
        queue = make_queue()
        async with waiting(queue) as first, waiting(queue) as second:
            queue.add("a")
            await asyncio.sleep(0)
            assert (first.done(), second.done()) == (True, False)
            queue.add("b")
            assert (await first, await second) == ("a", "b")

    async def test_other_threads_can_add(self) -> None:
        queue = make_queue()
        thread = threading.Thread(target=queue.add_threadsafe, args=("a",), kwargs={"priority": 5})
        thread.start()
        thread.join()
        item = await queue.get()
        assert (item.key, item.priority) == ("a", 5)

    async def test_it_describes_itself(self) -> None:
        queue = make_queue()
        queue.add("a")
        queue.add("b", after=5)
        assert repr(queue) == "<WorkQueue test queued=1 delayed=1 processing=0>"
        assert repr(await queue.get()) == "<Item a priority=0 since=0>"
        queue.shutdown()
        assert repr(queue) == "<WorkQueue test queued=0 delayed=0 processing=1 shut down>"


class TestDelays:
    async def test_a_delayed_key_comes_when_its_time_has_come(self) -> None:
        queue = make_queue()
        queue.add("a", after=30)
        assert await take(queue) == "a"
        assert now() == pytest.approx(30)

    async def test_keys_come_in_the_order_of_their_deadlines(self) -> None:
        queue = make_queue()
        queue.add("late", after=3)
        queue.add("early", after=1)
        queue.add("middle", after=2)
        assert [await take(queue) for _ in range(3)] == ["early", "middle", "late"]
        assert now() == pytest.approx(3)

    @pytest.mark.parametrize(("first", "second"), [(5, 20), (20, 5)])
    async def test_the_earliest_delay_wins(self, first: float, second: float) -> None:
        queue = make_queue()
        queue.add("a", after=first)
        queue.add("a", after=second)
        queue.done(await take(queue))
        assert now() == pytest.approx(5)
        await asyncio.sleep(60)
        assert len(queue) == 0

    async def test_now_beats_a_delay(self) -> None:
        queue = make_queue()
        queue.add("a", after=10)
        queue.add("a")
        queue.done(await take(queue))
        assert now() == 0
        await asyncio.sleep(60)
        assert len(queue) == 0

    async def test_a_queued_key_ignores_a_delay(self) -> None:
        queue = make_queue()
        queue.add("a")
        queue.add("a", after=10)
        assert await take_all(queue) == ["a"]
        await asyncio.sleep(60)
        assert len(queue) == 0

    async def test_a_delay_may_end_while_the_key_is_in_work(self) -> None:
        queue = make_queue()
        queue.add("a")
        await take(queue)
        queue.add("a", after=1)
        await asyncio.sleep(5)
        assert len(queue) == 1
        async with waiting(queue) as second:
            queue.done("a")
            assert await second == "a"

    async def test_a_delay_that_is_not_positive_is_none(self) -> None:
        queue = make_queue()
        queue.add("a", after=-3)
        assert await take_all(queue) == ["a"]

    async def test_replaced_delays_do_not_pile_up(self) -> None:
        queue = make_queue()
        for _ in range(10_000):
            queue.add("a", after=3600)
            queue.add("a")
            queue.done(await take(queue))
        assert queue._slots < 100
        assert len(queue._ticks) == len(queue._due) < 100

    async def test_a_delay_ends_at_the_next_millisecond_together_with_others(self) -> None:
        queue = make_queue()
        for number in range(10, 1000):
            queue.add(str(number), after=1 + number / 1_000_000)
        assert len(queue._ticks) == 1
        await asyncio.sleep(1)
        assert len(queue) == 0
        async with asyncio.timeout(60):
            while len(queue) < 990:
                await asyncio.sleep(0.0001)
        assert now() == pytest.approx(1.001, abs=0.0002)

    async def test_whoever_asks_for_the_rest_of_a_delay_is_not_woken_in_a_circle(self) -> None:
        queue = make_queue()
        deadline, woken = now() + 1.0004, 0
        queue.add("a", after=deadline - now())
        while now() < deadline:
            queue.done(await take(queue))
            woken += 1
            queue.add("a", after=max(0.0, deadline - now()))
        assert woken == 1

    @pytest.mark.parametrize("start", [5.0, 4.35, 1.001, 0.035, 123.4567])
    @pytest.mark.parametrize("after", [1e-12, 5e-7, 9.9e-7, 1.1e-6, 0.0004])
    async def test_time_passes_in_each_delay_however_short(self, start: float, after: float) -> None:
        """What is too short to measure would be a circle without end for whoever asks for the rest of a delay."""
        await asyncio.sleep(start)
        began = now()
        queue = make_queue()
        queue.add("a", after=after)
        queue.done(await take(queue))
        assert began < now() <= began + after + 0.001002

    async def test_no_task_runs_for_a_delayed_key(self) -> None:
        queue = make_queue()
        before = asyncio.all_tasks()
        for number in range(100):
            queue.add(str(number), after=number)
        assert asyncio.all_tasks() == before
        queue.shutdown()


class TestBackOff:
    async def test_each_failed_run_doubles_the_delay(self) -> None:
        queue = make_queue()
        delays = []
        queue.add("a")
        for _ in range(4):
            key = await take(queue)
            delays.append(queue.add_rate_limited(key))
            queue.done(key)
        assert delays == pytest.approx([0.005, 0.010, 0.020, 0.040])
        assert queue.retries("a") == 4

    async def test_forget_starts_anew(self) -> None:
        queue = make_queue()
        queue.add("a")
        for expected in (0.005, 0.010):
            key = await take(queue)
            assert queue.add_rate_limited(key) == pytest.approx(expected)
            queue.done(key)
        key = await take(queue)
        queue.forget(key)
        assert queue.retries("a") == 0
        assert queue.add_rate_limited(key) == pytest.approx(0.005)

    async def test_a_failure_counts_once_for_each_run(self) -> None:
        queue = make_queue()
        for _ in range(5):
            queue.add_rate_limited("a")
        assert queue.retries("a") == 1
        queue.done(await take(queue))
        queue.add_rate_limited("a")
        assert queue.retries("a") == 2

    async def test_a_delay_can_have_a_lower_bound(self) -> None:
        queue = make_queue()
        assert queue.add_rate_limited("a", at_least=7) == 7
        assert await take(queue) == "a"
        assert now() == pytest.approx(7)

    async def test_an_event_beats_the_back_off(self) -> None:
        queue = make_queue()
        queue.add("a")
        await take(queue)
        queue.add("a")
        queue.add_rate_limited("a", at_least=100)
        queue.done("a")
        assert await take_all(queue) == ["a"]
        assert queue.retries("a") == 1


class TestPriorities:
    async def test_higher_priorities_go_first(self) -> None:
        queue = make_queue()
        queue.add("low", priority=LOW_PRIORITY)
        queue.add("normal")
        queue.add("high", priority=10)
        assert await take_all(queue) == ["high", "normal", "low"]

    async def test_an_ordinary_add_lifts_a_low_key_to_the_end_of_the_ordinary_ones(self) -> None:
        queue = make_queue()
        queue.add("a", priority=LOW_PRIORITY)
        queue.add("b")
        queue.add("a")
        queue.add("c")
        assert await take_all(queue) == ["b", "a", "c"]

    async def test_a_priority_never_falls_while_the_key_waits(self) -> None:
        queue = make_queue()
        queue.add("a", priority=7)
        queue.add("a", priority=LOW_PRIORITY)
        assert (await queue.get()).priority == 7

    async def test_a_key_that_comes_back_has_the_priority_of_its_new_adds(self) -> None:
        queue = make_queue()
        queue.add("a", priority=7)
        await take(queue)
        queue.add("a", priority=-5)
        queue.add("a", priority=3)
        queue.done("a")
        assert (await queue.get()).priority == 3

    async def test_a_delayed_key_keeps_the_highest_priority(self) -> None:
        queue = make_queue()
        queue.add("a", after=10, priority=4)
        queue.add("a", after=5, priority=2)
        queue.add("a", after=20, priority=3)
        assert (await queue.get()).priority == 4
        queue.add("b", after=10, priority=4)
        queue.add("b")
        assert (await queue.get()).priority == 4

    async def test_low_work_does_not_starve(self) -> None:
        """Workers are never idle and the backlog grows; still only what comes within 30 s overtakes low work."""
        queue = make_queue(ageing=0.3)
        queue.add("low", priority=LOW_PRIORITY)
        overtook = []
        for number in range(10_000):
            queue.add(f"busy-{number}")
            queue.add(f"more-{number}")
            item = await queue.get()
            queue.done(item.key)
            if item.key == "low":
                break
            overtook.append(item.since)
            await asyncio.sleep(0.1)
        assert item.key == "low"
        assert max(overtook) == pytest.approx(30, abs=0.2)

    async def test_a_promotion_never_moves_a_key_back(self) -> None:
        queue = make_queue(ageing=0.3)
        queue.add("old", priority=LOW_PRIORITY)
        await asyncio.sleep(40)
        for number in range(10):
            queue.add(f"new-{number}")
        queue.add("old")
        assert (await take_all(queue))[0] == "old"

    async def test_a_promoted_key_is_handed_out_once(self) -> None:
        queue = make_queue()
        for priority in (1, 2, 3):
            queue.add("a", priority=priority)
        queue.add("b", priority=2)
        assert await take_all(queue) == ["a", "b"]
        queue.add("a", priority=1)
        assert await take_all(queue) == ["a"]


class TestCancellation:
    async def test_a_cancelled_waiter_takes_nothing(self) -> None:
        queue = make_queue()
        async with waiting(queue) as task:
            task.cancel()
            await asyncio.sleep(0)
        queue.add("a")
        assert await take_all(queue) == ["a"]
        assert queue.statistics().waiters == 0

    async def test_a_waiter_cancelled_in_the_turn_of_its_wake_up_loses_nothing(self) -> None:
        queue = make_queue()
        async with waiting(queue) as first, waiting(queue) as second:
            queue.add("a")
            first.cancel()
            assert await second == "a"

    async def test_a_timed_out_get_loses_nothing(self) -> None:
        queue = make_queue()
        queue.add("a", after=5)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.gather(queue.get(), asyncio.sleep(10))
        await asyncio.sleep(1)
        statistics = queue.statistics()
        assert statistics.queued + statistics.processing == 1


class TestShutdown:
    async def test_queued_keys_are_still_handed_out(self) -> None:
        queue = make_queue()
        queue.add("a")
        queue.add("b")
        queue.shutdown()
        assert queue.shutting_down
        assert await take_all(queue) == ["a", "b"]
        with pytest.raises(QueueShutDown):
            await queue.get()

    async def test_adds_are_ignored_and_delayed_keys_dropped(self) -> None:
        queue = make_queue()
        queue.add("a", after=1)
        queue.shutdown()
        queue.add("b")
        queue.add("c", after=1)
        assert queue.add_rate_limited("d") == 0
        await asyncio.sleep(5)
        with pytest.raises(QueueShutDown):
            await queue.get()

    async def test_a_key_added_while_in_work_is_handed_out_once_more(self) -> None:
        queue = make_queue()
        queue.add("a")
        await take(queue)
        queue.add("a")
        queue.shutdown()
        async with waiting(queue) as other:
            assert not other.done()
            queue.done("a")
            assert await other == "a"
        queue.done("a")
        with pytest.raises(QueueShutDown):
            await queue.get()

    async def test_every_waiter_is_released(self) -> None:
        queue = make_queue()
        async with waiting(queue) as first, waiting(queue) as second:
            queue.shutdown()
            results = await asyncio.gather(first, second, return_exceptions=True)
        assert [type(result) for result in results] == [QueueShutDown, QueueShutDown]

    async def test_discard_drops_what_is_queued(self) -> None:
        queue = make_queue()
        queue.add("a")
        queue.shutdown(discard=True)
        queue.shutdown()
        with pytest.raises(QueueShutDown):
            await queue.get()

    async def test_drain_waits_for_queued_keys_and_for_those_in_work(self) -> None:
        queue = make_queue()
        queue.add("a")
        queue.add("b")

        async def worker() -> None:
            for _ in range(2):
                item = await queue.get()
                await asyncio.sleep(10)
                queue.done(item.key)

        async with asyncio.TaskGroup() as group:
            group.create_task(worker())
            await queue.drain()
            assert now() == pytest.approx(20)

    async def test_drain_of_an_idle_queue_returns_at_once(self) -> None:
        queue = make_queue()
        await queue.drain()
        await queue.drain()
        assert now() == 0

    async def test_a_drain_nobody_works_for_can_be_given_up(self) -> None:
        queue = make_queue()
        queue.add("a")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await queue.drain()
        queue.shutdown(discard=True)
        await queue.drain()


class TestStatistics:
    async def test_the_life_of_a_key(self) -> None:
        queue = make_queue()
        queue.add("a")
        await asyncio.sleep(0.5)
        await take(queue)
        for _ in range(5):
            queue.add("a")
        queue.add("b", after=10)
        await asyncio.sleep(2)
        statistics = queue.statistics()
        assert statistics.depth == {0: 1}
        assert (statistics.delayed, statistics.processing, statistics.adds, statistics.retries) == (1, 1, 2, 1)
        assert (statistics.unfinished, statistics.longest_running) == pytest.approx((2, 2))
        assert statistics.queue_duration.sum == pytest.approx(0.5)
        queue.done("a")
        await take(queue)
        assert queue.statistics().work_duration.sum == pytest.approx(2)
        assert queue.statistics().queue_duration.sum == pytest.approx(2.5)
        assert queue.statistics().queued == 0
