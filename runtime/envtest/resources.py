"""The verbs on resources: get, list, watch, create, update, patch, delete, and the subresources.

Concurrency: plain synchronous code for one event loop; a call is atomic.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from controller_runtime.api.resource import ObjectKey
from controller_runtime.api.time import format_time
from controller_runtime.clock import Clock
from controller_runtime.envtest import subresources
from controller_runtime.envtest.answers import Answer, Call, ProxyAnswer, WatchAnswer, answer_json
from controller_runtime.envtest.deletes import Deleter, read_delete_options
from controller_runtime.envtest.kinds import Kind, Kinds
from controller_runtime.envtest.listoptions import ListOptions, read_list_options, read_version
from controller_runtime.envtest.lists import list_page, version_not_reached
from controller_runtime.envtest.negotiation import Rendering, view_of
from controller_runtime.envtest.patches import APPLY, read_body
from controller_runtime.envtest.proxy import pod_target, service_target
from controller_runtime.envtest.requestoptions import patch_media, warning, write_options, written_answer
from controller_runtime.envtest.selection import select
from controller_runtime.envtest.status import (
    StatusError,
    expired,
    method_not_allowed,
    not_found,
    not_implemented,
    success,
)
from controller_runtime.envtest.storage import Storage, Stored, Table, TooOld
from controller_runtime.envtest.watching import Watch
from controller_runtime.envtest.writes import Writer

__all__ = ["Resources", "Target"]

_LONGEST_WATCH: Final = 1800.0
_NOT_DONE: Final = {
    "log": "reading a container's log",
    "exec": "running a command in a container",
    "attach": "attaching to a container",
    "portforward": "forwarding ports to a pod",
    "ephemeralcontainers": "adding ephemeral containers",
}


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names; an empty name means the collection. `tail` is the rest of a proxy's path."""

    kind: Kind
    namespace: str
    name: str
    subresource: str
    tail: str

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(self.namespace, self.name)


class Resources:
    """See the module docstring."""

    def __init__(
        self, storage: Storage, kinds: Kinds, writer: Writer, deleter: Deleter, clock: Clock, rng: random.Random
    ) -> None:
        self._storage = storage
        self._kinds = kinds
        self._writer = writer
        self._deleter = deleter
        self._clock = clock
        self._rng = rng

    def handle(self, call: Call, target: Target, params: Mapping[str, str]) -> Answer | WatchAnswer | ProxyAnswer:
        """Answer a call on a resource.

        Raises:
            StatusError: it was refused.
        """
        if target.subresource in _NOT_DONE:
            raise not_implemented(_NOT_DONE[target.subresource])
        if target.subresource == "proxy":
            return self._proxy(call, target)
        if target.subresource in ("scale", "eviction", "binding", "finalize"):
            return self._special(call, target, params)
        match call.method, bool(target.name):
            case "GET", True:
                return self._get(call, target, params)
            case "GET", False:
                return self._list_or_watch(call, target, params)
            case "POST", False:
                return self._create(call, target, params)
            case "PUT", True:
                return self._update(call, target, params)
            case "PATCH", True:
                return self._patch(call, target, params)
            case "DELETE", True if not target.subresource:
                return self._delete(call, target, params)
            case "DELETE", False:
                return self._delete_collection(call, target, params)
        raise method_not_allowed(target.kind.resource)

    def _rendering(self, call: Call, target: Target, params: Mapping[str, str]) -> Rendering:
        view = view_of(call.headers.get("accept", ""), built_in=target.kind.strategic)
        return Rendering(target.kind, view, include=params.get("includeObject", ""), now=self._clock.now())

    def _get(self, call: Call, target: Target, params: Mapping[str, str]) -> Answer:
        rendering = self._rendering(call, target, params)
        current = self._storage.version if call.as_of is None else call.as_of
        if (wanted := read_version(params.get("resourceVersion", "")) or 0) > current:
            raise version_not_reached(wanted, current)
        return Answer(200, rendering.one(self._existing(target, call.as_of)))

    def _existing(self, target: Target, as_of: int | None = None) -> Stored:
        stored = self._view(target.kind, as_of).objects.get(target.key)
        if stored is None:
            raise not_found(target.kind.resource, target.name)
        return stored

    def _view(self, kind: Kind, as_of: int | None) -> Table:
        """The objects of a kind, as they are or as they were.

        Raises:
            StatusError: the history does not reach back that far.
        """
        table = self._storage.table(kind.storage)
        try:
            return table if as_of is None else table.at(as_of)
        except TooOld:
            raise expired(f"too old resource version: {as_of}") from None

    def _list_or_watch(self, call: Call, target: Target, params: Mapping[str, str]) -> Answer | WatchAnswer:
        kind = target.kind
        options = read_list_options(params)
        selection = select(params, target.namespace, target.name, kind.selectable, kind.unknown_field)
        rendering = self._rendering(call, target, params)
        current = self._storage.version if call.as_of is None else call.as_of
        table = self._view(kind, call.as_of)
        if not options.watch:
            return Answer(200, rendering.many(list_page(current, table, selection, options)))
        wanted = _start_of_watch(options)
        ahead = bool(options.initial) and wanted > current
        watch = Watch(
            self._storage,
            self._storage.table(kind.storage),
            selection,
            rendering,
            after=current if options.initial or not wanted else wanted,
            initial=[table.objects[key] for key in table.sorted_keys() if selection.matches(table.objects[key])]
            if options.initial and not ahead
            else (),
            announce_end=bool(options.initial) and not ahead and options.bookmarks,
            failure=version_not_reached(wanted, current) if ahead else None,
            api_version=kind.resource.api_version,
            kind=kind.resource.kind,
        )
        return WatchAnswer(watch, self._watch_timeout(options), options.bookmarks)

    def _watch_timeout(self, options: ListOptions) -> float:
        if options.timeout > 0:
            return float(options.timeout)
        return _LONGEST_WATCH * (1 + self._rng.random())

    def _create(self, call: Call, target: Target, params: Mapping[str, str]) -> Answer:
        rendering = self._rendering(call, target, params)
        if target.kind.resource.namespaced and not target.namespace:
            raise method_not_allowed(target.kind.resource)
        options = write_options(call, params)
        body = read_body(call.body, call.headers.get("content-type", ""), target.kind.resource.kind)
        with warning(options):
            stored = self._writer.create(target.kind, target.namespace, body, options)
        return written_answer(201, rendering.one(stored), options)

    def _update(self, call: Call, target: Target, params: Mapping[str, str]) -> Answer:
        rendering = self._rendering(call, target, params)
        options = write_options(call, params)
        body = read_body(call.body, call.headers.get("content-type", ""), target.kind.resource.kind)
        with warning(options):
            written = self._writer.update(target.kind, target.key, body, options, target.subresource)
        return written_answer(201 if written.created else 200, rendering.one(written.stored), options)

    def _patch(self, call: Call, target: Target, params: Mapping[str, str]) -> Answer:
        rendering = self._rendering(call, target, params)
        media = patch_media(call, strategic=target.kind.strategic)
        options = write_options(call, params, apply=media == APPLY)
        with warning(options):
            written = self._writer.patch(target.kind, target.key, call.body, media, options, target.subresource)
        return written_answer(201 if written.created else 200, rendering.one(written.stored), options)

    def _delete(self, call: Call, target: Target, params: Mapping[str, str]) -> Answer:
        body = read_body(call.body, call.headers.get("content-type", "")) if call.body else None
        options = read_delete_options(body, params)
        deleted = self._deleter.delete(target.kind, target.key, options)
        if deleted.gone and not target.kind.returns_deleted:
            return answer_json(success(target.kind.resource, target.name, deleted.stored.uid))
        return Answer(200, self._rendering(call, target, params).one(deleted.stored))

    def _delete_collection(self, call: Call, target: Target, params: Mapping[str, str]) -> Answer:
        kind = target.kind
        if "deletecollection" not in kind.verbs or (kind.resource.namespaced and not target.namespace):
            raise method_not_allowed(kind.resource)
        listing = read_list_options(params)
        selection = select(params, target.namespace, "", kind.selectable, kind.unknown_field)
        body = read_body(call.body, call.headers.get("content-type", "")) if call.body else None
        options = read_delete_options(body, params)
        page = list_page(self._storage.version, self._storage.table(kind.storage), selection, listing)
        body_of_answer = self._rendering(call, target, params).many(page)
        for stored in page.items:
            if self._storage.get(kind.storage, stored.key) is not None:  # else it is gone since
                self._deleter.delete(kind, stored.key, options)
        return Answer(200, body_of_answer)

    def _special(self, call: Call, target: Target, params: Mapping[str, str]) -> Answer:
        kind, key, method = target.kind, target.key, call.method
        content_type = call.headers.get("content-type", "")
        match target.subresource, method:
            case "scale", "GET":
                return answer_json(subresources.read_scale(kind, self._existing(target)))
            case "scale", "PUT" | "PATCH":
                media = patch_media(call, strategic=False) if method == "PATCH" else None
                options = write_options(call, params, apply=media == APPLY)
                stored = self._existing(target)
                return answer_json(subresources.write_scale(self._writer, kind, stored, call.body, media, options))
            case "eviction", "POST":
                body = read_body(call.body, content_type)
                return answer_json(subresources.evict(self._deleter, self._storage, kind, key, body), 201)
            case "binding", "POST":
                body = read_body(call.body, content_type)
                now = format_time(self._clock.now())
                return answer_json(subresources.bind(self._storage, kind, key, body, now), 201)
            case "finalize", "PUT":
                body = read_body(call.body, content_type)
                return Answer(200, subresources.finalize_namespace(self._storage, kind, key, body).raw)
        raise method_not_allowed(kind.resource)

    def _proxy(self, call: Call, target: Target) -> ProxyAnswer:
        find = {("", "services"): service_target, ("", "pods"): pod_target}.get(target.kind.storage)
        if find is None:
            raise not_implemented(f"the proxy of {target.kind.resource.plural}")
        where = find(self._storage, target.namespace, target.name)
        return ProxyAnswer(scheme=where.scheme, host=where.host, port=where.port, path="/" + target.tail, call=call)


def _start_of_watch(options: ListOptions) -> int:
    """The version after which a watch begins; 0 if any will do.

    Raises:
        StatusError: it is no version.
    """
    try:
        return read_version(options.version) or 0
    except StatusError as error:
        message = error.message.removeprefix("invalid resource version: ")
        raise StatusError(500, "", message) from None
