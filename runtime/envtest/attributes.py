"""What a request asks to do with what: the attributes by which it is authorized, limited and disturbed.

The words are the API server's own [apiserver endpoints/request/requestinfo.go]: a GET of a collection is a `list`, or a
`watch` with `watch=1`; a PUT is an `update`; a DELETE of a collection a `deletecollection`. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

__all__ = ["Attributes", "attributes_of"]

_VERBS: Final = {
    "GET": ("list", "get"),
    "HEAD": ("list", "get"),
    "POST": ("create", "create"),
    "PUT": ("update", "update"),
    "PATCH": ("patch", "patch"),
    "DELETE": ("deletecollection", "delete"),
}
_TRUE: Final = ("1", "t", "T", "true", "True", "TRUE")
_NAMESPACE_SUBRESOURCES: Final = ("status", "finalize")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """One request. `resource` is empty for a path that names none (`/healthz`, discovery); then `verb` is the method.

    Attributes:
        verb: get, list, watch, create, update, patch, delete or deletecollection; or the method in lower case.
        path: as sent, without the query.
        resource: plural, without the group; the subresource is apart.
        name: also of a list or watch that a field selector restricts to one name.
    """

    verb: str
    path: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""


def attributes_of(method: str, path: str, params: Iterable[tuple[str, str]]) -> Attributes:
    """Read a request's attributes from its method, its (quoted) path and its (decoded) query."""
    segments = [unquote(segment) for segment in path.strip("/").split("/")]
    match segments:
        case ["api", version, first, *rest]:
            group = ""
        case ["apis", group, version, first, *rest]:
            pass
        case _:
            return Attributes(verb=method.lower(), path=path)
    namespace = ""
    if first == "namespaces" and rest:
        # A namespace is its own namespace: who may do something in it may be allowed to read it.
        namespace = rest[0]
        if len(rest) > 1 and rest[1] not in _NAMESPACE_SUBRESOURCES:
            _, first, *rest = rest
    name = rest[0] if rest else ""
    of_collection, of_object = _VERBS.get(method, (method.lower(), method.lower()))
    verb = of_object if name else of_collection
    if verb == "list":
        query = dict(params)
        name = _selected_name(query.get("fieldSelector", ""))
        if query.get("watch") in _TRUE:
            verb = "watch"
    return Attributes(
        verb=verb,
        path=path,
        group=group,
        version=version,
        resource=first,
        subresource=rest[1] if len(rest) > 1 else "",
        namespace=namespace,
        name=name,
    )


def _selected_name(selector: str) -> str:
    for term in selector.split(","):
        field, _, value = term.partition("=")
        if field == "metadata.name":
            return value.removeprefix("=")
    return ""
