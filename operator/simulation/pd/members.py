"""The PD servers of a cluster: who belongs to it, who runs, who leads.

PD answers only while a majority of its members runs and has elected a leader. All of this is pure; `now` is in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Member", "MemberRefused", "Members"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One PD server."""

    name: str
    id: int
    client_url: str
    peer_url: str
    version: str


class MemberRefused(Exception):
    """etcd says no; the message is PD's."""


class Members:
    """The members of one cluster.

    Args:
        revive_seconds: how long a majority that has just come together needs to elect a leader.
    """

    def __init__(self, *, revive_seconds: float) -> None:
        self._revive_seconds = revive_seconds
        self._members: dict[str, Member] = {}
        self._running: set[str] = set()
        self._unstarted: set[str] = set()
        self._loaded_at: dict[str, float] = {}
        self._priorities: dict[str, int] = {}
        self._leader = ""
        self._quorum_since: float | None = None

    def all(self) -> list[Member]:
        return [self._members[name] for name in sorted(self._members)]

    def get(self, name: str) -> Member | None:
        return self._members.get(name)

    @property
    def running(self) -> frozenset[str]:
        return frozenset(self._running & self._members.keys())

    @property
    def leader(self) -> Member | None:
        """Who leads, or led last."""
        return self._members.get(self._leader)

    def join(self, member: Member, now: float) -> None:
        """Add a member, or take over what has changed of it."""
        self._members[member.name] = member
        self._settle(now)

    def is_started(self, name: str) -> bool:
        """Whether a member's process has ever run. One that hasn't has no name yet, as far as anybody can see."""
        return name not in self._unstarted

    def found(self, members: Iterable[Member], now: float) -> None:
        """Begin a cluster with these members, who know each other from the start.

        Raises:
            MemberRefused: there is a cluster already.
        """
        if self._members:
            msg = "[PD:etcd:ErrStartEtcd]member has already been bootstrapped"
            raise MemberRefused(msg)
        for member in members:
            self._members[member.name] = member
        self._settle(now)

    def admit(self, member: Member, now: float) -> None:
        """Take in a member whose process is about to start. It counts for the quorum from now on.

        Raises:
            MemberRefused: a member of that name has lost its data, another one hasn't started yet, or one doesn't run.
        """
        if member.name in self._unstarted:
            return
        if member.name in self._members:
            msg = "missing data or join a duplicated pd"
            raise MemberRefused(msg)
        if self._unstarted:
            other = self._members[min(self._unstarted)]
            msg = f"there is a member {other.id} that has not joined successfully"
            raise MemberRefused(msg)
        if len(self.running) < len(self._members):
            msg = "[PD:etcd:ErrEtcdMemberAdd]etcdserver: unhealthy cluster"
            raise MemberRefused(msg)
        self._members[member.name] = member
        self._unstarted.add(member.name)
        self._settle(now)

    def has_run(self, name: str) -> bool:
        """Whether a member's process has ever run: it has data then, or has lost it."""
        return name in self._loaded_at

    def has_loaded(self, name: str, now: float) -> bool:
        """Whether a running member has loaded its regions."""
        return name in self.running and now >= self._loaded_at.get(name, 0.0)

    def leave(self, name: str, now: float) -> bool:
        """Remove a member; False if there is none of that name.

        Raises:
            MemberRefused: it is the last one, or too few of the others run.
        """
        if name not in self._members:
            return False
        others = len(self._members) - 1
        if not others:
            msg = "[PD:etcd:ErrEtcdMemberRemove]etcdserver: re-configuration failed due to not enough started members"
            raise MemberRefused(msg)
        if name in self.running and len(self.running) - 1 < 1 + others // 2:
            msg = "[PD:etcd:ErrEtcdMemberRemove]etcdserver: unhealthy cluster"
            raise MemberRefused(msg)
        del self._members[name]
        self._unstarted.discard(name)
        self._loaded_at.pop(name, None)
        self._priorities.pop(name, None)
        self._settle(now)
        return True

    def priority(self, name: str) -> int:
        """How much a member should lead; the leader hands over to one with more."""
        return self._priorities.get(name, 0)

    def prioritize(self, name: str, priority: int) -> None:
        self._priorities[name] = priority

    def started(self, name: str, now: float, *, load_seconds: float = 0.0) -> None:
        self._running.add(name)
        self._unstarted.discard(name)
        self._loaded_at[name] = now + load_seconds
        self._settle(now)

    def stopped(self, name: str, now: float) -> None:
        self._running.discard(name)
        self._settle(now)

    def transfer(self, name: str, now: float) -> None:
        """Make a running member the leader. Until it has taken over, PD has none.

        Raises:
            MemberRefused: there is no such member, or it doesn't run.
        """
        if name not in self._members:
            msg = "no valid pd to transfer etcd leader"
            raise MemberRefused(msg)
        if name not in self.running:
            msg = "[PD:etcd:ErrEtcdMoveLeader]etcdserver: request timed out, leader transfer took too long"
            raise MemberRefused(msg)
        if name != self._leader:
            self._leader = name
            self._quorum_since = now

    def resign(self, now: float) -> None:
        """Make any other member the leader. Alone, the leader stays.

        Raises:
            MemberRefused: none of the others runs.
        """
        others = [name for name in sorted(self._members) if name != self._leader]
        if others:
            self.transfer(min(self.running - {self._leader}, default=others[0]), now)

    def serving(self, now: float) -> bool:
        """Whether PD has a leader."""
        return self._quorum_since is not None and now >= self._quorum_since + self._revive_seconds

    def serving_at(self) -> float | None:
        """When the present majority has, or will have, a leader."""
        return None if self._quorum_since is None else self._quorum_since + self._revive_seconds

    def _settle(self, now: float) -> None:
        running = self.running
        if len(running) * 2 <= len(self._members):
            self._quorum_since = None
            return
        if self._quorum_since is None:
            self._quorum_since = now
        if self._leader not in running:
            self._leader = min(running)
            self._quorum_since = now
