"""Creates, updates, patches and applies: from what a request says to what is stored.

Every write goes the same way: shape and preconditions, the server's own metadata, pruning and defaults, generation, field
ownership, validation, and only then storage. A write that changes nothing stores nothing, so it wakes no watcher. A
refused write leaves no trace.

Concurrency: plain synchronous code for one event loop: a write is atomic.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple

from controller_runtime.api.resource import ObjectKey
from controller_runtime.api.time import format_time
from controller_runtime.clock import Clock
from controller_runtime.envtest import apply as ownership
from controller_runtime.envtest.checks import (
    WriteOptions,
    check_applied_fields,
    check_home,
    check_uid,
    check_url,
    check_valid,
    check_version,
)
from controller_runtime.envtest.decoding import decoded
from controller_runtime.envtest.equality import identical
from controller_runtime.envtest.kinds import Kind
from controller_runtime.envtest.lastapplied import forgiven_fields, refresh_last_applied
from controller_runtime.envtest.metadata import (
    complete_name,
    give_identity,
    keep_server_fields,
    next_generation,
    waits_for_content,
)
from controller_runtime.envtest.metadatarules import finalizer_warnings, validate_metadata, validate_metadata_update
from controller_runtime.envtest.parts import configured_part, copied, keep_status, only_status
from controller_runtime.envtest.patches import APPLY, patched, read_yaml
from controller_runtime.envtest.shapes import check_applied_shape
from controller_runtime.envtest.status import (
    Cause,
    DecodingError,
    StatusError,
    already_exists,
    bad_request,
    conflict,
    invalid,
    not_found,
    unprocessable_patch,
)
from controller_runtime.envtest.storage import Json, Storage, Stored
from controller_runtime.envtest.users import User

__all__ = ["Guard", "Writer", "Written"]


class Written(NamedTuple):
    """The state after a write, and whether the object is new."""

    stored: Stored
    created: bool = False


Guard = Callable[[Kind, Json, "Json | None", "User | None"], None]
"""Sees every valid write (kind, new, old, who writes) and raises a StatusError for what it forbids."""


class Writer:
    """Carries out writes on a storage.

    Attributes:
        guards: asked before anything is stored.
    """

    def __init__(self, storage: Storage, clock: Clock, rng: random.Random) -> None:
        self._storage = storage
        self._clock = clock
        self._rng = rng
        self.guards: list[Guard] = []

    def create(self, kind: Kind, namespace: str, obj: Any, options: WriteOptions) -> Stored:
        """Store a new object, which is given up by the caller.

        Raises:
            StatusError: it was refused.
        """
        return self._create(kind, namespace, decoded(kind, obj, options), options)

    def _create(self, kind: Kind, namespace: str, obj: Json, options: WriteOptions) -> Stored:
        metadata = obj["metadata"]
        if metadata.get("resourceVersion"):
            raise StatusError(500, "", "resourceVersion should not be set on objects to be created")
        metadata.pop("resourceVersion", None)
        submitted = metadata.pop("managedFields", None)
        generated = not metadata.get("name") and bool(metadata.get("generateName"))
        self._prepare_new(kind, namespace, obj, options)
        self._own(kind, {}, obj, ownership.decode_managers(submitted or []), "", options)
        for _ in range(8 if generated else 1):
            key = ObjectKey(namespace, metadata.get("name", ""))
            present = self._storage.get(kind.storage, key)
            if present is None or not key.name:
                return self._store_new(kind, key, obj, options)
            if generated:
                metadata["name"] = ""
                complete_name(metadata, self._rng)
        self._check_new(kind, key, obj, options)
        leaving = present is not None and "deletionTimestamp" in present.metadata
        raise already_exists(kind.resource, key.name, leaving=leaving)

    def update(self, kind: Kind, key: ObjectKey, obj: Any, options: WriteOptions, subresource: str = "") -> Written:
        """Replace an object; through a subresource, only its part of it. Of some kinds it creates what is not there.

        Raises:
            StatusError: it was refused.
        """
        obj = decoded(kind, obj, options)
        metadata = obj["metadata"]
        check_url(key, metadata)
        stored = self._storage.get(kind.storage, key)
        if stored is None and kind.create_on_update and not subresource:
            check_home(self._storage, kind, key.namespace, metadata)
            check_uid(kind, key, metadata, None)
            metadata.pop("resourceVersion", None)
            return Written(self._create(kind, key.namespace, obj, options), created=True)
        stored = stored or self._existing(kind, key)
        check_uid(kind, key, metadata, stored)
        return Written(self._update(kind, stored, obj, options, subresource))

    def _update(self, kind: Kind, stored: Stored, obj: Json, options: WriteOptions, subresource: str) -> Stored:
        metadata = obj["metadata"]
        check_version(kind, stored, metadata)
        submitted = metadata.pop("managedFields", None)
        managers = ownership.decode_managers(submitted or stored.metadata.get("managedFields", []))
        return self._replace(kind, stored, obj, managers, options, subresource)

    def patch(
        self, kind: Kind, key: ObjectKey, body: bytes, media: str, options: WriteOptions, subresource: str = ""
    ) -> Written:
        """Carry out a patch of any kind; an apply creates the object if there is none.

        Raises:
            StatusError: it was refused.
        """
        if media == APPLY:
            return self._apply(kind, key, read_yaml(body), options, subresource)
        stored = self._existing(kind, key)
        schema = kind.schema if kind.strategic else None

        def result() -> Json:
            return patched(kind.from_storage(stored.copy()), body, media, schema)

        try:
            obj = decoded(kind, result(), options, subresource)
        except DecodingError as error:  # once more: decoding has dropped what it doesn't know
            raise unprocessable_patch(result(), error.why) from error
        check_url(key, obj["metadata"])
        return Written(self._update(kind, stored, obj, options, subresource))

    def _apply(self, kind: Kind, key: ObjectKey, config: Any, options: WriteOptions, subresource: str) -> Written:
        config = check_applied_shape(kind, config)
        metadata = config["metadata"]
        if metadata.get("managedFields"):
            raise bad_request("metadata.managedFields must be nil")
        metadata.pop("managedFields", None)
        metadata.setdefault("name", key.name)
        check_url(key, metadata)
        check_applied_fields(kind, config)
        stored = self._storage.get(kind.storage, key)
        if stored is None:
            if subresource:
                raise not_found(kind.resource, key.name)
            if metadata.get("uid"):
                why = f"uid mismatch: the provided object specified uid {metadata['uid']}, and no existing object was found"
                raise conflict(kind.resource, key.name, why)
            metadata.pop("resourceVersion", None)
            return Written(self._apply_new(kind, key, config, options), created=True)
        check_version(kind, stored, {"resourceVersion": stored.metadata["resourceVersion"], **metadata})
        if metadata.get("uid", stored.uid) != stored.uid:
            immutable = Cause("metadata.uid", f'Invalid value: "{metadata["uid"]}": field is immutable')
            raise invalid(kind.resource, key.name, [immutable, immutable])
        for name in ("resourceVersion", "uid", "creationTimestamp", "generation"):
            metadata.pop(name, None)
        config = configured_part(kind, config, subresource)
        live = kind.from_storage(stored.copy())
        managers = ownership.decode_managers(live["metadata"].pop("managedFields", []))
        if not managers:
            api_version = kind.resource.api_version
            managers = ownership.before_first_apply(live, api_version, kind.merge, self._now())
        merged, managers = ownership.apply(
            live,
            config,
            managers,
            self._manager(kind, options, "Apply", subresource),
            kind.merge,
            self._now(),
            force=options.force,
            forgiven=forgiven_fields(live, options.manager, kind.merge),
        )
        obj = copied(merged)
        kind.strategy.prune(obj)  # what the kind has forgotten since
        refresh_last_applied(obj, config, options.manager)
        return Written(self._replace(kind, stored, obj, managers, options, subresource, applied=True))

    def _apply_new(self, kind: Kind, key: ObjectKey, config: Json, options: WriteOptions) -> Stored:
        config = configured_part(kind, config, "")
        writer = self._manager(kind, options, "Apply", "")
        obj, managers = ownership.apply({}, config, {}, writer, kind.merge, self._now(), force=True)
        private = copied(obj)
        kind.strategy.prune(private)  # which writes quantities as they are stored
        self._prepare_new(kind, key.namespace, private, options)
        self._set_managers(private, managers)
        return self._store_new(kind, key, private, options)

    def _prepare_new(self, kind: Kind, namespace: str, obj: Json, options: WriteOptions) -> None:
        metadata = obj["metadata"]
        check_home(self._storage, kind, namespace, metadata)
        if kind.resource.namespaced:
            metadata["namespace"] = namespace
        else:
            metadata.pop("namespace", None)
        complete_name(metadata, self._rng)
        if kind.has_status:
            obj.pop("status", None)
        give_identity(kind, obj, self._rng, self._clock.now())
        kind.strategy.prepare(obj, None)

    @staticmethod
    def _check_new(kind: Kind, key: ObjectKey, obj: Json, options: WriteOptions) -> None:
        causes = validate_metadata(kind, obj["metadata"]) + kind.strategy.validate(obj, None, "")
        check_valid(kind, key.name, causes, options)

    def _store_new(self, kind: Kind, key: ObjectKey, obj: Json, options: WriteOptions) -> Stored:
        self._check_new(kind, key, obj, options)
        options.warnings += finalizer_warnings(kind, obj["metadata"], {})
        for guard in self.guards:
            guard(kind, obj, None, options.user)
        return self._commit(kind, key, obj, options)

    def _replace(
        self,
        kind: Kind,
        stored: Stored,
        obj: Json,
        managers: ownership.Managers,
        options: WriteOptions,
        subresource: str,
        *,
        applied: bool = False,
    ) -> Stored:
        old = kind.from_storage(stored.obj)
        metadata, before = obj["metadata"], old["metadata"]
        if subresource == "status":
            obj = only_status(obj, old)
            metadata = obj["metadata"]
        else:
            keep_status(kind, obj, old)
        keep_server_fields(metadata, before)
        if kind.resource.namespaced:
            metadata.setdefault("namespace", stored.key.namespace)
        kind.strategy.prepare(obj, old)
        next_generation(kind, obj, old)
        metadata["resourceVersion"] = before["resourceVersion"]
        if applied:
            self._set_managers(obj, managers)
        else:
            self._own(kind, old, obj, managers, subresource, options)
        if identical(obj, old):
            return stored
        fixed = validate_metadata_update(metadata, before)
        # A real server looks at what never changes twice, for all kinds and for each kind, and says so.
        causes = [*fixed, *validate_metadata(kind, metadata), *fixed, *kind.strategy.validate(obj, old, subresource)]
        check_valid(kind, stored.key.name, causes, options)
        options.warnings += finalizer_warnings(kind, metadata, before)
        for guard in self.guards:
            guard(kind, obj, old, options.user)
        if (
            "deletionTimestamp" in metadata
            and not metadata.get("finalizers")
            and not metadata.get("deletionGracePeriodSeconds")
            and not waits_for_content(kind, obj)
        ):
            if not options.dry_run:
                self._storage.remove(kind.storage, stored.key)
            # As the real server does: the answer is the object of the request, at the version it was based on.
            return Stored(stored.key, kind.to_storage(obj), stored.version)
        return self._commit(kind, stored.key, obj, options)

    def _commit(self, kind: Kind, key: ObjectKey, obj: Json, options: WriteOptions) -> Stored:
        stored_form = kind.to_storage({"kind": obj["kind"], "apiVersion": obj["apiVersion"], **obj})
        if options.dry_run:
            return Stored(key, stored_form, self._storage.version)
        return self._storage.put(kind.storage, key, stored_form)

    def _own(
        self, kind: Kind, old: Json, obj: Json, managers: ownership.Managers, subresource: str, options: WriteOptions
    ) -> None:
        writer = self._manager(kind, options, "Update", subresource)
        before = dict(old)
        if old:
            before["metadata"] = {name: value for name, value in old["metadata"].items() if name != "managedFields"}
        elif kind.strategic:
            before = {"metadata": {}, "spec": {}, "status": {}}
        # As on a real server, an entry for the scale carries no time.
        now = "" if subresource == "scale" else self._now()
        self._set_managers(obj, ownership.own_changes(before, obj, managers, writer, kind.merge, now))

    @staticmethod
    def _set_managers(obj: Json, managers: ownership.Managers) -> None:
        if managers:
            obj["metadata"]["managedFields"] = ownership.encode_managers(managers)
        else:
            obj["metadata"].pop("managedFields", None)

    @staticmethod
    def _manager(kind: Kind, options: WriteOptions, operation: str, subresource: str) -> ownership.Manager:
        return ownership.Manager(options.manager, operation, kind.resource.api_version, subresource)

    def _existing(self, kind: Kind, key: ObjectKey) -> Stored:
        stored = self._storage.get(kind.storage, key)
        if stored is None:
            raise not_found(kind.resource, key.name)
        return stored

    def _now(self) -> str:
        return format_time(self._clock.now())
