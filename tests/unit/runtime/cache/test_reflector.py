"""The reflector's state machine, as tables: every phase, every thing that can happen in it, and what must follow."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from controller_runtime.api.resource import ObjectKey
from controller_runtime.cache.meta import Entry, Meta
from controller_runtime.cache.reflector import Action, FetchPage, OpenWatch, Phase, Reflector, Wait
from controller_runtime.client.errors import (
    ApiError,
    ClientError,
    DecodeError,
    Expired,
    Forbidden,
    InternalError,
    Invalid,
    NotFound,
    RequestTimeout,
    ServerTimeout,
    ServiceUnavailable,
    StatusCause,
    TooManyRequests,
    TransportError,
    Unauthorized,
)


def api_error(kind: type[ApiError], code: int, message: str = "no", **more: object) -> ApiError:
    return kind(message, code=code, **more)  # type: ignore[arg-type]


GONE = api_error(Expired, 410)
TOO_LARGE = api_error(ServerTimeout, 504, causes=(StatusCause(reason="ResourceVersionTooLarge"),))
TOO_LARGE_OLD_SERVER = api_error(ServerTimeout, 504, "Too large resource version: 9, current: 5")
OVERLOAD = api_error(TooManyRequests, 429)
BROKEN = TransportError("connection reset by peer")
REFUSED = TransportError("connection refused")
SILENT = RequestTimeout("silent")
INVALID = api_error(Invalid, 422)
FORBIDDEN = api_error(Forbidden, 403)
NO_AUTH = api_error(Unauthorized, 401)
NO_CRD = api_error(NotFound, 404)
FIVE_HUNDRED = api_error(InternalError, 500)
UNAVAILABLE = api_error(ServiceUnavailable, 503)
NONSENSE = DecodeError("not a watch event")

STREAM = "stream"
LIST = "list"
WATCH = "watch"


def entry(name: str, version: str) -> Entry:
    key = ObjectKey("ns", name)
    return Entry(key, Meta(name=name, namespace="ns", uid=f"uid-{name}", resource_version=version), b"{}")


@dataclass
class Recorder:
    """A sink that writes down what it is given."""

    calls: list[str] = field(default_factory=list)

    def replace(self, entries: Sequence[Entry], version: str, *, rewound: bool) -> None:
        names = ",".join(f"{entry.key.name}@{entry.meta.resource_version}" for entry in entries)
        self.calls.append(f"replace[{names}]@{version}{' rewound' if rewound else ''}")

    def put(self, entry: Entry) -> None:
        self.calls.append(f"put {entry.key.name}@{entry.meta.resource_version}")

    def remove(self, entry: Entry) -> None:
        self.calls.append(f"remove {entry.key.name}@{entry.meta.resource_version}")

    def advance(self, version: str) -> None:
        self.calls.append(f"advance {version}")

    def bookmark(self, version: str) -> None:
        self.calls.append(f"bookmark {version}")


class Machine:
    """A reflector with a hand-driven clock."""

    def __init__(self, chance: float = 0.0) -> None:
        self.time = 1000.0
        self.sink = Recorder()
        self.reflector = Reflector(self.sink, now=lambda: self.time, chance=lambda: chance)

    def listing(self, version: str = "") -> FetchPage:
        """Bring it to where it lists; `version` is what it has mirrored before."""
        if version:
            self.watching(version)
            self.reflector.failed(FORBIDDEN)
            self.reflector.resume()
        else:
            self.reflector.start()
        action = self.reflector.failed(INVALID)
        assert isinstance(action, FetchPage)
        return action

    def watching(self, version: str = "10") -> OpenWatch:
        """Bring it to where it opens a watch."""
        self.reflector.start()
        self.reflector.failed(INVALID)
        action = self.reflector.page([], version, "")
        assert isinstance(action, OpenWatch)
        return action

    def open(self, version: str = "10") -> None:
        """Bring it to where a watch is open, for five minutes already and with an event."""
        self.watching(version)
        self.reflector.opened()
        self.reflector.bookmark(version, initial_events_end=False)
        self.time += 300


def brief(action: Action) -> str:
    match action:
        case Wait():
            return f"wait {action.seconds:g}"
        case FetchPage():
            return f"list rv={action.version} limit={action.limit}{f' token={action.token}' if action.token else ''}"
        case OpenWatch():
            return f"{'stream' if action.initial else 'watch'} rv={action.version}"


# Where to begin


def test_it_begins_with_a_streaming_list_of_the_latest_state() -> None:
    machine = Machine()
    assert brief(machine.reflector.start()) == "stream rv="
    assert machine.reflector.phase is Phase.STREAMING


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 300), (0.5, 450), (0.999, 599)])
def test_the_server_is_asked_to_end_a_watch_after_five_to_ten_minutes(chance: float, seconds: int) -> None:
    action = Machine(chance).reflector.start()
    assert isinstance(action, OpenWatch)
    assert action.seconds == seconds


# What follows a failure


@pytest.mark.parametrize(
    ("error", "at_once", "after_the_wait"),
    [
        (OVERLOAD, "wait 0.8", "stream rv=10"),
        (REFUSED, "wait 0.8", "stream rv=10"),
        (BROKEN, "wait 0.8", "stream rv=10"),
        (SILENT, "wait 0.8", "stream rv=10"),
        (GONE, "stream rv=", ""),
        (TOO_LARGE, "stream rv=", ""),
        (TOO_LARGE_OLD_SERVER, "stream rv=", ""),
        (INVALID, "list rv=10 limit=0", ""),
        (FORBIDDEN, "list rv=10 limit=0", ""),
        (NO_AUTH, "list rv=10 limit=0", ""),
        (NO_CRD, "list rv=10 limit=0", ""),
        (FIVE_HUNDRED, "list rv=10 limit=0", ""),
        (UNAVAILABLE, "list rv=10 limit=0", ""),
        (NONSENSE, "list rv=10 limit=0", ""),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_after_a_failure_of_the_streaming_list(error: ClientError, at_once: str, after_the_wait: str) -> None:
    machine = Machine()
    machine.open()
    machine.reflector.failed(FORBIDDEN)
    machine.time += 1000
    assert brief(machine.reflector.resume()) == "stream rv=10"
    assert brief(machine.reflector.failed(error)) == at_once
    if after_the_wait:
        assert brief(machine.reflector.resume()) == after_the_wait


@pytest.mark.parametrize(
    ("error", "at_once", "after_the_wait"),
    [
        (OVERLOAD, "wait 0.8", "list rv=10 limit=0"),
        (REFUSED, "wait 0.8", "list rv=10 limit=0"),
        (SILENT, "wait 0.8", "list rv=10 limit=0"),
        (GONE, "list rv= limit=500", ""),
        (TOO_LARGE, "list rv= limit=500", ""),
        (TOO_LARGE_OLD_SERVER, "list rv= limit=500", ""),
        (FORBIDDEN, "wait 0.8", "stream rv=10"),
        (NO_AUTH, "wait 0.8", "stream rv=10"),
        (NO_CRD, "wait 0.8", "stream rv=10"),
        (FIVE_HUNDRED, "wait 0.8", "stream rv=10"),
        (NONSENSE, "wait 0.8", "stream rv=10"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_after_a_failure_of_the_list(error: ClientError, at_once: str, after_the_wait: str) -> None:
    machine = Machine()
    assert brief(machine.listing("10")) == "list rv=10 limit=0"
    machine.time += 1000
    assert brief(machine.reflector.failed(error)) == at_once
    if after_the_wait:
        assert brief(machine.reflector.resume()) == after_the_wait


@pytest.mark.parametrize("begun", [False, True], ids=["at the opening", "in the open stream"])
@pytest.mark.parametrize(
    ("error", "after_the_wait"),
    [
        (OVERLOAD, "watch rv=10"),
        (REFUSED, "watch rv=10"),
        (GONE, "stream rv=10"),
        (TOO_LARGE, "stream rv=10"),
        (FORBIDDEN, "stream rv=10"),
        (NO_AUTH, "stream rv=10"),
        (NO_CRD, "stream rv=10"),
        (INVALID, "stream rv=10"),
        (FIVE_HUNDRED, "stream rv=10"),
        (UNAVAILABLE, "stream rv=10"),
        (NONSENSE, "stream rv=10"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_after_a_failure_of_the_watch(error: ClientError, after_the_wait: str, begun: bool) -> None:
    machine = Machine()
    machine.open() if begun else machine.watching()
    assert brief(machine.reflector.failed(error)) == "wait 0.8"
    assert brief(machine.reflector.resume()) == after_the_wait


def test_a_version_refused_twice_costs_a_wait_not_a_hot_loop() -> None:
    machine = Machine()
    assert brief(machine.listing("10")) == "list rv=10 limit=0"
    assert brief(machine.reflector.failed(GONE)) == "list rv= limit=500"
    assert brief(machine.reflector.failed(GONE)).startswith("wait")
    assert brief(machine.reflector.resume()) == "stream rv="
    assert brief(machine.reflector.failed(GONE)) == "list rv= limit=500"


def test_the_latest_state_is_asked_for_only_until_a_list_has_succeeded() -> None:
    machine = Machine()
    machine.listing("10")
    machine.reflector.failed(GONE)
    assert brief(machine.reflector.page([], "20", "")) == "watch rv=20"
    machine.reflector.failed(FORBIDDEN)
    assert brief(machine.reflector.resume()) == "stream rv=20"


def test_the_servers_retry_after_is_obeyed_up_to_a_minute() -> None:
    machine = Machine()
    machine.watching()
    assert brief(machine.reflector.failed(api_error(TooManyRequests, 429, retry_after=20.0))) == "wait 20"
    machine.reflector.resume()
    assert brief(machine.reflector.failed(api_error(TooManyRequests, 429, retry_after=86400.0))) == "wait 60"


# The list


def test_the_first_list_takes_any_version_the_server_has() -> None:
    assert brief(Machine().listing()) == "list rv=0 limit=500"


def test_all_pages_are_read_and_the_first_ones_version_counts() -> None:
    machine = Machine()
    machine.listing()
    assert brief(machine.reflector.page([entry("a", "1")], "20", "t1")) == "list rv=0 limit=500 token=t1"
    assert brief(machine.reflector.page([entry("b", "2")], "", "t2")) == "list rv=0 limit=500 token=t2"
    assert brief(machine.reflector.page([entry("c", "3")], "", "")) == "watch rv=20"
    assert machine.sink.calls == ["replace[a@1,b@2,c@3]@20"]


def test_a_repeated_continue_token_ends_the_list_instead_of_going_round() -> None:
    machine = Machine()
    machine.listing()
    machine.reflector.page([], "20", "t1")
    assert brief(machine.reflector.page([], "20", "t1")) == "wait 0.8"
    assert str(machine.reflector.failure) == "the server repeats its continue token"


def test_an_expired_continue_token_makes_it_read_everything_at_once() -> None:
    machine = Machine()
    machine.listing()
    machine.reflector.page([entry("a", "1")], "20", "t1")
    assert brief(machine.reflector.failed(GONE)) == "list rv=0 limit=0"
    machine.reflector.page([entry("b", "2")], "30", "")
    assert machine.sink.calls == ["replace[b@2]@30"]


def test_a_server_that_pages_any_version_has_no_watch_cache_and_is_paged_from_then_on() -> None:
    machine = Machine()
    machine.listing()
    machine.reflector.page([], "20", "t1")
    machine.reflector.page([], "20", "")
    machine.reflector.failed(FORBIDDEN)
    machine.reflector.resume()
    assert brief(machine.reflector.failed(INVALID)) == "list rv=20 limit=500"


def test_a_server_set_back_to_an_older_state_is_believed() -> None:
    machine = Machine()
    machine.listing("100")
    machine.reflector.failed(TOO_LARGE)
    machine.reflector.page([entry("a", "5")], "7", "")
    assert machine.sink.calls[-1] == "replace[a@5]@7 rewound"
    assert machine.reflector.version == "7"


# The streaming list


def test_the_end_marker_turns_the_stream_into_a_watch() -> None:
    machine = Machine()
    machine.reflector.start()
    machine.reflector.opened()
    machine.reflector.changed(entry("a", "5"), added=True)
    machine.reflector.changed(entry("b", "3"), added=True)
    machine.reflector.changed(entry("a", "6"), added=False)
    machine.reflector.deleted(entry("b", "7"))
    machine.reflector.bookmark("7", initial_events_end=False)
    assert machine.sink.calls == []
    machine.reflector.bookmark("8", initial_events_end=True)
    assert machine.sink.calls == ["replace[a@6]@8"]
    assert machine.reflector.phase is Phase.WATCHING
    machine.reflector.changed(entry("c", "9"), added=True)
    assert machine.sink.calls[1:] == ["put c@9", "advance 9"]


@pytest.mark.parametrize("error", [None, BROKEN, SILENT])
def test_initial_events_that_break_off_are_followed_by_a_list_after_a_wait(error: TransportError | None) -> None:
    machine = Machine()
    machine.reflector.start()
    machine.reflector.opened()
    machine.reflector.changed(entry("a", "5"), added=True)
    machine.time += 20
    assert brief(machine.reflector.ended(error)) == "wait 0.8"
    assert brief(machine.reflector.resume()) == "list rv=0 limit=500"
    assert machine.sink.calls == []


def test_half_a_stream_leaves_nothing_behind_for_the_next_one() -> None:
    machine = Machine()
    machine.reflector.start()
    machine.reflector.opened()
    machine.reflector.changed(entry("a", "5"), added=True)
    machine.reflector.failed(OVERLOAD)
    machine.reflector.resume()
    machine.reflector.opened()
    machine.reflector.bookmark("9", initial_events_end=True)
    assert machine.sink.calls == ["replace[]@9"]


@pytest.mark.parametrize("error", [BROKEN, OVERLOAD, FIVE_HUNDRED], ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("mode", [STREAM, LIST])
def test_what_came_of_a_collection_is_let_go_as_soon_as_its_reading_breaks_off(mode: str, error: ClientError) -> None:
    machine = Machine()
    half = entry("a", "5")
    alone = sys.getrefcount(half)
    machine.reflector.start()
    if mode == STREAM:
        machine.reflector.opened()
        machine.reflector.changed(half, added=True)
        assert sys.getrefcount(half) > alone
        machine.reflector.ended(error) if isinstance(error, TransportError) else machine.reflector.failed(error)
    else:
        machine.reflector.failed(INVALID)
        machine.reflector.page([half], "9", "more")
        assert sys.getrefcount(half) > alone
        machine.reflector.failed(error)
    assert sys.getrefcount(half) == alone, (
        "a large collection would be in memory once more, for as long as the next works"
    )


# The watch


@pytest.mark.parametrize("error", [None, BROKEN, SILENT], ids=["clean", "broken", "silent"])
def test_a_watch_that_ends_is_opened_again_at_once_from_the_last_version(error: TransportError | None) -> None:
    machine = Machine()
    machine.open("10")
    machine.reflector.changed(entry("a", "15"), added=False)
    assert brief(machine.reflector.ended(error)) == "watch rv=15"
    assert machine.reflector.failure is None


def test_a_watch_that_ends_at_once_without_an_event_is_a_failure() -> None:
    machine = Machine()
    machine.watching()
    machine.reflector.opened()
    assert brief(machine.reflector.ended()) == "wait 0.8"
    assert machine.reflector.failure is not None
    assert brief(machine.reflector.resume()) == "stream rv=10"


def test_watches_that_bring_something_and_end_are_opened_at_most_once_a_second() -> None:
    machine = Machine()
    machine.watching()
    machine.reflector.opened()
    machine.reflector.changed(entry("a", "15"), added=False)
    machine.time += 0.25
    assert brief(machine.reflector.ended()) == "wait 0.75"
    assert machine.reflector.failure is None
    assert brief(machine.reflector.resume()) == "watch rv=15"


def test_bookmarks_move_the_version() -> None:
    machine = Machine()
    machine.open("10")
    machine.sink.calls.clear()
    machine.reflector.bookmark("77", initial_events_end=False)
    assert machine.sink.calls == ["bookmark 77"]
    assert brief(machine.reflector.ended()) == "watch rv=77"


def test_every_event_moves_the_version() -> None:
    machine = Machine()
    machine.open("10")
    machine.sink.calls.clear()
    machine.reflector.changed(entry("a", "11"), added=True)
    machine.reflector.changed(entry("a", "12"), added=False)
    machine.reflector.deleted(entry("a", "13"))
    assert machine.sink.calls == ["put a@11", "advance 11", "put a@12", "advance 12", "remove a@13", "advance 13"]


@pytest.mark.parametrize("version", ["", "0"])
def test_synthetic_events_in_any_order_do_not_move_the_version(version: str) -> None:
    machine = Machine()
    machine.watching(version)
    machine.reflector.opened()
    machine.sink.calls.clear()
    for number in ("9", "4", "6"):
        machine.reflector.changed(entry("a", number), added=True)
    machine.time += 20
    assert machine.sink.calls == ["put a@9", "put a@4", "put a@6"]
    assert brief(machine.reflector.ended(BROKEN)) == f"watch rv={version}"


def test_after_the_first_change_synthetic_events_are_over() -> None:
    machine = Machine()
    machine.watching("")
    machine.reflector.opened()
    machine.reflector.changed(entry("a", "9"), added=True)
    machine.reflector.changed(entry("a", "10"), added=False)
    machine.reflector.changed(entry("b", "11"), added=True)
    assert machine.reflector.version == "11"


# Health


def test_trouble_begins_with_the_first_failure_and_ends_with_an_open_watch() -> None:
    machine = Machine()
    machine.watching()
    machine.reflector.failed(BROKEN)
    began = machine.time
    machine.reflector.resume()
    machine.time += 30
    machine.reflector.failed(REFUSED)
    assert (machine.reflector.failure, machine.reflector.failing_since) == (REFUSED, began)
    machine.reflector.resume()
    machine.reflector.opened()
    assert (machine.reflector.failure, machine.reflector.failing_since) == (None, None)


def test_a_list_that_works_does_not_hide_a_watch_that_does_not() -> None:
    machine = Machine()
    machine.watching()
    machine.reflector.failed(FORBIDDEN)
    machine.reflector.resume()
    machine.reflector.failed(INVALID)
    machine.reflector.page([], "20", "")
    assert machine.reflector.failure is FORBIDDEN


def test_it_describes_itself() -> None:
    machine = Machine()
    machine.watching()
    machine.reflector.failed(REFUSED)
    assert repr(machine.reflector) == "<Reflector WATCHING version=10 failing: connection refused>"


# Back-off


def test_waits_double_up_to_a_ceiling_and_start_anew_after_twenty_quiet_seconds() -> None:
    machine = Machine()
    machine.watching()
    waits: list[float] = []

    def fail() -> None:
        action = machine.reflector.failed(REFUSED)
        assert isinstance(action, Wait)
        waits.append(action.seconds)
        machine.time += action.seconds
        machine.reflector.resume()

    for _ in range(8):
        fail()
    assert waits == [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]
    machine.time += 19
    fail()
    assert waits[-1] == 30.0
    machine.time += 20
    fail()
    assert waits[-1] == 0.8


def test_a_server_that_answers_410_is_back_so_its_waits_are_short_whatever_went_before() -> None:
    machine = Machine()
    machine.watching()
    for _ in range(8):
        action = machine.reflector.failed(REFUSED)
        assert isinstance(action, Wait)
        machine.time += action.seconds
        machine.reflector.resume()
    assert brief(machine.reflector.failed(GONE)) == "wait 0.8"


def test_only_410_after_410_waits_for_longer_and_longer() -> None:
    machine = Machine()
    waits = []
    for _ in range(4):
        machine.watching()
        action = machine.reflector.failed(GONE)
        assert isinstance(action, Wait)
        waits.append(action.seconds)
        machine.time += action.seconds
    assert waits == [0.8, 1.6, 3.2, 6.4]


def test_waits_are_spread_over_an_equal_span() -> None:
    machine = Machine(chance=0.75)
    machine.watching()
    assert brief(machine.reflector.failed(REFUSED)) == "wait 1.4"


# Every error, everywhere


ERRORS = [GONE, TOO_LARGE, OVERLOAD, REFUSED, SILENT, INVALID, FORBIDDEN, NO_CRD, FIVE_HUNDRED, NONSENSE]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    "place", [Machine.listing, Machine.watching, Machine.open, lambda machine: machine.reflector.start()]
)
def test_an_error_that_never_goes_away_never_makes_a_hot_loop(
    place: Callable[[Machine], object], error: ClientError
) -> None:
    machine = Machine()
    place(machine)
    for _ in range(50):
        actions = 0
        while not isinstance(machine.reflector.failed(error), Wait):
            actions += 1
            assert actions <= 4, "too many requests without a wait"
        machine.time += 60
        machine.reflector.resume()
