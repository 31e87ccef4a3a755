"""What the server itself keeps in an object's metadata: identity, generation, immutability, deletion marks.

All functions are pure: they change only the object that they are given for that purpose.
"""

from __future__ import annotations

import random
import re
import uuid
from typing import Any, Final

from controller_runtime.api.time import format_time
from controller_runtime.envtest.equality import identical
from controller_runtime.envtest.kinds import Kind
from controller_runtime.envtest.status import Cause, bad_request
from controller_runtime.envtest.storage import Json

__all__ = [
    "check_shape",
    "complete_name",
    "give_identity",
    "keep_server_fields",
    "next_generation",
    "validate_metadata",
    "validate_metadata_update",
    "waits_for_content",
]

_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_DNS_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_DNS_1035: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_QUALIFIED: Final = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_LABEL_VALUE: Final = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_PATH_SEGMENT: Final = re.compile(r"[^/%]+")
_GENERATED: Final = "bcdfghjklmnpqrstvwxz2456789"
_MAX_ANNOTATIONS: Final = 256 * 1024

_SUBDOMAIN_RULE: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_RULE: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_1035_RULE: Final = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)


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


def complete_name(metadata: Json, rng: random.Random) -> None:
    """Make a name from `generateName` if there is none: five random characters, 63 in all."""
    if not metadata.get("name") and metadata.get("generateName"):
        base = metadata["generateName"][:58]
        metadata["name"] = base + "".join(rng.choice(_GENERATED) for _ in range(5))


def give_identity(kind: Kind, obj: Json, rng: random.Random, now: float) -> None:
    """Give a new object what only the server may give: uid, creation time, first generation."""
    metadata = obj["metadata"]
    for name in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation"):
        metadata.pop(name, None)
    metadata["uid"] = str(uuid.UUID(int=rng.getrandbits(128), version=4))
    metadata["creationTimestamp"] = format_time(now)
    if kind.generation:
        metadata["generation"] = 1


def keep_server_fields(metadata: Json, old: Json) -> None:
    """Put back what an update may leave out or must not touch without being told off."""
    for name in ("uid", "creationTimestamp"):
        if not metadata.get(name):
            metadata[name] = old[name]
    for name in ("generation", "deletionTimestamp", "deletionGracePeriodSeconds"):
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


def validate_metadata(kind: Kind, metadata: Json) -> list[Cause]:
    """Check the metadata of an object that is to be stored."""
    causes: list[Cause] = []
    name = metadata.get("name", "")
    if not name:
        causes.append(Cause("metadata.name", "Required value: name or generateName is required", "FieldValueRequired"))
    else:
        problem = _name_problem(kind, name)
        if problem:
            causes.append(Cause("metadata.name", f'Invalid value: "{name}": {problem}'))
    for key, value in metadata.get("labels", {}).items():
        causes += _label_problems("metadata.labels", key)
        if len(value) > 63:
            causes.append(Cause("metadata.labels", f'Invalid value: "{value}": must be no more than 63 bytes'))
        elif not _LABEL_VALUE.fullmatch(value):
            rule = (
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
                "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used "
                "for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
            )
            causes.append(Cause("metadata.labels", f'Invalid value: "{value}": {rule}'))
    annotations = metadata.get("annotations", {})
    for key in annotations:
        causes += _label_problems("metadata.annotations", key.lower())
    if sum(len(key) + len(value) for key, value in annotations.items()) > _MAX_ANNOTATIONS:
        causes.append(
            Cause(
                "metadata.annotations", f"Too long: may not be more than {_MAX_ANNOTATIONS} bytes", "FieldValueTooLong"
            )
        )
    causes += _owner_problems(metadata.get("ownerReferences", []))
    for finalizer in metadata.get("finalizers", []):
        if not isinstance(finalizer, str) or not _qualified(finalizer):
            causes.append(Cause("metadata.finalizers", f'Invalid value: "{finalizer}": {_QUALIFIED_RULE}'))
    return causes


def _name_problem(kind: Kind, name: str) -> str:
    resource = kind.resource
    if resource.group == "rbac.authorization.k8s.io":
        return "" if _PATH_SEGMENT.fullmatch(name) and name not in (".", "..") else "may not contain '/' or '%'"
    if (resource.group, resource.plural) == ("", "services"):
        return "" if len(name) <= 63 and _DNS_1035.fullmatch(name) else _1035_RULE
    if (resource.group, resource.plural) == ("", "namespaces"):
        return "" if len(name) <= 63 and _DNS_LABEL.fullmatch(name) else _LABEL_RULE
    if len(name) > 253:
        return "must be no more than 253 bytes"
    return "" if _SUBDOMAIN.fullmatch(name) else _SUBDOMAIN_RULE


_QUALIFIED_RULE: Final = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


def _qualified(text: str) -> bool:
    prefix, slash, name = text.rpartition("/")
    if slash and (len(prefix) > 253 or not _SUBDOMAIN.fullmatch(prefix)):
        return False
    return len(name) <= 63 and _QUALIFIED.fullmatch(name) is not None


def _label_problems(field: str, key: str) -> list[Cause]:
    return [] if _qualified(key) else [Cause(field, f'Invalid value: "{key}": {_QUALIFIED_RULE}')]


def _owner_problems(owners: list[Any]) -> list[Cause]:
    causes: list[Cause] = []
    controllers: list[str] = []
    for index, owner in enumerate(owners):
        path = f"metadata.ownerReferences[{index}]"
        if not isinstance(owner, dict):
            causes.append(Cause(path, "Invalid value: must be an object"))
            continue
        causes += [
            Cause(f"{path}.{field}", f"Invalid value: {field} must not be empty")
            for field in ("apiVersion", "kind", "name", "uid")
            if not owner.get(field)
        ]
        if owner.get("controller"):
            controllers.append(str(owner.get("name")))
    if len(controllers) > 1:
        message = (
            f"Invalid value: Only one reference can have Controller set to true. Found "
            f'"true" in references for {controllers[0]} and {controllers[1]}'
        )
        causes.append(Cause("metadata.ownerReferences", message))
    return causes


def validate_metadata_update(metadata: Json, old: Json) -> list[Cause]:
    """Check that an update leaves alone what never changes."""
    causes: list[Cause] = []
    for name in ("name", "namespace", "uid", "creationTimestamp"):
        if metadata.get(name, "") != old.get(name, ""):
            value = metadata.get(name, "")
            causes.append(Cause(f"metadata.{name}", f'Invalid value: "{value}": field is immutable'))
    if "deletionTimestamp" in old:
        known = set(old.get("finalizers", []))
        added = [finalizer for finalizer in metadata.get("finalizers", []) if finalizer not in known]
        if added:
            listed = ", ".join(f'"{finalizer}"' for finalizer in added)
            message = (
                "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers "
                f"[]string{{{listed}}}"
            )
            causes.append(Cause("metadata.finalizers", message, "FieldValueForbidden"))
    return causes


def waits_for_content(kind: Kind, obj: Json) -> bool:
    """Whether a namespace still holds its own finalizer, which goes when its content is gone."""
    return kind.storage == ("", "namespaces") and bool(obj.get("spec", {}).get("finalizers"))
