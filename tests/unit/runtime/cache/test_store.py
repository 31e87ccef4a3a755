"""The store: what is news, what is not, and what can be found."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from controller_runtime.api.resource import ObjectKey
from controller_runtime.api.selectors import parse_selector, selector
from controller_runtime.cache.endings import PATIENCE
from controller_runtime.cache.events import CacheEvent
from controller_runtime.cache.meta import Entry, Meta
from controller_runtime.cache.store import Store

KEY = ObjectKey("ns", "a")
NOW = 1000.0


def entry(
    name: str, version: int | str, *, uid: str = "", namespace: str = "ns", labels: dict[str, str] | None = None
) -> Entry:
    meta = Meta(
        name=name,
        namespace=namespace,
        uid=uid or f"uid-{name}",
        resource_version=str(version),
        labels=labels or {},
    )
    return Entry(ObjectKey(namespace, name), meta, f'{{"at":"{version}"}}'.encode())


def brief(event: CacheEvent | None) -> str | None:
    if event is None:
        return None
    marks = ("initial " if event.initial else "") + ("unknown " if event.final_state_unknown else "")
    versions = [state.meta.resource_version if state is not None else "-" for state in (event.old, event.new)]
    return f"{marks}{event.type} {event.key.name} {versions[0]}>{versions[1]}"


def briefs(events: Iterable[CacheEvent]) -> list[str | None]:
    return [brief(event) for event in events]


@pytest.fixture
def store() -> Store:
    """A store that holds `a` at 10, read at 50."""
    store = Store()
    store.replace([entry("a", 10)], "50")
    return store


# Presence decides what a change is


def test_a_known_object_is_updated_and_an_unknown_one_added(store: Store) -> None:
    assert brief(store.put(entry("a", 51))) == "updated a 10>51"
    assert brief(store.put(entry("b", 52))) == "added b ->52"
    assert brief(store.remove(entry("a", 53))) == "deleted a 53>-"
    assert store.remove(entry("a", 53)) is None
    assert [entry.key.name for entry in store] == ["b"]


def test_a_deletion_carries_the_final_state(store: Store) -> None:
    final = entry("a", 60)
    event = store.remove(final)
    assert event is not None
    assert event.old is final
    assert event.entry is final


def test_an_object_created_anew_unseen_is_one_update_with_two_uids(store: Store) -> None:
    event = store.put(entry("a", 60, uid="other"))
    assert brief(event) == "updated a 10>60"
    assert event is not None
    assert event.old is not None
    assert event.new is not None
    assert (event.old.meta.uid, event.new.meta.uid) == ("uid-a", "other")


# No object goes back in time


@pytest.mark.parametrize("version", [9, 10])
def test_an_old_state_is_no_news(store: Store, version: int) -> None:
    assert store.put(entry("a", version)) is None
    assert store.accept(entry("a", version)) is None
    assert store.ignored == 2


def test_what_a_write_brought_is_not_reported_again_by_the_watch(store: Store) -> None:
    assert brief(store.accept(entry("a", 60))) == "updated a 10>60"
    assert store.put(entry("a", 55)) is None
    assert store.put(entry("a", 60)) is None
    assert brief(store.put(entry("a", 61))) == "updated a 60>61"


def test_versions_are_compared_as_numbers(store: Store) -> None:
    assert store.put(entry("a", 9)) is None
    assert brief(store.put(entry("a", 100))) == "updated a 10>100"
    assert store.put(entry("a", 99)) is None


def test_a_write_whose_object_has_been_deleted_meanwhile_does_not_bring_it_back(store: Store) -> None:
    store.remove(entry("a", 61))
    store.advance("61")
    assert store.accept(entry("a", 60)) is None
    assert len(store) == 0


def test_the_end_of_an_object_counts_even_if_a_write_returned_a_newer_version(store: Store) -> None:
    store.accept(entry("a", 60))
    assert brief(store.remove(entry("a", 59), final=True)) == "deleted a 59>-"
    assert [found.key.name for found in store] == []


def test_leaving_a_selection_does_not_undo_a_newer_write(store: Store) -> None:
    store.accept(entry("a", 60))
    assert store.remove(entry("a", 59)) is None
    assert [found.key.name for found in store] == ["a"]


def test_an_older_event_does_not_bring_a_deleted_object_back(store: Store) -> None:
    store.remove(entry("a", 61))
    store.advance("61")
    assert store.put(entry("a", 55)) is None


def test_the_deletion_of_an_earlier_incarnation_leaves_the_new_one_alone(store: Store) -> None:
    store.accept(entry("a", 60, uid="new"))
    assert store.remove(entry("a", 59)) is None
    assert ObjectKey("ns", "a") in store


def test_an_object_that_comes_back_into_the_selection_is_added_again(store: Store) -> None:
    store.remove(entry("a", 61))
    store.advance("61")
    assert brief(store.put(entry("a", 62))) == "added a ->62"


# Objects that a delete of ours has ended


def test_an_object_that_our_delete_has_ended_is_gone_before_the_watch_tells_so(store: Store) -> None:
    event = store.end(KEY, "uid-a", NOW)
    assert brief(event) == "unknown deleted a 10>-"
    assert store.get(KEY) is None
    assert store.entries(namespace="ns") == []


def test_its_end_is_told_once(store: Store) -> None:
    store.end(KEY, "uid-a", NOW)
    assert store.remove(entry("a", 60), final=True) is None
    assert store.end(KEY, "uid-a", NOW) is None


def test_no_state_of_it_comes_back_whoever_brings_it(store: Store) -> None:
    store.end(KEY, "uid-a", NOW)
    assert store.put(entry("a", 55)) is None
    store.advance("55")
    assert store.accept(entry("a", 56)) is None
    assert store.replace([entry("a", 55)], "57") == []
    assert store.put(entry("a", 58)) is None
    assert len(store) == 0
    assert store.ignored == 4


def test_nor_of_one_that_the_cache_had_not_seen_yet(store: Store) -> None:
    assert store.end(ObjectKey("ns", "b"), "uid-b", NOW) is None
    assert store.put(entry("b", 51)) is None
    assert store.remove(entry("b", 52), final=True) is None
    assert len(store) == 1


def test_another_object_of_its_name_is_taken_over_whoever_brings_it_first(store: Store) -> None:
    store.end(KEY, "uid-a", NOW)
    assert brief(store.accept(entry("a", 60, uid="next"))) == "added a ->60"
    assert store.put(entry("a", 55)) is None
    assert store.remove(entry("a", 58), final=True) is None
    assert store.put(entry("a", 60, uid="next")) is None
    assert brief(store.put(entry("a", 61, uid="next"))) == "updated a 60>61"
    store.end(KEY, "next", NOW)
    assert brief(store.put(entry("a", 70, uid="third"))) == "added a ->70"


def test_each_of_several_ends_under_one_name_is_remembered(store: Store) -> None:
    store.end(KEY, "uid-a", NOW)
    store.accept(entry("a", 60, uid="next"))
    store.end(KEY, "next", NOW)
    assert store.put(entry("a", 55)) is None
    assert store.remove(entry("a", 58), final=True) is None
    assert store.put(entry("a", 60, uid="next")) is None
    assert store.put(entry("a", 61, uid="next")) is None
    assert len(store) == 0


def test_nor_does_an_earlier_object_of_its_name_come_back(store: Store) -> None:
    store.accept(entry("a", 60, uid="next"))
    store.end(KEY, "next", NOW)
    assert store.put(entry("a", 55)) is None
    assert store.put(entry("a", 58, uid="between")) is None
    assert brief(store.put(entry("a", 62, uid="later"))) == "added a ->62"


def test_a_state_of_what_has_ended_takes_an_earlier_object_of_its_name_away(store: Store) -> None:
    store.end(KEY, "next", NOW)
    assert brief(store.accept(entry("a", 60, uid="next"))) == "unknown deleted a 10>-"
    assert store.put(entry("a", 55)) is None
    assert len(store) == 0


def test_the_end_of_another_object_of_its_name_is_none_of_it(store: Store) -> None:
    assert store.end(KEY, "other", NOW) is None
    assert names(store.entries()) == ["ns/a"]
    assert brief(store.put(entry("a", 60))) == "updated a 10>60"


def test_an_end_that_the_watch_told_before_the_answer_came_changes_nothing_more(store: Store) -> None:
    store.remove(entry("a", 60), final=True)
    store.advance("60")
    assert store.end(KEY, "uid-a", NOW) is None
    assert brief(store.put(entry("a", 61, uid="next"))) == "added a ->61"
    assert store.settle(NOW + PATIENCE) == []
    assert names(store.entries()) == ["ns/a"]


def test_what_has_left_the_selection_and_come_back_before_its_end_stays_away(store: Store) -> None:
    store.end(KEY, "uid-a", NOW)
    assert store.remove(entry("a", 55)) is None
    assert store.put(entry("a", 56)) is None
    assert store.remove(entry("a", 57)) is None
    assert store.settle(NOW + PATIENCE) == []
    assert len(store) == 0


def test_a_list_that_lacks_an_object_whose_versions_are_unknown_may_be_from_before_it(store: Store) -> None:
    store.end(ObjectKey("ns", "b"), "uid-b", NOW)
    store.replace([], "60")
    assert store.put(entry("b", 61)) is None


def test_an_object_that_is_there_after_all_comes_back_in_its_last_state_when_the_watch_is_complete_without_its_end(
    store: Store,
) -> None:
    """A server that was restored from a backup, with its versions moved on, has it again."""
    store.end(KEY, "uid-a", NOW)
    store.replace([entry("a", 8)], "1000")
    store.put(entry("a", 1001))
    store.advance("1001")
    assert briefs(store.settle(NOW + PATIENCE)) == ["added a ->1001"]
    assert brief(store.put(entry("a", 1002))) == "updated a 1001>1002"


def test_a_server_that_was_set_back_may_have_again_what_was_ended(store: Store) -> None:
    store.put(entry("b", 60))
    store.advance("60")
    store.end(KEY, "uid-a", NOW)
    events = store.replace([entry("a", 5)], "7", rewound=True)
    assert briefs(events) == ["unknown deleted b 60>-", "added a ->5"]
    assert brief(store.put(entry("a", 8))) == "updated a 5>8"


def test_a_list_of_one_namespace_says_nothing_about_ends_in_another() -> None:
    store = Store()
    for namespace in ("one", "two"):
        store.replace([entry("a", 1, namespace=namespace, uid=namespace)], "5", namespace)
        store.end(ObjectKey(namespace, "a"), namespace, NOW)
    assert store.replace([], "6", "one") == []
    assert store.settle(NOW + PATIENCE, "one") == []
    assert store.put(entry("a", 7, namespace="two", uid="two"), "two") is None


def test_an_index_loses_what_our_delete_has_ended() -> None:
    store = Store({"app": lambda entry: [entry.meta.labels["app"]]})
    store.replace([entry("a", 1, labels={"app": "web"}), entry("b", 2, labels={"app": "web"})], "9")
    store.end(KEY, "uid-a", NOW)
    assert names(store.entries(index=("app", "web"))) == ["ns/b"]
    store.put(entry("a", 10, labels={"app": "db"}))
    assert store.index("app").values() == ["web"]


def test_without_comparable_versions_an_end_counts_the_same() -> None:
    store = Store()
    store.replace([entry("a", "x1")], "x9")
    assert brief(store.end(KEY, "uid-a", NOW)) == "unknown deleted a x1>-"
    assert store.put(entry("a", "x2")) is None
    assert brief(store.put(entry("a", "x4", uid="next"))) == "added a ->x4"


# Lists


def test_a_list_reports_deletions_first_with_their_last_known_state(store: Store) -> None:
    store.put(entry("b", 51))
    events = store.replace([entry("c", 70), entry("b", 71)], "80")
    assert briefs(events) == ["unknown deleted a 10>-", "added c ->70", "updated b 51>71"]


def test_a_list_of_what_is_known_is_no_news(store: Store) -> None:
    assert store.replace([entry("a", 10)], "99") == []


def test_a_list_says_nothing_about_an_object_that_is_newer(store: Store) -> None:
    store.accept(entry("new", 90))
    store.accept(entry("a", 91))
    assert store.replace([entry("a", 10)], "80") == []
    assert [entry.meta.resource_version for entry in store.entries()] == ["91", "90"]


def test_an_outdated_list_does_not_bring_a_deleted_object_back(store: Store) -> None:
    store.remove(entry("a", 61))
    store.advance("61")
    assert store.replace([entry("a", 10)], "60") == []
    assert len(store) == 0


def test_a_list_of_a_server_that_was_set_back_counts_whatever_its_versions(store: Store) -> None:
    store.put(entry("b", 60))
    store.advance("60")
    events = store.replace([entry("a", 5), entry("c", 6)], "7", rewound=True)
    assert briefs(events) == ["unknown deleted b 60>-", "updated a 10>5", "added c ->6"]
    assert brief(store.put(entry("d", 8))) == "added d ->8"


def test_the_first_list_is_marked(store: Store) -> None:
    assert briefs(Store().replace([entry("a", 1)], "2", initial=True)) == ["initial added a ->1"]
    assert briefs(store.replace([entry("a", 10), entry("b", 60)], "60")) == ["added b ->60"]


def test_a_list_of_one_namespace_says_nothing_about_the_others() -> None:
    store = Store()
    store.replace([entry("a", 1, namespace="one")], "5", "one")
    store.replace([entry("b", 2, namespace="two")], "9", "two")
    assert briefs(store.replace([], "10", "one")) == ["unknown deleted a 1>-"]
    assert [entry.key for entry in store] == [ObjectKey("two", "b")]
    assert brief(store.accept(entry("c", 10, namespace="two"))) == "added c ->10"
    assert store.accept(entry("d", 10, namespace="one")) is None


# Versions that are no numbers


def test_without_comparable_versions_the_word_of_the_server_counts() -> None:
    store = Store()
    store.replace([entry("a", "x1")], "x9")
    assert brief(store.put(entry("a", "x0"))) == "updated a x1>x0"
    assert store.put(entry("a", "x0")) is None
    assert brief(store.put(entry("b", "x2"))) == "added b ->x2"
    assert brief(store.remove(entry("a", "x3"))) == "deleted a x3>-"
    assert briefs(store.replace([], "x9")) == ["unknown deleted b x2>-"]


def test_without_comparable_versions_a_write_is_left_for_the_watch_to_bring() -> None:
    store = Store()
    store.replace([entry("a", "x1")], "x9")
    assert store.accept(entry("a", "x2")) is None
    assert store.accept(entry("b", "x2")) is None


# Finding


def fill(store: Store) -> Store:
    store.replace(
        [
            entry("b", 1, namespace="two", labels={"app": "web"}),
            entry("a", 2, namespace="two", labels={"app": "db"}),
            entry("c", 3, namespace="one", labels={"app": "web", "tier": "x"}),
        ],
        "9",
    )
    return store


def names(entries: Iterable[Entry]) -> list[str]:
    return [str(entry.key) for entry in entries]


def test_entries_are_sorted_by_namespace_and_name() -> None:
    assert names(fill(Store()).entries()) == ["one/c", "two/a", "two/b"]


def test_entries_are_found_by_namespace_labels_and_index() -> None:
    store = fill(Store({"app": lambda entry: [entry.meta.labels["app"]]}))
    assert names(store.entries(namespace="two")) == ["two/a", "two/b"]
    assert names(store.entries(labels=selector({"app": "web"}))) == ["one/c", "two/b"]
    assert names(store.entries(namespace="one", labels=parse_selector("!tier"))) == []
    assert names(store.entries(index=("app", "web"))) == ["one/c", "two/b"]
    assert names(store.entries(index=("app", "web"), namespace="two")) == ["two/b"]
    assert names(store.entries(index=("app", "nothing"))) == []


def test_an_unknown_index_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(KeyError, match=r"no index 'app'; there is 'namespace'"):
        Store().entries(index=("app", "web"))


def test_an_index_added_later_covers_what_is_there() -> None:
    store = fill(Store())
    store.add_index("app", lambda entry: [entry.meta.labels["app"]])
    assert names(store.entries(index=("app", "db"))) == ["two/a"]


def test_an_index_has_one_function() -> None:
    def function(entry: Entry) -> list[str]:
        return [entry.key.name]

    store = Store({"name": function})
    store.add_index("name", function)
    with pytest.raises(ValueError, match="there is an index 'name' already"):
        store.add_index("name", lambda entry: [])


def test_an_object_has_any_number_of_index_values_and_loses_the_old_ones() -> None:
    store = Store({"word": lambda entry: entry.meta.labels.get("words", "").split()})
    store.put(entry("a", 1, labels={"words": "red green red"}))
    assert names(store.entries(index=("word", "red"))) == ["ns/a"]
    store.put(entry("a", 2, labels={"words": "green blue"}))
    assert names(store.entries(index=("word", "red"))) == []
    assert sorted(store.index("word").values()) == ["blue", "green"]
    store.remove(entry("a", 3))
    assert store.index("word").values() == []


def test_an_index_function_that_raises_is_counted_and_its_object_stays_out_of_the_index() -> None:
    store = Store({"app": lambda entry: [entry.meta.labels["app"]]})
    store.put(entry("a", 1, labels={"app": "web"}))
    assert brief(store.put(entry("a", 2))) == "updated a 1>2"
    assert store.index("app").errors == 1
    assert isinstance(store.index("app").last_error, KeyError)
    assert names(store.entries(index=("app", "web"))) == []
    assert names(store.entries()) == ["ns/a"]


def test_an_index_function_that_is_not_pure_leaves_no_ghosts() -> None:
    answers = iter(["one", "two"])
    store = Store({"odd": lambda entry: [next(answers)]})
    store.put(entry("a", 1))
    store.put(entry("a", 2))
    assert store.index("odd").values() == ["two"]
