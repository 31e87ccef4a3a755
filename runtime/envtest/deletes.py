"""Deletion: preconditions, finalizers, grace periods and propagation, up to the moment when an object is gone.

What follows from a deletion (dependents, the content of a namespace, the objects of a CRD) is the `collector`'s work.

Concurrency: plain synchronous code for one event loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from controller_runtime.api.resource import ObjectKey
from controller_runtime.api.time import format_time
from controller_runtime.clock import Clock
from controller_runtime.envtest.kinds import Kind
from controller_runtime.envtest.metadata import waits_for_content
from controller_runtime.envtest.queries import flag, number
from controller_runtime.envtest.requestoptions import check_dry_run
from controller_runtime.envtest.status import (
    Cause,
    bad_request,
    conflict,
    forbidden,
    invalid_options,
    not_found,
)
from controller_runtime.envtest.storage import Json, Storage, Stored

__all__ = ["FOREGROUND", "ORPHAN", "DeleteOptions", "Deleted", "Deleter", "read_delete_options"]

FOREGROUND: Final = "foregroundDeletion"
ORPHAN: Final = "orphan"
_DEFAULT_GRACE: Final = 30
_POLICIES: Final = ("Foreground", "Background", "Orphan")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteOptions:
    """`metav1.DeleteOptions`; `grace` in seconds, None for the kind's default."""

    grace: int | None = None
    uid: str = ""
    version: str = ""
    propagation: str = ""
    dry_run: bool = False


class Deleted(NamedTuple):
    """The object's last or present state, and whether it is gone already."""

    stored: Stored
    gone: bool


def read_delete_options(body: Any, params: Mapping[str, str]) -> DeleteOptions:
    """Read a delete's options from its body, or else from the query.

    Raises:
        StatusError: 400 for what cannot be read, 422 for values that are not allowed.
    """
    if body is None:
        body = _from_query(params)
    if not isinstance(body, dict):
        raise bad_request("the body of a delete must be DeleteOptions")
    grace, orphan = body.get("gracePeriodSeconds"), body.get("orphanDependents")
    if grace is not None and (isinstance(grace, bool) or not isinstance(grace, int)):
        name = "string" if isinstance(grace, str) else "value"
        why = f"cannot unmarshal {name} into Go struct field DeleteOptions.gracePeriodSeconds of type int64"
        raise bad_request(f"json: {why}")
    propagation, dry_run = body.get("propagationPolicy"), body.get("dryRun") or []
    causes = _policy_problems(propagation, orphan) + check_dry_run(dry_run)
    if causes:
        raise invalid_options("DeleteOptions", causes)
    if orphan is not None:
        propagation = "Orphan" if orphan else "Background"
    preconditions = body.get("preconditions") or {}
    return DeleteOptions(
        grace=grace,
        uid=str(preconditions.get("uid") or ""),
        version=str(preconditions.get("resourceVersion") or ""),
        propagation=propagation or "",
        dry_run=bool(dry_run),
    )


def _from_query(params: Mapping[str, str]) -> Json:
    """What a delete without a body says in its query."""
    body: Json = {}
    if "gracePeriodSeconds" in params:
        body["gracePeriodSeconds"] = number(params, "gracePeriodSeconds")
    if "propagationPolicy" in params:
        body["propagationPolicy"] = params["propagationPolicy"]
    if "orphanDependents" in params:
        body["orphanDependents"] = flag(params, "orphanDependents")
    if "dryRun" in params:
        body["dryRun"] = [params["dryRun"]]
    return body


def _policy_problems(propagation: Any, orphan: Any) -> list[Cause]:
    if propagation is None:
        return []
    if orphan is not None:
        why = "orphanDependents and deletionPropagation cannot be both set"
        return [Cause("propagationPolicy", f'Invalid value: "{propagation}": {why}')]
    if propagation in _POLICIES:
        return []
    supported = ", ".join(f'"{name}"' for name in (*_POLICIES, "nil"))
    message = f'Unsupported value: "{propagation}": supported values: {supported}'
    return [Cause("propagationPolicy", message, "FieldValueNotSupported")]


def _check_preconditions(kind: Kind, stored: Stored, options: DeleteOptions) -> None:
    version = str(stored.metadata["resourceVersion"])
    checks = (
        ("UID", options.uid, stored.uid, "deleted and then recreated"),
        ("ResourceVersion", options.version, version, "modified"),
    )
    for noun, wanted, found, happened in checks:
        if wanted and wanted != found:
            why = (
                f"the {noun} in the precondition ({wanted}) does not match the {noun} in record ({found}). "
                f"The object might have been {happened}"
            )
            raise conflict(replace(kind.resource, plural=kind.resource.kind), stored.key.name, why)


class Deleter:
    """Carries out deletes on a storage."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock

    def delete(self, kind: Kind, key: ObjectKey, options: DeleteOptions) -> Deleted:
        """Remove an object, or mark it for deletion if finalizers or a grace period stand before that.

        Raises:
            StatusError: there is none, or a precondition does not hold.
        """
        stored = self._storage.get(kind.storage, key)
        if stored is None:
            raise not_found(kind.resource, key.name)
        _check_preconditions(kind, stored, options)
        if kind.storage == ("", "namespaces") and key.name in ("default", "kube-system"):
            raise forbidden(kind.resource, key.name, "this namespace may not be deleted")
        return self._delete(kind, stored, options)

    def _delete(self, kind: Kind, stored: Stored, options: DeleteOptions) -> Deleted:
        metadata = stored.metadata
        grace = self._grace(kind, stored, options)
        finalizers = self._finalizers(metadata, options)
        at_once = not finalizers and grace == 0 and not waits_for_content(kind, stored.obj)
        if "deletionTimestamp" in metadata:
            left = metadata.get("deletionGracePeriodSeconds", 0)
            if at_once:
                return self._remove(kind, stored, options)
            if finalizers == metadata.get("finalizers", []) and (options.grace is None or grace >= left):
                return Deleted(stored, gone=False)
            grace = min(grace, left)
        elif at_once:
            return self._remove(kind, stored, options)
        return Deleted(self._mark(kind, stored, grace, finalizers, options), gone=False)

    def _remove(self, kind: Kind, stored: Stored, options: DeleteOptions) -> Deleted:
        last = stored if options.dry_run else self._storage.remove(kind.storage, stored.key)
        if kind.graceful:  # the answer shows how it went, the event what was stored
            last = Stored(stored.key, self._marked(kind, last, 0), last.version)
        return Deleted(last, gone=True)

    def _mark(self, kind: Kind, stored: Stored, grace: int, finalizers: list[str], options: DeleteOptions) -> Stored:
        obj = self._marked(kind, stored, grace)
        if finalizers:
            obj["metadata"]["finalizers"] = finalizers
        if options.dry_run:
            return Stored(stored.key, obj, stored.version)
        return self._storage.put(kind.storage, stored.key, obj)

    def _marked(self, kind: Kind, stored: Stored, grace: int) -> Json:
        """A copy of the object, as one that is being deleted."""
        obj = stored.copy()
        metadata = obj["metadata"]
        if "deletionTimestamp" not in metadata and "generation" in metadata:
            metadata["generation"] += 1
        metadata["deletionTimestamp"] = format_time(self._clock.now() + grace)
        if kind.storage == ("", "namespaces"):
            obj["status"] = {**obj.get("status", {}), "phase": "Terminating"}
        else:
            metadata["deletionGracePeriodSeconds"] = grace
        return obj

    @staticmethod
    def _grace(kind: Kind, stored: Stored, options: DeleteOptions) -> int:
        if not kind.graceful:
            return 0
        spec: Json = stored.obj.get("spec", {})
        if not spec.get("nodeName") or stored.obj.get("status", {}).get("phase") in ("Failed", "Succeeded"):
            return 0
        if options.grace is not None:
            return options.grace if options.grace >= 0 else 1
        return int(spec.get("terminationGracePeriodSeconds", _DEFAULT_GRACE))

    @staticmethod
    def _finalizers(metadata: Json, options: DeleteOptions) -> list[str]:
        """The finalizers to wait for, with the one that the propagation policy asks for."""
        finalizers = list(metadata.get("finalizers", []))
        if options.propagation:
            finalizers = [name for name in finalizers if name not in (FOREGROUND, ORPHAN)]
            wanted = {"Foreground": FOREGROUND, "Orphan": ORPHAN}.get(options.propagation)
            if wanted:
                finalizers.append(wanted)
        return finalizers
