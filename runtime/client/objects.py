"""From objects to request bodies and back, for typed and untyped kinds alike: pure functions.

An untyped object is a plain dict. Nothing here changes what it is given.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar, overload

import msgspec

from controller_runtime.api.meta import Object, decode, to_builtins
from controller_runtime.api.resource import ObjectKey, Resource
from controller_runtime.client.errors import DecodeError, NotFound

__all__ = ["apply_body", "as_object", "key_of", "missing", "resource_of"]

T = TypeVar("T", bound=Object)
Untyped = dict[str, Any]

_SERVER_OWNED: Final = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "selfLink",
)


def resource_of(kind: type[Object] | Resource) -> Resource:
    return kind if isinstance(kind, Resource) else kind.resource


def key_of(obj: Object | Untyped) -> ObjectKey:
    if isinstance(obj, Object):
        return obj.key
    metadata = obj.get("metadata") or {}
    return ObjectKey(metadata.get("namespace") or "", metadata.get("name") or "")


def missing(resource: Resource, key: ObjectKey) -> NotFound:
    """The error for an object that does not exist, in the server's words."""
    name = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
    details = {"name": key.name, "group": resource.group, "kind": resource.plural}
    return NotFound(f'{name} "{key.name}" not found', code=404, reason="NotFound", details=details)


@overload
def as_object(kind: type[T], raw: bytes) -> T: ...
@overload
def as_object(kind: Resource, raw: bytes) -> Untyped: ...
def as_object(kind: type[T] | Resource, raw: bytes) -> T | Untyped:
    """Decode one object into a private value that remembers its source.

    The items of a list lack their apiVersion and kind: they are put back.

    Raises:
        DecodeError: the JSON does not fit `kind`.
    """
    try:
        if not isinstance(kind, Resource):
            return decode(kind, raw, remember=True)
        obj: Untyped = msgspec.json.decode(raw, type=dict)
    except msgspec.MsgspecError as error:
        resource = resource_of(kind)
        msg = f"an object of {resource} cannot be read as {getattr(kind, '__name__', 'JSON')}: {error}"
        raise DecodeError(msg) from error
    obj.setdefault("apiVersion", kind.api_version)
    obj.setdefault("kind", kind.kind)
    return obj


def apply_body(obj: Object | Untyped, subresource: str = "") -> Untyped:
    """Return what a server-side apply of `obj` sends.

    What only the server sets is left out, and the status, which belongs to its subresource; an apply to `status` sends
    nothing but the status. `uid` and `resourceVersion` stay: whoever gives them means them as preconditions.
    """
    whole: Untyped = to_builtins(obj)
    metadata = {name: value for name, value in (whole.get("metadata") or {}).items() if name not in _SERVER_OWNED}
    body = {**whole, "metadata": metadata}
    if subresource == "status":
        kept = ("name", "namespace", "uid", "resourceVersion")
        metadata = {name: value for name, value in metadata.items() if name in kept}
        return {
            "apiVersion": whole.get("apiVersion"),
            "kind": whole.get("kind"),
            "metadata": metadata,
            "status": whole.get("status") or {},
        }
    if not subresource:
        body.pop("status", None)
    return body
