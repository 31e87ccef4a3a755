"""`Thing`: the custom resource of the conformance suite, with everything that a CustomResourceDefinition can declare."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["API_VERSION", "GROUP", "THINGS", "THING_CRD", "thing", "things_path"]

GROUP: Final = "conformance.example.com"
API_VERSION: Final = f"{GROUP}/v1"
THINGS: Final = f"/apis/{API_VERSION}/things"

_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "size": {"type": "integer", "minimum": 0, "maximum": 100, "default": 1},
                "colour": {"type": "string", "enum": ["red", "green", "blue"]},
                "port": {"x-kubernetes-int-or-string": True},
                "note": {"type": "string", "nullable": True},
                "fixed": {
                    "type": "string",
                    "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "fixed cannot be changed"}],
                },
                "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
                "parts": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"name": {"type": "string"}, "count": {"type": "integer", "default": 1}},
                        "required": ["name"],
                    },
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                },
                "steps": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "atomic"},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "whole": {
                    "type": "object",
                    "x-kubernetes-map-type": "atomic",
                    "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                },
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "limit": {"type": "integer"},
            },
            "x-kubernetes-validations": [
                {
                    "rule": "!has(self.limit) || self.size <= self.limit",
                    "messageExpression": "'size above the limit' + (has(self.colour) ? ' of ' + self.colour : '')",
                    "fieldPath": ".size",
                }
            ],
        },
        "status": {
            "type": "object",
            "properties": {
                "size": {"type": "integer"},
                "selector": {"type": "string"},
                "phase": {"type": "string"},
                "conditions": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "type": {"type": "string"},
                            "status": {"type": "string"},
                            "reason": {"type": "string"},
                            "message": {"type": "string"},
                        },
                        "required": ["type", "status"],
                    },
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["type"],
                },
            },
        },
    },
}

THING_CRD: Final[dict[str, Any]] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"things.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {
            "kind": "Thing",
            "plural": "things",
            "singular": "thing",
            "listKind": "ThingList",
            "shortNames": ["th"],
        },
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": _SCHEMA},
                "selectableFields": [{"jsonPath": ".spec.colour"}],
                "additionalPrinterColumns": [
                    {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
                    {"name": "Colour", "type": "string", "jsonPath": ".spec.colour"},
                    {"name": "Phase", "type": "string", "jsonPath": ".status.phase", "priority": 1},
                ],
                "subresources": {
                    "status": {},
                    "scale": {
                        "specReplicasPath": ".spec.size",
                        "statusReplicasPath": ".status.size",
                        "labelSelectorPath": ".status.selector",
                    },
                },
            }
        ],
    },
}


def things_path(namespace: str, name: str = "", subresource: str = "") -> str:
    """Return the path of a namespace's things, of one, or of a subresource of it."""
    parts = [part for part in (name, subresource) if part]
    return "/".join([f"/apis/{API_VERSION}/namespaces/{namespace}/things", *parts])


def thing(name: str, *, metadata: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """Return a Thing without a namespace: the path has it."""
    return {"apiVersion": API_VERSION, "kind": "Thing", "metadata": {"name": name, **(metadata or {})}, "spec": spec}
