"""Names for new instances: `<group>-` and six characters of `a-z0-9`.

A name follows from the group's uid, its generation and a counter, so that whoever repeats an unfinished scale-out, after a
lost answer, a restart or a change of leader, comes to the same names and applies the same objects again, instead of
creating more than are wanted. Names that were seen on an instance are not given to another one while the process lives:
PD remembers the address of a store that is gone.

Concurrency: an allocator belongs to one controller and is used from one event loop; its methods are synchronous.
"""

from __future__ import annotations

import hashlib
import itertools
import string
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, final

from controller_runtime.api import ObjectKey
from tikv_operator.common.instances import Group

__all__ = ["NameAllocator", "suffix"]

_ALPHABET: Final = string.digits + string.ascii_lowercase
_LENGTH: Final = 6


def suffix(uid: str, generation: int, number: int) -> str:
    """Return the suffix of the `number`th new name of a group at one generation."""
    digest = hashlib.sha256(f"{uid}/{generation}/{number}".encode()).digest()
    value = int.from_bytes(digest)
    characters = []
    for _ in range(_LENGTH):
        value, index = divmod(value, len(_ALPHABET))
        characters.append(_ALPHABET[index])
    return "".join(characters)


@dataclass(slots=True)
class _Seen:
    uid: str
    generation: int
    names: set[str] = field(default_factory=set)


@final
class NameAllocator:
    """See the module docstring.

    Args:
        suffix: makes the suffix from the group's uid, its generation and a counter.
    """

    def __init__(self, suffix: Callable[[str, int, int], str] = suffix) -> None:
        self._suffix = suffix
        self._seen: dict[ObjectKey, _Seen] = {}

    def observe(self, group: Group, names: Iterable[str]) -> None:
        """Note the names of the group's instances. Call it with what every run sees, before `candidates`."""
        seen = self._seen.get(group.key)
        if seen is None or (seen.uid, seen.generation) != (group.metadata.uid, group.metadata.generation):
            # Another generation gives other names: what was seen before cannot come up again.
            seen = self._seen[group.key] = _Seen(group.metadata.uid, group.metadata.generation)
        seen.names.update(names)

    def candidates(self, group: Group) -> Iterator[str]:
        """Yield names in order, without those that were seen; the caller takes the first ones that nobody else has."""
        seen = self._seen.get(group.key)
        taken = frozenset() if seen is None else seen.names
        for number in itertools.count():
            name = f"{group.metadata.name}-{self._suffix(group.metadata.uid, group.metadata.generation, number)}"
            if name not in taken:
                yield name

    def forget(self, key: ObjectKey) -> None:
        """Drop what is known of a group that is gone."""
        self._seen.pop(key, None)
