"""One cluster's PD over hours of virtual time: how often it is asked, when its answers are trusted, who is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from controller_runtime.api.resource import ObjectKey
from controller_runtime.clock import LoopClock
from helpers.recording_log import RecordingLog
from helpers.scripted_pd import News, ScriptedPD, wire_store
from tikv_operator.common.settings import Settings
from tikv_operator.pdclient import PDHandle, PDResponse, PDSnapshot, PDUnreachable

A, B = "basic-tikv-a.basic-tikv-peer.ns1:20160", "basic-tikv-b.basic-tikv-peer.ns1:20160"
STORES, CONFIG = "GET /pd/api/v1/stores", "GET /pd/api/v1/config"
SCHEDULERS = "GET /pd/api/v1/schedulers"


@dataclass
class World:
    """A PD with two stores, and the operator's handle on it."""

    pd: ScriptedPD = field(default_factory=lambda: ScriptedPD(stores=[wire_store(1, A), wire_store(2, B)]))
    news: News = field(default_factory=News)
    log: RecordingLog = field(default_factory=RecordingLog)
    settings: Settings = field(default_factory=Settings)
    handle: PDHandle = field(init=False)

    def __post_init__(self) -> None:
        self.handle = PDHandle(
            ObjectKey("ns1", "basic"),
            self.pd,
            settings=self.settings,
            clock=LoopClock(),
            log=self.log,
            listener=self.news,
            jitter=lambda: 0.5,
        )

    @asynccontextmanager
    async def polling(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            poller = group.create_task(self.handle.run())
            try:
                await asyncio.sleep(0.001)
                yield
            finally:
                poller.cancel()


def world(**settings: Any) -> World:
    return World(settings=Settings(**settings))


# -- how often PD is asked


async def test_the_first_poll_is_made_at_once_and_fills_the_snapshot() -> None:
    w = world()
    w.pd.location_labels = "zone,host"
    w.pd.evicting = {2}
    async with w.polling():
        snapshot = w.handle.snapshot
        assert snapshot is not None
        assert set(snapshot.stores) == {A, B}
        assert snapshot.evicting == {"2"}
        assert snapshot.config.location_labels == ("zone", "host")
        assert snapshot.cluster_id == "7452180154224557728"
        assert w.handle.fresh()
        assert w.handle.store(A) is snapshot.stores[A]
        assert w.handle.store("elsewhere:20160") is None
        assert (w.handle.is_evicting("1"), w.handle.is_evicting("2")) == (False, True)
        assert w.pd.learned == ("http://pd-0:2379",)


async def test_a_calm_pd_gets_five_requests_each_half_minute() -> None:
    w = world()
    async with w.polling():
        await asyncio.sleep(600)
    assert w.pd.times() == list(range(0, 601, 30))
    assert len(w.pd.calls) == 5 * 21


async def test_in_motion_pd_is_asked_every_second_for_what_moves_alone() -> None:
    w = world()
    async with w.polling():
        w.handle.hurry()
        await asyncio.sleep(29)
        assert w.pd.times() == list(range(11))
        assert w.pd.times(CONFIG) == [0]
        await asyncio.sleep(11.5)
        assert w.pd.times()[-1] == 40
        assert w.pd.times(CONFIG) == [0, 40]


async def test_motion_that_goes_on_is_followed_as_long_as_it_is_reported() -> None:
    w = world()
    async with w.polling():
        for _ in range(60):
            w.handle.hurry()
            await asyncio.sleep(5)
        assert w.pd.count() == pytest.approx(300, abs=2)
        assert w.pd.count(CONFIG) == pytest.approx(10, abs=1)


async def test_a_refresh_is_answered_at_once_and_many_are_one() -> None:
    w = world()
    async with w.polling():
        await asyncio.sleep(10)
        for _ in range(1000):
            w.handle.refresh()
        await asyncio.sleep(0.001)
        assert w.pd.times() == [0, 10.001]
        await asyncio.sleep(29)
        assert w.pd.count() == 2


async def test_a_refresh_during_a_poll_makes_another_because_the_first_may_have_looked_too_early() -> None:
    w = world()
    w.pd.delay = 1.0
    async with w.polling():
        await asyncio.sleep(2.5)
        w.handle.refresh()
        w.handle.refresh()
        await asyncio.sleep(20)
        assert w.pd.times() == [0, 5]


async def test_a_listener_that_refreshes_after_all_news_does_not_make_pd_spin() -> None:
    w = world()
    w.pd.stores[0]["store"]["node_state"] = 2
    regions = iter(range(10_000))

    def again() -> None:
        w.pd.stores[0]["status"]["region_count"] = next(regions)
        w.handle.refresh()

    w.news.heard = again
    async with w.polling():
        await asyncio.sleep(60)
    assert w.pd.count() == pytest.approx(240, abs=3)


# -- trust


async def test_pd_down_for_ten_minutes() -> None:
    w = world()
    async with w.polling():
        await asyncio.sleep(15)
        w.news.take()
        before = w.handle.snapshot
        asked = len(w.pd.calls)

        w.pd.down = True
        await asyncio.sleep(20)
        assert not w.handle.fresh(), "two polls have failed"
        assert w.handle.snapshot is before, "what was known stays readable"
        assert w.handle.store(A) is not None
        assert isinstance(w.handle.error, PDUnreachable)
        assert w.news.take() == ([{A, B}], 1)

        await asyncio.sleep(580)
        assert w.news.take() == ([], 0), "nothing changes while it is away"
        assert w.handle.age() == pytest.approx(615, abs=1)
        assert len(w.pd.calls) - asked < 400, "three attempts every five seconds at the most"

        w.pd.down = False
        await asyncio.sleep(6)
        assert w.handle.fresh()
        assert w.handle.error is None
        assert w.news.take() == ([{A, B}], 1)
    assert w.log.levelled() == ["info: pd is reachable", "warning: pd is unreachable", "info: pd is reachable again"]
    assert w.log.lines[1][2]["error"].startswith("cannot connect")
    assert w.log.lines[2][2]["away_seconds"] == pytest.approx(585, abs=10)


async def test_one_failed_poll_is_no_loss_of_trust() -> None:
    w = world()
    async with w.polling():
        w.news.take()
        for _ in range(20):
            w.pd.down = True
            w.handle.refresh()
            await asyncio.sleep(1)
            assert w.handle.error is not None
            assert w.handle.fresh()
            w.pd.down = False
            await asyncio.sleep(10)
            assert w.handle.error is None
    assert w.news.take() == ([], 0)
    assert w.log.levelled() == ["info: pd is reachable"]


async def test_a_pd_that_flaps_is_reported_once_for_each_loss_and_return() -> None:
    w = world(pd_poll=2.0)
    async with w.polling():
        w.news.take()
        for _ in range(5):
            w.pd.down = True
            await asyncio.sleep(20)
            assert not w.handle.fresh()
            w.pd.down = False
            await asyncio.sleep(20)
            assert w.handle.fresh()
    assert w.news.take() == ([{A, B}] * 10, 10)
    assert w.log.levelled()[1:] == ["warning: pd is unreachable", "info: pd is reachable again"] * 5


async def test_a_pd_that_accepts_and_never_answers_is_not_trusted() -> None:
    w = world()
    async with w.polling():
        w.pd.delay = 1e6
        await asyncio.sleep(30 + 10 + 1 + 10 + 0.5)
        assert not w.handle.fresh()
        assert isinstance(w.handle.error, PDUnreachable)
        assert w.handle.error.timed_out


async def test_a_poll_that_drags_on_is_given_up() -> None:
    w = world()
    w.pd.delay = 9.0
    async with w.polling():
        await asyncio.sleep(20.1)
        assert w.handle.error is not None
        assert "could not be read within 20 s" in w.handle.error.message


async def test_old_answers_are_not_trusted_even_if_nothing_has_failed() -> None:
    w = world()
    w.handle.observe(PDSnapshot(taken_at=LoopClock().now()))
    assert w.handle.fresh()
    await asyncio.sleep(90)
    assert w.handle.fresh()
    await asyncio.sleep(1)
    assert not w.handle.fresh()
    assert w.handle.fresh(now=LoopClock().now() - 1)


async def test_trust_that_was_lost_by_age_alone_is_news_when_it_returns() -> None:
    w = world(pd_max_age=20.0, pd_poll=10.0)
    async with w.polling():
        w.news.take()
        w.pd.delay = 3.5
        await asyncio.sleep(10 + 5 * 3.5 - 0.5)
        assert not w.handle.fresh(), "the second poll has not ended"
        await asyncio.sleep(1)
        assert w.handle.fresh()
        assert w.news.take() == ([{A, B}], 1)


async def test_a_calm_pd_is_asked_often_enough_to_be_trusted() -> None:
    w = world(pd_max_age=20.0, pd_poll=600.0)
    async with w.polling():
        for _ in range(100):
            await asyncio.sleep(7)
            assert w.handle.fresh()


async def test_before_the_first_answer_nothing_is_trusted() -> None:
    w = world()
    assert not w.handle.fresh()
    assert w.handle.snapshot is None
    assert w.handle.store(A) is None
    assert w.handle.age() == float("inf")
    assert not w.handle.is_evicting("1")


async def test_a_new_pd_that_is_not_up_yet_is_waited_for_quietly() -> None:
    w = world()
    w.pd.down = True
    async with w.polling():
        await asyncio.sleep(60)
        w.pd.down = False
        await asyncio.sleep(6)
        assert w.handle.fresh()
    assert w.log.levelled() == ["info: pd is unreachable", "info: pd is reachable again"]
    assert w.news.take() == ([{A, B}], 1)


async def test_missing_credentials_are_the_reason_that_is_shown() -> None:
    w = world()
    w.pd.renew_error = PDUnreachable("secret ns1/basic-cluster-client-secret for TLS to PD does not exist", sent=False)
    async with w.polling():
        await asyncio.sleep(10)
        assert w.handle.error is w.pd.renew_error
        w.pd.renew_error = None
        await asyncio.sleep(6)
        assert w.handle.fresh()


async def test_credentials_are_looked_at_now_and_then_and_after_each_failure() -> None:
    w = world()
    async with w.polling():
        for _ in range(60):
            w.handle.hurry()
            await asyncio.sleep(1)
        assert w.pd.count() == pytest.approx(60, abs=2)
        assert w.pd.renewals == pytest.approx(3, abs=1)
        w.pd.down = True
        await asyncio.sleep(10)
        assert w.pd.renewals >= 6


async def test_an_answer_that_breaks_the_poller_is_logged_and_counts_as_a_failure() -> None:
    w = world()
    w.pd.script[STORES] = [ZeroDivisionError("oops")]
    async with w.polling():
        await asyncio.sleep(10)
        assert not w.handle.fresh()
        assert w.handle.error is not None
        assert w.handle.error.message == "ZeroDivisionError: oops"
        del w.pd.script[STORES]
        await asyncio.sleep(6)
        assert w.handle.fresh()
    assert "error: polling pd failed unexpectedly" in w.log.levelled()


# -- what PD says


async def test_a_pd_without_any_tikv_is_known_and_has_no_stores() -> None:
    w = world()
    w.pd.bootstrapped = False
    async with w.polling():
        assert w.handle.fresh()
        assert w.handle.snapshot is not None
        assert not w.handle.snapshot.stores
        assert w.news.take() == ([], 1), "the cluster's id is known"
        w.pd.bootstrapped = True
        await asyncio.sleep(30)
        assert w.news.take() == ([{A, B}], 0)


async def test_a_tombstone_does_not_hide_the_store_that_took_its_address() -> None:
    w = world()
    dead = wire_store(1, A, state=2, node_state=3, state_name="Tombstone")
    w.pd.stores = [wire_store(7, A), dead]
    async with w.polling():
        store = w.handle.store(A)
        assert store is not None
        assert (store.id, store.node_state) == ("7", "Serving")


async def test_only_stores_whose_change_matters_are_named() -> None:
    w = world()
    async with w.polling():
        w.news.take()
        w.pd.stores[0]["status"]["leader_count"] = 5
        await asyncio.sleep(30)
        assert w.news.take() == ([{A}], 0)
        w.pd.stores[0]["status"]["leader_count"] = 9
        await asyncio.sleep(30)
        assert w.news.take() == ([], 0)
        w.pd.stores[1]["status"]["region_count"] = 100
        await asyncio.sleep(30)
        assert w.news.take() == ([{B}], 0)


async def test_the_cluster_is_named_when_it_gets_its_id() -> None:
    w = world()
    w.pd.cluster_id = 0
    async with w.polling():
        assert w.news.take() == ([{A, B}], 1)
        w.handle.hurry()
        await asyncio.sleep(3)
        w.pd.cluster_id = 7
        await asyncio.sleep(1)
        assert w.news.take() == ([], 1), "whoever waits for it gets it with the next poll"
        assert w.handle.snapshot is not None
        assert w.handle.snapshot.cluster_id == "7"


async def test_a_store_that_vanished_during_an_outage_is_named_when_pd_is_back() -> None:
    w = world()
    async with w.polling():
        w.pd.down = True
        await asyncio.sleep(60)
        w.news.take()
        w.pd.down = False
        del w.pd.stores[0]
        await asyncio.sleep(6)
        assert w.news.take() == ([{A, B}], 1)


async def test_other_members_are_learned_after_an_outage() -> None:
    w = world()
    async with w.polling():
        w.pd.down = True
        await asyncio.sleep(31)
        w.pd.members = ("pd-7", "pd-8")
        w.pd.down = False
        await asyncio.sleep(6)
        assert w.pd.learned == ("http://pd-7:2379", "http://pd-8:2379")


# -- our own writes


async def test_an_eviction_of_ours_is_seen_at_once() -> None:
    w = world()
    async with w.polling():
        w.news.take()
        await w.handle.client.begin_evict_leader("1")
        w.handle.note_evicting("1", True)
        assert w.handle.is_evicting("1")
        await asyncio.sleep(31)
        assert w.handle.is_evicting("1")
        w.handle.note_evicting("1", False)
        assert not w.handle.is_evicting("1")
    assert w.news.take() == ([], 0), "who wrote it knows it already"


async def test_a_poll_that_asked_before_our_write_does_not_undo_it() -> None:
    w = world()
    async with w.polling():
        w.pd.delay = 1.0
        await asyncio.sleep(31.5)  # the poll has its stores, and waits for the list of schedulers as it was
        w.pd.evicting.add(1)
        w.handle.note_evicting("1", True)
        await asyncio.sleep(10)
        assert w.pd.times(CONFIG) == [0, 32], "the poll is over"
        assert w.handle.is_evicting("1")


async def test_a_note_is_corrected_by_the_next_poll() -> None:
    w = world()
    async with w.polling():
        w.handle.note_evicting("1", True)
        await asyncio.sleep(31)
        assert not w.handle.is_evicting("1"), "PD never began, or somebody ended it"


async def test_an_end_of_ours_is_confirmed_by_a_poll_that_begins_later_and_succeeds() -> None:
    w = world()
    async with w.polling():
        w.pd.delay = 1.0
        await asyncio.sleep(31.5)  # a poll is under way
        w.handle.note_evicting("1", False)
        await asyncio.sleep(10)
        assert w.handle.awaits_eviction("1")
        w.pd.delay, w.pd.down = 0.0, True
        await asyncio.sleep(31)
        assert w.handle.awaits_eviction("1")
        assert not w.handle.has_ended_eviction("1")
        w.pd.down = False
        await asyncio.sleep(31)
        assert not w.handle.awaits_eviction("1")
        assert w.handle.has_ended_eviction("1")


async def test_an_eviction_does_not_end_while_a_server_has_yet_to_take_it_up_again() -> None:
    schedule = {
        "schedulers-v2": [{"type": "evict-leader", "args": ["1"], "disable": False}],
        "schedulers-payload": {"evict-leader-scheduler": {"store-id-ranges": {"1": []}}},
    }
    kept = PDResponse(200, msgspec.json.encode({"schedule": schedule, "replication": {}}))
    w = world()
    w.pd.evicting.add(1)
    async with w.polling():
        w.news.take()
        w.pd.script = {SCHEDULERS: [PDResponse(200, b"[]")], CONFIG: [kept]}
        await asyncio.sleep(31)
        assert w.handle.is_evicting("1")
        assert not w.handle.prepared
        assert w.news.take() == ([{A, B}], 0)
        w.pd.script = {SCHEDULERS: [PDResponse(200, b'["balance-leader-scheduler"]')], CONFIG: [kept]}
        await asyncio.sleep(31)
        assert w.handle.is_evicting("1")
        assert w.handle.prepared
        assert w.news.take() == ([{A, B}], 0)


async def test_labels_of_ours_are_seen_at_once_and_corrected_by_the_next_poll() -> None:
    w = world()
    async with w.polling():
        address = next(iter(w.handle.snapshot.stores)) if w.handle.snapshot else ""
        w.handle.note_labels("1", {"zone": "a"})
        found = w.handle.store(address)
        assert found is not None
        assert dict(found.labels) == {"zone": "a"}
        await asyncio.sleep(31)
        found = w.handle.store(address)
        assert found is not None
        assert dict(found.labels) == {}, "PD never set them, or somebody removed them"


async def test_a_note_before_the_first_answer_is_harmless() -> None:
    w = world()
    w.handle.note_evicting("1", True)
    assert not w.handle.is_evicting("1")


# -- the end


async def test_a_stopped_handle_is_closed_and_not_trusted() -> None:
    w = world()
    async with w.polling():
        assert not w.handle.closed
    assert w.handle.closed
    assert w.pd.closed
    assert not w.handle.fresh()
    assert w.handle.store(A) is not None


async def test_stopping_in_the_middle_of_a_poll_ends_it() -> None:
    w = world()
    w.pd.delay = 1e6
    async with w.polling():
        await asyncio.sleep(3)
    assert w.pd.closed
    assert asyncio.get_running_loop().time() < 4


async def test_a_pd_that_has_forgotten_a_living_store_is_asked_who_it_is() -> None:
    w = world()
    async with w.polling():
        w.handle.hurry()
        await asyncio.sleep(5)
        asked = w.pd.times(CONFIG)
        w.pd.stores = [wire_store(2, B)]
        await asyncio.sleep(2)
        assert len(w.pd.times(CONFIG)) == len(asked) + 1
        await asyncio.sleep(2)
        assert len(w.pd.times(CONFIG)) == len(asked) + 1
