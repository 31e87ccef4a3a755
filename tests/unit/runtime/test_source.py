"""Sources: what they enqueue, with which priority, and that a defect costs nothing but itself."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from controller_runtime.api.resource import ObjectKey
from controller_runtime.cache import CacheEvent
from controller_runtime.handler import Enqueue, enqueue_object
from controller_runtime.source import ChannelSource, Feed, FunctionSource, KindSource, PollSource, Source
from controller_runtime.workqueue import LOW_PRIORITY
from helpers.controller_bench import Widget, key, widget
from helpers.fake_cache import FakeCache
from helpers.recording_log import RecordingLog


class Bench:
    def __init__(self) -> None:
        self.cache = FakeCache()
        self.log = RecordingLog()
        self.enqueued: list[tuple[str, float, int]] = []
        self.failures = 0
        self.feed = Feed(self._enqueue, cast("Any", self.cache), self.log, self._failed)

    def _enqueue(self, key: ObjectKey, *, after: float = 0.0, priority: int = 0) -> None:
        self.enqueued.append((key.name, after, priority))

    def _failed(self) -> None:
        self.failures += 1

    def names(self) -> list[str]:
        return [name for name, _, _ in self.enqueued]

    @asynccontextmanager
    async def started(self, source: Source) -> AsyncIterator[None]:
        source.prepare(cast("Any", self.cache))
        async with source.start(self.feed):
            yield


class TestKindSource:
    async def test_it_declares_its_kind(self) -> None:
        bench = Bench()
        async with bench.started(KindSource(Widget.resource, enqueue_object)):
            bench.cache.informer(Widget).put(widget("a"))
        assert bench.names() == ["a"]

    async def test_what_exists_and_what_did_not_change_has_low_priority(self) -> None:
        bench = Bench()
        informer = bench.cache.declare(Widget)
        informer.put(widget("old"))
        async with bench.started(KindSource(Widget, enqueue_object)):
            informer.put(widget("new"))
            informer.put(widget("new", resource_version="2"))
            informer.put(widget("new", resource_version="2"))
            informer.delete(key("new"))
        assert bench.enqueued == [
            ("old", 0, LOW_PRIORITY),
            ("new", 0, 0),
            ("new", 0, 0),
            ("new", 0, LOW_PRIORITY),
            ("new", 0, 0),
        ]

    async def test_it_asks_for_a_resync_of_its_own(self) -> None:
        bench = Bench()
        async with bench.started(KindSource(Widget, enqueue_object, resync=600.0)):
            assert bench.cache.informer(Widget).resync == 600.0

    async def test_a_handler_may_choose_the_priority(self) -> None:
        def urgently(event: CacheEvent, enqueue: Enqueue) -> None:
            enqueue(event.key, after=3, priority=50)

        bench = Bench()
        bench.cache.declare(Widget).put(widget("old"))
        async with bench.started(KindSource(Widget, urgently)):
            pass
        assert bench.enqueued == [("old", 3, 50)]

    async def test_all_predicates_must_pass(self) -> None:
        seen: list[str] = []

        def first(event: CacheEvent) -> bool:
            seen.append(f"first {event.key.name}")
            return event.key.name != "b"

        def second(event: CacheEvent) -> bool:
            seen.append(f"second {event.key.name}")
            return event.key.name != "c"

        bench = Bench()
        async with bench.started(KindSource(Widget, enqueue_object, first, second)):
            for name in "abc":
                bench.cache.informer(Widget).put(widget(name))
        assert bench.names() == ["a"]
        assert seen == ["first a", "second a", "first b", "first c", "second c"]

    async def test_nothing_comes_after_it_was_left(self) -> None:
        bench = Bench()
        async with bench.started(KindSource(Widget, enqueue_object)):
            pass
        bench.cache.informer(Widget).put(widget("a"))
        assert bench.enqueued == []

    async def test_a_broken_predicate_lets_its_event_through(self) -> None:
        def broken(event: CacheEvent) -> bool:
            raise KeyError(event.key.name)

        bench = Bench()
        async with bench.started(KindSource(Widget, enqueue_object, broken)):
            bench.cache.informer(Widget).put(widget("a"))
        assert (bench.names(), bench.failures) == (["a"], 1)
        assert bench.log.only("predicate failed")["name"] == "a"

    async def test_a_broken_handler_costs_only_its_event(self) -> None:
        def broken(event: CacheEvent, enqueue: Enqueue) -> None:
            if event.key.name == "bad":
                raise ValueError("no")
            enqueue(event.key)

        bench = Bench()
        async with bench.started(KindSource(Widget, broken)):
            bench.cache.informer(Widget).put(widget("bad"))
            bench.cache.informer(Widget).put(widget("good"))
        assert (bench.names(), bench.failures) == (["good"], 1)
        assert bench.log.only("handler failed")["error"] == "ValueError: no"

    async def test_it_says_why_it_is_not_in_sync(self) -> None:
        cache = FakeCache(synced=False)
        source = KindSource(Widget, enqueue_object)
        source.prepare(cast("Any", cache))
        assert source.trouble(cast("Any", cache)) == "not synced yet"
        cache.informer(Widget).trouble = "forbidden"
        assert source.trouble(cast("Any", cache)) == "forbidden"
        cache.informer(Widget).trouble = None
        cache.informer(Widget).has_synced.set()
        assert source.trouble(cast("Any", cache)) is None
        assert str(source) == "kind source: widgets.example.com/v1"


class TestChannelSource:
    async def test_it_passes_keys_on(self) -> None:
        bench, channel = Bench(), ChannelSource("pd")
        async with bench.started(channel):
            channel.send(key("a"), after=2, priority=3)
        assert bench.enqueued == [("a", 2, 3)]
        assert str(channel) == "channel source: pd"

    async def test_what_nobody_heard_is_kept_once_for_the_first_listener(self) -> None:
        bench, channel = Bench(), ChannelSource()
        channel.send(key("a"))
        channel.send(key("a"), priority=5)
        channel.send(key("b"))
        async with bench.started(channel):
            assert bench.enqueued == [("a", 0, 5), ("b", 0, 0)]
        async with bench.started(channel):
            assert len(bench.enqueued) == 2

    async def test_every_listener_hears(self) -> None:
        one, two, channel = Bench(), Bench(), ChannelSource()
        async with one.started(channel), two.started(channel):
            channel.send(key("a"))
        assert (one.names(), two.names()) == (["a"], ["a"])


class TestFunctionSource:
    async def test_the_function_feeds_while_it_lasts(self) -> None:
        diary: list[str] = []

        @asynccontextmanager
        async def changes(enqueue: Enqueue) -> AsyncIterator[None]:
            diary.append("begins")
            enqueue(key("a"))
            yield
            diary.append("ends")

        bench = Bench()
        async with bench.started(FunctionSource(changes)):
            assert diary == ["begins"]
        assert diary == ["begins", "ends"]
        assert bench.names() == ["a"]

    async def test_it_has_a_name(self) -> None:
        @asynccontextmanager
        async def changes(_: Enqueue) -> AsyncIterator[None]:
            yield

        assert str(FunctionSource(changes)).endswith("changes")
        assert str(FunctionSource(changes, name="x")) == "function source: x"


class TestPollSource:
    async def test_it_asks_again_and_again(self) -> None:
        async def poll() -> list[ObjectKey]:
            return [key(f"at-{asyncio.get_running_loop().time():g}")]

        bench = Bench()
        async with bench.started(PollSource(poll, 10)):
            await asyncio.sleep(25)
        assert bench.names() == ["at-0", "at-10", "at-20"]

    async def test_failures_are_counted_and_answered_with_back_off(self) -> None:
        asked: list[float] = []

        async def poll() -> list[ObjectKey]:
            asked.append(asyncio.get_running_loop().time())
            if len(asked) <= 4:
                raise OSError("unreachable")
            return []

        bench = Bench()
        async with bench.started(PollSource(poll, 10, longest_pause=30)):
            await asyncio.sleep(200)
        pauses = [b - a for a, b in itertools.pairwise(asked)]
        assert pauses[:4] == [pytest.approx(bound, rel=0.11) for bound in (10, 20, 30, 30)]
        assert pauses[4:] == pytest.approx([10] * len(pauses[4:]))
        assert bench.failures == 4
        assert bench.log.events("warning") == ["poll failed"] * 4
