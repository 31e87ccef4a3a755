"""What the cache keeps of an object: its metadata, decoded once and frozen, and its own JSON bytes.

No decoded tree stays in memory: an `Entry` of a typical pod takes 7 kB, and a full garbage collection over tens of
thousands of them takes milliseconds, since nothing in them is tracked by the collector. `managedFields`, nearly half of a
typical object, is dropped. Every read decodes the bytes anew, so what a reader does to its object harms nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar, final, overload

import msgspec

from controller_runtime.api.meta import Object
from controller_runtime.api.resource import ObjectKey, Resource
from controller_runtime.cache.transform import Transform
from controller_runtime.client.errors import DecodeError
from controller_runtime.client.objects import as_object

__all__ = ["Entry", "EntryDecoder", "Meta", "Owner", "TransformError"]

T = TypeVar("T", bound=Object)

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class Owner(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """One owner reference."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False
    block_owner_deletion: bool = False

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]


class Meta(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """An object's metadata, for indexes, predicates, owner mapping and selectors. Do not change what is in the labels.

    Annotations are not among it, since few ask for them and they can be larger than all the rest: see `Entry.annotations`.
    """

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: Mapping[str, str] = _NOTHING
    owner_references: tuple[Owner, ...] = ()
    finalizers: tuple[str, ...] = ()

    @property
    def controller(self) -> Owner | None:
        """The owner that manages this object, if there is one."""
        for owner in self.owner_references:
            if owner.controller:
                return owner
        return None


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One object in the cache.

    Attributes:
        key: its namespace and name.
        meta: its metadata.
        raw: its JSON without managedFields; of an item of a list also without apiVersion and kind.
    """

    key: ObjectKey
    meta: Meta
    raw: bytes

    @property
    def annotations(self) -> Mapping[str, str]:
        """The object's annotations, read from its JSON each time they are asked for."""
        return _ANNOTATED.decode(self.raw).metadata.annotations or _NOTHING

    @overload
    def decode(self, kind: type[T]) -> T: ...
    @overload
    def decode(self, kind: Resource) -> dict[str, Any]: ...
    def decode(self, kind: type[T] | Resource) -> T | dict[str, Any]:
        """Return the object as `kind` (a full type, one that names only some fields, or untyped): the caller's own copy.

        Raises:
            DecodeError: the object does not fit `kind`.
        """
        return as_object(kind, self.raw)


class TransformError(DecodeError):
    """A transform failed, or changed what it must not change.

    Attributes:
        entry: the object as the server sent it.
    """

    def __init__(self, message: str, entry: Entry) -> None:
        super().__init__(message)
        self.entry = entry


class _WithMeta(msgspec.Struct):
    metadata: Meta


_PARTS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENCODER: Final = msgspec.json.Encoder()
_META: Final = msgspec.json.Decoder(Meta)
_WITH_META: Final = msgspec.json.Decoder(_WithMeta)
_METADATA_KIND: Final = b'"PartialObjectMetadata"'


@final
class EntryDecoder:
    """Makes entries from what the server sends.

    Args:
        resource: the kind that is expected; anything else is an error.
        metadata_only: keep nothing but the metadata.
        transform: decides what is kept.
    """

    __slots__ = ("_buffer", "_kinds", "_resource", "_transform", "metadata_only")

    def __init__(self, resource: Resource, *, metadata_only: bool = False, transform: Transform | None = None) -> None:
        self._resource = resource
        self._transform = transform
        self.metadata_only = metadata_only
        self._kinds = (msgspec.json.encode(resource.kind), _METADATA_KIND)
        self._buffer = bytearray()

    def entry(self, raw: bytes | msgspec.Raw) -> Entry:
        """Decode one object; the result shares no memory with `raw`.

        Raises:
            DecodeError: `raw` is no object of the expected kind.
            TransformError: it is, but its transform failed.
        """
        try:
            parts = _PARTS.decode(raw)
            kind = parts.get("kind")
            if kind is not None and bytes(kind) not in self._kinds:
                msg = f"an object of {self._resource} is expected, the server sent a {bytes(kind)[:80].decode()}"
                raise DecodeError(msg)
            metadata = _PARTS.decode(parts["metadata"])
            if metadata.pop("managedFields", None) is not None:
                parts["metadata"] = msgspec.Raw(msgspec.json.encode(metadata))
                own = None
            else:
                own = bytes(raw)
            meta = _META.decode(parts["metadata"])
            if self.metadata_only:
                parts = {name: parts[name] for name in ("apiVersion", "kind", "metadata") if name in parts}
                own = None
            if own is None:
                # By way of a buffer: bytes that were written in place keep a sixth of their length as unusable room.
                _ENCODER.encode_into(parts, self._buffer)
                own = bytes(self._buffer)
        except (msgspec.MsgspecError, KeyError) as error:
            what = "no metadata" if isinstance(error, KeyError) else str(error)
            msg = f"an object of {self._resource} cannot be read: {what}"
            raise DecodeError(msg) from error
        entry = Entry(ObjectKey(meta.namespace, meta.name), meta, own)
        return entry if self._transform is None else self._transformed(entry, self._transform)

    def _transformed(self, entry: Entry, transform: Transform) -> Entry:
        try:
            raw = transform(entry.raw)
            meta = _WITH_META.decode(raw).metadata
        except Exception as error:  # of any kind: somebody else's function must not stop the watch
            msg = f"transform of {self._resource} {entry.key}: {type(error).__name__}: {error}"
            raise TransformError(msg, entry) from error
        if _identity(meta) != _identity(entry.meta):
            msg = f"transform of {self._resource} {entry.key}: it changed the name, namespace, uid or resourceVersion"
            raise TransformError(msg, entry)
        return Entry(entry.key, meta, raw)

    def version(self, raw: bytes | msgspec.Raw) -> tuple[str, bool]:
        """Return a bookmark's resourceVersion, and whether it ends the initial events of a streaming list.

        Nothing but the metadata is looked at: the rest of a bookmark's object may break its own schema.

        Raises:
            DecodeError: there is no metadata.
        """
        try:
            bookmark = _ANNOTATED.decode(raw).metadata
        except msgspec.MsgspecError as error:
            msg = f"a bookmark of {self._resource} cannot be read: {error}"
            raise DecodeError(msg) from error
        return bookmark.resource_version, (bookmark.annotations or _NOTHING).get(_INITIAL_EVENTS_END) == "true"


def _identity(meta: Meta) -> tuple[str, str, str, str]:
    return meta.namespace, meta.name, meta.uid, meta.resource_version


class _AnnotatedMeta(msgspec.Struct, rename="camel"):
    resource_version: str = ""
    annotations: dict[str, str] | None = None


class _Annotated(msgspec.Struct):
    metadata: _AnnotatedMeta


_ANNOTATED: Final = msgspec.json.Decoder(_Annotated)
_INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"
