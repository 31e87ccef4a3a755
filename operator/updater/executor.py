"""The loop that brings a group from the instances it has to the instances it should have.

It knows only numbers; which instance an action hits is the `Actor`'s choice. Two bounds hold all the time: there are never
more than `desired + max_surge` instances (as far as the loop creates them), and no action takes down an available
instance while `desired - max_unavailable` or fewer are available. The loop ends after finitely many actions: each one
moves an instance out of the outdated ones, or the number of instances nearer to the desired one.

Pure and synchronous: an actor records what is to be done, nothing is done here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Actor", "Counts", "execute"]


@dataclass(slots=True)
class Counts:
    """How many instances there are.

    Attributes:
        update: of the wanted revision.
        outdated: of another revision.
        unavailable_update: those of `update` that can't be counted on (yet).
        unavailable_outdated: those of `outdated` that are down, so that updating them costs nothing.
    """

    update: int
    outdated: int
    unavailable_update: int
    unavailable_outdated: int

    @property
    def actual(self) -> int:
        return self.update + self.outdated

    @property
    def available(self) -> int:
        return self.actual - self.unavailable_update - self.unavailable_outdated


class Actor(Protocol):
    """Chooses instances and records actions. The loop calls a method only if the counts say that it can succeed."""

    def scale_out(self) -> None:
        """Add an instance of the wanted revision."""
        ...

    def update(self, *, unavailable: bool) -> bool:
        """Move an outdated instance to the wanted revision; if `unavailable`, one that is down.

        Returns:
            Whether one was moved: False if none of those that serve may be taken down now.
        """
        ...

    def scale_in_update(self, *, unavailable: bool) -> bool:
        """Remove an instance of the wanted revision; if `unavailable`, one that can't be counted on.

        Returns:
            Whether it was one of the unavailable ones.
        """
        ...

    def scale_in_outdated(self) -> bool:
        """Remove an outdated instance, once everything else is done.

        Returns:
            Whether it was one of the unavailable ones.
        """
        ...

    def cleanup(self) -> None:
        """Really remove what was removed before."""
        ...


def execute(actor: Actor, counts: Counts, *, desired: int, max_surge: int, max_unavailable: int) -> bool:
    """Run the loop.

    Args:
        counts: changed in place along with the actions.
        max_surge: how many instances more than desired there may be while outdated ones are replaced.
        max_unavailable: how many instances fewer than desired may be available.

    Returns:
        Whether everything is done; False if instances have to become available first.
    """
    least = desired - max_unavailable
    while counts.update != desired or counts.outdated:
        most = desired + min(max_surge, counts.outdated)
        if counts.actual < most:
            _scale_out(actor, counts)
        elif counts.actual == most and counts.update < desired:
            if not _update(actor, counts, least):
                return False
        elif counts.actual == most:
            if counts.available <= least and counts.unavailable_update > 0:
                return False
            _scale_in_outdated(actor, counts)
        elif not _scale_in(actor, counts, desired, least):
            return False
    if counts.unavailable_update > 0:
        return False
    actor.cleanup()
    return True


def _scale_out(actor: Actor, counts: Counts) -> None:
    actor.scale_out()
    counts.update += 1
    counts.unavailable_update += 1


def _update(actor: Actor, counts: Counts, least: int) -> bool:
    """Update one instance; return False if none may be taken down now."""
    unavailable = counts.unavailable_outdated > 0
    if not unavailable and counts.available <= least:
        return False
    if not actor.update(unavailable=unavailable):
        return False
    counts.outdated -= 1
    counts.update += 1
    counts.unavailable_update += 1
    if unavailable:
        counts.unavailable_outdated -= 1
    return True


def _scale_in(actor: Actor, counts: Counts, desired: int, least: int) -> bool:
    """Remove one instance too many; return False if that used up what may be unavailable."""
    if counts.update > desired:
        # With no availability to spare only an instance that is down already may go.
        spare = counts.available > least
        if not spare and counts.unavailable_update == 0:
            return False
        unavailable = actor.scale_in_update(unavailable=not spare)
        counts.update -= 1
        if unavailable:
            counts.unavailable_update -= 1
    else:
        unavailable = _scale_in_outdated(actor, counts)
    return unavailable or counts.available > least


def _scale_in_outdated(actor: Actor, counts: Counts) -> bool:
    unavailable = actor.scale_in_outdated()
    counts.outdated -= 1
    if unavailable:
        counts.unavailable_outdated -= 1
    return unavailable
