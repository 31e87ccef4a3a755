"""What a real cluster's controllers clean up: dependents without owners, the content of namespaces, objects of CRDs.

The collector follows every change through the storage, keeps an index of owners and dependents, and does its work in
`step()`: a pure, synchronous pass whose deletions may give the next pass something to do. Between a deletion and its
consequences anything may happen, as in a real cluster.

Concurrency: `observe` is called inside writes and only takes notes; one task calls `step` (see `EmbeddedCluster`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from controller_runtime.api.resource import ObjectKey
from controller_runtime.envtest.deletes import FOREGROUND, ORPHAN, DeleteOptions, Deleter
from controller_runtime.envtest.kinds import Kind, Kinds
from controller_runtime.envtest.storage import Change, Json, ResourceId, Storage, Stored

__all__ = ["CRDS", "CRD_FINALIZER", "NAMESPACES", "Collector"]

NAMESPACES: ResourceId = ("", "namespaces")
CRDS: ResourceId = ("apiextensions.k8s.io", "customresourcedefinitions")
CRD_FINALIZER = "customresourcecleanup.apiextensions.k8s.io"

_Place = tuple[ResourceId, ObjectKey]


class Collector:
    """See the module docstring.

    Attributes:
        wake: called when there is something to do.
    """

    def __init__(self, storage: Storage, kinds: Kinds, deleter: Deleter) -> None:
        self._storage = storage
        self._kinds = kinds
        self._deleter = deleter
        self._places: dict[str, _Place] = {}  # uid -> where the object is
        self._dependents: dict[str, dict[_Place, None]] = {}  # owner's uid -> who names it as an owner
        self._suspects: dict[_Place, None] = {}  # to be looked at in the next step
        self._ending: dict[_Place, None] = {}  # objects that are being deleted and need the collector's help
        self.wake: Callable[[], None] = lambda: None
        storage.observers.append(self.observe)

    @property
    def busy(self) -> bool:
        """Whether a step could achieve something."""
        return bool(self._suspects or self._ending)

    def observe(self, resource: ResourceId, change: Change) -> None:
        """Take note of one change."""
        before, after = change.old, change.new
        if before is not None:
            self._unlink(resource, before, after)
        if after is not None:
            self._link(resource, after, before)
        if self.busy:
            self.wake()

    def _unlink(self, resource: ResourceId, before: Stored, after: Stored | None) -> None:
        place = (resource, before.key)
        if after is None:
            self._places.pop(before.uid, None)
            for owner in _owners(before):
                self._forget_dependent(owner["uid"], place)
            for dependent in self._dependents.get(before.uid, ()):
                self._suspects[dependent] = None
            self._suspects.pop(place, None)
            self._ending.pop(place, None)
            self._recheck_ending(resource, before)
        elif before.metadata.get("ownerReferences") != after.metadata.get("ownerReferences"):
            for owner in _owners(before):
                self._forget_dependent(owner["uid"], place)
            self._recheck_ending(resource, before)

    def _link(self, resource: ResourceId, after: Stored, before: Stored | None) -> None:
        place = (resource, after.key)
        self._places[after.uid] = place
        if before is None or before.metadata.get("ownerReferences") != after.metadata.get("ownerReferences"):
            for owner in _owners(after):
                self._dependents.setdefault(owner["uid"], {})[place] = None
                if self._is_gone(owner, after):
                    self._suspects[place] = None
        if "deletionTimestamp" in after.metadata and self._needs_help(resource, after):
            self._ending[place] = None

    def _forget_dependent(self, uid: str, place: _Place) -> None:
        dependents = self._dependents.get(uid)
        if dependents is not None:
            dependents.pop(place, None)
            if not dependents:
                del self._dependents[uid]

    def _recheck_ending(self, resource: ResourceId, gone: Stored) -> None:
        """An owner in foreground deletion, a namespace or a CRD may have waited for this object."""
        for owner in _owners(gone):
            place = self._places.get(owner["uid"])
            if place is not None:
                self._note_ending(place)
        if gone.key.namespace:
            self._note_ending((NAMESPACES, ObjectKey("", gone.key.namespace)))
        self._note_ending((CRDS, ObjectKey("", f"{resource[1]}.{resource[0]}")))

    def _note_ending(self, place: _Place) -> None:
        stored = self._storage.get(*place)
        if stored is not None and "deletionTimestamp" in stored.metadata and self._needs_help(place[0], stored):
            self._ending[place] = None

    @staticmethod
    def _needs_help(resource: ResourceId, stored: Stored) -> bool:
        finalizers = stored.metadata.get("finalizers", [])
        if FOREGROUND in finalizers or ORPHAN in finalizers:
            return True
        return resource == NAMESPACES or (resource == CRDS and CRD_FINALIZER in finalizers)

    def step(self) -> None:
        """Do what can be done now."""
        suspects, self._suspects = self._suspects, {}
        for place in suspects:
            self._settle_dependent(place)
        ending, self._ending = self._ending, {}
        for place in ending:
            self._help(place)

    def _settle_dependent(self, place: _Place) -> None:
        """Delete a dependent without a living owner; take dead owners off one that still has a living one."""
        stored = self._storage.get(*place)
        kind = self._kinds.by_storage(place[0])
        owners = [] if stored is None else _owners(stored)
        if stored is None or kind is None or not owners:
            return
        living = [owner for owner in owners if not self._is_gone(owner, stored)]
        if not living:
            if "deletionTimestamp" not in stored.metadata:
                self._deleter.delete(kind, stored.key, DeleteOptions(uid=stored.uid, propagation="Background"))
        elif len(living) < len(owners):
            obj = stored.copy()
            obj["metadata"]["ownerReferences"] = living
            self._storage.put(place[0], stored.key, obj)

    def _is_gone(self, owner: Json, dependent: Stored) -> bool:
        """Whether the owner is not where the reference says; of an unknown kind nobody can tell."""
        kind = self._kinds.by_kind(owner.get("apiVersion", ""), owner.get("kind", ""))
        if kind is None or (kind.resource.namespaced and not dependent.key.namespace):
            return False
        home = dependent.key.namespace if kind.resource.namespaced else ""
        return self._places.get(owner["uid"]) != (kind.storage, ObjectKey(home, owner.get("name", "")))

    def _help(self, place: _Place) -> None:
        """Bring the deletion of one object forward."""
        resource, key = place
        stored = self._storage.get(resource, key)
        if stored is None:
            return
        if resource == NAMESPACES:
            self._empty_namespace(stored)
            return
        finalizers = stored.metadata.get("finalizers", [])
        if resource == CRDS and CRD_FINALIZER in finalizers:
            self._empty_crd(stored)
        elif ORPHAN in finalizers:
            self._orphan_dependents(stored)
            self._drop_finalizer(resource, stored, ORPHAN)
        elif FOREGROUND in finalizers:
            self._delete_dependents_first(resource, stored)

    def _empty_namespace(self, namespace: Stored) -> None:
        name = namespace.key.name
        left = False
        for resource, table in self._storage.tables():
            kind = self._kinds.by_storage(resource)
            if kind is None or not kind.resource.namespaced:
                continue
            for key in [key for key in table.sorted_keys() if key.namespace == name]:
                if not self._delete_quietly(kind, key):
                    left = True
        if left:
            return
        if namespace.metadata.get("finalizers"):
            if namespace.obj.get("spec", {}).get("finalizers"):
                obj = namespace.copy()
                obj["spec"]["finalizers"] = []
                self._storage.put(NAMESPACES, namespace.key, obj)
            return
        self._storage.remove(NAMESPACES, namespace.key)

    def _empty_crd(self, crd: Stored) -> None:
        spec = crd.obj["spec"]
        resource: ResourceId = (spec["group"], spec["names"]["plural"])
        kind = self._kinds.by_storage(resource)
        if kind is not None:
            keys = list(self._storage.table(resource).sorted_keys())
            gone = [self._delete_quietly(kind, key) for key in keys]
            if not all(gone):
                return
        self._drop_finalizer(CRDS, crd, CRD_FINALIZER)

    def _delete_quietly(self, kind: Kind, key: ObjectKey) -> bool:
        """Delete unless that is under way already, and say whether the object is gone."""
        stored = self._storage.get(kind.storage, key)
        if stored is None:
            return True
        if "deletionTimestamp" in stored.metadata:
            return False
        return self._deleter.delete(kind, key, DeleteOptions(propagation="Background")).gone

    def _orphan_dependents(self, owner: Stored) -> None:
        for resource, key in list(self._dependents.get(owner.uid, ())):
            stored = self._storage.get(resource, key)
            if stored is not None:
                obj = stored.copy()
                rest = [ref for ref in _owners(stored) if ref["uid"] != owner.uid]
                obj["metadata"]["ownerReferences"] = rest
                if not rest:
                    del obj["metadata"]["ownerReferences"]
                self._storage.put(resource, key, obj)

    def _delete_dependents_first(self, resource: ResourceId, owner: Stored) -> None:
        blocking = False
        for place in list(self._dependents.get(owner.uid, ())):
            stored, kind = self._storage.get(*place), self._kinds.by_storage(place[0])
            if stored is None or kind is None:
                continue
            if "deletionTimestamp" not in stored.metadata:
                options = DeleteOptions(uid=stored.uid, propagation="Foreground")
                self._deleter.delete(kind, stored.key, options)
            still = self._storage.get(*place)
            blocking = blocking or (still is not None and _blocks(still, owner.uid))
        if not blocking:
            self._drop_finalizer(resource, owner, FOREGROUND)

    def _drop_finalizer(self, resource: ResourceId, stored: Stored, name: str) -> None:
        obj = stored.copy()
        finalizers = [finalizer for finalizer in obj["metadata"].get("finalizers", []) if finalizer != name]
        if not finalizers and not obj["metadata"].get("deletionGracePeriodSeconds"):
            self._storage.remove(resource, stored.key)
            return
        obj["metadata"]["finalizers"] = finalizers
        self._storage.put(resource, stored.key, obj)


def _owners(stored: Stored) -> list[Json]:
    owners: list[Any] = stored.metadata.get("ownerReferences") or []
    return owners


def _blocks(stored: Stored, uid: str) -> bool:
    return any(owner["uid"] == uid and owner.get("blockOwnerDeletion") for owner in _owners(stored))
