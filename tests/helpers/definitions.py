"""CustomResourceDefinitions of the conformance suite's cases, and how answers that refuse are read."""

from __future__ import annotations

from typing import Any, Final

from helpers.rest import Answer

__all__ = ["CRDS", "GROUP", "causes", "definition", "path_of", "refused"]

GROUP: Final = "cases.example.com"
CRDS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def definition(
    plural: str, kind: str, schema: dict[str, Any], *, scope: str = "Namespaced", **version: Any
) -> dict[str, Any]:
    """Return a CRD of one version, v1, whose spec has this schema; its status is free."""
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    root = {"type": "object", "properties": {"spec": schema, "status": free}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": scope,
            "names": {"plural": plural, "kind": kind},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": root}, **version}
            ],
        },
    }


def path_of(plural: str, namespace: str, name: str = "", *, version: str = "v1") -> str:
    """Return the path of a collection of `definition`'s kinds, or of one object in it."""
    path = f"/apis/{GROUP}/{version}/namespaces/{namespace}/{plural}"
    return f"{path}/{name}" if name else path


def refused(answer: Answer, status: int, reason: str) -> str:
    """Check that an answer is a Status of this kind, and return its message."""
    found = answer.json
    assert (answer.status, found.get("kind"), found["code"]) == (status, "Status", status), answer.text
    assert found.get("reason", "") == reason, answer.text
    return str(found["message"])


def causes(answer: Answer) -> list[tuple[str, str, str]]:
    """The causes (reason, field, message) of a refusal, in order of their fields: a real server has none for them."""
    found = answer.json["details"]["causes"]
    return sorted((cause["reason"], cause["field"], cause["message"]) for cause in found)
