"""Sets of fields in the form of `managedFields` (FieldsV1), and the paths that differ between two objects.

A *path* is a tuple of elements as FieldsV1 writes them: `f:name` (a field or map key), `k:{"name":"x"}` (an item of a
list that is a map), `v:"x"` (an item of a set). A *set* is a nested dict of elements, exactly as it is stored: `{}` is a
member without children, `.` marks a member that has children. Sets are immutable by convention; every operation returns
a new one that may share parts with its operands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from controller_runtime.envtest.equality import identical
from controller_runtime.envtest.mergetypes import MergeType
from controller_runtime.envtest.storage import Json

__all__ = [
    "Difference",
    "FieldSet",
    "Path",
    "applied_fields",
    "compare",
    "contains",
    "element_of",
    "keep_under",
    "minus",
    "path_text",
    "paths_of",
    "plus",
    "union",
    "walked",
]

Path = tuple[str, ...]
FieldSet = Json

_MEMBER = "."


@dataclass(slots=True)
class Difference:
    """The paths by which `new` differs from `old`; a container that comes or goes counts with all it holds."""

    added: list[Path] = field(default_factory=list)
    modified: list[Path] = field(default_factory=list)
    removed: list[Path] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.added or self.modified or self.removed)


def element_of(shape: MergeType, item: Any) -> str:
    """Name an item of a list that is a set or a map."""
    if shape.merge == "set":
        return "v:" + orjson.dumps(item).decode()
    keys: Json = {}
    for key in shape.keys:
        value = item.get(key, shape.defaults.get(key)) if isinstance(item, dict) else None
        if value is not None:
            keys[key] = value
    return "k:" + orjson.dumps(keys, option=orjson.OPT_SORT_KEYS).decode()


def compare(old: Json, new: Json, shape: MergeType) -> Difference:
    """Return how `new` differs from `old`."""
    difference = Difference()
    _compare_maps(old, new, shape, (), difference)
    return difference


def _compare(old: Any, new: Any, shape: MergeType, path: Path, out: Difference) -> None:
    if identical(old, new):
        return
    if shape.merge != "atomic":
        if isinstance(old, dict) and isinstance(new, dict):
            _compare_maps(old, new, shape, path, out)
            return
        if isinstance(old, list) and isinstance(new, list) and shape.merge in ("set", "map"):
            before = {element_of(shape, item): item for item in old}
            after = {element_of(shape, item): item for item in new}
            for element, item in before.items():
                if element not in after:
                    _everything(item, shape.item, (*path, element), out.removed)
            for element, item in after.items():
                if element not in before:
                    _everything(item, shape.item, (*path, element), out.added)
                else:
                    _compare(before[element], item, shape.item, (*path, element), out)
            return
    out.modified.append(path)


def _compare_maps(old: Json, new: Json, shape: MergeType, path: Path, out: Difference) -> None:
    for name, value in old.items():
        if name not in new:
            _everything(value, shape.field(name), (*path, f"f:{name}"), out.removed)
    for name, value in new.items():
        if name not in old:
            _everything(value, shape.field(name), (*path, f"f:{name}"), out.added)
        elif value is not old[name]:
            _compare(old[name], value, shape.field(name), (*path, f"f:{name}"), out)


def _everything(value: Any, shape: MergeType, path: Path, out: list[Path]) -> None:
    """Collect the path of a value and of all it holds."""
    out.append(path)
    if shape.merge == "atomic":
        return
    if isinstance(value, dict):
        for name, inner in value.items():
            _everything(inner, shape.field(name), (*path, f"f:{name}"), out)
    elif isinstance(value, list) and shape.merge in ("set", "map"):
        for item in value:
            _everything(item, shape.item, (*path, element_of(shape, item)), out)


def applied_fields(value: Any, shape: MergeType) -> FieldSet:
    """The fields that somebody owns who applies `value`: its leaves, its list items and its map keys."""
    fields: FieldSet = {}
    if isinstance(value, dict):
        for name, inner in value.items():
            child = shape.field(name)
            if child.merge == "atomic":
                fields[f"f:{name}"] = {}
                continue
            below = applied_fields(inner, child)
            if isinstance(inner, list) and not below and child.merge in ("set", "map"):
                continue
            if below and not shape.has_field(name):
                below = {_MEMBER: {}, **below}
            if below or not isinstance(inner, dict) or not inner:
                fields[f"f:{name}"] = below
    elif isinstance(value, list) and shape.merge in ("set", "map"):
        for item in value:
            below = applied_fields(item, shape.item) if isinstance(item, dict) and shape.item.merge != "atomic" else {}
            fields[element_of(shape, item)] = {_MEMBER: {}, **below} if below else {}
    return fields


def contains(fields: FieldSet, path: Path) -> bool:
    node = fields
    for element in path:
        below = node.get(element)
        if below is None:
            return False
        node = below
    return not node or _MEMBER in node


def paths_of(fields: FieldSet, prefix: Path = ()) -> Iterator[Path]:
    """Yield all members."""
    for element, below in fields.items():
        if element == _MEMBER:
            continue
        path = (*prefix, element)
        if not below or _MEMBER in below:
            yield path
        yield from paths_of(below, path)


def walked(fields: FieldSet, prefix: Path = ()) -> Iterator[Path]:
    """Yield all members, those of one level in order and before what lies below any of them."""
    elements = sorted(element for element in fields if element != _MEMBER)
    for element in elements:
        below = fields[element]
        if not below or _MEMBER in below:
            yield (*prefix, element)
    for element in elements:
        yield from walked(fields[element], (*prefix, element))


def plus(fields: FieldSet, paths: Iterable[Path]) -> FieldSet:
    """Return `fields` with `paths` as members."""
    result = dict(fields)
    fresh: set[int] = {id(result)}
    for path in paths:
        node = result
        for element in path[:-1]:
            below = node.get(element)
            if below is None:
                below = {}
            elif not below:
                below = {_MEMBER: {}}
            elif id(below) not in fresh:
                below = dict(below)
            fresh.add(id(below))
            node[element] = below
            node = below
        last = node.get(path[-1])
        if last is None:
            node[path[-1]] = {}
        elif last and _MEMBER not in last:
            node[path[-1]] = {_MEMBER: {}, **last}
    return result


def minus(fields: FieldSet, paths: Iterable[Path]) -> FieldSet:
    """Return `fields` without the members `paths` (what lies below them stays)."""
    doomed: Json = {}
    for path in paths:
        if contains(fields, path):
            node = doomed
            for element in path:
                node = node.setdefault(element, {})
            node[_MEMBER] = {}
    return _minus(fields, doomed) if doomed else fields


def _minus(fields: FieldSet, doomed: Json) -> FieldSet:
    result: FieldSet = {}
    for element, below in fields.items():
        if element == _MEMBER:
            if _MEMBER not in doomed:
                result[_MEMBER] = {}
            continue
        cut = doomed.get(element)
        if cut is None:
            result[element] = below
            continue
        if not below:
            if _MEMBER not in cut:
                result[element] = below
            continue
        rest = _minus(below, cut)
        if rest and rest != {_MEMBER: {}}:
            result[element] = rest
        elif rest:
            result[element] = {}
    return result


def union(left: FieldSet, right: FieldSet) -> FieldSet:
    if not left:
        return right
    return plus(left, paths_of(right))


def keep_under(fields: FieldSet, top: Iterable[str]) -> FieldSet:
    """Keep only the top-level elements named in `top`."""
    wanted = set(top)
    return {element: below for element, below in fields.items() if element in wanted}


def path_text(path: Path) -> str:
    """Write a path for people: `.spec.containers[name="x"].image`."""
    parts: list[str] = []
    for element in path:
        kind, text = element[:2], element[2:]
        if kind == "f:":
            parts.append(f".{text}")
        elif kind == "v:":
            parts.append(f"[={text}]")
        else:
            keys = orjson.loads(text)
            parts.append("[" + ",".join(f"{key}={orjson.dumps(value).decode()}" for key, value in keys.items()) + "]")
    return "".join(parts)
