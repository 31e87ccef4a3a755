"""Which part of an object a request may write: everything but the status, or the status alone.

Pure functions. What they take over from a stored object is copied, because stored objects never change.
"""

from __future__ import annotations

import orjson

from controller_runtime.envtest.kinds import Kind
from controller_runtime.envtest.storage import Json

__all__ = ["configured_part", "copied", "keep_status", "only_status"]


def copied(value: Json) -> Json:
    """A private copy of plain JSON."""
    copy: Json = orjson.loads(orjson.dumps(value))
    return copy


def keep_status(kind: Kind, obj: Json, old: Json) -> None:
    """Through the main resource the status stays as it is (if it has a subresource of its own)."""
    if kind.has_status:
        obj.pop("status", None)
        if "status" in old:
            obj["status"] = copied(old["status"])


def only_status(obj: Json, old: Json) -> Json:
    """Through the status subresource everything else stays as it is: return `old` with the status of `obj`."""
    kept = {name: value for name, value in old.items() if name != "status"}
    kept["metadata"] = {name: value for name, value in old["metadata"].items() if name != "managedFields"}
    kept = copied(kept)
    if "status" in obj:
        kept["status"] = obj["status"]
    return kept


def configured_part(kind: Kind, config: Json, subresource: str) -> Json:
    """The part of an applied configuration that counts."""
    if subresource == "status":
        return {name: value for name, value in config.items() if name in ("apiVersion", "kind", "status")}
    if kind.has_status:
        return {name: value for name, value in config.items() if name != "status"}
    return config
