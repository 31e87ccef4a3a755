"""OpenAPI documents: what `kubectl explain`, `apply` and `edit` want to know of each kind.

One v3 document per group version, with the schema of each kind and, for each, the two operations whose query parameters
kubectl looks at to learn that the server validates fields and supports dry runs. The types that built-in kinds are made of
have schemas of their own. The v2 document says nothing but that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from controller_runtime.envtest.kinds import Kind, Kinds
from controller_runtime.envtest.storage import Json

__all__ = ["document", "group_versions", "index", "minimal_v2"]

_ANYTHING: Final[Json] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_INFO: Final = {"title": "Kubernetes", "version": "v1.36.0"}
# A quantity is sent as text or as a number.
_QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_TEXT_OR_NUMBER: Final[Json] = {"oneOf": [{"type": "string"}, {"type": "number"}]}


def group_versions(kinds: Kinds) -> list[tuple[str, str, str]]:
    """The path, group and version of every document."""
    return [
        (f"apis/{group}/{version}" if group else f"api/{version}", group, version)
        for group, versions in kinds.groups().items()
        for version in versions
    ]


def index(digests: Mapping[str, str]) -> Json:
    """The answer to `/openapi/v3`: where the documents are, each with the digest of what it is now."""
    urls = {path: f"/openapi/v3/{path}?hash={digest}" for path, digest in digests.items()}
    return {"paths": {path: {"serverRelativeURL": url} for path, url in urls.items()}}


def document(kinds: Kinds, group: str, version: str) -> Json:
    """The document of one group version."""
    paths: Json = {}
    schemas: Json = {}
    base = f"/apis/{group}/{version}" if group else f"/api/{version}"
    for kind in kinds.in_version(group, version):
        schemas[_component(kind)] = _schema(kind, schemas)
        paths.update(_paths(kind, base))
    return {"openapi": "3.0.0", "info": _INFO, "paths": paths, "components": {"schemas": schemas}}


def _schema(kind: Kind, types: Json) -> Json:
    """The kind's schema; the types that it shares with others are added to `types`."""
    untitled = {name: value for name, value in (kind.schema or _ANYTHING).items() if kind.custom or name != "title"}
    schema = {**_plain(untitled, None if kind.custom else types), "x-kubernetes-group-version-kind": [_gvk(kind)]}
    if "metadata" in schema.get("properties", {}):
        metadata = _plain(kind.schema["properties"]["metadata"], types)
        schema["properties"] = {**schema["properties"], "metadata": metadata}
    if kind.custom and kind.fields:
        schema["x-kubernetes-selectable-fields"] = [{"fieldPath": path} for path in kind.fields]
    return schema


def _paths(kind: Kind, base: str) -> Json:
    """What can be done where."""
    plural, scope = kind.resource.plural, "/namespaces/{namespace}" if kind.resource.namespaced else ""
    collection = f"{base}{scope}/{plural}"
    paths: Json = {
        collection: _operations(kind, "delete", "get", "post"),
        f"{collection}/{{name}}": _operations(kind, "delete", "get", "patch", "put"),
    }
    if scope:
        paths[f"{base}/{plural}"] = _operations(kind, "get")
    if kind.has_status:
        paths[f"{collection}/{{name}}/status"] = _operations(kind, "get", "patch", "put")
    return paths


def _operations(kind: Kind, *actions: str) -> Json:
    return {action: _operation(kind, action) for action in actions}


def minimal_v2() -> Json:
    """An OpenAPI v2 document without definitions: clients that need them ask for v3."""
    return {"swagger": "2.0", "info": _INFO, "paths": {}, "definitions": {}}


def _operation(kind: Kind, action: str) -> Json:
    reference = {"$ref": f"#/components/schemas/{_component(kind)}"}
    parameters = [
        {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
        for name in ("dryRun", "fieldManager", "fieldValidation", "force", "pretty")
        if name != "force" or action == "patch"
    ]
    return {
        "operationId": f"{action}{kind.resource.kind}",
        "parameters": parameters,
        "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": reference}}}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": _gvk(kind),
    }


def _gvk(kind: Kind) -> dict[str, Any]:
    resource = kind.resource
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


def _component(kind: Kind) -> str:
    resource = kind.resource
    reversed_group = ".".join(reversed((resource.group or "core.api.k8s.io").split(".")))
    return f"{reversed_group}.{resource.version}.{resource.kind}"


def _plain(schema: Any, types: Json | None) -> Any:
    """OpenAPI v3 has no int-or-string and wants a type or a choice everywhere.

    Args:
        types: collects the schemas that have a title, which are replaced by references; None if they are to stay.
    """
    if isinstance(schema, list):
        return [_plain(item, types) for item in schema]
    if not isinstance(schema, dict):
        return schema
    title = schema.get("title")
    if types is not None and isinstance(title, str):
        if title not in types:
            untitled = {name: value for name, value in schema.items() if name != "title"}
            types[title] = _TEXT_OR_NUMBER if title == _QUANTITY else _plain(untitled, types)
        return {"allOf": [{"$ref": f"#/components/schemas/{title}"}]}
    if schema.get("x-kubernetes-int-or-string"):
        rest = {name: value for name, value in schema.items() if name not in ("type", "anyOf", "allOf")}
        return {**rest, "oneOf": [{"type": "integer"}, {"type": "string"}]}
    return {name: (value if name == "default" else _plain(value, types)) for name, value in schema.items()}
