"""Strategic merge patches, the dialect that `kubectl apply`, `edit` and `label` speak to built-in kinds.

A JSON merge patch in which lists with a merge key are merged item by item. Directives: `$patch: replace|delete|merge`,
`$retainKeys`, `$deleteFromPrimitiveList/<field>` and `$setElementOrder/<field>` (Kubernetes community documents,
"Strategic Merge Patch"). The merge keys come from the schema (`x-kubernetes-patch-strategy`, `-patch-merge-key`).
Pure functions: neither the object nor the patch is changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from controller_runtime.envtest.status import StatusError, bad_request
from controller_runtime.envtest.storage import Json

__all__ = ["strategic_merge"]

_ORDER: Final = "$setElementOrder/"
_DELETE: Final = "$deleteFromPrimitiveList/"


def strategic_merge(live: Json, patch: Json, schema: Mapping[str, Any]) -> Json:
    """Return `live` with `patch` merged in.

    Raises:
        StatusError: the patch contradicts itself or the schema.
    """
    if patch.get("$patch") == "replace":
        return {name: value for name, value in patch.items() if name != "$patch"}
    if patch.get("$patch") == "delete":
        return {}
    if patch.get("$patch", "merge") != "merge":
        raise _failed(f"unknown patch type: {patch['$patch']} in map: {_as_go(patch)}")
    merged = dict(live)
    retained = patch.get("$retainKeys")
    if isinstance(retained, list):
        merged = {name: value for name, value in merged.items() if name in retained}
    for name, value in patch.items():
        if name.startswith(_DELETE):
            field = name.removeprefix(_DELETE)
            if isinstance(merged.get(field), list):
                merged[field] = [item for item in merged[field] if item not in value]
        elif not name.startswith("$"):
            inner = _property(schema, name)
            if value is None:
                merged.pop(name, None)
            else:
                merged[name] = _merge_value(merged.get(name), value, inner, patch.get(_ORDER + name), name)
    for name, order in patch.items():
        field = name.removeprefix(_ORDER)
        if (
            name.startswith(_ORDER)
            and isinstance(order, list)
            and field not in patch
            and isinstance(merged.get(field), list)
        ):
            merge_key = _property(schema, field).get("x-kubernetes-patch-merge-key")
            merged[field] = _ordered(merged[field], merged[field], order, merge_key)
    return merged


def _property(schema: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = schema.get("properties", {}).get(name)
    if found is None:
        found = schema.get("additionalProperties")
    return found if isinstance(found, Mapping) else {}


def _merge_value(live: Any, value: Any, schema: Mapping[str, Any], order: Any, name: str) -> Any:
    if isinstance(value, dict):
        return strategic_merge(live if isinstance(live, dict) else {}, value, schema)
    if isinstance(value, list) and "merge" in schema.get("x-kubernetes-patch-strategy", "").split(","):
        key = schema.get("x-kubernetes-patch-merge-key")
        present = live if isinstance(live, list) else []
        items = schema.get("items", {})
        return _merge_lists(present, value, key, items, order, name) if key else _merge_sets(present, value, order)
    if isinstance(value, list):
        return [item for item in value if not (isinstance(item, dict) and item.get("$patch") == "replace")]
    return value


def _merge_sets(live: list[Any], patch: list[Any], order: Any) -> list[Any]:
    merged = live + [item for item in patch if item not in live]
    return _ordered(merged, live, order if isinstance(order, list) else patch, None)


def _merge_lists(
    live: list[Any], patch: list[Any], key: str, schema: Mapping[str, Any], order: Any, name: str
) -> list[Any]:
    for item in patch:
        if not isinstance(item, dict):
            raise bad_request(f"the items of {name} in a strategic merge patch must be objects")
    if any(item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if item.get("$patch") != "replace"]
    merged = list(live)
    for item in patch:
        if key not in item:
            raise _failed(f"map: {_as_go(item)} does not contain declared merge key: {key}")
        position = next(
            (i for i, old in enumerate(merged) if isinstance(old, dict) and old.get(key) == item[key]), None
        )
        if item.get("$patch") == "delete":
            if position is not None:
                del merged[position]
        elif position is None:
            merged.append(strategic_merge({}, item, schema))
        else:
            merged[position] = strategic_merge(merged[position], item, schema)
    return _ordered(merged, live, order if isinstance(order, list) else patch, key)


def _ordered(items: list[Any], live: list[Any], order: list[Any], key: str | None) -> list[Any]:
    """Bring the items that `order` names into its order; each other one stays before those that it was before in `live`."""

    def name_of(item: Any) -> Any:
        return item.get(key) if key and isinstance(item, dict) else item

    wanted = [name_of(entry) for entry in order]
    before = [name_of(item) for item in live]
    named = sorted((item for item in items if name_of(item) in wanted), key=lambda item: wanted.index(name_of(item)))
    others = [item for item in items if name_of(item) not in wanted]
    merged: list[Any] = []
    while named and others:
        first, second = name_of(others[0]), name_of(named[0])
        stays = second in before and before.index(first) < before.index(second)
        merged.append(others.pop(0) if stays else named.pop(0))
    return merged + named + others


def _failed(message: str) -> StatusError:
    """What a real server answers to a patch that it cannot merge: without a reason."""
    return StatusError(500, "", message)


def _as_go(item: Json) -> str:
    return "map[" + " ".join(f"{name}:{item[name]}" for name in sorted(item)) + "]"
