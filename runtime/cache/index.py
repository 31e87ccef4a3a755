"""An index: from a value to the keys of the objects that have it.

An index function may give any number of values per object. The values are remembered, so a function that is not pure, or
that fails later, cannot leave ghosts behind. A function that raises is counted, and its object is not in the index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from typing import Final, final

from controller_runtime.api.resource import ObjectKey
from controller_runtime.cache.meta import Entry

__all__ = ["Index", "IndexFunction"]

IndexFunction = Callable[[Entry], Iterable[str]]

_NOTHING: Final[dict[ObjectKey, None]] = {}


@final
class Index:
    """See the module docstring. Plain synchronous state for one event loop."""

    __slots__ = ("_keys", "_values", "errors", "function", "last_error")

    def __init__(self, function: IndexFunction) -> None:
        self.function = function
        self.errors = 0
        self.last_error: Exception | None = None
        self._keys: dict[str, dict[ObjectKey, None]] = {}  # in the order in which they came: the same in every run
        self._values: dict[ObjectKey, tuple[str, ...]] = {}

    def put(self, entry: Entry) -> None:
        """Index an object anew."""
        try:
            values = tuple(dict.fromkeys(self.function(entry)))
        except Exception as error:  # noqa: BLE001 - somebody else's function must not stop the watch
            self.errors += 1
            self.last_error = error
            values = ()
        before = self._values.get(entry.key, ())
        if values == before:
            return
        self.discard(entry.key)
        if values:
            self._values[entry.key] = values
            for value in values:
                self._keys.setdefault(value, {})[entry.key] = None

    def discard(self, key: ObjectKey) -> None:
        for value in self._values.pop(key, ()):
            keys = self._keys[value]
            keys.pop(key, None)
            if not keys:
                del self._keys[value]

    def keys(self, value: str) -> AbstractSet[ObjectKey]:
        """Return the keys of the objects that have `value`; a view, not to be kept."""
        return self._keys.get(value, _NOTHING).keys()

    def values(self) -> list[str]:
        return list(self._keys)
