"""OpenAPI documents: what `kubectl explain`, `apply` and `edit` want to know of each kind.

One v3 document per group version, with the schema of each kind and, for each, the two operations whose query parameters
kubectl looks at to learn that the server validates fields and supports dry runs. The v2 document says nothing but that.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from controller_runtime.envtest.kinds import Kind, Kinds
from controller_runtime.envtest.storage import Json

__all__ = ["document", "index", "minimal_v2"]

_ANYTHING: Final[Json] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_INFO: Final = {"title": "Kubernetes", "version": "v1.36.0"}


def index(kinds: Kinds) -> Json:
    """The answer to `/openapi/v3`."""
    digest = hashlib.sha256(str(kinds.generation).encode()).hexdigest()
    paths: Json = {}
    for group, versions in kinds.groups().items():
        for version in versions:
            path = f"apis/{group}/{version}" if group else f"api/{version}"
            paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
    return {"paths": paths}


def document(kinds: Kinds, group: str, version: str) -> Json | None:
    """The document of one group version; None if there is none."""
    served = kinds.in_version(group, version)
    if not served:
        return None
    paths: Json = {}
    schemas: Json = {}
    for kind in served:
        schemas[_component(kind)] = {
            **(_plain(kind.schema) or _ANYTHING),
            "x-kubernetes-group-version-kind": [_gvk(kind)],
        }
        base = f"/apis/{group}/{version}" if group else f"/api/{version}"
        scope = "/namespaces/{namespace}" if kind.resource.namespaced else ""
        paths[f"{base}{scope}/{kind.resource.plural}"] = {"post": _operation(kind, "post")}
        paths[f"{base}{scope}/{kind.resource.plural}/{{name}}"] = {
            "get": _operation(kind, "get"),
            "put": _operation(kind, "put"),
            "patch": _operation(kind, "patch"),
            "delete": _operation(kind, "delete"),
        }
    return {"openapi": "3.0.0", "info": _INFO, "paths": paths, "components": {"schemas": schemas}}


def minimal_v2() -> Json:
    """An OpenAPI v2 document without definitions: clients that need them ask for v3."""
    return {"swagger": "2.0", "info": _INFO, "paths": {}, "definitions": {}}


def _operation(kind: Kind, action: str) -> Json:
    reference = {"$ref": f"#/components/schemas/{_component(kind)}"}
    parameters = [
        {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
        for name in ("dryRun", "fieldManager", "fieldValidation", "pretty")
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


def _plain(schema: Any) -> Any:
    """OpenAPI v3 has no int-or-string and wants a type or a choice everywhere."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        rest = {name: value for name, value in schema.items() if name not in ("type", "anyOf", "allOf")}
        return {**rest, "oneOf": [{"type": "integer"}, {"type": "string"}]}
    return {name: (value if name == "default" else _plain(value)) for name, value in schema.items()}
