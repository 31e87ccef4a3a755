"""Merges a user's overlay into a pod that the operator renders.

The rules are those of a Kubernetes strategic merge: structs are merged field by field, lists whose items have a key are merged
item by item (new items go to the end), other lists replace what was there. As in TiDB Operator an overlay cannot set a
field to its zero value (`""`, 0, false) where the operator sets one, and the operator's node selector wins.

Three things that TiDB Operator lets through, and the API server then rejects, are put right here:

- a port without protocol is a TCP port, so an overlay of it changes the operator's port instead of adding a second one;
- of alternatives (a volume's source, a probe's action, a variable's value or its origin) the overlay's replaces the operator's;
- a reference without a name keeps the operator's name.

Pure functions; the arguments are not changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from controller_runtime.api import to_builtins
from controller_runtime.api.k8s import Pod, PodSpec
from tikv_operator.api import PodOverlay
from tikv_operator.common.errors import OverlayInvalid

__all__ = ["overlay_pod"]

_LIST_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "volumes": ("name",),
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "env": ("name",),
    "imagePullSecrets": ("name",),
    "schedulingGates": ("name",),
    "resourceClaims": ("name",),
    "claims": ("name",),
    "ports": ("containerPort", "protocol"),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
}
"""The lists whose items have an identity, by the name of the field, and what that identity is."""

_ATOMIC: Final = frozenset(
    {
        "configMapKeyRef",
        "secretKeyRef",
        "fieldRef",
        "resourceFieldRef",
        "fileKeyRef",
        "labelSelector",
        "namespaceSelector",
        "requiredDuringSchedulingIgnoredDuringExecution",
        "dataSource",
        "selector",
    }
)
"""Structs that are replaced as a whole."""

_ALTERNATIVES: Final[Mapping[str, frozenset[str]]] = {
    "env": frozenset({"value", "valueFrom"}),
    "livenessProbe": frozenset({"exec", "httpGet", "tcpSocket", "grpc"}),
    "readinessProbe": frozenset({"exec", "httpGet", "tcpSocket", "grpc"}),
    "startupProbe": frozenset({"exec", "httpGet", "tcpSocket", "grpc"}),
    "preStop": frozenset({"exec", "httpGet", "tcpSocket", "sleep"}),
    "postStart": frozenset({"exec", "httpGet", "tcpSocket", "sleep"}),
}
"""Fields of which only one may be set."""

_QUANTITY_MAPS: Final = frozenset({"requests", "limits", "overhead"})
_QUANTITIES: Final = frozenset({"divisor", "sizeLimit"})
_DEFAULTS: Final = {"protocol": "TCP"}


def overlay_pod(pod: Pod, overlay: PodOverlay | None) -> Pod:
    """Return the pod with the overlay merged in.

    Raises:
        OverlayInvalid: the overlay's spec isn't a pod's spec.
    """
    if overlay is None:
        return pod
    merged = msgspec.structs.replace(pod, metadata=msgspec.structs.replace(pod.metadata))
    if overlay.metadata is not None:
        merged.metadata.labels = {**pod.metadata.labels, **(overlay.metadata.labels or {})}
        merged.metadata.annotations = {**pod.metadata.annotations, **(overlay.metadata.annotations or {})}
    if overlay.spec:
        merged.spec = _overlay_spec(pod.spec or PodSpec(), overlay.spec)
    return merged


def _overlay_spec(spec: PodSpec, overlay: Mapping[str, Any]) -> PodSpec:
    base = to_builtins(spec)
    try:
        overlay = _with_quantities_as_text(overlay)
        tree = _merge_struct(base, overlay, "")
        tree["nodeSelector"] = {**(overlay.get("nodeSelector") or {}), **base.get("nodeSelector", {})} or None
        return msgspec.convert(tree, PodSpec)
    except msgspec.ValidationError as error:
        msg = f"the pod overlay does not fit: {str(error).replace('`$.', '`spec.overlay.pod.spec.')}"
        raise OverlayInvalid(msg) from error
    except (AttributeError, TypeError, ValueError) as error:
        msg = f"the pod overlay does not fit: {error}"
        raise OverlayInvalid(msg) from error


def _with_quantities_as_text(value: Any, field: str = "", *, quantity: bool = False) -> Any:
    """The API server takes numbers for quantities in a custom resource, in a pod it has texts."""
    if isinstance(value, dict):
        amounts = field in _QUANTITY_MAPS
        return {
            name: _with_quantities_as_text(item, name, quantity=amounts or name in _QUANTITIES)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_with_quantities_as_text(item) for item in value]
    return str(value) if quantity and type(value) in (int, float) else value


def _merge_struct(base: Mapping[str, Any], overlay: Mapping[str, Any], field: str) -> dict[str, Any]:
    merged = dict(base)
    for name in _replaced_alternatives(base, overlay, field):
        del merged[name]
    for name, value in overlay.items():
        if value is not None:
            merged[name] = _merge(merged.get(name), value, name)
    return merged


def _merge(base: Any, overlay: Any, field: str) -> Any:
    if base is None or field in _ATOMIC:
        return overlay if field not in _LIST_KEYS else _merge_items([], overlay, field)
    if isinstance(overlay, dict) and isinstance(base, dict):
        return _merge_struct(base, overlay, field)
    if isinstance(overlay, list) and isinstance(base, list):
        return _merge_items(base, overlay, field) if field in _LIST_KEYS else overlay
    return overlay or base


def _merge_items(base: list[dict[str, Any]], overlay: list[dict[str, Any]], field: str) -> list[dict[str, Any]]:
    merged = {_identity(item, field): item for item in base}
    for item in overlay:
        identity = _identity(item, field)
        merged[identity] = _merge_struct(merged.get(identity, {}), item, field)
    return list(merged.values())


def _identity(item: Mapping[str, Any], field: str) -> tuple[Any, ...]:
    return tuple(item.get(key) or _DEFAULTS.get(key) for key in _LIST_KEYS[field])


def _replaced_alternatives(base: Mapping[str, Any], overlay: Mapping[str, Any], field: str) -> list[str]:
    """Return what must go from `base` because `overlay` chooses another one of a set of alternatives."""
    if field == "volumes":
        alternatives = frozenset(base.keys() | overlay.keys()) - {"name"}
    else:
        alternatives = _ALTERNATIVES.get(field, frozenset())
    chosen = {name for name in alternatives if overlay.get(name) is not None}
    return [name for name in base if name in alternatives and name not in chosen] if chosen else []
