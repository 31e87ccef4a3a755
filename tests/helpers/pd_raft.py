"""Raft groups as PD sees them: a region's peers, roles, leader and epoch, and what PD's operators do to them. Pure.

Each change moves the epoch as TiKV's raftstore does: `conf_ver` grows by one with every peer that is added, removed or
changes its role (when a joint state is entered, and again when it is left), `version` with every split, `term` with every
change of the leader. PD checks all of that, and gives up an operator whose region did anything else.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable
from dataclasses import dataclass

__all__ = ["Change", "ChangeType", "RaftRegion", "Replica", "Role", "split"]


class Role(enum.IntEnum):
    """With PD's numbers. The last two exist only in a joint state: in the middle of a change of several peers."""

    VOTER = 0
    LEARNER = 1
    INCOMING_VOTER = 2
    DEMOTING_VOTER = 3


class ChangeType(enum.IntEnum):
    """With PD's numbers."""

    ADD_VOTER = 0
    REMOVE = 1
    ADD_LEARNER = 2


_LEFT_JOINT = {Role.INCOMING_VOTER: Role.VOTER, Role.DEMOTING_VOTER: Role.LEARNER}


@dataclass(slots=True)
class Replica:
    """One peer."""

    id: int
    store: int
    role: Role = Role.VOTER


@dataclass(frozen=True, slots=True)
class Change:
    type: ChangeType
    peer: int
    store: int


@dataclass(slots=True)
class RaftRegion:
    """One region. `leader` is the id of a store, and 0 while there is none."""

    id: int
    start: bytes
    end: bytes
    peers: dict[int, Replica]
    leader: int
    conf_ver: int = 1
    version: int = 1
    term: int = 1

    def change(self, changes: Collection[Change]) -> bool:
        """Carry out a change of peers: none leaves a joint state, one is simple, several enter a joint state.

        Returns:
            whether anything was done: the leader refuses its own removal or demotion, and what makes no sense.
        """
        if not changes:
            return self._leave_joint()
        if self._joint or any(not self._is_allowed(change, simple=len(changes) == 1) for change in changes):
            return False
        for change in changes:
            self._apply(change, simple=len(changes) == 1)
        return True

    def transfer(self, stores: Iterable[int]) -> bool:
        """Make the voter on the first of these stores that has one the leader."""
        for store in stores:
            peer = self.peers.get(store)
            if peer is not None and peer.role in (Role.VOTER, Role.INCOMING_VOTER):
                self._lead(store)
                return True
        return False

    def elect(self, living: Collection[int], *, loads: dict[int, int]) -> bool:
        """Choose a leader among the living voters, if a majority of the voters lives: the one that leads least."""
        voters = [peer.store for peer in self.peers.values() if peer.role is not Role.LEARNER]
        candidates = [store for store in voters if store in living]
        if len(candidates) * 2 <= len(voters):
            return False
        self._lead(min(candidates, key=lambda store: (loads.get(store, 0), store)))
        return True

    def _lead(self, store: int) -> None:
        if store != self.leader:
            self.leader = store
            self.term += 1

    @property
    def _joint(self) -> bool:
        return any(peer.role in _LEFT_JOINT for peer in self.peers.values())

    def _is_allowed(self, change: Change, *, simple: bool) -> bool:
        known = self.peers.get(change.store)
        if known is not None and known.id != change.peer:
            return False
        match change.type:
            case ChangeType.REMOVE:
                return known is not None and change.store != self.leader
            case ChangeType.ADD_LEARNER:
                demotes = known is not None and known.role is Role.VOTER
                return known is None or (demotes and not simple)
            case ChangeType.ADD_VOTER:
                return known is None or known.role is Role.LEARNER

    def _apply(self, change: Change, *, simple: bool) -> None:
        match change.type:
            case ChangeType.REMOVE:
                del self.peers[change.store]
            case ChangeType.ADD_VOTER:
                role = Role.VOTER if simple else Role.INCOMING_VOTER
                self.peers[change.store] = Replica(change.peer, change.store, role)
            case ChangeType.ADD_LEARNER:
                role = Role.DEMOTING_VOTER if change.store in self.peers else Role.LEARNER
                self.peers[change.store] = Replica(change.peer, change.store, role)
        self.conf_ver += 1

    def _leave_joint(self) -> bool:
        moving = [peer for peer in self.peers.values() if peer.role in _LEFT_JOINT]
        leader = self.peers.get(self.leader)
        if not moving or (leader is not None and leader.role is Role.DEMOTING_VOTER):
            return False
        for peer in moving:
            peer.role = _LEFT_JOINT[peer.role]
        self.conf_ver += len(moving)
        return True


def split(region: RaftRegion, keys: Iterable[bytes], ids: Iterable[int]) -> list[RaftRegion]:
    """Split a region at keys; it keeps the last part, as in TiKV. All parts have the same peers' stores and leader.

    Args:
        keys: those that aren't inside of the region are left out.
        ids: of the new regions and their peers, taken as they are needed.

    Returns:
        the new regions.
    """
    numbers = iter(ids)
    bounds = sorted({key for key in keys if key > region.start and (not region.end or key < region.end)})
    region.version += len(bounds)
    parts = []
    for bound in bounds:
        number = next(numbers)
        peers = {store: Replica(next(numbers), store, peer.role) for store, peer in region.peers.items()}
        part = RaftRegion(number, region.start, bound, peers, region.leader, region.conf_ver, region.version)
        parts.append(part)
        region.start = bound
    return parts
