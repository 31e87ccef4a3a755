"""The base of every typed Kubernetes object, and how one becomes JSON and back.

Guarantees:

- A field that is `None` (or an empty collection of `ObjectMeta`) is left out on the wire; everything else is sent.
- Reading is lenient: unknown fields are ignored, null means absent, no constraint of the schema is checked. The server
  validates.
- `decode` can remember the bytes an object came from (`source_of`), so that an update sends only what the caller changed
  and never erases a field the type does not know.

Objects are plain mutable values without any locking; whoever decodes one owns it.
"""

from __future__ import annotations

import functools
from typing import Annotated, Any, ClassVar, TypeVar

import msgspec
from msgspec import field

from controller_runtime.api.resource import ObjectKey, Resource
from controller_runtime.api.schema import Schema

__all__ = [
    "Condition",
    "Model",
    "Object",
    "ObjectMeta",
    "OwnerReference",
    "decode",
    "encode",
    "source_of",
    "to_builtins",
]

_CONDITION_TYPE = (
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"
)
_CONDITION_REASON = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"


class Model(msgspec.Struct, omit_defaults=True, rename="camel"):
    """Base of the nested parts of an object (a spec, a status, an item of a list).

    Names are written in `snake_case` and sent in `camelCase`; where that rule is not enough (`podIP`), give the name
    with `msgspec.field(name=...)`. Optional fields should default to `None`.

    A field that must be on the wire even when it is zero (`status.replicas`) has the default `field(default_factory=int)`
    (`str`, `bool`): unlike `= 0` it is never left out, and an object that lacks the field can still be read.

    A class may carry the `__schema__` of all its values: CEL rules, map type and the like. A subclass inherits it.
    """

    __schema__: ClassVar[Schema] = Schema()


class OwnerReference(Model, kw_only=True):
    """Says who owns an object: the garbage collector deletes the object when its last owner is gone."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(Model, kw_only=True):
    """Standard object metadata. Timestamps are RFC 3339 strings, as on the wire. `managedFields` is never kept."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    owner_references: list[OwnerReference] = field(default_factory=list)
    finalizers: list[str] = field(default_factory=list)


class Condition(Model, kw_only=True):
    """`metav1.Condition`: one observation of an object's state."""

    type: Annotated[str, Schema(max_length=316, pattern=_CONDITION_TYPE)]
    """What is observed, in CamelCase, e.g. `Ready`."""
    status: Annotated[str, Schema(enum=("True", "False", "Unknown"))]
    """`True`, `False` or `Unknown`."""
    reason: Annotated[str, Schema(required=True, min_length=1, max_length=1024, pattern=_CONDITION_REASON)] = field(
        default_factory=str
    )
    """Why the condition has this status, as one CamelCase word for programs."""
    message: Annotated[str, Schema(required=True, max_length=32768)] = field(default_factory=str)
    """The same for people."""
    last_transition_time: Annotated[str, Schema(required=True, format="date-time")] = field(default_factory=str)
    """When the status changed last."""
    observed_generation: Annotated[int | None, Schema(minimum=0, format="int64")] = None
    """The `metadata.generation` of the object that this condition is about."""


class Object(Model, kw_only=True, dict=True):
    """Base of a typed kind. A subclass names its `resource` and adds `spec`, `status` or whatever the kind has.

    Example:
        class Widget(Object):
            resource = Resource(group="example.com", version="v1", kind="Widget", plural="widgets")
            spec: WidgetSpec
            status: WidgetStatus | None = None
    """

    resource: ClassVar[Resource]

    api_version: str = ""
    kind: str = ""
    metadata: ObjectMeta = field(default_factory=ObjectMeta)

    def __post_init__(self) -> None:
        if not self.kind:
            self.api_version = self.resource.api_version
            self.kind = self.resource.kind

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(self.metadata.namespace, self.metadata.name)


T = TypeVar("T", bound=Object)
_SOURCE = "_source"


@functools.cache
def _decoder(kind: type[Any]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def decode(kind: type[T], raw: bytes, *, remember: bool = False) -> T:
    """Decode one object's JSON into `kind`.

    Args:
        remember: keep a reference to `raw` with the object, for `source_of`.

    Raises:
        msgspec.ValidationError: the JSON's types do not fit `kind`.
        msgspec.DecodeError: `raw` is not JSON.
    """
    obj: T
    try:
        obj = _decoder(kind).decode(raw)
    except msgspec.ValidationError:
        # Go servers write null for an empty list that is always written: rare enough to be worth a second walk only then.
        whole = msgspec.json.decode(raw)
        sparse = _without_nulls(whole)
        if sparse == whole:
            raise
        obj = msgspec.convert(sparse, kind)
    if remember:
        obj.__dict__[_SOURCE] = raw
    return obj


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(item) for name, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def encode(obj: Any) -> bytes:
    """Encode a typed object (or any part of one, or plain builtins) as compact JSON."""
    return msgspec.json.encode(obj)


def to_builtins(obj: Any) -> Any:
    """Return the object as plain dicts and lists, exactly as it would be sent."""
    return msgspec.to_builtins(obj)


def source_of(obj: Object) -> bytes | None:
    """Return the JSON that `obj` was read from, or None if it was not read from a server or a cache."""
    source = obj.__dict__.get(_SOURCE)
    return source if isinstance(source, bytes) else None
