"""Spreading instances over places, by weight."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tikv_operator.api import EvenlySpread, SchedulePolicy, ScheduleTopology
from tikv_operator.common.errors import SpecInvalid
from tikv_operator.updater.topology import Spread, TopologyPolicy, evenly_spread

ZONES = ({"zone": "a"}, {"zone": "b"}, {"zone": "c"})


def spread_of(*weights: int) -> Spread:
    return Spread([({"zone": str(index)}, weight) for index, weight in enumerate(weights)])


def policy(*names: tuple[str, str, bool]) -> TopologyPolicy:
    spread = EvenlySpread(topologies=[ScheduleTopology(topology=dict(zone)) for zone in ZONES])
    return TopologyPolicy(spread, [(name, {"zone": zone} if zone else None, updated) for name, zone, updated in names])


@pytest.mark.parametrize(
    ("weights", "adds"),
    [
        pytest.param((1, 1, 1), [0, 1, 2, 0, 1, 2], id="equal"),
        pytest.param((5, 1, 1), [0, 1, 2, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0], id="5 1 1"),
        pytest.param((65535, 1, 1), [0, 1, 2, 0, 0, 0], id="no place starves"),
        pytest.param((9, 3, 2), [0, 1, 2, 0, 0, 0, 1, 0, 0, 2, 0, 1, 0, 0], id="9 3 2"),
    ],
)
def test_new_instances_go_where_most_is_lacking(weights: tuple[int, ...], adds: list[int]) -> None:
    spread = spread_of(*weights)
    went = []
    for number in range(len(adds)):
        index = spread.next_add()[0]
        spread.add(f"i{number:02}", spread.topology(index))
        went.append(index)
    assert went == adds


def test_instances_are_taken_where_most_is_above_the_share() -> None:
    spread = spread_of(9, 3, 2)
    place: dict[str, int] = {}
    for number in range(14):
        index = spread.next_add()[0]
        name = f"{index}-{number:02}"  # of equal candidates the first by name is taken: those of the first place
        place[name] = index
        spread.add(name, spread.topology(index))
    taken = []
    while place:
        name = spread.next_del()[0]
        spread.remove(name)
        taken.append(place.pop(name))
    assert taken == [0, 1, 0, 2, 0, 0, 1, 0, 0, 0, 0, 2, 1, 0]


def test_all_places_that_lack_equally_are_candidates() -> None:
    spread = Spread([(zone, 1) for zone in ZONES])
    assert spread.next_add() == [0, 1, 2]
    spread.add("x", ZONES[2])
    assert spread.next_add() == [0, 1]


def test_candidates_for_removal_follow_the_fullest_places() -> None:
    spread = Spread([(zone, 1) for zone in ZONES])
    for index, name in enumerate(("a1", "b1", "c1", "a2", "b2", "c2")):
        spread.add(name, ZONES[index % 3])
    assert spread.next_del() == ["a1", "a2", "b1", "b2", "c1", "c2"]
    spread.remove("c1")
    assert spread.next_del() == ["a1", "a2", "b1", "b2"]
    spread.remove("b1")
    assert spread.next_del() == ["a1", "a2"]
    spread.remove("a1")
    assert spread.next_del() == ["a2", "b2", "c2"]


def test_instances_elsewhere_are_removed_first() -> None:
    spread = Spread([(zone, 1) for zone in ZONES])
    spread.add("a1", ZONES[0])
    spread.add("old", {"zone": "closed"})
    spread.add("anywhere", None)
    assert spread.next_del() == ["anywhere", "old"]


def test_without_topologies_nothing_is_placed_and_nothing_is_preferred() -> None:
    empty = TopologyPolicy(None)
    assert empty.place() is None
    assert empty.surplus() == []
    empty.added("x", None)
    assert empty.surplus() == ["x"]


def test_an_updated_instance_goes_where_both_the_group_and_its_updated_part_lack_one() -> None:
    assert policy(("a", "a", True), ("b", "b", False), ("c", "c", False)).place() == {"zone": "b"}


def test_with_no_common_place_the_group_as_a_whole_decides() -> None:
    assert policy(("a", "a", False), ("b", "b", True), ("c", "c", True)).place() == {"zone": "a"}
    assert policy(("a", "a", True), ("b", "b", False)).place() == {"zone": "c"}


def test_an_instance_moved_to_the_wanted_revision_is_counted_once_under_its_own_name() -> None:
    group = policy(("a", "a", False), ("b", "b", False), ("c", "c", False))
    group.added("a", {"zone": "a"})
    group.added("b", {"zone": "b"})
    assert group.surplus() == ["a", "b", "c"]
    assert group.place() == {"zone": "c"}


def test_an_instance_that_is_back_counts_at_its_place() -> None:
    group = policy(("a", "a", True), ("b", "b", True))
    group.added("c", {"zone": "c"})
    assert group.place() == {"zone": "a"}


def test_an_empty_topology_is_an_error() -> None:
    with pytest.raises(SpecInvalid, match="empty"):
        TopologyPolicy(EvenlySpread(topologies=[ScheduleTopology(topology={})]))


def test_only_the_known_type_of_policy_counts_and_it_may_lack_its_parameters() -> None:
    known = EvenlySpread(topologies=[])
    assert evenly_spread(None) is None
    assert evenly_spread([SchedulePolicy(type="Other", evenly_spread=known)]) is None
    assert evenly_spread([SchedulePolicy(type="EvenlySpread")]) is None
    assert (
        evenly_spread([SchedulePolicy(type="EvenlySpread", evenly_spread=known), SchedulePolicy(type="Other")]) is known
    )


@given(weights=st.lists(st.integers(1, 9), min_size=1, max_size=5), steps=st.lists(st.booleans(), max_size=60))
def test_every_place_keeps_within_one_of_its_share(weights: list[int], steps: list[bool]) -> None:
    spread = spread_of(*weights)
    counts = [0] * len(weights)
    place: dict[str, int] = {}
    for number, grow in enumerate(steps):
        if grow or not place:
            index = spread.next_add()[0]
            place[f"i{number}"] = index
            spread.add(f"i{number}", spread.topology(index))
            counts[index] += 1
        else:
            name = spread.next_del()[0]
            spread.remove(name)
            counts[place.pop(name)] -= 1
        total = sum(counts)
        for count, weight in zip(counts, weights, strict=True):
            share = weight * total / sum(weights)
            # Empty places are served first, which may cost the others one instance per place.
            assert abs(count - share) <= len(weights)
