"""Which evictions get no further."""

from __future__ import annotations

from helpers.tikv_fakes import make_store
from tikv_operator.pdclient.snapshot import PDSnapshot
from tikv_operator.pdclient.standstill import Standstill


def look(leaders: dict[str, int], *, evicting: set[str] | None = None) -> PDSnapshot:
    stores = {name: make_store(id=name, address=name, leader_count=count) for name, count in leaders.items()}
    return PDSnapshot(stores=stores, evicting=frozenset(leaders if evicting is None else evicting))


def stuck(watch: Standstill, now: float) -> list[str]:
    return watch.stuck(now, after=15.0, until=300.0)


def test_an_eviction_that_gets_on_is_not_stuck() -> None:
    watch = Standstill()
    for second in range(60):
        watch.look(look({"1": 100 - second}), float(second))
    assert stuck(watch, 60.0) == []


def test_one_whose_leaders_stay_is_stuck_after_a_while() -> None:
    watch = Standstill()
    watch.look(look({"1": 100}), 0.0)
    watch.look(look({"1": 4}), 10.0)
    watch.look(look({"1": 4}), 20.0)
    assert [stuck(watch, now) for now in (24.9, 25.0)] == [[], ["1"]]


def test_leaders_that_come_and_go_are_no_progress() -> None:
    watch = Standstill()
    for second, leaders in enumerate([4, 6, 5, 4, 7, 4]):
        watch.look(look({"1": leaders}), second * 5.0)
    assert stuck(watch, 25.0) == ["1"]


def test_one_that_has_been_stuck_for_too_long_counts_no_longer() -> None:
    watch = Standstill()
    watch.look(look({"1": 4}), 0.0)
    assert [stuck(watch, now) for now in (299.0, 300.0)] == [["1"], []]


def test_the_oldest_store_comes_first() -> None:
    watch = Standstill()
    watch.look(look({"10": 4, "9": 1, "101": 2}), 0.0)
    assert stuck(watch, 20.0) == ["9", "10", "101"]


def test_a_store_without_leaders_has_nothing_to_wait_for() -> None:
    watch = Standstill()
    watch.look(look({"1": 0}), 0.0)
    assert stuck(watch, 20.0) == []


def test_an_eviction_that_begins_again_has_its_time_anew() -> None:
    watch = Standstill()
    watch.look(look({"1": 4}), 0.0)
    watch.look(look({"1": 4}, evicting=set()), 14.0)
    watch.look(look({"1": 4}), 16.0)
    assert [stuck(watch, now) for now in (20.0, 31.0)] == [[], ["1"]]
