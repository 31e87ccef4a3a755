"""Whole conversations between an informer and an API server, in virtual time.

The first part are the sequences that any informer must get right; the second the defects that users of other Python
clients live with, each as a test that this one does not have it.
"""

from __future__ import annotations

import asyncio
import json

import pytest

from controller_runtime.api.resource import ObjectKey
from controller_runtime.client.errors import TransportError
from helpers.informer_world import Seen, running, settle
from helpers.scripted_api import Reply, WatchReply, bookmark, config_map, event, listed, status

UNSUPPORTED = status(422, "Invalid", "sendInitialEvents is forbidden")
GONE = event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"})
OVERLOAD = status(429, "TooManyRequests")


def synced(*objects: dict[str, object], version: int = 10) -> WatchReply:
    """A stream that begins with all of a collection."""
    return WatchReply(*(event("ADDED", obj) for obj in objects), bookmark(version, end=True))


# Beginning


async def test_a_cold_start_is_one_request_that_goes_on_as_the_watch() -> None:
    stream = synced(config_map("a", 3), config_map("b", 7))
    async with running(stream) as world:
        await world.cache.wait_synced(timeout=5)
        assert world.seen.take() == ["initial added a@3", "initial added b@7"]
        stream.send(event("MODIFIED", config_map("a", 11)), event("DELETED", config_map("b", 12)))
        await settle()
        assert world.seen.take() == ["updated a@11", "deleted b@12"]
        assert world.api.asked == ["STREAM rv="]


async def test_what_changes_during_the_initial_events_is_cached_in_its_last_state() -> None:
    stream = WatchReply(
        event("ADDED", config_map("a", 3)),
        event("ADDED", config_map("b", 4)),
        event("MODIFIED", config_map("a", 5)),
        event("DELETED", config_map("b", 6)),
        bookmark(6, end=True),
    )
    async with running(stream) as world:
        assert world.seen.take() == ["initial added a@5"]


async def test_the_cache_is_not_synced_before_the_end_marker() -> None:
    stream = WatchReply(event("ADDED", config_map("a", 3)), bookmark(4))
    async with running(stream) as world:
        assert (world.informer.synced, world.names()) == (False, [])
        stream.send(bookmark(5, end=True))
        await settle()
        assert (world.informer.synced, world.registration.synced, world.names()) == (True, True, ["a@3"])


async def test_a_server_without_streaming_lists_is_read_page_by_page() -> None:
    pages = [
        listed(20, [config_map("a", 1)], token="t1"),
        listed(20, [config_map("b", 2)], token="t2"),
        listed(20, [config_map("c", 3)]),
    ]
    async with running(UNSUPPORTED, *pages) as world:
        assert world.names() == ["a@1", "b@2", "c@3"]
        assert world.api.asked == [
            "STREAM rv=",
            "LIST rv=0 limit=500",
            "LIST rv= limit=500 continue=t1",
            "LIST rv= limit=500 continue=t2",
            "WATCH rv=20",
        ]


async def test_initial_events_that_stop_half_way_are_followed_by_a_list() -> None:
    half = WatchReply(event("ADDED", config_map("a", 3)))
    async with running(half, listed(20, [config_map("a", 3), config_map("b", 4)])) as world:
        half.break_off()
        await world.cache.wait_synced(timeout=2)
        assert world.seen.take() == ["initial added a@3", "initial added b@4"]


# Going on


async def test_a_watch_that_ends_is_opened_again_at_once_and_nothing_is_listed() -> None:
    first, second = synced(config_map("a", 3)), WatchReply()
    async with running(first, second) as world:
        await asyncio.sleep(50)
        first.send(bookmark(55))
        await asyncio.sleep(50)
        first.end()
        for _ in range(3):
            await asyncio.sleep(0)
        assert world.api.asked == ["STREAM rv=", "WATCH rv=55"]


async def test_410_costs_one_wait_and_a_list_at_the_last_version_then_one_of_the_latest_state() -> None:
    first = synced(config_map("a", 3))
    async with running(first) as world:
        world.api.then(UNSUPPORTED, status(410, "Expired"), listed(30, [config_map("b", 25)]), WatchReply())
        began = asyncio.get_running_loop().time()
        first.send(GONE)
        await asyncio.sleep(5)
        assert world.api.asked == [
            "STREAM rv=",
            "STREAM rv=10",
            "LIST rv=10",
            "LIST rv= limit=500",
            "WATCH rv=30",
        ]
        waits = [time - began for time in world.api.times[1:]]
        assert 0.8 <= waits[0] < 1.6
        assert waits[0] == waits[1] == waits[2]


async def test_overload_at_the_opening_of_a_watch_never_causes_a_list() -> None:
    async with running(UNSUPPORTED, listed(20), OVERLOAD, OVERLOAD, OVERLOAD, OVERLOAD, WatchReply()) as world:
        await asyncio.sleep(60)
        asked = world.api.asked
        assert [asked.count("LIST rv=0 limit=500"), asked.count("WATCH rv=20")] == [1, 5]


async def test_a_watch_at_version_zero_that_dies_early_starts_over() -> None:
    stream = WatchReply(*(event("ADDED", config_map(name, number)) for name, number in (("a", 9), ("b", 4), ("c", 6))))
    async with running(UNSUPPORTED, listed("0"), stream) as world:
        await asyncio.sleep(2)
        world.api.then(WatchReply())
        stream.break_off()
        await settle()
        assert world.api.asked[-1] == "WATCH rv=0"


# What is missed while nobody looks


async def test_a_delete_while_disconnected_is_reported_first_with_the_last_known_state() -> None:
    first = synced(config_map("a", 3), config_map("b", 4))
    async with running(first) as world:
        world.seen.clear()
        world.api.then(synced(config_map("b", 12), config_map("c", 13), version=20))
        first.send(GONE)
        await asyncio.sleep(2)
        assert world.seen.take() == ["unknown deleted a@3", "updated b@12", "added c@13"]


async def test_delete_and_recreate_while_disconnected_is_one_update_with_two_uids() -> None:
    first = synced(config_map("a", 3))
    async with running(first) as world:
        uids: list[tuple[str, str]] = []
        world.informer.add_handler(
            lambda change: (
                uids.append((change.old.meta.uid, change.new.meta.uid)) if change.old and change.new else None
            )
        )
        world.api.then(synced(config_map("a", 15, uid="another"), version=20))
        first.send(GONE)
        await asyncio.sleep(2)
        assert uids == [("uid-a", "another")]


async def test_a_new_list_of_unchanged_objects_is_no_news() -> None:
    first = synced(config_map("a", 3), config_map("b", 4))
    async with running(first) as world:
        world.seen.clear()
        world.api.then(synced(config_map("a", 3), config_map("b", 4), version=20))
        first.send(GONE)
        await asyncio.sleep(2)
        assert world.seen.take() == []
        assert world.metric("informer_lists_total") == 2


# Handlers


async def test_a_handler_that_comes_late_gets_everything_once() -> None:
    stream = synced(config_map("a", 3), config_map("b", 4))
    async with running(stream) as world:
        stream.send(event("MODIFIED", config_map("a", 11)))
        await settle()
        late = Seen()
        registration = world.informer.add_handler(late)
        assert registration.synced
        stream.send(event("MODIFIED", config_map("b", 12)))
        await settle()
        assert late == ["initial added a@11", "initial added b@4", "updated b@12"]


async def test_the_store_holds_the_new_state_when_a_handler_is_called() -> None:
    stream = WatchReply(bookmark(1, end=True))
    async with running(stream) as world:
        read: list[str] = []
        world.informer.add_handler(lambda change: read.append(str(world.informer.store.get(change.key) is change.new)))
        stream.send(event("ADDED", config_map("a", 2)), event("DELETED", config_map("a", 3)))
        await settle()
        assert read == ["True", "True"]


async def test_a_handler_that_raises_is_counted_and_logged_and_harms_nobody() -> None:
    stream = WatchReply(bookmark(1, end=True))
    async with running(stream) as world:
        world.registration.remove()

        def broken(_: object) -> None:
            msg = "boom"
            raise RuntimeError(msg)

        world.informer.add_handler(broken)
        after = Seen()
        world.informer.add_handler(after)
        stream.send(event("ADDED", config_map("a", 2)), event("ADDED", config_map("b", 3)))
        await settle()
        assert after == ["added a@2", "added b@3"]
        assert world.metric("informer_handler_errors_total") == 2
        assert world.log.texts == ["error: handler failed", "error: handler failed"]
        assert world.log.lines[0][2]["key"] == "ns/a"


async def test_a_removed_handler_is_called_no_more() -> None:
    stream = WatchReply(bookmark(1, end=True))
    async with running(stream) as world:
        world.registration.remove()
        world.registration.remove()
        stream.send(event("ADDED", config_map("a", 2)))
        await settle()
        assert world.seen == []


# Defects of others


async def test_a_silent_connection_is_noticed_in_ninety_seconds() -> None:
    first, second = synced(config_map("a", 3)), WatchReply()
    async with running(first, second) as world:
        await asyncio.sleep(89)
        assert len(world.api.requests) == 1
        await asyncio.sleep(2)
        assert world.api.asked == ["STREAM rv=", "WATCH rv=10"]
        assert first.closed.is_set()


async def test_bookmarks_keep_a_quiet_watch_alive() -> None:
    stream = synced(config_map("a", 3))
    async with running(stream) as world:
        for minute in range(10):
            await asyncio.sleep(60)
            stream.send(bookmark(100 + minute))
        assert len(world.api.requests) == 1


async def test_a_connection_that_resets_while_a_watch_is_opened_is_tried_again_for_ever() -> None:
    broken = [TransportError("connection reset by peer") for _ in range(30)]
    stream = WatchReply(event("ADDED", config_map("a", 12)))
    first = synced()
    async with running(first, *broken, stream) as world:
        await asyncio.sleep(2)
        first.break_off()
        await asyncio.sleep(3600)
        assert world.seen.take() == ["added a@12"]
        assert not any(asked.startswith("LIST") for asked in world.api.asked)


async def test_a_connection_that_resets_in_an_open_watch_loses_nothing() -> None:
    first, second = synced(config_map("a", 3)), WatchReply(event("MODIFIED", config_map("a", 12)))
    async with running(first, second) as world:
        await asyncio.sleep(30)
        world.seen.clear()
        first.break_off()
        await settle()
        assert world.api.asked == ["STREAM rv=", "WATCH rv=10"]
        assert world.seen.take() == ["updated a@12"]


async def test_deletions_during_a_410_gap_leave_no_ghosts_in_an_index() -> None:
    first = synced(config_map("a", 3, app="x"), config_map("b", 4, app="y"))
    async with running(first, indexes={"name": lambda entry: [entry.key.name]}) as world:
        world.api.then(synced(config_map("b", 4), version=20))
        first.send(GONE)
        await asyncio.sleep(2)
        assert world.informer.store.index("name").values() == ["b"]
        assert world.cache.entries(world.informer.resource, index=("name", "a")) == []


async def test_410_is_not_answered_with_the_same_version_again_and_again() -> None:
    """Even of a server that answers 410 to everything: a handful of requests a minute, not a hot loop."""
    async with running(*(status(410, "Expired") for _ in range(1000))) as world:
        await asyncio.sleep(600)
        assert len(world.api.requests) < 80
        assert world.informer.health() == "Expired: Expired"


async def test_a_server_that_hangs_up_at_once_is_not_asked_in_a_hot_loop() -> None:
    answers: list[Reply | WatchReply] = [synced()]
    for _ in range(300):
        answers += [WatchReply(end=True), UNSUPPORTED, listed(20)]
    async with running(*answers) as world:
        await asyncio.sleep(600)
        assert len(world.api.asked) < 70


async def test_an_error_page_of_a_load_balancer_is_an_error_and_not_an_event() -> None:
    pages = [Reply(502, b"<html>Bad Gateway</html>") for _ in range(6)]
    async with running(*pages, synced(config_map("a", 3))) as world:
        await asyncio.sleep(60)
        assert world.seen.take() == ["initial added a@3"]
        assert world.metric("informer_undecodable_total") == 0


async def test_a_line_that_is_no_event_costs_a_new_list_not_the_watch() -> None:
    first = synced(config_map("a", 3))
    async with running(first) as world:
        world.api.then(synced(config_map("a", 14), version=20))
        first.send(b"upstream connect error")
        await asyncio.sleep(2)
        assert world.seen[-1] == "updated a@14"


@pytest.mark.parametrize(
    "strange",
    [
        {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": "a", "resourceVersion": "11"}},
        {"kind": "ConfigMap", "apiVersion": "v1"},
        {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": 5}},
        "text",
    ],
)
async def test_an_object_that_cannot_be_read_is_skipped_and_counted_and_the_next_gets_through(strange: object) -> None:
    stream = WatchReply(bookmark(1, end=True))
    async with running(stream) as world:
        stream.send({"type": "MODIFIED", "object": strange}, event("ADDED", config_map("b", 12)))
        await settle()
        assert world.seen.take() == ["added b@12"]
        assert world.metric("informer_undecodable_total") == 1


async def test_bookmarks_need_not_fit_the_type() -> None:
    stream = WatchReply(bookmark(1, end=True))
    async with running(stream) as world:
        stream.send(bookmark(33))
        await settle()
        stream.end()
        await asyncio.sleep(2)
        assert world.api.asked[-1] == "WATCH rv=33"


async def test_an_unknown_type_of_event_is_ignored() -> None:
    stream = WatchReply(bookmark(1, end=True))
    async with running(stream) as world:
        stream.send(event("SOMETHING", config_map("a", 12)), event("ADDED", config_map("b", 13)), b"")
        await settle()
        assert world.seen.take() == ["added b@13"]


async def test_retry_after_is_obeyed() -> None:
    async with running(status(429, "TooManyRequests", retryAfterSeconds=20), synced()) as world:
        await asyncio.sleep(19.9)
        assert len(world.api.requests) == 1
        await asyncio.sleep(0.2)
        assert len(world.api.requests) == 2


async def test_more_objects_than_a_page_are_all_cached() -> None:
    count = 1100
    pages = [
        listed(9000, [config_map(f"o{number:04}", number + 1) for number in range(start, min(start + 500, count))],
               token="" if start + 500 >= count else f"t{start}")
        for start in range(0, count, 500)
    ]  # fmt: skip
    async with running(UNSUPPORTED, *pages) as world:
        await world.cache.wait_synced(timeout=5)
        assert len(world.seen) == count
        assert world.informer.objects == count


async def test_a_burst_of_events_does_not_starve_other_tasks() -> None:
    stream = WatchReply(bookmark(1, end=True))
    async with running(stream) as world:
        stream.send(*(event("ADDED", config_map(f"o{number}", number + 2)) for number in range(1000)))
        turns = 0
        while world.informer.objects < 1000:
            turns += 1
            await asyncio.sleep(0)
        assert turns >= 7


async def test_a_defect_in_the_informer_itself_does_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    first = synced(config_map("a", 3))
    async with running(first) as world:
        monkeypatch.setattr(world.informer.store.__class__, "put", lambda *_: 1 / 0)
        first.send(event("MODIFIED", config_map("a", 11)))
        await settle()
        monkeypatch.undo()
        world.api.then(synced(config_map("a", 11), version=20))
        await asyncio.sleep(2)
        assert world.seen[-1] == "updated a@11"
        assert world.log.texts[0] == "error: informer failed unexpectedly"


# Health


async def test_a_forbidden_watch_shows_at_once_in_health_metrics_and_one_log_line() -> None:
    forbidden = [status(403, "Forbidden", "configmaps is forbidden") for _ in range(100)]
    async with running(*forbidden) as world:
        await asyncio.sleep(300)
        assert world.informer.health() == "Forbidden: configmaps is forbidden"
        assert world.cache.health() == "configmaps/v1: Forbidden: configmaps is forbidden"
        assert world.metric("informer_healthy") == 0
        assert (world.metric("informer_failures_total", error="Forbidden") or 0) > 5
        assert world.log.texts == ["warning: informer cannot follow the server"]
        assert world.log.lines[0][2] == {
            "resource": "configmaps/v1",
            "error": "Forbidden: configmaps is forbidden",
        }


async def test_a_kind_whose_crd_comes_later_is_cached_then() -> None:
    missing = [status(404, "NotFound", "the server could not find the requested resource") for _ in range(10)]
    async with running(*missing, synced(config_map("a", 3))) as world:
        assert world.informer.health() == "NotFound: the server could not find the requested resource"
        await asyncio.sleep(300)
        assert world.informer.health() is None
        assert world.seen.take() == ["initial added a@3"]
        assert world.log.texts == [
            "warning: informer cannot follow the server",
            "info: informer follows the server again",
        ]


async def test_a_passing_trouble_does_not_show_in_health_but_a_lasting_one_does() -> None:
    first = synced(config_map("a", 3))
    async with running(first, *(TransportError("refused") for _ in range(100))) as world:
        await asyncio.sleep(5)
        first.break_off()
        await asyncio.sleep(29)
        assert world.informer.health() is None
        await asyncio.sleep(3)
        assert world.informer.health() == "TransportError: refused"
        world.api.answers.clear()
        await asyncio.sleep(120)
        assert world.informer.health() is None


async def test_the_metrics_tell_how_much_and_how_recently() -> None:
    stream = synced(config_map("a", 3))
    async with running(stream) as world:
        await asyncio.sleep(50)
        stream.send(event("MODIFIED", config_map("a", 11)), event("MODIFIED", config_map("a", 10)))
        await settle()
        assert world.metric("informer_objects") == 1
        assert world.metric("informer_synced") == 1
        assert world.metric("informer_healthy") == 1
        assert world.metric("informer_watches_total") == 1
        assert world.metric("informer_events_total", type="MODIFIED") == 2
        assert world.metric("informer_ignored_total") == 1
        assert world.metric("informer_last_event_timestamp_seconds") == pytest.approx(1_767_225_650, abs=0.1)


# Write-through


async def test_a_write_is_read_at_once_and_reported_once() -> None:
    stream = synced(config_map("a", 3))
    async with running(stream) as world:
        world.seen.clear()
        world.cache.accept(world.informer.resource, json.dumps(config_map("a", 11)).encode())
        assert world.names() == ["a@11"]
        assert world.seen.take() == ["updated a@11"]
        stream.send(event("MODIFIED", config_map("a", 11)))
        await settle()
        assert world.seen.take() == []


async def test_an_older_list_does_not_undo_a_write() -> None:
    first = synced(config_map("a", 3))
    async with running(first) as world:
        world.seen.clear()
        world.cache.accept(world.informer.resource, json.dumps(config_map("new", 25)).encode())
        world.api.then(synced(config_map("a", 3), version=20))
        first.send(GONE)
        await asyncio.sleep(2)
        assert world.informer.store.get(ObjectKey("ns", "new")) is not None
        assert world.seen.take() == ["added new@25"]
