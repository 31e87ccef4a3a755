"""What the server itself keeps in an object's metadata: identity, generation, immutability, deletion marks.

All functions are pure: they change only the object that they are given for that purpose.
"""

from __future__ import annotations

import random
import uuid
from typing import Any, Final

from controller_runtime.api.time import format_time
from controller_runtime.envtest.equality import identical
from controller_runtime.envtest.kinds import Kind
from controller_runtime.envtest.status import bad_request
from controller_runtime.envtest.storage import Json

__all__ = [
    "check_shape",
    "complete_name",
    "drop_unknown_fields",
    "give_identity",
    "keep_server_fields",
    "next_generation",
    "waits_for_content",
]

_GENERATED: Final = "bcdfghjklmnpqrstvwxz2456789"


def check_shape(kind: Kind, obj: Any) -> Json:
    """Check that a body is an object of `kind` with metadata that is a map; an absent apiVersion or kind is filled in.

    Raises:
        StatusError: it is something else.
    """
    resource = kind.resource
    if not isinstance(obj, dict):
        raise bad_request(f"the body must be a JSON object of kind {resource.kind}")
    api_version, name = obj.setdefault("apiVersion", resource.api_version), obj.setdefault("kind", resource.kind)
    if api_version != resource.api_version:
        raise bad_request(
            f"the API version in the data ({api_version}) does not match the expected API version "
            f"({resource.api_version})"
        )
    if name != resource.kind:
        raise bad_request(f"the kind in the data ({name}) does not match the expected kind ({resource.kind})")
    metadata = obj.setdefault("metadata", {})
    if metadata is None:
        metadata = obj["metadata"] = {}
    if not isinstance(metadata, dict):
        raise bad_request("metadata must be a JSON object")
    for field, expected in _METADATA_TYPES.items():
        value = metadata.get(field)
        if value is None:
            metadata.pop(field, None)
        elif not isinstance(value, expected):
            raise bad_request(f"metadata.{field} has the wrong type: {type(value).__name__}")
    for field in ("labels", "annotations"):
        for key, value in metadata.get(field, {}).items():
            if not isinstance(value, str):
                raise bad_request(f"metadata.{field}.{key}: cannot unmarshal {_json_type(value)} into a string")
    return obj


_FIELDS: Final = frozenset(
    (
        *("name", "generateName", "namespace", "selfLink", "uid", "resourceVersion", "generation", "creationTimestamp"),
        *("deletionTimestamp", "deletionGracePeriodSeconds", "labels", "annotations", "ownerReferences", "finalizers"),
        "managedFields",
    )
)
_OWNER_FIELDS: Final = frozenset(("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"))
_MANAGER_FIELDS: Final = frozenset(
    ("manager", "operation", "apiVersion", "time", "fieldsType", "fieldsV1", "subresource")
)
_METADATA_TYPES: Final[dict[str, type]] = {
    "name": str,
    "generateName": str,
    "namespace": str,
    "uid": str,
    "resourceVersion": str,
    "labels": dict,
    "annotations": dict,
    "ownerReferences": list,
    "finalizers": list,
    "managedFields": list,
}


def _json_type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    return {int: "number", float: "number", list: "array", dict: "object"}.get(type(value), "value")


def drop_unknown_fields(metadata: Json) -> list[str]:
    """Drop the fields that no object's metadata has, and return their paths."""
    unknown = [f"metadata.{name}" for name in metadata if name not in _FIELDS]
    for owners, known in (("ownerReferences", _OWNER_FIELDS), ("managedFields", _MANAGER_FIELDS)):
        for index, entry in enumerate(metadata.get(owners, ())):
            if isinstance(entry, dict):
                names = [name for name in entry if name not in known]
                unknown += [f"metadata.{owners}[{index}].{name}" for name in names]
                for name in names:
                    del entry[name]
    for path in unknown:
        metadata.pop(path.removeprefix("metadata."), None)
    return unknown


def complete_name(metadata: Json, rng: random.Random) -> None:
    """Make a name from `generateName` if there is none: five random characters, 63 in all."""
    if not metadata.get("name") and metadata.get("generateName"):
        base = metadata["generateName"][:58]
        metadata["name"] = base + "".join(rng.choice(_GENERATED) for _ in range(5))


def give_identity(kind: Kind, obj: Json, rng: random.Random, now: float) -> None:
    """Give a new object what only the server may give: uid, creation time, first generation."""
    metadata = obj["metadata"]
    for name in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"):
        metadata.pop(name, None)
    metadata["uid"] = str(uuid.UUID(int=rng.getrandbits(128), version=4))
    metadata["creationTimestamp"] = format_time(now)
    if kind.generation:
        metadata["generation"] = 1


def keep_server_fields(metadata: Json, old: Json) -> None:
    """Put back what an update may leave out or must not touch without being told off."""
    if not metadata.get("uid"):
        metadata["uid"] = old["uid"]
    for name in ("creationTimestamp", "generation"):
        metadata.pop(name, None)
        if name in old:
            metadata[name] = old[name]
    for name in ("deletionTimestamp", "deletionGracePeriodSeconds"):
        if metadata.get(name) is None:
            metadata.pop(name, None)
            if name in old:
                metadata[name] = old[name]
    metadata.pop("selfLink", None)


def next_generation(kind: Kind, obj: Json, old: Json) -> None:
    """Let the generation rise if anything changed that is wanted, rather than metadata or status."""
    if not kind.generation:
        return
    if not all(identical(obj.get(name), old.get(name)) for name in (obj.keys() | old.keys()) - _observed_parts(kind)):
        obj["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1


def _observed_parts(kind: Kind) -> set[str]:
    return {"metadata", "status"} if kind.has_status else {"metadata"}


def waits_for_content(kind: Kind, obj: Json) -> bool:
    """Whether a namespace still holds its own finalizer, which goes when its content is gone."""
    return kind.storage == ("", "namespaces") and bool(obj.get("spec", {}).get("finalizers"))
