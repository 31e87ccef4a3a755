"""What may be done to a PD cluster without losing it. Pure functions of what PD says of its members.

A cluster of n members works while more than n/2 of them do. A member that never started counts as much as any other, so it is
looked at here like any other. Each function returns what stands in the way, for a person, or an empty text.
"""

from __future__ import annotations

from collections.abc import Iterable

from tikv_operator.pdclient import Member, Members

__all__ = ["find_member", "is_leader", "obstacle_to_joining", "obstacle_to_removal", "obstacle_to_restart"]


def find_member(members: Members, name: str, peer_url: str) -> Member | None:
    """Return the member that a PD server is: the one of its name, or one without a name under its address.

    A member has no name until its process has started for the first time.
    """
    named = next((member for member in members.members if member.name == name), None)
    return named or next(
        (member for member in members.members if not member.name and peer_url in member.peer_urls), None
    )


def is_leader(members: Members, member: Member) -> bool | None:
    """Return whether a member leads PD; None if PD doesn't say who does."""
    return None if members.leader is None else members.leader.id == member.id


def obstacle_to_restart(members: Members, healthy: frozenset[str], member: Member) -> str:
    """Return why a member cannot be down for a while.

    Of two members none can be spared, nor the only one: such a cluster stands still whenever one is restarted, and there is
    nothing that could be waited for but that the other one is well.
    """
    others = [other for other in members.members if other.id != member.id]
    ill = _named(other for other in others if other.id not in healthy)
    if not ill or len(others) - len(ill) > len(members.members) // 2:
        return ""
    return f"the quorum of {len(members.members)} members needs this one while {', '.join(ill)} is not healthy"


def obstacle_to_removal(members: Members, healthy: frozenset[str], member: Member) -> str:
    """Return why a member cannot leave the cluster."""
    others = [other for other in members.members if other.id != member.id]
    if not others:
        return "it is the last member: without it there is no cluster"
    ill = _named(other for other in others if other.id not in healthy)
    if len(others) - len(ill) > len(others) // 2:
        return ""
    return f"the other {len(others)} members have no quorum without it while {', '.join(ill)} is not healthy"


def obstacle_to_joining(members: Members, healthy: frozenset[str]) -> str:
    """Return why no further member can be taken in: PD takes in one at a time, and none while one is ill or hasn't started."""
    new = [member for member in members.members if not member.name]
    if new:
        return f"member {new[0].id} has been admitted and has not started yet"
    ill = _named(member for member in members.members if member.id not in healthy)
    return f"{', '.join(ill)} is not healthy" if ill else ""


def _named(members: Iterable[Member]) -> list[str]:
    return [member.name or f"member {member.id}" for member in members]
