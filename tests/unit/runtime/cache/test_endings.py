"""What is remembered of objects that our deletes have ended, for how long, and what is withheld meanwhile."""

from __future__ import annotations

import pytest

from controller_runtime.api.resource import ObjectKey
from controller_runtime.cache.endings import MOST, PATIENCE, Endings
from controller_runtime.cache.meta import Entry, Meta

ALL = ""
NOW = 1000.0


def state(uid: str, version: int | str) -> Entry:
    meta = Meta(name="a", namespace="ns", uid=uid, resource_version=str(version))
    return Entry(ObjectKey("ns", "a"), meta, b"{}")


@pytest.fixture
def endings() -> Endings:
    """The object `u` has ended; its last known state is of version 10."""
    made = Endings()
    made.note("u", "ns", "10", NOW)
    return made


def left(endings: Endings) -> list[str]:
    return list(endings.by_uid)


def test_states_of_an_object_that_has_ended_are_withheld_whatever_their_versions(endings: Endings) -> None:
    assert [endings.withhold(state("u", version)) for version in (9, 11, 99, "x")] == [True] * 4
    assert not endings.withhold(state("v", 9))


def test_an_end_is_forgotten_when_the_watch_tells_it(endings: Endings) -> None:
    endings.told("v", final=True)
    assert left(endings) == ["u"]
    endings.told("u", final=True)
    assert left(endings) == []
    assert not endings.withhold(state("u", 11))


def test_what_only_leaves_the_selection_may_come_back_before_its_end(endings: Endings) -> None:
    endings.told("u", final=False)
    assert endings.withhold(state("u", 12))
    endings.told("u", final=False)
    assert endings.settle(ALL, NOW + PATIENCE) == []


@pytest.mark.parametrize(("version", "after"), [("9", ["u"]), ("10", []), ("11", []), ("x", [])])
def test_an_end_is_forgotten_when_a_list_that_is_not_older_than_the_object_lacks_it(
    endings: Endings, version: str, after: list[str]
) -> None:
    endings.listed({"v"}, version, ALL)
    assert left(endings) == after


def test_a_list_that_names_the_object_is_older_than_its_end(endings: Endings) -> None:
    endings.listed({"u"}, "99", ALL)
    assert left(endings) == ["u"]


def test_a_list_that_lacks_an_object_of_which_no_state_is_known_may_be_older_than_that(endings: Endings) -> None:
    endings.note("v", "ns", "", NOW)
    endings.listed(set(), "99", ALL)
    assert left(endings) == ["v"]


def test_all_ends_are_forgotten_when_the_server_goes_back_in_time(endings: Endings) -> None:
    endings.forget(ALL)
    assert left(endings) == []


def test_a_watch_that_is_complete_within_a_minute_says_nothing(endings: Endings) -> None:
    endings.withhold(state("u", 11))
    assert endings.settle(ALL, NOW + PATIENCE - 0.1) == []
    assert left(endings) == ["u"]


def test_a_watch_that_is_complete_a_minute_later_and_told_nothing_ends_the_memory(endings: Endings) -> None:
    assert endings.settle(ALL, NOW + PATIENCE) == []
    assert left(endings) == []


def test_the_newest_state_that_was_told_after_the_answer_counts_if_no_end_followed(endings: Endings) -> None:
    for version in (8, 12, 11):
        endings.withhold(state("u", version))
    assert [entry.meta.resource_version for entry in endings.settle(ALL, NOW + PATIENCE)] == ["12"]
    assert left(endings) == []


def test_that_state_counts_even_if_it_is_older_than_the_last_known_one(endings: Endings) -> None:
    endings.withhold(state("u", 8))
    assert [entry.meta.resource_version for entry in endings.settle(ALL, NOW + PATIENCE)] == ["8"]


def test_each_namespace_has_a_watch_of_its_own_to_tell_of_ends(endings: Endings) -> None:
    endings.note("v", "other", "10", NOW)
    endings.listed(set(), "99", "third")
    endings.forget("third")
    assert endings.settle("third", NOW + PATIENCE) == []
    assert left(endings) == ["u", "v"]
    endings.listed(set(), "99", "ns")
    assert left(endings) == ["v"]
    endings.forget("other")
    assert left(endings) == []


def test_the_memory_is_bounded_and_the_oldest_end_goes_first(endings: Endings) -> None:
    for number in range(MOST):
        endings.note(str(number), "ns", "", NOW)
    assert len(left(endings)) == MOST
    assert left(endings)[0] == "0"
