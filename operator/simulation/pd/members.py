"""The PD servers of a cluster: who belongs to it, who runs, who leads.

PD answers only while a majority of its members runs and has elected a leader. All of this is pure; `now` is in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Member", "Members"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One PD server."""

    name: str
    id: int
    client_url: str
    peer_url: str
    version: str


class Members:
    """The members of one cluster.

    Args:
        revive_seconds: how long a majority that has just come together needs to elect a leader.
    """

    def __init__(self, *, revive_seconds: float) -> None:
        self._revive_seconds = revive_seconds
        self._members: dict[str, Member] = {}
        self._running: set[str] = set()
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

    def leave(self, name: str, now: float) -> bool:
        """Remove a member; False if there is none of that name."""
        known = self._members.pop(name, None) is not None
        self._settle(now)
        return known

    def started(self, name: str, now: float) -> None:
        self._running.add(name)
        self._settle(now)

    def stopped(self, name: str, now: float) -> None:
        self._running.discard(name)
        self._settle(now)

    def transfer(self, name: str) -> bool:
        """Make a running member the leader; False if that cannot be."""
        if name not in self.running:
            return False
        self._leader = name
        return True

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
