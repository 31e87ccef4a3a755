"""What the server itself keeps in an object's metadata: identity, generation, immutability, deletion marks.

All functions are pure: they change only the object that they are given for that purpose.
"""

from __future__ import annotations

import random
import uuid
from typing import Final

from controller_runtime.api.time import format_time
from controller_runtime.envtest.equality import identical
from controller_runtime.envtest.kinds import Kind
from controller_runtime.envtest.storage import Json

__all__ = [
    "complete_name",
    "drop_unknown_fields",
    "give_identity",
    "keep_server_fields",
    "next_generation",
    "waits_for_content",
]

_GENERATED: Final = "bcdfghjklmnpqrstvwxz2456789"


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
