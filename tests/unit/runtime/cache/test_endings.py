"""What is remembered of objects that our deletes have ended, for how long, and what is withheld meanwhile."""

from __future__ import annotations

import pytest

from controller_runtime.api.resource import ObjectKey
from controller_runtime.cache.endings import MOST_NAMES, MOST_PER_NAME, PATIENCE, Endings
from controller_runtime.cache.meta import Entry, Meta

ALL = ""
NOW = 1000.0
KEY = ObjectKey("ns", "a")
OTHER = ObjectKey("other", "a")


def state(uid: str, version: int | str, key: ObjectKey = KEY) -> Entry:
    meta = Meta(name=key.name, namespace=key.namespace, uid=uid, resource_version=str(version))
    return Entry(key, meta, b"{}")


@pytest.fixture
def endings() -> Endings:
    """The object `u` has ended; its last known state is of version 10."""
    made = Endings()
    made.note(KEY, "u", state("u", 10), NOW)
    return made


def left(endings: Endings) -> list[str]:
    return [ending.uid for found in endings.by_key.values() for ending in found]


def test_states_of_an_object_that_has_ended_are_withheld_whatever_their_versions(endings: Endings) -> None:
    assert [endings.withholds(state("u", version)) for version in (9, 11, 99, "x")] == [True] * 4
    assert not endings.withholds(state("v", 12))


def test_so_are_older_states_of_earlier_objects_of_its_name(endings: Endings) -> None:
    assert endings.withholds(state("earlier", 9))
    assert not endings.withholds(state("later", 11))
    assert not endings.withholds(state("elsewhere", 9, OTHER))


def test_an_end_is_forgotten_when_the_watch_tells_it(endings: Endings) -> None:
    endings.told(KEY, "v", final=True)
    assert left(endings) == ["u"]
    endings.told(KEY, "u", final=True)
    assert left(endings) == []
    assert not endings.withholds(state("u", 11))


def test_what_only_leaves_the_selection_may_come_back_before_its_end(endings: Endings) -> None:
    endings.told(KEY, "u", final=False)
    assert endings.withholds(state("u", 12))
    endings.told(KEY, "u", final=False)
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
    endings.note(KEY, "v", None, NOW)
    endings.listed(set(), "99", ALL)
    assert left(endings) == ["v"]


def test_all_ends_are_forgotten_when_the_server_goes_back_in_time(endings: Endings) -> None:
    endings.forget(ALL)
    assert left(endings) == []


def test_a_watch_that_is_complete_within_a_minute_says_nothing(endings: Endings) -> None:
    endings.withholds(state("u", 11))
    assert endings.settle(ALL, NOW + PATIENCE - 0.1) == []
    assert left(endings) == ["u"]


def test_a_watch_that_is_complete_a_minute_later_ends_the_memory(endings: Endings) -> None:
    endings.note(KEY, "v", None, NOW)
    endings.settle(ALL, NOW + PATIENCE)
    assert left(endings) == []


def test_an_object_whose_end_was_told_is_not_there(endings: Endings) -> None:
    endings.note(KEY, "v", None, NOW)
    endings.told(KEY, "u", final=False)
    assert endings.settle(ALL, NOW + PATIENCE) == []


@pytest.mark.parametrize(("versions", "newest"), [([], "10"), ([8, 9], "10"), ([8, 12, 11], "12")])
def test_an_object_of_which_no_end_was_told_is_there_after_all_in_its_newest_state(
    endings: Endings, versions: list[int], newest: str
) -> None:
    for version in versions:
        endings.withholds(state("u", version))
    assert [entry.meta.resource_version for entry in endings.settle(ALL, NOW + PATIENCE)] == [newest]


def test_each_namespace_has_a_watch_of_its_own_to_tell_of_ends(endings: Endings) -> None:
    endings.note(OTHER, "v", state("v", 10, OTHER), NOW)
    endings.listed(set(), "99", "third")
    endings.forget("third")
    assert endings.settle("third", NOW + PATIENCE) == []
    assert left(endings) == ["u", "v"]
    endings.listed(set(), "99", "ns")
    assert left(endings) == ["v"]
    endings.forget("other")
    assert left(endings) == []


def test_an_end_is_remembered_once(endings: Endings) -> None:
    endings.note(KEY, "u", None, NOW)
    assert left(endings) == ["u"]
    assert [entry.meta.uid for entry in endings.settle(ALL, NOW + PATIENCE)] == ["u"]


def test_the_memory_is_bounded_and_the_oldest_name_goes_first(endings: Endings) -> None:
    for number in range(MOST_NAMES):
        endings.note(ObjectKey("ns", f"x{number}"), str(number), None, NOW)
    assert len(left(endings)) == MOST_NAMES
    assert left(endings)[0] == "0"


def test_the_memory_of_one_name_is_bounded_and_its_oldest_end_goes_first(endings: Endings) -> None:
    for number in range(MOST_PER_NAME):
        endings.note(KEY, str(number), None, NOW)
    assert left(endings) == [str(number) for number in range(MOST_PER_NAME)]
