"""The stores whose leaders PD evicts: what PD keeps, and what the server that leads has taken up of it.

A server that begins to lead takes up the schedulers that are kept only when it is prepared. Until then it acts as if there were
none, and whoever begins an eviction writes over those that are kept: PD keeps one configuration for all of them.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final, final

__all__ = ["Evictions"]

_NOTHING: Final[frozenset[int]] = frozenset()


@final
class Evictions:
    """See the module docstring. `unprepared_since` names a server's leadership while it isn't prepared; None: it is."""

    def __init__(self) -> None:
        self._kept: set[int] = set()
        self._early: set[int] = set()
        self._leadership: float | None = None

    @property
    def kept(self) -> AbstractSet[int]:
        return self._kept

    def running(self, unprepared_since: float | None) -> AbstractSet[int]:
        if unprepared_since is None:
            return self._kept
        return self._early if unprepared_since == self._leadership else _NOTHING

    def begin(self, store_id: int, unprepared_since: float | None) -> None:
        if unprepared_since is not None and not self.running(unprepared_since):
            self._kept.clear()
            self._early.clear()
        if unprepared_since is not None:
            self._leadership = unprepared_since
            self._early.add(store_id)
        self._kept.add(store_id)

    def end(self, store_id: int, unprepared_since: float | None) -> bool:
        """Return whether there was anything to end, as far as the server that leads knows."""
        if store_id not in self.running(unprepared_since):
            return False
        self._kept.discard(store_id)
        self._early.discard(store_id)
        return True
