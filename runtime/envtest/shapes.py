"""Whether the body of a request is an object of its kind at all: what it says it is, and metadata of the right types.

The words are those of a real server, which decodes built-in kinds into Go types and custom resources into maps.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from controller_runtime.api.resource import Resource
from controller_runtime.envtest.kinds import Kind
from controller_runtime.envtest.status import Cause, DecodingError, bad_request, cannot_unmarshal, go_type, invalid
from controller_runtime.envtest.storage import Json

__all__ = ["check_applied_shape", "check_shape"]

_TYPES: Final[dict[str, tuple[type, str]]] = {
    "name": (str, "string"),
    "generateName": (str, "string"),
    "namespace": (str, "string"),
    "uid": (str, "types.UID"),
    "resourceVersion": (str, "string"),
    "labels": (dict, "map[string]string"),
    "annotations": (dict, "map[string]string"),
    "ownerReferences": (list, "[]v1.OwnerReference"),
    "finalizers": (list, "[]string"),
    "managedFields": (list, "[]v1.ManagedFieldsEntry"),
}
_META: Final = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'


def check_shape(kind: Kind, obj: Any) -> Json:
    """Check the object of a create, update or patch. Built-in kinds may leave out what they are.

    Raises:
        StatusError: it is something else.
    """
    resource = kind.resource
    if obj is None and kind.strategic:
        obj = {}
    if not isinstance(obj, dict):
        raise _unrecognized(resource, obj)
    for field in ("kind", "apiVersion"):
        if obj.get(field) is not None and not isinstance(obj[field], str):
            wrong = f"json: cannot unmarshal {go_type(obj[field])} into Go struct field .{field} of type string"
            raise bad_request(
                f"{_must_be(resource)}: couldn't get version/kind; json parse error: {wrong} ({_shown(obj)})"
            )
    if kind.strategic:
        _check_built_in(resource, obj)
    else:
        _check_custom(resource, obj)
    _check_metadata(kind, obj)
    return obj


def check_applied_shape(kind: Kind, config: Any) -> Json:
    """Check the configuration of an apply, which must say what it is.

    Raises:
        StatusError: it is something else.
    """
    resource = kind.resource
    if config is None:
        config = {}
    if not isinstance(config, dict):
        wrong = cannot_unmarshal(config, "map[string]interface {}")
        raise bad_request(f"error decoding YAML: error unmarshaling JSON: while decoding JSON: {wrong}")
    found = config.get("apiVersion") or "", config.get("kind") or ""
    if found != (resource.api_version, resource.kind):
        group_version = found[0] if "/" in found[0] else f"/{found[0]}"
        raise bad_request(f"invalid object type: {group_version}, Kind={found[1]}")
    if config.get("metadata") is None:
        config["metadata"] = {}
    metadata = config["metadata"]
    if not isinstance(metadata, dict):
        wrong = cannot_unmarshal(metadata, "v1.ObjectMeta")
        raise bad_request(f"error decoding YAML: {wrong}")
    for field in _TYPES:
        if metadata.get(field, "") is None:
            del metadata[field]
    return config


def _check_built_in(resource: Resource, obj: Json) -> None:
    kind = obj.setdefault("kind", resource.kind) or resource.kind
    api_version = obj.setdefault("apiVersion", resource.api_version) or resource.api_version
    obj["kind"], obj["apiVersion"] = kind, api_version
    if (kind, api_version) != (resource.kind, resource.api_version):
        version = api_version.rpartition("/")[2]
        raise DecodingError(kind, version, resource.kind, f'no kind "{kind}" is registered for version "{api_version}"')


def _check_custom(resource: Resource, obj: Json) -> None:
    kind, api_version = obj.get("kind") or "", obj.get("apiVersion") or ""
    if not kind:
        raise _unrecognized(resource, obj)
    if api_version != resource.api_version:
        raise bad_request(
            f"the API version in the data ({api_version}) does not match the expected API version ({resource.api_version})"
        )
    if kind != resource.kind:
        said = Resource(resource.group, resource.version, kind, resource.plural, namespaced=resource.namespaced)
        name = obj["metadata"].get("name", "") if isinstance(obj.get("metadata"), dict) else ""
        raise invalid(said, name, [Cause("kind", f'Invalid value: "{kind}": must be {resource.kind}')])


def _check_metadata(kind: Kind, obj: Json) -> None:
    resource = kind.resource
    if obj.get("metadata") is None:
        obj["metadata"] = {}
    metadata = obj["metadata"]
    where = "ObjectMeta.metadata" if kind.strategic else "ObjectMeta"

    def fail(why: str) -> DecodingError:
        return DecodingError(resource.kind, resource.version, resource.kind, f"json: cannot unmarshal {why}")

    if not isinstance(metadata, dict):
        field = f"struct field {resource.kind}.metadata" if kind.strategic else "value"
        raise fail(f"{go_type(metadata)} into Go {field} of type v1.ObjectMeta")
    for field, (expected, named) in _TYPES.items():
        value = metadata.get(field)
        if value is None:
            metadata.pop(field, None)
        elif not isinstance(value, expected):
            raise fail(f"{go_type(value)} into Go struct field {where}.{field} of type {named}")
    for field in ("labels", "annotations"):
        for value in metadata.get(field, {}).values():
            if not isinstance(value, str):
                raise fail(f"{go_type(value)} into Go struct field {where}.{field} of type string")


def _unrecognized(resource: Resource, obj: Any) -> Exception:
    if obj is None or isinstance(obj, dict):
        why = f"Object 'Kind' is missing in '{orjson.dumps(obj).decode()}'"
    else:
        why = f"couldn't get version/kind; json parse error: {cannot_unmarshal(obj, _META)}"
    return bad_request(f"{_must_be(resource)}: {why} ({_shown(obj)})")


def _must_be(resource: Resource) -> str:
    return f"the object provided is unrecognized (must be of type {resource.kind})"


def _shown(obj: Any) -> str:
    """The beginning of a body: as it is if it is an object, in hexadecimal digits otherwise."""
    text = orjson.dumps(obj)
    if not text.startswith(b"{"):
        return text.hex()
    return text.decode() if len(text) <= 30 else f"{text[:30].decode(errors='replace')} ..."
