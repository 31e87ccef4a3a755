"""What writes of ours have changed in PD since it was last looked at.

A look that is under way when a note is made may have asked PD before the write, so it doesn't undo the note: only one that
begins later, and succeeds, knows better. Pure state, no I/O; looks come one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

from tikv_operator.pdclient.snapshot import PDSnapshot

__all__ = ["Notes"]


@final
class Notes:
    """See the module docstring. Each note carries the number of looks that had begun when it was made."""

    def __init__(self) -> None:
        self._looks = 0
        self._evicting: dict[str, tuple[bool, int]] = {}
        self._labels: dict[str, dict[str, tuple[str | None, int]]] = {}
        self._ended: set[str] = set()

    def evicting(self, store_id: str, evicting: bool) -> None:
        """A write has begun (True) or ended the eviction of a store's leaders."""
        self._evicting[store_id] = (evicting, self._looks)
        self._ended.discard(store_id)

    def begins(self, store_id: str) -> None:
        """A write is about to begin an eviction: whatever comes of it, how an earlier one has ended counts no longer."""
        self._ended.discard(store_id)

    def labels(self, store_id: str, labels: Mapping[str, str | None]) -> None:
        """A write has set these labels of a store, or (None) removed them."""
        noted = self._labels.setdefault(store_id, {})
        noted.update({key: (value, self._looks) for key, value in labels.items()})

    def waits(self, store_id: str) -> bool:
        """Return whether no look has yet confirmed what a write of ours did about the eviction of a store's leaders."""
        return store_id in self._evicting

    def has_ended(self, store_id: str) -> bool:
        """Return whether a look has confirmed that an eviction is over that a write of ours ended. The last write counts."""
        return store_id in self._ended

    def look_begins(self) -> None:
        self._looks += 1

    def look_succeeds(self, found: PDSnapshot) -> PDSnapshot:
        """Forget what the look that began last knows better, and return what it found with the later notes."""
        before = self._looks
        known = {store_id: evicting for store_id, (evicting, looks) in self._evicting.items() if looks < before}
        self._ended |= {store_id for store_id, evicting in known.items() if not evicting} - found.evicting
        self._evicting = {store_id: note for store_id, note in self._evicting.items() if store_id not in known}
        later = {
            store_id: {key: note for key, note in labels.items() if note[1] >= before}
            for store_id, labels in self._labels.items()
        }
        self._labels = {store_id: labels for store_id, labels in later.items() if labels}
        return self.on(found)

    def on(self, snapshot: PDSnapshot) -> PDSnapshot:
        """Return the snapshot as if it had been taken after all the writes."""
        evicting = {store_id: note[0] for store_id, note in self._evicting.items()}
        labels = {store_id: {key: note[0] for key, note in labels.items()} for store_id, labels in self._labels.items()}
        return snapshot.with_evicting(evicting).with_labels(labels)
