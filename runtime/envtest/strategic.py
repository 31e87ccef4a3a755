"""Strategic merge patches, the dialect that `kubectl apply`, `edit` and `label` speak to built-in kinds.

A JSON merge patch in which lists with a merge key are merged item by item. Directives: `$patch: replace|delete|merge`,
`$retainKeys`, `$deleteFromPrimitiveList/<field>` and `$setElementOrder/<field>` (Kubernetes community documents,
"Strategic Merge Patch"). The merge keys come from the schema (`x-kubernetes-patch-strategy`, `-patch-merge-key`).
Pure functions: neither the object nor the patch is changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from controller_runtime.envtest.status import bad_request
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
        if name.startswith(_ORDER) and field not in patch and isinstance(merged.get(field), list):
            merged[field] = _ordered(merged[field], order, _property(schema, field).get("x-kubernetes-patch-merge-key"))
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
    return _ordered(merged, order, None)


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
        if item.get("$patch") != "delete" and key not in item:
            raise bad_request(f"map: {item} does not contain declared merge key: {key}")
        position = next(
            (i for i, old in enumerate(merged) if isinstance(old, dict) and old.get(key) == item.get(key)), None
        )
        if item.get("$patch") == "delete":
            if position is not None:
                del merged[position]
        elif position is None:
            merged.append(strategic_merge({}, item, schema))
        else:
            merged[position] = strategic_merge(merged[position], item, schema)
    return _ordered(merged, order, key)


def _ordered(items: list[Any], order: Any, key: str | None) -> list[Any]:
    """Sort by a `$setElementOrder` list; items it does not name stay behind the one that they followed."""
    if not isinstance(order, list):
        return items
    wanted = [entry.get(key) if key and isinstance(entry, dict) else entry for entry in order]
    groups: list[tuple[int, list[Any]]] = [(-1, [])]
    for item in items:
        name = item.get(key) if key and isinstance(item, dict) else item
        if name in wanted:
            groups.append((wanted.index(name), [item]))
        else:
            groups[-1][1].append(item)
    return [item for _, group in sorted(groups, key=lambda group: group[0]) for item in group]
