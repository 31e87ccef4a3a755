"""Fields that a user wants to be left as they are: the annotation `pingcap.com/ignore-diff` of TiDB Operator.

A pod or a volume claim that gets it from an overlay names dotted paths, separated by commas. At each of them what is wanted is
replaced by what is there: a difference is none, and nothing is changed.

As in TiDB Operator a path can end at a list, but not lead through one. Two things are different, so that no path can do harm:

- of the metadata only labels and annotations can be left alone; owners, say, and versions are no matter of taste;
- a label or another key that has dots itself can be named (`metadata.labels.example.com/team`).

A path that leads nowhere changes nothing. Pure; the arguments are not changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeVar

import msgspec

from controller_runtime.api import Object, to_builtins
from tikv_operator.common.keys import ANNOTATION_IGNORE_DIFF

__all__ = ["with_live_values"]

O = TypeVar("O", bound=Object)  # noqa: E741 - the object's type

_METADATA: Final = frozenset({"labels", "annotations"})
_NOT_OURS: Final = frozenset({"apiVersion", "kind", "status"})


def with_live_values(desired: O, live: O | None) -> O:
    """Return what is wanted, with the live value at each path that the annotation of `desired` names.

    A field that the live object lacks is not wanted either.

    Args:
        live: None: the object is yet to be made, with everything that is wanted.
    """
    named = desired.metadata.annotations.get(ANNOTATION_IGNORE_DIFF, "")
    if live is None or not named:
        return desired
    wanted, present = to_builtins(desired), to_builtins(live)
    for path in _paths(named):
        _leave(wanted, present, path)
    return msgspec.convert(wanted, type(desired))


def _paths(named: str) -> Iterator[list[str]]:
    for text in named.split(","):
        path = text.strip().split(".")
        if not all(path) or path[0] in _NOT_OURS:
            continue
        if path[0] == "metadata" and (len(path) == 1 or path[1] not in _METADATA):
            continue
        yield path


def _leave(wanted: dict[str, Any], present: dict[str, Any], path: list[str]) -> None:
    """Make `wanted` at `path` what `present` is there. The rest of a path may be one key that has dots."""
    key, whole = path[0], ".".join(path)
    if len(path) == 1 or whole in present or whole in wanted:
        if whole in present:
            wanted[whole] = present[whole]
        else:
            wanted.pop(whole, None)
        return
    inner, there = wanted.get(key), present.get(key)
    if inner is None and isinstance(there, dict):
        added: dict[str, Any] = {}
        _leave(added, there, path[1:])
        if added:
            wanted[key] = added
    elif isinstance(inner, dict) and (there is None or isinstance(there, dict)):
        _leave(inner, there or {}, path[1:])
