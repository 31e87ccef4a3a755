"""The schemas of built-in kinds, read from their typed classes, with the merge rules that the types do not carry.

The classes of `controller_runtime.api.k8s` say which fields exist and of which type they are; two tables below say which
lists are maps or sets for server-side apply, which structures are atomic, and by which key `kubectl`'s strategic merge
patch tells items apart (Kubernetes API reference). The schema of each type has the type's name as its title, as
OpenAPI documents call it. Schemas are built on first use and shared; they may not be changed.
"""

from __future__ import annotations

import functools
import types
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import msgspec

from controller_runtime.api import k8s
from controller_runtime.api.meta import Object, ObjectMeta, OwnerReference
from controller_runtime.envtest.storage import Json

__all__ = ["QUANTITIES", "builtin_schema", "metadata_schema"]

QUANTITIES: Final = frozenset(
    ("limits", "requests", "capacity", "allocatable", "allocatedResources", "overhead", "hard")
)
"""The fields whose values are quantities by name."""

# Lists that are maps for server-side apply: (class, field) -> keys.
_KEYED: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("PodSpec", "containers"): ("name",),
    ("PodSpec", "initContainers"): ("name",),
    ("PodSpec", "ephemeralContainers"): ("name",),
    ("PodSpec", "volumes"): ("name",),
    ("PodSpec", "imagePullSecrets"): ("name",),
    ("PodSpec", "hostAliases"): ("ip",),
    ("PodSpec", "topologySpreadConstraints"): ("topologyKey", "whenUnsatisfiable"),
    ("PodSpec", "resourceClaims"): ("name",),
    ("PodSpec", "schedulingGates"): ("name",),
    ("Container", "ports"): ("containerPort", "protocol"),
    ("Container", "env"): ("name",),
    ("Container", "volumeMounts"): ("mountPath",),
    ("Container", "volumeDevices"): ("devicePath",),
    ("EphemeralContainer", "ports"): ("containerPort", "protocol"),
    ("EphemeralContainer", "env"): ("name",),
    ("EphemeralContainer", "volumeMounts"): ("mountPath",),
    ("EphemeralContainer", "volumeDevices"): ("devicePath",),
    ("ResourceRequirements", "claims"): ("name",),
    ("PodStatus", "conditions"): ("type",),
    ("PodStatus", "podIPs"): ("ip",),
    ("PodStatus", "resourceClaimStatuses"): ("name",),
    ("ContainerStatus", "volumeMounts"): ("mountPath",),
    ("ServiceSpec", "ports"): ("port", "protocol"),
    ("ServiceStatus", "conditions"): ("type",),
    ("ServiceAccount", "secrets"): ("name",),
    ("NodeStatus", "conditions"): ("type",),
    ("NodeStatus", "addresses"): ("type",),
    ("NamespaceStatus", "conditions"): ("type",),
    ("PersistentVolumeClaimStatus", "conditions"): ("type",),
    ("PodDisruptionBudgetStatus", "conditions"): ("type",),
    ("CustomResourceDefinitionStatus", "conditions"): ("type",),
    ("ObjectMeta", "ownerReferences"): ("uid",),
}
_SETS: Final = {("ObjectMeta", "finalizers"), ("NodeSpec", "podCIDRs")}
_ATOMIC: Final = {
    "ConfigMapKeySelector", "EndpointAddress", "LabelSelector", "LocalObjectReference", "NodeSelector",
    "NodeSelectorTerm", "ObjectFieldSelector", "ObjectReference", "ResourceFieldSelector", "ScopedResourceSelectorRequirement",
    "OwnerReference", "SecretKeySelector",
    "SecretReference", "TypedLocalObjectReference", "FileKeySelector", "TopologySelectorTerm",
}  # fmt: skip
_ATOMIC_FIELDS: Final = {("ServiceSpec", "selector"), ("PodSpec", "nodeSelector")}

# Lists that strategic merge patches merge: (class, field) -> merge key, or "" for a list of scalars.
_PATCHED: Final[dict[tuple[str, str], str]] = {
    ("PodSpec", "containers"): "name",
    ("PodSpec", "initContainers"): "name",
    ("PodSpec", "ephemeralContainers"): "name",
    ("PodSpec", "volumes"): "name",
    ("PodSpec", "imagePullSecrets"): "name",
    ("PodSpec", "hostAliases"): "ip",
    ("PodSpec", "topologySpreadConstraints"): "topologyKey",
    ("PodSpec", "resourceClaims"): "name",
    ("PodSpec", "schedulingGates"): "name",
    ("Container", "ports"): "containerPort",
    ("Container", "env"): "name",
    ("Container", "volumeMounts"): "mountPath",
    ("Container", "volumeDevices"): "devicePath",
    ("EphemeralContainer", "ports"): "containerPort",
    ("EphemeralContainer", "env"): "name",
    ("EphemeralContainer", "volumeMounts"): "mountPath",
    ("EphemeralContainer", "volumeDevices"): "devicePath",
    ("PodStatus", "conditions"): "type",
    ("PodStatus", "podIPs"): "ip",
    ("PodStatus", "hostIPs"): "ip",
    ("ServiceSpec", "ports"): "port",
    ("ServiceStatus", "conditions"): "type",
    ("ServiceAccount", "secrets"): "name",
    ("NodeStatus", "conditions"): "type",
    ("NodeStatus", "addresses"): "type",
    ("NodeSpec", "podCIDRs"): "",
    ("NamespaceStatus", "conditions"): "type",
    ("PersistentVolumeClaimStatus", "conditions"): "type",
    ("PodDisruptionBudgetStatus", "conditions"): "type",
    ("ObjectMeta", "ownerReferences"): "uid",
    ("ObjectMeta", "finalizers"): "",
}
# Structures whose other members go when one is set (unions): strategic merge patch keeps only the named keys.
_RETAINED: Final = {("PodSpec", "volumes")}
_DEFAULTS: Final[dict[tuple[str, str], Any]] = {
    ("ContainerPort", "protocol"): "TCP",
    ("ServicePort", "protocol"): "TCP",
}
_SCALARS: Final[dict[Any, Json]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
}
_ANYTHING: Final = {"x-kubernetes-preserve-unknown-fields": True}
_MACHINERY: Final = "io.k8s.apimachinery.pkg"
_QUANTITY: Final = {"type": "string", "title": f"{_MACHINERY}.api.resource.Quantity"}
_INT_OR_STRING: Final = {
    "x-kubernetes-int-or-string": True,
    "title": f"{_MACHINERY}.util.intstr.IntOrString",
}
_MANAGED_FIELDS: Final = {
    "type": "object",
    "title": f"{_MACHINERY}.apis.meta.v1.ManagedFieldsEntry",
    "properties": {
        **{
            name: {"type": "string"}
            for name in ("apiVersion", "fieldsType", "manager", "operation", "subresource", "time")
        },
        "fieldsV1": {"type": "object", "title": f"{_MACHINERY}.apis.meta.v1.FieldsV1", **_ANYTHING},
    },
}


@functools.cache
def builtin_schema(kind: type[Object]) -> Json:
    """The schema of a typed kind, as `openAPIV3Schema` of a CRD would write it."""
    schema = dict(_of_class(kind))
    schema["properties"] = {**schema["properties"], "metadata": metadata_schema()}
    return schema


@functools.cache
def metadata_schema() -> Json:
    """The schema of `metadata`."""
    schema = dict(_of_class(ObjectMeta))
    schema["properties"] = {
        **schema["properties"],
        "managedFields": {"type": "array", "items": _MANAGED_FIELDS},
        "selfLink": {"type": "string"},
    }
    return schema


@functools.cache
def _of_class(model: type[msgspec.Struct]) -> Json:
    hints = get_type_hints(model)
    name = model.__name__
    properties: Json = {}
    required: list[str] = []
    for field in msgspec.structs.fields(model):
        schema = dict(_of_type(hints[field.name]))
        place = (name, field.encode_name)
        if field.encode_name in QUANTITIES and "additionalProperties" in schema:
            schema["additionalProperties"] = _QUANTITY
        if place in _KEYED:
            schema["x-kubernetes-list-type"] = "map"
            schema["x-kubernetes-list-map-keys"] = list(_KEYED[place])
        elif place in _SETS:
            schema["x-kubernetes-list-type"] = "set"
        elif place in _ATOMIC_FIELDS:
            schema["x-kubernetes-map-type"] = "atomic"
        if place in _PATCHED:
            schema["x-kubernetes-patch-strategy"] = "merge,retainKeys" if place in _RETAINED else "merge"
            if _PATCHED[place]:
                schema["x-kubernetes-patch-merge-key"] = _PATCHED[place]
        if place in _DEFAULTS:
            schema["default"] = _DEFAULTS[place]
        properties[field.encode_name] = schema
        if field.required or field.default_factory in _SCALARS:
            required.append(field.encode_name)
    result: Json = {"type": "object", "title": _title(model), "properties": properties}
    if required and (model.__module__.startswith(k8s.__name__) or model is OwnerReference):
        result["required"] = required
    if name in _ATOMIC:
        result["x-kubernetes-map-type"] = "atomic"
    return result


def _title(model: type[msgspec.Struct]) -> str:
    home = model.__module__.rpartition(".")[2]
    return (
        f"{_MACHINERY}.apis.meta.v1.{model.__name__}"
        if home == "meta"
        else f"io.k8s.api.{home.replace('_', '.')}.{model.__name__}"
    )


def _of_type(hint: Any) -> Json:
    if hint in _SCALARS:
        return _SCALARS[hint]
    origin, arguments = get_origin(hint), [item for item in get_args(hint) if item is not type(None)]
    if origin in (Union, types.UnionType):
        if set(arguments) == {int, str}:
            return _INT_OR_STRING
        return _of_type(arguments[0])
    if origin is list:
        return {"type": "array", "items": _of_type(arguments[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _of_type(arguments[1])}
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return _of_class(hint)
    return _ANYTHING
