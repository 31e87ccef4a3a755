"""The pod and claim specs of an overlay as Go's typed structs would serialise them.

An overlay is plain JSON for us and typed for TiDB Operator, whose JSON of it is hashed. The two differ in what Go cannot
express: an empty text, list or map, a false or a zero without a pointer is left out, while a few structs and lists are
always there. Unknown fields are kept: the API server has let them pass.

Pure functions; what they return shares nothing with their arguments.
"""

from __future__ import annotations

from typing import Any, Final

from controller_runtime.api import canonical_quantity

__all__ = ["claim_spec_tree", "pod_spec_tree"]

_CONTAINERS: Final = ("initContainers", "containers", "ephemeralContainers")

# By the name of the field, which is unambiguous within a pod's spec.
_KEPT_WHEN_EMPTY: Final = frozenset(
    {"containers", "mountPath", "name", "nodeSelectorTerms", "sources", "storageClassName", "volumeAttributesClassName"}
)
_MAPS: Final = frozenset(
    {"annotations", "labels", "limits", "matchLabels", "nodeSelector", "overhead", "requests", "volumeAttributes"}
)
_BOOLS_WITHOUT_POINTER: Final = frozenset(
    {"hostIPC", "hostNetwork", "hostPID", "readOnly", "stdin", "stdinOnce", "tty"}
)
_NUMBERS_WITHOUT_POINTER: Final = frozenset(
    {"failureThreshold", "hostPort", "initialDelaySeconds", "periodSeconds", "successThreshold", "timeoutSeconds"}
)
_QUANTITY_MAPS: Final = frozenset({"limits", "overhead", "requests"})
_QUANTITIES: Final = frozenset({"divisor", "sizeLimit"})


def pod_spec_tree(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a pod's spec as Go writes it."""
    tree: dict[str, Any] = {"containers": None} | _struct(spec)
    for name in _CONTAINERS:
        for container in tree.get(name) or ():
            container.setdefault("resources", {})
            for variable in container.get("env", ()):
                divided = variable.get("valueFrom", {}).get("resourceFieldRef")
                if divided is not None:
                    divided.setdefault("divisor", "0")
    return tree


def claim_spec_tree(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a volume claim's spec as Go writes it."""
    return {"resources": {}} | _struct(spec)


def _struct(value: dict[str, Any]) -> dict[str, Any]:
    return {name: _render(name, item) for name, item in value.items() if not _left_out(name, item)}


def _render(name: str, value: Any) -> Any:
    if name in _QUANTITY_MAPS and isinstance(value, dict):
        return {resource: canonical_quantity(amount) for resource, amount in value.items()}
    if name in _QUANTITIES:
        return canonical_quantity(value)
    if name in _MAPS and isinstance(value, dict):
        return dict(value)
    if isinstance(value, dict):
        return _struct(value)
    if isinstance(value, list):
        return [_struct(item) if isinstance(item, dict) else item for item in value]
    return value


def _left_out(name: str, value: Any) -> bool:
    if name in _KEPT_WHEN_EMPTY:
        return False
    match value:
        case None | "" | []:
            return True
        case False:
            return name in _BOOLS_WITHOUT_POINTER
        case 0:
            return name in _NUMBERS_WITHOUT_POINTER
        case {}:
            return not value and name in _MAPS
        case _:
            return False
