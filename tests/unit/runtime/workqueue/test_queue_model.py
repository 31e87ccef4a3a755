"""The work queue against a model that is too simple to be wrong: any sequence of calls, any order of time."""

from __future__ import annotations

import asyncio
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from controller_runtime.envtest.virtual import VirtualTimeLoop
from controller_runtime.workqueue import ExponentialBackoff, WorkQueue

KEYS = st.sampled_from("abcdef")
DELAYS = st.sampled_from([0.0, 0.5, 1.0, 2.0, 5.0])
PRIORITIES = st.sampled_from([-100, 0, 0, 0, 10])


class QueueMachine(RuleBasedStateMachine):
    """The model: which keys wait (with their priority), which are delayed until when, which are in work."""

    @initialize()
    def start(self) -> None:
        self.loop = VirtualTimeLoop()
        self.queued: dict[str, int] = {}
        self.delayed: dict[str, tuple[float, int]] = {}
        self.processing: set[str] = set()
        self.failures: dict[str, int] = {}
        self.counted: set[str] = set()
        self.queue: WorkQueue[str] = self.run(self._make())

    async def _make(self) -> WorkQueue[str]:
        return WorkQueue("model", rate_limiter=ExponentialBackoff(1.0, 100.0, jitter=0))

    def run(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    def call(self, function: Any, *args: Any, **options: Any) -> Any:
        async def inside() -> Any:
            return function(*args, **options)

        return self.run(inside())

    def model_add(self, key: str, after: float, priority: int) -> None:
        if key in self.queued:
            self.queued[key] = max(self.queued[key], priority)
            return
        deadline, earlier = self.delayed.get(key, (float("inf"), priority))
        priority = max(priority, earlier)
        if after > 0:
            self.delayed[key] = (min(deadline, self.loop.time() + after), priority)
        else:
            self.delayed.pop(key, None)
            self.queued[key] = priority

    @rule(key=KEYS, after=DELAYS, priority=PRIORITIES)
    def add(self, key: str, after: float, priority: int) -> None:
        self.call(self.queue.add, key, after=after, priority=priority)
        self.model_add(key, after, priority)

    @rule(key=KEYS)
    def fail(self, key: str) -> None:
        delay = self.call(self.queue.add_rate_limited, key)
        if key in self.counted:
            assert delay == 0
            return
        self.counted.add(key)
        failures = self.failures.get(key, 0)
        self.failures[key] = failures + 1
        assert delay == min(2.0**failures, 100.0)
        self.model_add(key, delay, 0)

    @rule(key=KEYS)
    def forget(self, key: str) -> None:
        self.call(self.queue.forget, key)
        self.failures.pop(key, None)

    @rule(seconds=st.sampled_from([0.0, 0.25, 1.0, 3.0]))
    def wait(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))
        for key, (deadline, priority) in list(self.delayed.items()):
            if deadline <= self.loop.time() + 1e-6:
                del self.delayed[key]
                self.queued[key] = priority

    @precondition(lambda self: any(key not in self.processing for key in self.queued))
    @rule()
    def take(self) -> None:
        item = self.run(self.queue.get())
        assert item.key in self.queued
        assert item.key not in self.processing
        assert item.priority == self.queued.pop(item.key)
        self.processing.add(item.key)
        self.counted.discard(item.key)

    @precondition(lambda self: all(key in self.processing for key in self.queued))
    @rule()
    def take_in_vain(self) -> None:
        async def impatient() -> bool:
            task = asyncio.ensure_future(self.queue.get())
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return task.cancelled()

        assert self.run(impatient())

    @precondition(lambda self: bool(self.processing))
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.processing)))
        self.call(self.queue.done, key)
        self.processing.discard(key)

    @invariant()
    def numbers_agree(self) -> None:
        if not hasattr(self, "queue"):
            return
        statistics = self.queue.statistics()
        assert len(self.queue) == statistics.queued == len(self.queued)
        assert statistics.delayed == len(self.delayed)
        assert statistics.processing == len(self.processing)
        assert statistics.waiters == 0
        for key in "abcdef":
            assert self.queue.retries(key) == self.failures.get(key, 0)

    def teardown(self) -> None:
        if not hasattr(self, "queue"):
            return
        self.run(self._drain())
        assert not self.processing
        self.loop.close()

    async def _drain(self) -> None:
        """Nothing that was asked for is lost: every queued key comes out, after the work on it has ended."""
        drained = asyncio.ensure_future(self.queue.drain())
        expected = set(self.queued)
        for key in self.processing:
            self.queue.done(key)
        self.processing.clear()
        while expected:
            item = await self.queue.get()
            expected.remove(item.key)
            self.queue.done(item.key)
        await drained


QueueMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestQueueAgainstModel = QueueMachine.TestCase
