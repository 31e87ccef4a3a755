"""In which form an answer goes out: whole objects, Tables for `kubectl get`, or metadata alone.

`view_of` reads an Accept header, `Rendering` writes objects, lists and watch events of one kind in the form found there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, final

import orjson

from controller_runtime.envtest.kinds import Kind
from controller_runtime.envtest.lists import Page
from controller_runtime.envtest.status import not_acceptable
from controller_runtime.envtest.storage import Json, Stored
from controller_runtime.envtest.table import bookmark_table, metadata_only, table

__all__ = ["Rendering", "View", "accepted", "view_of"]

View = Literal["object", "table", "metadata"]

_JSON: Final = ("application/json", "*/*", "application/*")


def accepted(accept: str) -> list[tuple[str, dict[str, str]]]:
    """Split an Accept header into media types with their parameters, in the order given."""
    found: list[tuple[str, dict[str, str]]] = []
    for part in accept.split(","):
        media, *parameters = (text.strip() for text in part.split(";"))
        pairs = (parameter.partition("=") for parameter in parameters)
        found.append((media.lower(), {name.strip(): value.strip() for name, _, value in pairs}))
    return found


def view_of(accept: str, *, built_in: bool = False) -> View:
    """Choose the first form asked for that the server has.

    Args:
        built_in: whether it is for a built-in kind, whose refusals are worded by another part of a real server.

    Raises:
        StatusError: 406, if it has none of them.
    """
    if accept in ("", "application/json", "*/*"):
        return "object"
    for media, parameters in accepted(accept):
        if media not in _JSON:
            continue
        form = parameters.get("as", "")
        if not form:
            return "object"
        if parameters.get("g") == "meta.k8s.io" and parameters.get("v") == "v1":
            if form == "Table":
                return "table"
            if form in ("PartialObjectMetadata", "PartialObjectMetadataList"):
                return "metadata"
    raise not_acceptable(routed=built_in and not any(media in _JSON for media, _ in accepted(accept)))


@final
class Rendering:
    """Writes objects of one kind.

    Args:
        include: how much of each object comes with the row of a table: `Object`, `Metadata` or `None`.
        now: the time from which ages are counted.
    """

    def __init__(self, kind: Kind, view: View, *, include: str, now: float) -> None:
        self._kind = kind
        self._view = view
        self._include = include or "Metadata"
        self._now = now
        self._columns = True
        resource = kind.resource
        self._type = orjson.dumps({"kind": resource.kind, "apiVersion": resource.api_version})[:-1] + b","

    def one(self, stored: Stored) -> bytes:
        """A single object."""
        if self._view == "table":
            metadata = {"resourceVersion": stored.metadata.get("resourceVersion", "")}
            return orjson.dumps(self._table([stored], metadata, columns=True))
        return self._plain(stored)

    def event(self, stored: Stored) -> bytes:
        """The object of a watch event; only the first table of a watch repeats the columns."""
        if self._view == "table":
            columns, self._columns = self._columns, False
            metadata = {"resourceVersion": stored.metadata.get("resourceVersion", "")}
            return orjson.dumps(self._table([stored], metadata, columns=columns))
        return self._plain(stored)

    def bookmark(self, stored: Stored) -> bytes:
        """The object of a bookmark, which has no more than metadata: in a table it fills no cell."""
        if self._view == "table":
            metadata = {"resourceVersion": stored.metadata["resourceVersion"]}
            return orjson.dumps(bookmark_table(self._kind, stored.obj, metadata))
        return orjson.dumps(metadata_only(stored.obj)) if self._view == "metadata" else stored.raw

    def many(self, page: Page) -> bytes:
        """A list."""
        metadata: Json = {"resourceVersion": str(page.version)}
        if self._kind.custom and self._view == "object":
            metadata["continue"] = ""
        if page.token:
            metadata["continue"] = page.token
            if page.remaining is not None:
                metadata["remainingItemCount"] = page.remaining
        if self._view == "table":
            return orjson.dumps(self._table(page.items, metadata, columns=True))
        resource = self._kind.resource
        name, api_version = self._kind.list_kind, resource.api_version
        if self._view == "metadata":
            name, api_version = "PartialObjectMetadataList", "meta.k8s.io/v1"
        head = orjson.dumps({"kind": name, "apiVersion": api_version, "metadata": metadata})[:-1]
        if self._view == "metadata" and not page.items:
            return head + b',"items":null}'
        item = self._plain if self._kind.custom or self._view == "metadata" else self._untyped
        return head + b',"items":[' + b",".join(map(item, page.items)) + b"]}"

    def _untyped(self, stored: Stored) -> bytes:
        """An object of a built-in kind in a list: the list has said what its items are."""
        raw = self._plain(stored)
        if raw.startswith(self._type):
            return b"{" + raw[len(self._type) :]
        obj = orjson.loads(raw)
        return orjson.dumps({name: value for name, value in obj.items() if name not in ("kind", "apiVersion")})

    def _plain(self, stored: Stored) -> bytes:
        if self._view == "metadata":
            return orjson.dumps(metadata_only(stored.obj))
        if self._kind.stored_as_served:
            return stored.raw
        return orjson.dumps(self._kind.from_storage(stored.obj))

    def _table(self, items: Iterable[Stored], metadata: Json, *, columns: bool) -> Json:
        objects = [self._kind.from_storage(stored.obj) for stored in items]
        return table(self._kind, objects, now=self._now, include=self._include, metadata=metadata, columns=columns)
