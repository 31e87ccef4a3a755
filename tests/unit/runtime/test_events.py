"""The event recorder: what it writes, what it only counts, and what it gives up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from controller_runtime.api.k8s import Event
from controller_runtime.api.meta import ObjectMeta
from controller_runtime.api.resource import ObjectKey
from controller_runtime.client.errors import AlreadyExists, Forbidden, NotFound, TransportError
from controller_runtime.client.live import LiveClient
from controller_runtime.client.patch import Patch
from controller_runtime.clock import LoopClock
from controller_runtime.envtest import EmbeddedCluster
from controller_runtime.events import EventSeries, Recorder
from helpers.controller_bench import widget
from helpers.recording_log import RecordingLog


class FakeClient:
    """Remembers writes; `errors` are raised by the next calls, one each (None lets a call pass)."""

    def __init__(self) -> None:
        self.created: list[Event] = []
        self.patched: list[tuple[str, bytes]] = []
        self.errors: list[Exception | None] = []

    @property
    def live(self) -> FakeClient:
        return self

    def _fail(self) -> None:
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error

    async def create(self, event: Event) -> Event:
        self._fail()
        self.created.append(event)
        return event

    async def patch(self, _: type[Event], key: ObjectKey, patch: Patch) -> None:
        self._fail()
        self.patched.append((key.name, patch.body))

    def counts(self) -> list[int]:
        return [int(body.split(b'"count":')[1].split(b",")[0].split(b"}")[0]) for _, body in self.patched]


class Bench:
    def __init__(self, **options: Any) -> None:
        self.client = FakeClient()
        self.log = RecordingLog()
        self.registry = CollectorRegistry()
        self.recorder = Recorder(
            cast("Any", self.client),
            controller="widgets",
            instance="pod-1",
            clock=LoopClock(),
            log=self.log,
            registry=self.registry,
            **options,
        )

    def dropped(self, reason: str) -> float:
        return self.registry.get_sample_value("controller_runtime_events_dropped_total", {"reason": reason}) or 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.recorder.run())
        await asyncio.sleep(0)
        try:
            yield
        finally:
            self.recorder.stop()
            await task


async def test_an_event_says_what_happened_to_what_and_who_says_so() -> None:
    bench = Bench()
    async with bench.running():
        bench.recorder.warning(widget("a", uid="u1"), "CreateFailed", "no disk")
        await asyncio.sleep(1)
    (event,) = bench.client.created
    assert event.metadata.namespace == "ns"
    assert event.metadata.name.startswith("a.")
    assert event.regarding is not None
    assert (event.regarding.kind, event.regarding.api_version) == ("Widget", "example.com/v1")
    assert (event.regarding.name, event.regarding.namespace, event.regarding.uid) == ("a", "ns", "u1")
    assert (event.type, event.reason, event.action, event.note) == (
        "Warning",
        "CreateFailed",
        "CreateFailed",
        "no disk",
    )
    assert (event.reporting_controller, event.reporting_instance) == ("widgets", "pod-1")
    assert event.event_time == "2026-01-01T00:00:00.000000Z"
    assert event.series is None


async def test_two_equal_events_are_one_create_and_one_patch() -> None:
    bench = Bench()
    async with bench.running():
        for _ in range(2):
            bench.recorder.normal(widget(), "Seen", "hello")
            await asyncio.sleep(1)
    assert len(bench.client.created) == 1
    assert bench.client.counts() == [2]


async def test_a_long_series_is_written_every_half_hour_and_at_its_end() -> None:
    bench = Bench()
    async with bench.running():
        for _ in range(120):
            bench.recorder.normal(widget(), "Seen", "hello")
            await asyncio.sleep(60)
        assert bench.client.counts() == [2, 31, 61, 91]
        await asyncio.sleep(400)
        assert bench.client.counts() == [2, 31, 61, 91, 120]
        bench.recorder.normal(widget(), "Seen", "hello")
        await asyncio.sleep(1)
    assert len(bench.client.created) == 2


async def test_different_notes_are_different_events() -> None:
    bench = Bench()
    async with bench.running():
        bench.recorder.normal(widget(), "Waiting", "1 of 3")
        bench.recorder.normal(widget(), "Waiting", "2 of 3")
        await asyncio.sleep(1)
    assert [event.note for event in bench.client.created] == ["1 of 3", "2 of 3"]
    assert len({event.metadata.name for event in bench.client.created}) == 2


async def test_events_wait_for_run_and_the_last_ones_are_written_when_it_stops() -> None:
    bench = Bench()
    bench.recorder.normal(widget(), "Early", "x")
    async with bench.running():
        await asyncio.sleep(1)
        bench.recorder.normal(widget(), "Late", "x")
    assert [event.reason for event in bench.client.created] == ["Early", "Late"]


async def test_one_object_cannot_flood_the_server() -> None:
    bench = Bench()
    async with bench.running():
        for number in range(30):
            bench.recorder.normal(widget(), "Noise", str(number))
        bench.recorder.normal(widget("other"), "Noise", "x")
        await asyncio.sleep(1)
        assert len(bench.client.created) == 26
        assert bench.dropped("rate") == 5
        await asyncio.sleep(300)
        bench.recorder.normal(widget(), "Noise", "later")
        await asyncio.sleep(1)
    assert len(bench.client.created) == 27


async def test_too_many_series_are_dropped_and_counted() -> None:
    bench = Bench(capacity=3)
    for name in "abcde":
        bench.recorder.normal(widget(name), "Seen", "x")
    assert bench.dropped("capacity") == 2


async def test_what_did_not_get_through_is_repeated() -> None:
    bench = Bench()
    bench.client.errors = [TransportError("refused"), TransportError("refused")]
    async with bench.running():
        bench.recorder.normal(widget(), "Seen", "x")
        await asyncio.sleep(10)
    assert len(bench.client.created) == 1


async def test_what_never_gets_through_is_given_up() -> None:
    bench = Bench()
    bench.client.errors = [TransportError("refused")] * 100
    async with bench.running():
        bench.recorder.normal(widget(), "Seen", "x")
        await asyncio.sleep(3600)
    assert len(bench.client.errors) == 100 - 13
    assert bench.dropped("unreachable") == 1
    assert bench.log.only("Event not written")["error"] == "refused"


async def test_what_the_server_refuses_is_given_up_at_once() -> None:
    bench = Bench()
    bench.client.errors = [Forbidden("events is forbidden", code=403)]
    async with bench.running():
        bench.recorder.normal(widget(), "Seen", "x")
        await asyncio.sleep(1)
    assert (bench.client.created, bench.dropped("refused")) == ([], 1)


async def test_a_create_whose_answer_was_lost_is_not_an_error() -> None:
    bench = Bench()
    bench.client.errors = [TransportError("reset"), AlreadyExists("exists", code=409)]
    async with bench.running():
        bench.recorder.normal(widget(), "Seen", "x")
        await asyncio.sleep(10)
        bench.recorder.normal(widget(), "Seen", "x")
        await asyncio.sleep(1)
    assert bench.client.counts() == [2]


async def test_a_series_that_outlived_its_event_is_created_anew() -> None:
    bench = Bench()
    async with bench.running():
        bench.recorder.normal(widget(), "Seen", "x")
        await asyncio.sleep(1)
        bench.client.errors = [NotFound("gone", code=404)]
        bench.recorder.normal(widget(), "Seen", "x")
        await asyncio.sleep(1)
    assert len(bench.client.created) == 2
    series = bench.client.created[1].series
    assert series is not None
    assert series.count == 2


async def test_long_texts_are_cut() -> None:
    bench = Bench()
    async with bench.running():
        bench.recorder.normal(widget("n" * 253), "R" * 200, "ä" * 1000)
        await asyncio.sleep(1)
    (event,) = bench.client.created
    assert len((event.note or "").encode()) == 1024
    assert len(event.reason or "") == 128
    assert len(event.metadata.name) <= 253


async def test_an_event_about_a_cluster_scoped_object_goes_to_default() -> None:
    bench = Bench()
    about = widget()
    about.metadata = ObjectMeta(name="node")
    async with bench.running():
        bench.recorder.normal(about, "Seen", "x")
        await asyncio.sleep(1)
    assert bench.client.created[0].metadata.namespace == "default"


async def test_a_real_api_server_takes_them() -> None:
    async with EmbeddedCluster(clock=LoopClock()) as cluster:
        client = LiveClient(cluster.transport, field_manager="test")
        recorder = Recorder(client, controller="w", instance="p", clock=LoopClock(), log=RecordingLog())
        task = asyncio.create_task(recorder.run())
        about = widget()
        about.metadata.namespace = "default"
        for _ in range(2):
            recorder.normal(about, "Seen", "hello")
            await asyncio.sleep(1)
        recorder.stop()
        await task
        (event,) = await client.list(Event)
        assert event.series is not None
        assert (event.reason, event.series.count) == ("Seen", 2)


@pytest.mark.parametrize(
    ("count", "written", "age", "expected"),
    [
        (1, 0, 0, "create"),
        (5, 0, 0, "create"),
        (1, 1, 0, None),
        (2, 1, 0, "patch"),
        (3, 2, 0, None),
        (3, 2, 359, None),
        (3, 2, 360, "patch"),
        (3, 3, 10_000, None),
    ],
)
def test_what_is_due(count: int, written: int, age: float, expected: str | None) -> None:
    series = EventSeries(ObjectKey("ns", "e"), "t", "t", last_seen=0.0, count=count, written=written)
    assert series.due(age) == expected
