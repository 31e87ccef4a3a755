"""Deletion: preconditions, finalizers, grace periods and propagation, up to the moment when an object is gone.

What follows from a deletion (dependents, the content of a namespace, the objects of a CRD) is the `collector`'s work.

Concurrency: plain synchronous code for one event loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from controller_runtime.api.resource import ObjectKey
from controller_runtime.api.time import format_time
from controller_runtime.clock import Clock
from controller_runtime.envtest.kinds import Kind
from controller_runtime.envtest.metadata import waits_for_content
from controller_runtime.envtest.status import Cause, bad_request, forbidden, invalid, not_found, precondition_failed
from controller_runtime.envtest.storage import Json, Storage, Stored

__all__ = ["FOREGROUND", "ORPHAN", "DeleteOptions", "Deleted", "Deleter", "read_delete_options"]

FOREGROUND: Final = "foregroundDeletion"
ORPHAN: Final = "orphan"
_DEFAULT_GRACE: Final = 30


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
        body = {}
    if not isinstance(body, dict):
        raise bad_request("the body of a delete must be DeleteOptions")
    grace = body.get("gracePeriodSeconds", params.get("gracePeriodSeconds"))
    if grace is not None:
        try:
            grace = int(grace)
        except (TypeError, ValueError) as error:
            raise bad_request(f"gracePeriodSeconds: {error}") from error
    propagation = body.get("propagationPolicy") or params.get("propagationPolicy") or ""
    orphan = body.get("orphanDependents", params.get("orphanDependents"))
    if orphan is not None and not propagation:
        propagation = "Orphan" if orphan in (True, "true") else "Background"
    if propagation not in ("", "Background", "Foreground", "Orphan"):
        from_policy = f'Unsupported value: "{propagation}": supported values: "Background", "Foreground", "Orphan"'
        raise bad_request(f"invalid DeleteOptions: propagationPolicy: {from_policy}")
    preconditions = body.get("preconditions") or {}
    dry_run = body.get("dryRun") or params.get("dryRun")
    return DeleteOptions(
        grace=grace,
        uid=str(preconditions.get("uid") or ""),
        version=str(preconditions.get("resourceVersion") or ""),
        propagation=propagation,
        dry_run=bool(dry_run),
    )


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
        if options.uid and options.uid != stored.uid:
            raise precondition_failed(kind.resource, key.name, "uid", options.uid, stored.uid)
        version = str(stored.metadata["resourceVersion"])
        if options.version and options.version != version:
            raise precondition_failed(kind.resource, key.name, "resourceVersion", options.version, version)
        if kind.storage == ("", "namespaces") and key.name in ("default", "kube-system"):
            raise forbidden(kind.resource, key.name, "this namespace may not be deleted")
        if options.grace is not None and options.grace < 0:
            message = f"Invalid value: {options.grace}: must be greater than or equal to 0"
            raise invalid(kind.resource, key.name, [Cause("gracePeriodSeconds", message)])
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
        if options.dry_run:
            return Deleted(stored, gone=True)
        return Deleted(self._storage.remove(kind.storage, stored.key), gone=True)

    def _mark(self, kind: Kind, stored: Stored, grace: int, finalizers: list[str], options: DeleteOptions) -> Stored:
        obj = stored.copy()
        metadata = obj["metadata"]
        if "deletionTimestamp" not in metadata and "generation" in metadata:
            metadata["generation"] += 1
        metadata["deletionTimestamp"] = format_time(self._clock.now() + grace)
        metadata["deletionGracePeriodSeconds"] = grace
        if finalizers:
            metadata["finalizers"] = finalizers
        if kind.storage == ("", "namespaces"):
            obj["status"] = {**obj.get("status", {}), "phase": "Terminating"}
        if options.dry_run:
            return Stored(stored.key, obj, stored.version)
        return self._storage.put(kind.storage, stored.key, obj)

    @staticmethod
    def _grace(kind: Kind, stored: Stored, options: DeleteOptions) -> int:
        if not kind.graceful:
            return 0
        spec: Json = stored.obj.get("spec", {})
        if not spec.get("nodeName") or stored.obj.get("status", {}).get("phase") in ("Failed", "Succeeded"):
            return 0
        if options.grace is not None:
            return options.grace
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
