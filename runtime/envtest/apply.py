"""Who owns which field, and server-side apply (Kubernetes API concepts, "Server-Side Apply").

- A plain write gives its manager every field that it changed, and takes them from everybody else.
- An apply merges the manager's configuration into the live object, removes what the manager applied before but no longer
  does (unless another manager owns it too), and fails with a conflict where it would change another manager's field.

Managers are told apart by name, operation, API version and subresource, as on a real server. Everything here is pure;
objects come in and go out without `metadata.managedFields`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from controller_runtime.envtest.fieldset import (
    FieldSet,
    Path,
    applied_fields,
    compare,
    contains,
    element_of,
    keep_under,
    minus,
    path_text,
    paths_of,
    plus,
    union,
    walked,
)
from controller_runtime.envtest.mergetypes import MergeType
from controller_runtime.envtest.status import Cause, StatusError
from controller_runtime.envtest.storage import Json

__all__ = [
    "Manager",
    "Managers",
    "apply",
    "before_first_apply",
    "conflict_with",
    "decode_managers",
    "encode_managers",
    "own_changes",
]


@dataclass(frozen=True, slots=True)
class Manager:
    """Who wrote. `operation` is `Apply` or `Update`."""

    name: str
    operation: str
    api_version: str
    subresource: str = ""

    def __str__(self) -> str:
        text = f'"{self.name}"'
        if self.subresource:
            text += f' with subresource "{self.subresource}"'
        return f"{text} using {self.api_version}" if self.operation == "Update" else text


@dataclass(frozen=True, slots=True)
class Owned:
    """What a manager owns, and when that last changed."""

    fields: FieldSet
    time: str


Managers = dict[Manager, Owned]

# Fields that everybody writes and nobody owns.
_UNOWNED: Final[tuple[Path, ...]] = (
    ("f:apiVersion",),
    ("f:kind",),
    ("f:metadata",),
    *(
        ("f:metadata", f"f:{name}")
        for name in (
            "name",
            "namespace",
            "creationTimestamp",
            "selfLink",
            "uid",
            "generation",
            "managedFields",
            "resourceVersion",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
        )
    ),
)


def decode_managers(entries: Iterable[Mapping[str, Any]]) -> Managers:
    """Read `metadata.managedFields`; an entry without a manager or fields is dropped."""
    managers: Managers = {}
    for entry in entries:
        fields = entry.get("fieldsV1")
        if not isinstance(fields, dict) or not fields:
            continue
        manager = Manager(
            entry.get("manager", ""),
            entry.get("operation", ""),
            entry.get("apiVersion", ""),
            entry.get("subresource", ""),
        )
        managers[manager] = Owned(fields, entry.get("time", ""))
    return managers


def encode_managers(managers: Managers) -> list[Json]:
    """Write `metadata.managedFields`: applies first, then by time and name."""
    order = sorted(
        managers.items(), key=lambda item: (item[0].operation, item[1].time, item[0].name, item[0].subresource)
    )
    return [
        {
            "manager": manager.name,
            "operation": manager.operation,
            "apiVersion": manager.api_version,
            **({"time": owned.time} if owned.time else {}),
            "fieldsType": "FieldsV1",
            "fieldsV1": owned.fields,
            **({"subresource": manager.subresource} if manager.subresource else {}),
        }
        for manager, owned in order
    ]


def before_first_apply(live: Json, api_version: str, shape: MergeType, now: str) -> Managers:
    """The managers of an object that has none when it is applied first: one that owns everything by a plain write."""
    return own_changes({}, live, {}, Manager("before-first-apply", "Update", api_version), shape, now)


def own_changes(old: Json, new: Json, managers: Managers, writer: Manager, shape: MergeType, now: str) -> Managers:
    """Return who owns what after `writer` has turned `old` into `new` by a plain write."""
    difference = compare(old, new, shape)
    if not difference:
        return managers
    changed = difference.added + difference.modified
    result: Managers = {}
    for manager, owned in managers.items():
        fields = minus(minus(owned.fields, changed), difference.removed)
        if fields:
            result[manager] = owned if fields is owned.fields else Owned(fields, owned.time)
    taken = minus(_of_subresource(plus({}, changed), writer.subresource), _UNOWNED)
    if taken:
        before = managers.get(writer)
        kept = minus(before.fields, difference.removed) if before else {}
        result[writer] = Owned(union(kept, taken), now)
    return result


def apply(
    live: Json,
    config: Json,
    managers: Managers,
    writer: Manager,
    shape: MergeType,
    now: str,
    *,
    force: bool,
    forgiven: FieldSet | None = None,
) -> tuple[Json, Managers]:
    """Apply `config` as `writer` to `live` (empty for a new object).

    Args:
        forgiven: fields over which there is no conflict, if they are all that is in conflict.

    Returns:
        The new object and who owns what in it.

    Raises:
        StatusError: a Conflict that names every field of another manager that would change, unless `force`.
    """
    fields = minus(_of_subresource(applied_fields(config, shape), writer.subresource), _UNOWNED)
    before = managers.get(writer)
    others = {manager: owned for manager, owned in managers.items() if manager != writer}
    merged = _merge(live, config, shape)
    if before is not None:
        merged = _prune(merged, before.fields, [fields, *(owned.fields for owned in others.values())], shape)
    difference = compare(live, merged, shape)
    changed = difference.added + difference.modified
    conflicts = [
        (manager, path) for manager, owned in others.items() for path in changed if contains(owned.fields, path)
    ]
    if not force and not all(contains(forgiven or {}, path) for _, path in conflicts):
        raise conflict_with(conflicts)
    result: Managers = {}
    for manager, owned in others.items():
        rest = minus(minus(owned.fields, changed), difference.removed)
        if rest:
            result[manager] = Owned(rest, owned.time)
    if fields:
        # As on a real server, the time tells of changes to the object, not of what the manager owns.
        result[writer] = Owned(fields, now if difference else before.time if before else "")
    return merged, result


def _of_subresource(fields: FieldSet, subresource: str) -> FieldSet:
    """A write to the main resource never owns the status; one to the status owns nothing else."""
    if subresource == "status":
        return keep_under(fields, ["f:status"])
    return fields


def _merge(live: Any, config: Any, shape: MergeType) -> Any:
    if shape.merge == "atomic":
        return config
    if isinstance(live, dict) and isinstance(config, dict):
        merged = dict(live)
        for name, value in config.items():
            merged[name] = _merge(live[name], value, shape.field(name)) if name in live else value
        return merged
    if isinstance(live, list) and isinstance(config, list) and shape.merge in ("set", "map"):
        return _merge_lists(live, config, shape)
    return config


def _merge_lists(live: list[Any], config: list[Any], shape: MergeType) -> list[Any]:
    """Merge item by item. The configuration's order rules; an item that only `live` has stays behind the common one that
    it followed [structured-merge-diff]."""
    theirs = {element_of(shape, item): item for item in live}
    ours = {element_of(shape, item): item for item in config}
    left, right = list(theirs), list(ours)
    common = [element for element in right if element in theirs]
    merged: list[Any] = []
    taken: set[str] = set()

    def take(element: str) -> None:
        taken.add(element)
        if element in common:
            common.remove(element)
        if element not in ours:
            merged.append(theirs[element])
        elif element not in theirs:
            merged.append(ours[element])
        else:
            merged.append(_merge(theirs[element], ours[element], shape.item))

    while left or right:
        if left and left[0] not in ours:
            take(left.pop(0))
        elif left and (left[0] in taken or (right and left[0] != right[0] and common and left[0] != common[0])):
            left.pop(0)
        elif right:
            take(right.pop(0))
    return merged


def _prune(merged: Json, last: FieldSet, owned: list[FieldSet], shape: MergeType) -> Json:
    """Remove what was applied last and nobody owns any more, with everything below."""
    keep: FieldSet = {}
    for fields in owned:
        keep = union(keep, plus(fields, _enclosing(fields, shape)))
    doomed: Json = {}
    for path in paths_of(plus(last, _enclosing(last, shape))):
        if path not in _UNOWNED and not contains(keep, path):
            node = doomed
            for element in path:
                node = node.setdefault(element, {})
            node["."] = {}
    pruned = _without(merged, doomed, shape) if doomed else merged
    return pruned if isinstance(pruned, dict) else {}


def _enclosing(fields: FieldSet, shape: MergeType) -> list[Path]:
    """The named fields of structures that enclose the members: they live and die with what they hold."""
    found: list[Path] = []

    def walk(node: FieldSet, inner: MergeType, path: Path) -> None:
        for element, below in node.items():
            if element == ".":
                continue
            here = (*path, element)
            if element.startswith("f:"):
                name = element[2:]
                if below and inner.has_field(name):
                    found.append(here)
                walk(below, inner.field(name), here)
            else:
                walk(below, inner.item, here)

    walk(fields, shape, ())
    return found


def _without(value: Any, doomed: Json, shape: MergeType) -> Any:
    """Cut out the doomed members; a container that is emptied by that goes too (None)."""
    if isinstance(value, dict):
        rest: Json = {}
        for name, inner in value.items():
            cut = doomed.get(f"f:{name}")
            if cut is None:
                rest[name] = inner
            elif "." not in cut:
                left = _without(inner, cut, shape.field(name))
                if left is not None:
                    rest[name] = left
        return rest or None
    if isinstance(value, list) and shape.merge in ("set", "map"):
        items: list[Any] = []
        for item in value:
            cut = doomed.get(element_of(shape, item))
            if cut is None:
                items.append(item)
            elif "." not in cut:
                left = _without(item, cut, shape.item)
                if left is not None:
                    items.append(left)
        return items or None
    return value


def conflict_with(conflicts: list[tuple[Manager, Path]]) -> StatusError:
    """What answers an apply that would change fields of others.

    The managers come in the order of their names; the fields as a set of paths is walked, members before what is below.
    """
    by_manager: dict[Manager, FieldSet] = {}
    for manager, path in conflicts:
        by_manager[manager] = plus(by_manager.get(manager, {}), [path])
    causes: list[Cause] = []
    lines: list[str] = []
    for manager in sorted(by_manager, key=str):
        paths = [path_text(path) for path in walked(by_manager[manager])]
        causes += [Cause(path, f"conflict with {manager}", "FieldManagerConflict") for path in paths]
        lines += [f"conflicts with {manager}:", *(f"- {path}" for path in paths)]
    if len(causes) == 1:
        message = f"Apply failed with 1 conflict: {causes[0].message}: {causes[0].field}"
    else:
        message = f"Apply failed with {len(causes)} conflicts: " + "\n".join(lines)
    return StatusError(409, "Conflict", message, details={"causes": [cause.to_dict() for cause in causes]})
