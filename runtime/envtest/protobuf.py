"""Reading the protobuf bodies that kubectl sends: `kubectl create ...`, `drain`, `auth can-i`.

The typed clients inside kubectl write protobuf and read JSON. The wire format is decoded generically; the tables say which
field of which message is what (the numbers of the published `generated.proto` files). Only the kinds in `_KINDS` are
known: any other is answered with 415 and the kind's name.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any, Final

from controller_runtime.envtest.status import StatusError, bad_request
from controller_runtime.envtest.storage import Json

__all__ = ["MEDIA", "read_protobuf"]

MEDIA: Final = "application/vnd.kubernetes.protobuf"
_MAGIC: Final = b"k8s\x00"

# A field is "name" and how it is read. A trailing [] marks a repeated one; map<...> has string keys.
_Message = Mapping[int, tuple[str, str]]

_MESSAGES: Final[dict[str, _Message]] = {
    "TypeMeta": {1: ("apiVersion", "string"), 2: ("kind", "string")},
    "Unknown": {1: ("typeMeta", "TypeMeta"), 2: ("raw", "raw")},
    "OwnerReference": {
        1: ("kind", "string"),
        3: ("name", "string"),
        4: ("uid", "string"),
        5: ("apiVersion", "string"),
        6: ("controller", "bool"),
        7: ("blockOwnerDeletion", "bool"),
    },
    "ObjectMeta": {
        1: ("name", "string"),
        2: ("generateName", "string"),
        3: ("namespace", "string"),
        5: ("uid", "string"),
        6: ("resourceVersion", "string"),
        11: ("labels", "map<string>"),
        12: ("annotations", "map<string>"),
        13: ("ownerReferences", "OwnerReference[]"),
        14: ("finalizers", "string[]"),
    },
    "NamespaceSpec": {1: ("finalizers", "string[]")},
    "Namespace": {1: ("metadata", "ObjectMeta"), 2: ("spec", "NamespaceSpec")},
    "ConfigMap": {
        1: ("metadata", "ObjectMeta"),
        2: ("data", "map<string>"),
        3: ("binaryData", "map<bytes>"),
        4: ("immutable", "bool"),
    },
    "Secret": {
        1: ("metadata", "ObjectMeta"),
        2: ("data", "map<bytes>"),
        3: ("type", "string"),
        4: ("stringData", "map<string>"),
        5: ("immutable", "bool"),
    },
    "ServiceAccount": {1: ("metadata", "ObjectMeta"), 4: ("automountServiceAccountToken", "bool")},
    "PolicyRule": {
        1: ("verbs", "string[]"),
        2: ("apiGroups", "string[]"),
        3: ("resources", "string[]"),
        4: ("resourceNames", "string[]"),
        5: ("nonResourceURLs", "string[]"),
    },
    "Role": {1: ("metadata", "ObjectMeta"), 2: ("rules", "PolicyRule[]")},
    "ClusterRole": {1: ("metadata", "ObjectMeta"), 2: ("rules", "PolicyRule[]")},
    "Subject": {1: ("kind", "string"), 2: ("apiGroup", "string"), 3: ("name", "string"), 4: ("namespace", "string")},
    "RoleRef": {1: ("apiGroup", "string"), 2: ("kind", "string"), 3: ("name", "string")},
    "RoleBinding": {1: ("metadata", "ObjectMeta"), 2: ("subjects", "Subject[]"), 3: ("roleRef", "RoleRef")},
    "ClusterRoleBinding": {1: ("metadata", "ObjectMeta"), 2: ("subjects", "Subject[]"), 3: ("roleRef", "RoleRef")},
    "Preconditions": {1: ("uid", "string"), 2: ("resourceVersion", "string")},
    "DeleteOptions": {
        1: ("gracePeriodSeconds", "int"),
        2: ("preconditions", "Preconditions"),
        3: ("orphanDependents", "bool"),
        4: ("propagationPolicy", "string"),
        5: ("dryRun", "string[]"),
    },
    "Eviction": {1: ("metadata", "ObjectMeta"), 2: ("deleteOptions", "DeleteOptions")},
    "ResourceAttributes": {
        1: ("namespace", "string"),
        2: ("verb", "string"),
        3: ("group", "string"),
        4: ("version", "string"),
        5: ("resource", "string"),
        6: ("subresource", "string"),
        7: ("name", "string"),
    },
    "NonResourceAttributes": {1: ("path", "string"), 2: ("verb", "string")},
    "AccessSpec": {
        1: ("resourceAttributes", "ResourceAttributes"),
        2: ("nonResourceAttributes", "NonResourceAttributes"),
    },
    "SelfSubjectAccessReview": {1: ("metadata", "ObjectMeta"), 2: ("spec", "AccessSpec")},
    "SelfSubjectReview": {1: ("metadata", "ObjectMeta")},
}
_KINDS: Final = frozenset(
    ("Namespace", "ConfigMap", "Secret", "ServiceAccount", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding",
     "Eviction", "DeleteOptions", "SelfSubjectAccessReview", "SelfSubjectReview")
)  # fmt: skip


def read_protobuf(body: bytes) -> Json:
    """Decode a body in Kubernetes' protobuf envelope.

    Raises:
        StatusError: 400 for bytes that are no such thing, 415 for a kind without a table.
    """
    if not body.startswith(_MAGIC):
        raise bad_request("the body is not in Kubernetes' protobuf format")
    try:
        envelope = _decode(body[len(_MAGIC) :], "Unknown")
        meta = envelope.get("typeMeta", {})
        kind = meta.get("kind", "")
        if kind not in _KINDS:
            message = f"the embedded API server cannot read a {kind} in protobuf: send it as application/json"
            raise StatusError(415, "UnsupportedMediaType", message)
        return {**meta, **_decode(envelope.get("raw", b""), kind)}
    except (IndexError, UnicodeDecodeError, ValueError) as error:
        raise bad_request(f"the body is not in Kubernetes' protobuf format: {error}") from error


def _decode(data: bytes, message: str) -> Json:
    fields = _MESSAGES[message]
    result: Json = {}
    for number, value in _fields(data):
        if number not in fields:
            continue
        name, kind = fields[number]
        if kind.endswith("[]"):
            result.setdefault(name, []).append(_value(value, kind[:-2]))
        elif kind.startswith("map<"):
            key, item = _entry(value, kind[4:-1])
            result.setdefault(name, {})[key] = item
        else:
            decoded = _value(value, kind)
            if decoded not in ("", {}):
                result[name] = decoded
    return result


def _entry(value: Any, kind: str) -> tuple[str, Any]:
    parts = dict(_fields(_bytes(value)))
    return _value(parts.get(1, b""), "string"), _value(parts.get(2, b""), kind)


def _value(value: Any, kind: str) -> Any:
    if kind in ("int", "bool"):
        if not isinstance(value, int):
            msg = "a number was expected"
            raise ValueError(msg)
        return bool(value) if kind == "bool" else value - (1 << 64) if value >> 63 else value
    data = _bytes(value)
    if kind == "string":
        return data.decode()
    if kind == "bytes":
        return base64.b64encode(data).decode()
    return data if kind == "raw" else _decode(data, kind)


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        msg = "text or a message was expected"
        raise ValueError(msg)
    return value


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield number and value of each field: an int for a varint, else bytes."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, position = _varint(data, position)
            yield number, value
            continue
        if wire == 2:
            length, position = _varint(data, position)
        else:
            length = {1: 8, 5: 4}.get(wire, -1)
        if length < 0 or position + length > len(data):
            msg = "it is cut off or damaged"
            raise ValueError(msg)
        yield number, data[position : position + length]
        position += length


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            msg = "a number is too long"
            raise ValueError(msg)
