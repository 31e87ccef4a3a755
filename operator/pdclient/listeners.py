"""Who hears of changes in PD: the listener's protocol, and the fan-out to all of them.

Concurrency: synchronous, on the event loop. A listener that comes or goes while news are passed on is not disturbed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, final

from controller_runtime.api.resource import ObjectKey

__all__ = ["Listener", "Listeners"]


class Listener(Protocol):
    """Hears of changes, after they can be seen in the handle. Must not block and must not raise."""

    def stores_changed(self, cluster: ObjectKey, addresses: frozenset[str]) -> None:
        """These stores of the cluster changed in a way that matters, or trust in all of them was lost or regained."""
        ...

    def members_changed(self, cluster: ObjectKey, names: frozenset[str]) -> None:
        """These PD servers of the cluster came, went, or changed their health or who leads."""
        ...

    def cluster_changed(self, cluster: ObjectKey) -> None:
        """PD became known, its cluster id changed, or trust in what is known was lost or regained."""
        ...


@final
class Listeners:
    """A `Listener` that passes everything on to those who listen."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    @contextmanager
    def listening(self, listener: Listener) -> Iterator[None]:
        """Let `listener` hear of everything while the context lasts."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    def stores_changed(self, cluster: ObjectKey, addresses: frozenset[str]) -> None:
        for listener in tuple(self._listeners):
            listener.stores_changed(cluster, addresses)

    def members_changed(self, cluster: ObjectKey, names: frozenset[str]) -> None:
        for listener in tuple(self._listeners):
            listener.members_changed(cluster, names)

    def cluster_changed(self, cluster: ObjectKey) -> None:
        for listener in tuple(self._listeners):
            listener.cluster_changed(cluster)
