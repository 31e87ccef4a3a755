"""Whether stores that stand together may all be down together without a region losing its quorum.

PD spreads the replicas of a region over places: values of a label such as `zone`. It always tries; it promises only where its
configuration says so, with an isolation level: then no two voters of a region are ever put into one place of that level. So a
place can be spared if a region has three voters or more. Everything else counts as unknown: no isolation level, placement
rules of somebody's own, a store without the label, or fewer places than replicas.

Pure functions.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["Placement", "can_be_down_together", "place_of"]

Labels = Mapping[str, str]

_LEAST_REPLICAS: Final = 3
"""With fewer, a region can't lose any voter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """How PD places the voters of every region.

    Attributes:
        location_labels: the labels of places, the outermost first.
        isolation_level: the one of them at which no place gets two voters of a region; empty if PD promises nothing.
        replicas: voters of a region.
    """

    location_labels: tuple[str, ...] = ()
    isolation_level: str = ""
    replicas: int = 3


def place_of(store: Labels, placement: Placement) -> tuple[str, ...] | None:
    """Return the place of a store at the isolation level: the values of the labels down to it. None if it is unknown.

    Two racks of the same name in two zones are two places.
    """
    labels, level = placement.location_labels, placement.isolation_level
    if level not in labels:
        return None
    place = tuple(store.get(label, "") for label in labels[: labels.index(level) + 1])
    return place if all(place) else None


def can_be_down_together(down: Collection[Labels], stores: Collection[Labels], placement: Placement) -> bool:
    """Return whether every region keeps its quorum with these stores down.

    Args:
        down: the labels of each store that is, or would be, down.
        stores: the labels of all stores that hold data, those of `down` included.
    """
    places = {place_of(store, placement) for store in stores}
    if None in places or len(places) < placement.replicas or placement.replicas < _LEAST_REPLICAS:
        return False
    return len({place_of(store, placement) for store in down}) <= 1
