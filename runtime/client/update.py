"""What an update sends: the difference between what an object was read as and what it is now. Pure functions.

Typed objects may know fewer fields than the server. The difference is taken between two values of the type, so fields that
the type does not know are on neither side and survive; also inside the items of a list (a merge patch replaces lists
whole), where an item is recognised by its key, or is unchanged.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from controller_runtime.api.meta import Object, decode, encode, source_of, to_builtins
from controller_runtime.client.patch import merge_diff

__all__ = ["update_body"]

_ITEM_KEYS: Final = ("name", "type", "key", "uid", "ip", "mountPath", "devicePath", "containerPort", "port")
"""What may identify an item of a list, if it is unique there; as in the merge keys of the built-in kinds."""


def update_body(obj: Object, subresource: str = "") -> bytes | None:
    """Return the merge patch that an update of `obj` sends, or None if nothing changed.

    It carries the resourceVersion that was read, so the server refuses it if the object has changed since. A patch to
    the status holds nothing but the status, one to the object itself everything but the status.

    Raises:
        ValueError: `obj` was not read from a server or a cache.
    """
    raw = source_of(obj)
    if raw is None:
        msg = f"{type(obj).__name__} {obj.key} was not read from a server or a cache: create or apply it instead"
        raise ValueError(msg)
    read = decode(type(obj), raw)
    before, after = _part(to_builtins(read), subresource), _part(to_builtins(obj), subresource)
    patch = merge_diff(before, after)
    if not patch:
        return None
    _keep_unknown(patch, before, after, msgspec.json.decode(raw, type=dict))
    metadata = {**(patch.get("metadata") or {}), "resourceVersion": read.metadata.resource_version}
    return encode({**patch, "metadata": metadata})


def _part(obj: dict[str, Any], subresource: str) -> dict[str, Any]:
    """Return the part of an object that a write to `subresource` is about."""
    if subresource == "status":
        return {"status": obj["status"]} if obj.get("status") is not None else {}
    return obj if subresource else {name: value for name, value in obj.items() if name != "status"}


def _keep_unknown(patch: dict[str, Any], before: dict[str, Any], after: dict[str, Any], source: dict[str, Any]) -> None:
    """Put back into the lists of `patch` what `source` has and the type does not know."""
    for name, value in patch.items():
        if isinstance(value, list) and isinstance(before.get(name), list) and isinstance(source.get(name), list):
            patch[name] = _merged_list(before[name], after[name], source[name])
        elif isinstance(value, dict) and isinstance(before.get(name), dict) and isinstance(source.get(name), dict):
            _keep_unknown(value, before[name], after[name], source[name])


def _merged_list(before: list[Any], after: list[Any], source: list[Any]) -> list[Any]:
    if len(before) != len(source):
        return after
    key = next((key for key in _ITEM_KEYS if _is_key(key, before) and _is_key(key, after)), None)
    known = {item[key]: position for position, item in enumerate(before)} if key else {}
    merged: list[Any] = []
    for item in after:
        position = known.get(item[key]) if key is not None else _position(item, before)
        merged.append(item if position is None else _overlaid(source[position], before[position], item))
    return merged


def _position(item: Any, items: list[Any]) -> int | None:
    return items.index(item) if item in items else None


def _is_key(key: str, items: list[Any]) -> bool:
    values = [item.get(key) for item in items if isinstance(item, dict)]
    return len(values) == len(items) and None not in values and len(set(map(str, values))) == len(values)


def _overlaid(source: Any, before: Any, after: Any) -> Any:
    """Return `source` with the changes from `before` to `after` made."""
    if isinstance(source, dict) and isinstance(before, dict) and isinstance(after, dict):
        result = dict(source)
        for name in before.keys() - after.keys():
            result.pop(name, None)
        for name, value in after.items():
            if name not in before:
                result[name] = value
            elif before[name] != value:
                result[name] = _overlaid(source.get(name), before[name], value)
        return result
    if isinstance(source, list) and isinstance(before, list) and isinstance(after, list):
        return _merged_list(before, after, source)
    return after
