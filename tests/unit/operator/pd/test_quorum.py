"""What may be done to a PD cluster without losing it."""

from __future__ import annotations

import pytest

from helpers.pd_fakes import make_member
from tikv_operator.pd.quorum import (
    find_member,
    is_leader,
    obstacle_to_joining,
    obstacle_to_removal,
    obstacle_to_restart,
)
from tikv_operator.pdclient import Members


def cluster(count: int, *, leader: int | None = 0) -> Members:
    members = tuple(make_member(f"pd-{number}", number) for number in range(count))
    return Members(members=members, leader=None if leader is None else members[leader])


def healthy(members: Members, *ill: int) -> frozenset[str]:
    return frozenset(member.id for member in members.members) - {str(number) for number in ill}


@pytest.mark.parametrize(
    ("count", "ill", "allowed"),
    [
        (1, (), True),
        (2, (), True),
        (2, (1,), False),
        (3, (), True),
        (3, (1,), False),
        (3, (1, 2), False),
        (3, (0,), True),
        (4, (1,), False),
        (5, (1,), True),
        (5, (1, 2), False),
        (7, (1, 2), True),
    ],
)
def test_a_member_is_restarted_if_the_others_are_a_quorum(count: int, ill: tuple[int, ...], allowed: bool) -> None:
    members = cluster(count)
    said = obstacle_to_restart(members, healthy(members, *ill), members.members[0])
    assert (said == "") is allowed


@pytest.mark.parametrize(
    ("count", "ill", "allowed"),
    [
        (1, (), False),
        (2, (), True),
        (2, (1,), False),
        (2, (0,), True),
        (3, (), True),
        (3, (1,), False),
        (3, (0,), True),
        (4, (1,), True),
        (4, (1, 2), False),
        (5, (1,), True),
        (5, (1, 2), False),
        (5, (0, 1), True),
    ],
)
def test_a_member_leaves_if_the_rest_has_a_quorum_without_it(count: int, ill: tuple[int, ...], allowed: bool) -> None:
    members = cluster(count)
    said = obstacle_to_removal(members, healthy(members, *ill), members.members[0])
    assert (said == "") is allowed


def test_what_stands_in_the_way_names_those_who_do() -> None:
    members = cluster(3)
    assert obstacle_to_restart(members, healthy(members, 1), members.members[0]) == (
        "the quorum of 3 members needs this one while pd-1 is not healthy"
    )
    assert "it is the last member" in obstacle_to_removal(cluster(1), frozenset({"0"}), members.members[0])


def test_nobody_joins_while_one_is_ill_or_has_not_started() -> None:
    members = cluster(3)
    assert obstacle_to_joining(members, healthy(members)) == ""
    assert obstacle_to_joining(members, healthy(members, 2)) == "pd-2 is not healthy"
    unstarted = Members(members=(*members.members, make_member("", 9)))
    assert obstacle_to_joining(unstarted, healthy(members)) == "member 9 has been admitted and has not started yet"


def test_a4_a_member_that_never_started_is_found_by_its_address() -> None:
    members = Members(members=(make_member("pd-0", 1), make_member("", 2, peer="http://x:2380")))
    found = find_member(members, "pd-1", "http://x:2380")
    assert found is not None
    assert found.id == "2"
    assert find_member(members, "pd-1", "http://y:2380") is None


def test_a1_leadership_that_pd_does_not_tell_is_unknown() -> None:
    members = cluster(3)
    assert is_leader(members, members.members[0]) is True
    assert is_leader(members, members.members[1]) is False
    assert is_leader(cluster(3, leader=None), members.members[0]) is None
