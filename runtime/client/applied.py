"""Remembers what was applied, to prove that applying it again would change nothing.

A server-side apply need not be sent when all of this holds:

1. This process has applied the very same content (a digest of it is kept), to the object with the same uid, and the
   server has answered; no other apply of ours to the same object was under way meanwhile.
2. The cached object is not older than that answer.
3. Apart from the status and the server's book-keeping, the cached object *is* that answer: nobody, under whatever field
   manager, has written to it since. (For an apply to the status, the status is.)

Then the server would find the same content, the same owners and the same object again. Comparing with the server's answer,
not with what was sent, makes defaulted and normalised fields no reason to send; comparing all of the object, not only
the fields applied, covers fields that another process took away or added under our name. Anything else sends.

Memory is bounded: the least recently applied objects are forgotten, and their next apply is sent.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol, final

import msgspec

from controller_runtime.api.resource import ObjectKey, Resource
from controller_runtime.client.versions import compare_versions

__all__ = ["AppliedMemory", "Attempt", "CachedState"]

_CAPACITY: Final = 20_000
_BOOKKEEPING: Final = ("resourceVersion", "generation", "managedFields")
_NOT_CONTENT: Final = ("apiVersion", "kind", "metadata", "status")

_Id = tuple[Resource, ObjectKey, str]
_ORDERED: Final = msgspec.json.Encoder(order="deterministic")


class CachedState(Protocol):
    """The state of an object in a cache."""

    @property
    def raw(self) -> bytes: ...


@final
class _Applied:
    """The last apply to one object: its content, and what the object looked like afterwards."""

    __slots__ = ("content", "state", "uid", "version")

    def __init__(self, content: bytes, uid: str, version: str, state: bytes) -> None:
        self.content = content
        self.uid = uid
        self.version = version
        self.state = state


@final
class Attempt:
    """One call of apply, from the question whether to send to the server's answer."""

    def __init__(self, content: bytes | None, last: _Applied | None, subresource: str) -> None:
        self._content = content
        self._last = last
        self._subresource = subresource
        self.outcome: _Applied | None = None
        self.contended = False

    def is_in(self, entry: CachedState) -> bool:
        """Return whether the cached object proves that sending would change nothing."""
        last = self._last
        if last is None or last.content != self._content:
            return False
        now = _identity(entry.raw)
        if now.uid != last.uid:
            return False
        if now.resource_version != last.version:
            later = compare_versions(now.resource_version, last.version)
            if later is None or later < 0 or _state(entry.raw, self._subresource) != last.state:
                return False
            last.version = now.resource_version
        self.outcome = last
        return True

    def sent(self, raw: bytes) -> None:
        """Take note of the server's answer."""
        if self._content is not None:
            now = _identity(raw)
            self.outcome = _Applied(self._content, now.uid, now.resource_version, _state(raw, self._subresource))


@final
class AppliedMemory:
    """See the module docstring. For the tasks of one event loop.

    Args:
        capacity: how many objects are remembered.
    """

    def __init__(self, capacity: int = _CAPACITY) -> None:
        self._capacity = capacity
        self._last: OrderedDict[_Id, _Applied] = OrderedDict()
        self._under_way: dict[_Id, list[Attempt]] = {}

    def __len__(self) -> int:
        return len(self._last)

    @contextmanager
    def applying(
        self, resource: Resource, key: ObjectKey, subresource: str, body: dict[str, Any], *, force: bool
    ) -> Iterator[Attempt]:
        """Frame one call of apply.

        An attempt that fails, is cancelled, or runs beside another one for the same object leaves nothing behind: what
        the server holds then is uncertain.
        """
        name = (resource, key, subresource)
        others = self._under_way.setdefault(name, [])
        attempt = Attempt(_content(body, force), self._last.pop(name, None), subresource)
        others.append(attempt)
        if len(others) > 1:
            for other in others:
                other.contended = True
        try:
            yield attempt
            if attempt.outcome is not None and not attempt.contended:
                self._last[name] = attempt.outcome
                if len(self._last) > self._capacity:
                    self._last.popitem(last=False)
        finally:
            others.remove(attempt)
            if not others:
                del self._under_way[name]

    def forget(self, resource: Resource, key: ObjectKey) -> None:
        """Forget what was applied to an object that is being deleted."""
        for subresource in ("", "status"):
            self._last.pop((resource, key, subresource), None)


class _Metadata(msgspec.Struct, rename="camel"):
    uid: str = ""
    resource_version: str = ""


class _Identified(msgspec.Struct):
    metadata: _Metadata


_IDENTITY: Final = msgspec.json.Decoder(_Identified)


def _identity(raw: bytes) -> _Metadata:
    return _IDENTITY.decode(raw).metadata


def _content(body: dict[str, Any], force: bool) -> bytes | None:
    """Digest what is applied; None if it has a precondition, which only the server can check."""
    return None if body["metadata"].get("resourceVersion") else _digest([body, force])


def _state(raw: bytes, subresource: str) -> bytes:
    """Digest the part of an object that an apply to `subresource` is about."""
    obj = msgspec.json.decode(raw, type=dict)
    if subresource == "status":
        return _digest(obj.get("status"))
    metadata = {name: value for name, value in obj["metadata"].items() if name not in _BOOKKEEPING}
    return _digest([metadata, {name: value for name, value in obj.items() if name not in _NOT_CONTENT}])


def _digest(value: Any) -> bytes:
    return hashlib.blake2b(_ORDERED.encode(value), digest_size=16).digest()
