"""An API server of a few lines, and what else the contexts of the group and Cluster controllers need.

It keeps objects as JSON, checks resourceVersions and preconditions, counts generations, honours finalizers, and notes every
write. Apply merges; who owns a field is not its business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import msgspec
import structlog

from controller_runtime.api import Object, ObjectKey, Selector, decode, encode, format_time, source_of
from controller_runtime.client import AlreadyExists, Client, Conflict, NotFound, Preconditions
from controller_runtime.client.patch import MERGE_PATCH, Patch, merge_diff
from controller_runtime.reconcile import Logger
from tikv_operator.common.run import RunContext

__all__ = ["FakeCluster", "FakeEvents", "FakePD", "FakePDs", "StillClock", "events_of", "quiet_log"]

T = TypeVar("T", bound=Object)
Tree = dict[str, Any]
Hook = Callable[[str, str, ObjectKey], None]


def merge(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


@dataclass
class StillClock:
    """A clock that stands still until somebody moves it."""

    seconds: float = 1_800_000_000.0

    def now(self) -> float:
        return self.seconds


@dataclass
class FakeEvents:
    """Keeps Events as `Type Reason message`."""

    seen: list[str] = field(default_factory=list)

    def normal(self, regarding: Object, reason: str, message: str) -> None:
        self.seen.append(f"Normal {reason} {message}")

    def warning(self, regarding: Object, reason: str, message: str) -> None:
        self.seen.append(f"Warning {reason} {message}")


def events_of(ctx: RunContext[Any]) -> list[str]:
    """What a run has told, and what it is going to tell along with its status."""
    assert isinstance(ctx.events, FakeEvents)
    to_come = [f"{'Warning' if said.warning else 'Normal'} {said.reason} {said.message}" for said in ctx.said]
    return ctx.events.seen + to_come


class FakeCluster:
    """The client and the server in one. `writes` holds `verb Kind name` of each write that arrived.

    Args:
        clock: for the times that the server sets.
    """

    field_manager = "tidb-operator"

    def __init__(self, clock: StillClock | None = None) -> None:
        self.clock = clock or StillClock()
        self.writes: list[str] = []
        self.before_write: Hook | None = None
        self._objects: dict[tuple[str, ObjectKey], Tree] = {}
        self._version = 0

    @property
    def client(self) -> Client:
        """This object, with the type that contexts want; watching is all it lacks."""
        return cast("Client", self)

    @property
    def live(self) -> Client:
        return self.client

    # What tests do

    def add(self, *objects: Object) -> None:
        """Put objects there, with their status, as if they had always been."""
        for obj in objects:
            tree = _tree(obj)
            metadata = tree.setdefault("metadata", {})
            metadata.setdefault("uid", f"uid-{obj.metadata.name}")
            metadata.setdefault("generation", 1)
            metadata.setdefault("creationTimestamp", format_time(self.clock.now()))
            self._store(obj.kind, tree)

    def change(self, obj: Object) -> None:
        """Replace an object, with its status, without a trace in `writes`."""
        self._store(obj.kind, _tree(obj))

    def remove(self, obj: Object) -> None:
        del self._objects[obj.kind, obj.key]

    def all(self, kind: type[T]) -> list[T]:
        found = sorted((key, tree) for (name, key), tree in self._objects.items() if name == kind.resource.kind)
        return [self._read(kind, tree) for _, tree in found]

    def one(self, kind: type[T], name: str, namespace: str = "ns1") -> T:
        return self._read(kind, self._objects[kind.resource.kind, ObjectKey(namespace, name)])

    # What a client does

    async def get(self, kind: type[T], key: ObjectKey) -> T:
        return self._read(kind, self._tree(kind, key))

    async def find(self, kind: type[T], key: ObjectKey) -> T | None:
        tree = self._objects.get((kind.resource.kind, key))
        return None if tree is None else self._read(kind, tree)

    async def list(
        self,
        kind: type[T],
        *,
        namespace: str = "",
        labels: Selector | None = None,
        index: tuple[str, str] | None = None,
    ) -> list[T]:
        found = [obj for obj in self.all(kind) if not namespace or obj.metadata.namespace == namespace]
        if labels is not None:
            found = [obj for obj in found if labels.matches(obj.metadata.labels)]
        if index is not None:
            assert index[0] == "spec.cluster.name"
            found = [obj for obj in found if cast("Any", obj).spec.cluster.name == index[1]]
        return found

    async def create(self, obj: T) -> T:
        key = self._note("create", obj.kind, obj.key)
        if (obj.kind, key) in self._objects:
            raise AlreadyExists(f"{obj.kind} {key} exists", code=409, reason="AlreadyExists")
        return self._read(type(obj), self._create(obj.kind, _tree(obj)))

    async def update(self, obj: T, *, subresource: str = "") -> T:
        return await self._update(obj, lambda tree: {name: value for name, value in tree.items() if name != "status"})

    async def update_status(self, obj: T) -> T:
        return await self._update(obj, lambda tree: {"status": tree.get("status", {})}, verb="update-status")

    async def patch(self, kind: type[T], key: ObjectKey, patch: Patch, *, subresource: str = "") -> T:
        assert patch.content_type == MERGE_PATCH
        self._note("patch", kind.resource.kind, key)
        tree = self._change(kind, key, msgspec.json.decode(patch.body))
        return self._read(kind, tree)

    async def apply(self, obj: T, *, force: bool = True, subresource: str = "") -> T:
        existing = self._objects.get((obj.kind, obj.key))
        wanted = _tree(obj)
        if existing is None:
            self._note("apply", obj.kind, obj.key)
            return self._read(type(obj), self._create(obj.kind, wanted))
        if merge(existing, wanted) == existing:
            return self._read(type(obj), existing)
        self._note("apply", obj.kind, obj.key)
        return self._read(type(obj), self._change(type(obj), obj.key, wanted))

    async def delete(
        self,
        kind: type[Object],
        key: ObjectKey,
        *,
        grace_period: int | None = None,
        preconditions: Preconditions | None = None,
        propagation: str | None = None,
    ) -> None:
        self._note("delete", kind.resource.kind, key)
        metadata = self._tree(kind, key)["metadata"]
        wanted = preconditions or Preconditions()
        if wanted.uid not in ("", metadata["uid"]) or wanted.resource_version not in ("", metadata["resourceVersion"]):
            raise Conflict(f"{kind.resource.kind} {key} is another one", code=409, reason="Conflict")
        if not metadata.get("finalizers"):
            del self._objects[kind.resource.kind, key]
        elif "deletionTimestamp" not in metadata:
            metadata |= {
                "deletionTimestamp": format_time(self.clock.now()),
                "generation": metadata["generation"] + 1,
                "resourceVersion": self._next_version(),
            }

    # Inside

    def _note(self, verb: str, kind: str, key: ObjectKey) -> ObjectKey:
        self.writes.append(f"{verb} {kind} {key.name}")
        if self.before_write is not None:
            self.before_write(verb, kind, key)
        return key

    def _tree(self, kind: type[Object], key: ObjectKey) -> Tree:
        tree = self._objects.get((kind.resource.kind, key))
        if tree is None:
            raise NotFound(f"{kind.resource.kind} {key} not found", code=404, reason="NotFound")
        return tree

    def _read(self, kind: type[T], tree: Tree) -> T:
        return decode(kind, encode(tree), remember=True)

    def _create(self, kind: str, tree: Tree) -> Tree:
        metadata = tree["metadata"]
        metadata |= {
            "uid": f"uid-{metadata['name']}",
            "generation": 1,
            "creationTimestamp": format_time(self.clock.now()),
        }
        return self._store(kind, tree)

    def _store(self, kind: str, tree: Tree) -> Tree:
        metadata = tree["metadata"]
        metadata["resourceVersion"] = self._next_version()
        key = ObjectKey(metadata.get("namespace", ""), metadata["name"])
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            self._objects.pop((kind, key), None)
        else:
            self._objects[kind, key] = tree
        return tree

    def _next_version(self) -> str:
        self._version += 1
        return str(self._version)

    def _change(self, kind: type[Object], key: ObjectKey, changes: Tree) -> Tree:
        existing = self._tree(kind, key)
        version = (changes.get("metadata") or {}).get("resourceVersion")
        if version not in (None, existing["metadata"]["resourceVersion"]):
            raise Conflict(f"{kind.resource.kind} {key} has changed", code=409, reason="Conflict")
        changed = merge(existing, changes)
        if changed.get("spec") != existing.get("spec"):
            changed["metadata"]["generation"] = existing["metadata"]["generation"] + 1
        return self._store(kind.resource.kind, changed)

    async def _update(self, obj: T, part: Callable[[Tree], Tree], *, verb: str = "update") -> T:
        source = source_of(obj)
        assert source is not None, "only what was read can be updated"
        before = _tree(decode(type(obj), source))
        changes = merge_diff(part(before), part(_tree(obj)))
        if not changes:
            return obj
        self._note(verb, obj.kind, obj.key)
        changes.setdefault("metadata", {})["resourceVersion"] = before["metadata"]["resourceVersion"]
        return self._read(type(obj), self._change(type(obj), obj.key, changes))


def _tree(obj: Object) -> Tree:
    return cast("Tree", msgspec.json.decode(encode(obj)))


@dataclass
class FakePD:
    """What is known of one PD."""

    cluster_id: str = ""
    error: Any = None
    hurried: int = 0

    @property
    def snapshot(self) -> Any:
        return self if self.cluster_id else None

    def fresh(self, now: float | None = None) -> bool:
        return self.error is None and bool(self.cluster_id)

    def hurry(self) -> None:
        self.hurried += 1


@dataclass
class FakePDs:
    """The PD clients of all clusters; every registered one gets `pd`."""

    pd: FakePD = field(default_factory=FakePD)
    registered: dict[ObjectKey, str] = field(default_factory=dict)

    def register(self, cluster: Any) -> FakePD:
        self.registered[cluster.key] = cluster.status.pd
        return self.pd

    def deregister(self, cluster: ObjectKey) -> None:
        self.registered.pop(cluster, None)


def quiet_log() -> Logger:
    """Return a logger that writes nothing."""
    return cast("Logger", structlog.wrap_logger(None, processors=[_drop]))


def _drop(*_: Any) -> Any:
    raise structlog.DropEvent


def names(objects: Iterable[Object]) -> list[str]:
    return [obj.metadata.name for obj in objects]
