"""Since when the evictions of leaders get no further, as looks at PD show. Pure state, no I/O."""

from __future__ import annotations

from typing import final

from tikv_operator.pdclient.snapshot import PDSnapshot

__all__ = ["Standstill"]


@final
class Standstill:
    """Remembers of each store that is being evicted the fewest leaders that it has had since, and when it came to that."""

    def __init__(self) -> None:
        self._fewest: dict[str, tuple[int, float]] = {}

    def look(self, found: PDSnapshot, now: float) -> None:
        """Take note of what a look has found.

        Args:
            now: seconds of a clock that never goes back.
        """
        leaders = {
            store.id: store.leader_count
            for store in found.stores.values()
            if store.id in found.evicting and store.leader_count
        }
        self._fewest = {
            store_id: known if (known := self._fewest.get(store_id)) is not None and known[0] <= count else (count, now)
            for store_id, count in leaders.items()
        }

    def stuck(self, now: float, *, after: float, until: float) -> list[str]:
        """Return the stores whose evictions have got no further for between `after` and `until` seconds, the oldest first."""
        found = [store_id for store_id, (_, since) in self._fewest.items() if after <= now - since < until]
        return sorted(found, key=lambda store_id: (len(store_id), store_id))  # ids are numbers that grow
