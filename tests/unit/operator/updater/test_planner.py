"""Plans: which instance, which action."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.group_instances import NEW, NOW, OLD, make_tikv
from tikv_operator.api import EvenlySpread, ScheduleTopology, TiKV
from tikv_operator.updater import (
    Action,
    CancelOffline,
    Create,
    DeferDelete,
    Delete,
    Plan,
    SetOffline,
    Target,
    Update,
    plan,
)

ZONES = [{"zone": "a"}, {"zone": "b"}, {"zone": "c"}]
SPREAD = EvenlySpread(topologies=[ScheduleTopology(topology=zone) for zone in ZONES])


def planned(instances: list[TiKV], desired: int, **target: Any) -> Plan[TiKV]:
    values = {"revision": NEW, "min_ready_seconds": 5.0, "now": NOW} | target
    return plan(instances, Target(desired=desired, **values))


def names(actions: tuple[Action[TiKV], ...]) -> list[str]:
    words = {
        Update: "update",
        CancelOffline: "cancel",
        SetOffline: "offline",
        DeferDelete: "defer",
        Delete: "delete",
    }
    return [
        "create" if isinstance(action, Create) else f"{words[type(action)]} {action.instance.metadata.name}"
        for action in actions
    ]


def ready(*suffixes: str, **state: Any) -> list[TiKV]:
    return [make_tikv(f"kv-{suffix}", **state) for suffix in suffixes]


@pytest.mark.parametrize(
    ("instances", "desired", "actions", "done"),
    [
        pytest.param(ready("a", "b", "c"), 1, ["offline kv-a", "offline kv-b"], True, id="3 -> 1: two go offline"),
        pytest.param(ready("a") + ready("b", "c", offline=True), 1, [], True, id="they are on their way"),
        pytest.param(
            ready("a") + ready("b", offline=True) + ready("c", offline=True, offlined=True),
            1,
            ["delete kv-c"],
            True,
            id="one has no store any more",
        ),
        pytest.param(ready("a") + ready("c", offline=True, offlined=True), 1, ["delete kv-c"], True, id="the last one"),
        pytest.param(ready("a"), 1, [], True, id="settled"),
        pytest.param(
            ready("a", "b", "c", ready=False), 2, ["offline kv-a"], False, id="an unready surplus can go at once"
        ),
        pytest.param(
            ready("a", "b", "c", revision=OLD),
            1,
            ["defer kv-a", "defer kv-b", "update kv-c"],
            False,
            id="outdated surplus serves until the rest is up to date",
        ),
        pytest.param(
            ready("a") + ready("b", "c", offline=True), 3, ["cancel kv-b", "cancel kv-c"], False, id="taken back"
        ),
        pytest.param(
            ready("a") + ready("b", ready=False) + ready("c", offline=True, offlined=True),
            3,
            ["create"],
            False,
            id="one without a store can't be taken back",
        ),
        pytest.param(
            ready("a") + ready("b", "c", offline=True), 2, ["cancel kv-b"], False, id="one of two is taken back"
        ),
        pytest.param(
            ready("a", "b") + ready("c", offline=True, offlined=True),
            2,
            ["delete kv-c"],
            True,
            id="clean-up, then done",
        ),
        pytest.param(
            ready("a", "b") + ready("c", deferred="true", revision=OLD),
            2,
            ["offline kv-c"],
            True,
            id="the mark is carried out when all others are up to date",
        ),
        pytest.param(
            ready("a") + ready("b", ready=False) + ready("c", deferred="true", revision=OLD),
            2,
            [],
            False,
            id="the mark waits for the others",
        ),
        pytest.param(
            ready("a", "b", "c") + ready("d", revision=OLD),
            3,
            ["offline kv-d"],
            True,
            id="an outdated surplus with nothing else to do needs no mark",
        ),
        pytest.param(
            ready("a") + ready("b", deleting=True), 1, [], True, id="an instance that is being deleted is left alone"
        ),
        pytest.param(ready("a", deleting=True), 1, ["create"], False, id="and replaced"),
    ],
)
def test_the_two_steps_of_a_removal(instances: list[TiKV], desired: int, actions: list[str], done: bool) -> None:
    found = planned(instances, desired)
    assert names(found.actions) == actions
    assert found.done is done


def test_instances_without_a_store_are_deleted_at_once() -> None:
    assert names(planned(ready("a", "b"), 1, two_steps=False).actions) == ["delete kv-a"]


def test_an_update_takes_one_instance_at_a_time() -> None:
    found = planned(ready("a", "b", "c", revision=OLD), 3)
    assert names(found.actions) == ["update kv-a"]
    assert not found.done


def test_nothing_more_is_taken_down_while_one_is_unavailable() -> None:
    assert planned(ready("a", ready=False) + ready("b", "c", revision=OLD), 3).actions == ()


def test_instances_that_are_down_are_updated_all_at_once() -> None:
    found = planned(ready("a", "b", "c", revision=OLD, running=False, ready=False), 3)
    assert names(found.actions) == ["update kv-a", "update kv-b", "update kv-c"]


def test_an_unready_instance_is_updated_before_a_ready_one() -> None:
    instances = ready("a", revision=OLD) + ready("b", revision=OLD, ready=False) + ready("c", revision=OLD)
    assert names(planned(instances, 3).actions) == ["update kv-b"]


def test_one_that_became_ready_just_now_is_updated_before_one_that_can_be_counted_on() -> None:
    instances = ready("a", revision=OLD) + ready("b", revision=OLD, ready_for=2) + ready("c", revision=OLD)
    assert names(planned(instances, 3).actions) == ["update kv-b"]


def test_a_priority_chooses_among_equals() -> None:
    instances = (
        ready("a", revision=OLD) + ready("b", revision=OLD, priority="1") + ready("c", revision=OLD, priority="0")
    )
    assert names(planned(instances, 3).actions) == ["update kv-c"]


def test_while_an_instance_is_not_ready_for_long_enough_the_rest_of_the_time_is_waited_for() -> None:
    found = planned(ready("a", ready_for=3) + ready("b", "c", revision=OLD), 3)
    assert found.actions == ()
    assert found.available_after == pytest.approx(2, abs=0.01)


def test_a_timestamp_has_whole_seconds_so_the_minimum_must_be_exceeded() -> None:
    instances = ready("a", ready_for=5) + ready("b", "c", revision=OLD)
    assert planned(instances, 3).actions == ()
    assert names(planned(instances, 3, now=NOW + 0.002).actions) == ["update kv-b"]


def test_too_little_time_ready_holds_up_no_scale_out() -> None:
    assert names(planned(ready("a", "b", "c", ready_for=1), 5).actions) == ["create", "create"]


def test_with_nothing_held_up_nothing_is_waited_for() -> None:
    assert planned(ready("a", "b", "c"), 3).available_after is None
    assert planned(ready("a", "b", ready_for=1, offline=True), 0).available_after is None


def test_new_instances_spread_over_the_topologies() -> None:
    found = planned([], 4, spread=SPREAD)
    assert [action.topology for action in found.actions if isinstance(action, Create)] == [*ZONES, ZONES[0]]


def test_an_instance_taken_back_counts_where_it_is_for_those_created_after_it() -> None:
    instances = [
        make_tikv("kv-a", topology=ZONES[0]),
        make_tikv("kv-b", topology=ZONES[1], offline=True),
    ]
    found = planned(instances, 3, spread=SPREAD)
    assert names(found.actions) == ["cancel kv-b", "create"]
    assert [action.topology for action in found.actions if isinstance(action, Create)] == [ZONES[2]]


def test_scaling_in_takes_from_the_fullest_topology() -> None:
    instances = [
        make_tikv(f"kv-{suffix}", topology=ZONES[zone]) for suffix, zone in (("a", 0), ("b", 1), ("c", 2), ("d", 2))
    ]
    assert names(planned(instances, 3, spread=SPREAD).actions) == ["offline kv-c"]


def spread_over(*zones: int, failed: int | None = None) -> list[TiKV]:
    """Return instances with so many in each zone; those of the failed one don't run."""
    return [
        make_tikv(f"kv-{'abc'[zone]}{number}", topology=ZONES[zone], running=zone != failed, ready=zone != failed)
        for zone, count in enumerate(zones)
        for number in range(count)
    ]


@pytest.mark.parametrize(
    ("instances", "desired", "left"),
    [
        pytest.param(spread_over(1, 1, 1), 4, (2, 1, 1), id="3 to 4"),
        pytest.param(spread_over(2, 1, 1), 3, (1, 1, 1), id="4 to 3"),
        pytest.param(
            [*spread_over(1, 1, 1), make_tikv("kv-pending", topology=ZONES[0], running=False, ready=False)],
            3,
            (1, 1, 1),
            id="4 to 3 with one that is pending",
        ),
        pytest.param(spread_over(1, 1, 1), 6, (2, 2, 2), id="3 to 6"),
        pytest.param(spread_over(2, 2, 2, failed=2), 4, (2, 1, 1), id="6 to 4 with one failed zone"),
    ],
)
def test_a_group_stays_evenly_spread(instances: list[TiKV], desired: int, left: tuple[int, ...]) -> None:
    places = {instance.metadata.name: instance.spec.topology for instance in instances}
    for number, action in enumerate(planned(instances, desired, spread=SPREAD).actions):
        if isinstance(action, Create):
            places[f"new-{number}"] = action.topology
        else:
            del places[action.instance.metadata.name]
    counts = [list(places.values()).count(zone) for zone in ZONES]
    assert sorted(counts, reverse=True) == list(left)


def test_with_no_availability_to_spare_only_an_unavailable_one_goes_whatever_the_topology_says() -> None:
    instances = [
        make_tikv("kv-a", topology=ZONES[0]),
        make_tikv("kv-b", topology=ZONES[1], ready=False),
        make_tikv("kv-c", topology=ZONES[2], ready=False),
        make_tikv("kv-d", topology=ZONES[0]),
    ]
    # 4 -> 3 with two available and two needed: zone a has most, but neither of its instances can go.
    assert names(planned(instances, 3, spread=SPREAD).actions) == ["offline kv-b"]


def test_while_updates_are_held_back_any_revision_is_right() -> None:
    instances = ready("a", "b", revision=OLD) + ready("c")
    assert planned(instances, 3, revision=None).actions == ()
    assert planned(instances, 3, revision=None).done
    assert names(planned(instances, 4, revision=None).actions) == ["create"]
    assert names(planned(instances, 2, revision=None).actions) == ["offline kv-a"]


def test_several_may_be_unavailable_if_the_target_says_so() -> None:
    found = planned(ready("a", "b", "c", "d", "e", revision=OLD), 5, max_unavailable=2)
    assert names(found.actions) == ["update kv-a", "update kv-b"]


def test_with_surge_a_new_instance_comes_before_an_old_one_goes() -> None:
    first = planned(ready("a", "b", "c", revision=OLD), 3, max_surge=1, max_unavailable=0)
    assert names(first.actions) == ["create"]


def test_only_named_instances_are_taken_down_if_the_target_names_some() -> None:
    instances = ready("a", "b", "c", "d", revision=OLD)
    found = planned(instances, 4, max_unavailable=3, only=frozenset({"kv-b", "kv-d"}))
    assert names(found.actions) == ["update kv-b", "update kv-d"]
    assert not found.done
    assert planned(instances, 4, max_unavailable=3, only=frozenset({"kv-z"})).actions == ()


def test_one_that_is_down_is_updated_whoever_is_named() -> None:
    instances = ready("a", revision=OLD) + ready("b", revision=OLD, running=False, ready=False)
    assert names(planned(instances, 2, only=frozenset()).actions) == ["update kv-b"]
