"""What PD's operators do to a region of the tests' stores: roles, leaders and epochs as TiKV's raft groups have them."""

from __future__ import annotations

from helpers.pd_raft import Change, ChangeType, RaftRegion, Replica, Role, split


def region(*stores: int, leader: int = 1) -> RaftRegion:
    return RaftRegion(100, b"", b"", {store: Replica(10 + store, store) for store in stores}, leader)


def add(store: int) -> Change:
    return Change(ChangeType.ADD_VOTER, 10 + store, store)


def learn(store: int) -> Change:
    return Change(ChangeType.ADD_LEARNER, 10 + store, store)


def remove(store: int) -> Change:
    return Change(ChangeType.REMOVE, 10 + store, store)


def roles(found: RaftRegion) -> dict[int, Role]:
    return {peer.store: peer.role for peer in found.peers.values()}


def test_a_peer_moves_by_a_learner_a_joint_state_and_a_removal() -> None:
    found = region(1, 2, 3)
    assert found.change([learn(4)])
    assert (roles(found)[4], found.conf_ver) == (Role.LEARNER, 2)
    assert found.change([add(4), learn(3)])
    assert (roles(found)[4], roles(found)[3], found.conf_ver) == (Role.INCOMING_VOTER, Role.DEMOTING_VOTER, 4)
    assert found.change([])
    assert (roles(found)[4], roles(found)[3], found.conf_ver) == (Role.VOTER, Role.LEARNER, 6)
    assert found.change([remove(3)])
    assert (set(found.peers), found.conf_ver) == ({1, 2, 4}, 7)


def test_a_leader_neither_removes_itself_nor_leaves_a_joint_state_that_demotes_it() -> None:
    found = region(1, 2, 3)
    assert not found.change([remove(1)])
    found.change([learn(4)])
    assert found.change([add(4), learn(1)])
    assert not found.change([])
    assert found.transfer([4])
    assert found.change([])
    assert roles(found)[1] is Role.LEARNER


def test_what_makes_no_sense_is_not_done() -> None:
    found = region(1, 2, 3)
    for changes in ([add(2)], [learn(2)], [remove(9)], [Change(ChangeType.ADD_LEARNER, 77, 2)], []):
        assert not found.change(changes)
    found.change([learn(4)])
    found.change([add(4), learn(3)])
    assert not found.change([remove(2)])  # not in a joint state
    assert (found.conf_ver, found.term) == (4, 1)


def test_leadership_goes_to_voters_and_begins_a_term() -> None:
    found = region(1, 2, 3)
    found.change([learn(4)])
    assert not found.transfer([4, 9])
    assert found.transfer([4, 3])
    assert (found.leader, found.term) == (3, 2)


def test_a_majority_elects_whoever_leads_least() -> None:
    found = region(1, 2, 3)
    assert not found.elect({2}, loads={})
    assert found.elect({2, 3}, loads={2: 5, 3: 4})
    assert (found.leader, found.term) == (3, 2)


def test_a_region_is_split_at_the_keys_that_it_has() -> None:
    found = RaftRegion(100, b"b", b"m", {1: Replica(11, 1), 2: Replica(12, 2)}, leader=2)
    parts = split(found, [b"a", b"h", b"d", b"m", b"z"], iter(range(200, 300)))
    assert [(part.start, part.end) for part in (*parts, found)] == [(b"b", b"d"), (b"d", b"h"), (b"h", b"m")]
    assert {part.version for part in (*parts, found)} == {3}
    assert all(part.leader == 2 and set(part.peers) == {1, 2} for part in parts)
    ids = [part.id for part in parts] + [peer.id for part in parts for peer in part.peers.values()]
    assert len(set(ids)) == 6
