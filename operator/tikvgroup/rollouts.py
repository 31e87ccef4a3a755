"""Groups of one cluster take stores down one group after the other.

Whoever moves an instance to another revision looks at the other groups' instances first, and goes on only if the cluster's
budget has room. Between the look and the move nobody else may do the same: that is a turn. A group that finds no room waits,
and is woken by whatever happens to an instance of its cluster.

Concurrency: one object belongs to one controller and is used from one event loop. Nothing here is persisted: what is in motion
is read from the instances themselves, and after a restart every group looks anyway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import final
from weakref import WeakValueDictionary

from controller_runtime.api import ObjectKey

__all__ = ["Rollouts"]


@final
class Rollouts:
    """See the module docstring."""

    def __init__(self) -> None:
        self._turns: WeakValueDictionary[ObjectKey, asyncio.Lock] = WeakValueDictionary()
        self._waiting: dict[ObjectKey, ObjectKey] = {}

    def turn(self, cluster: ObjectKey) -> asyncio.Lock:
        """Return the lock of a cluster's turns. It lives as long as somebody holds it or waits for it."""
        return self._turns.setdefault(cluster, asyncio.Lock())

    def wait(self, group: ObjectKey, cluster: ObjectKey) -> None:
        """Note that a group waits for others of its cluster."""
        self._waiting[group] = cluster

    def leave(self, group: ObjectKey) -> None:
        """Note that a group waits no longer, or is gone."""
        self._waiting.pop(group, None)

    def waiting(self, cluster: ObjectKey) -> Iterable[ObjectKey]:
        """Return the groups that wait for others of a cluster."""
        return [group for group, waits_in in self._waiting.items() if waits_in == cluster]
