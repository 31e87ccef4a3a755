"""What a real API server fills into a pod, and which parts of one never change.

Sources: Kubernetes API reference and `kubectl explain` (defaults), "Pod update and replacement" (immutable fields).
"""

from __future__ import annotations

from typing import Any, Final

from controller_runtime.envtest.status import Cause
from controller_runtime.envtest.storage import Json

__all__ = ["pod_defaults", "pod_rules"]

_POLICIES: Final = ("Always", "OnFailure", "Never")
_MUTABLE: Final = frozenset(
    ("activeDeadlineSeconds", "terminationGracePeriodSeconds", "tolerations", "schedulingGates")
)
_CONTAINERS: Final = ("containers", "initContainers", "ephemeralContainers")
_IMMUTABLE: Final = (
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
    "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def pod_defaults(obj: Json, old: Json | None) -> None:
    """Set the defaults of a pod; a new one also gets its first status."""
    spec: Json = obj.setdefault("spec", {})
    for name, value in (
        ("restartPolicy", "Always"),
        ("dnsPolicy", "ClusterFirst"),
        ("terminationGracePeriodSeconds", 30),
        ("schedulerName", "default-scheduler"),
        ("enableServiceLinks", True),
        ("preemptionPolicy", "PreemptLowerPriority"),
        ("priority", 0),
    ):
        spec.setdefault(name, value)
    spec.setdefault("securityContext", {})
    spec.setdefault("serviceAccountName", spec.get("serviceAccount", "default"))
    spec.setdefault("serviceAccount", spec["serviceAccountName"])
    for list_name in _CONTAINERS:
        for container in _objects(spec.get(list_name)):
            _container_defaults(container)
    for volume in _objects(spec.get("volumes")):
        _volume_defaults(volume)
    tolerations: list[Any] = spec.setdefault("tolerations", [])
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if old is None and not any(item.get("key") in (key, None) for item in _objects(tolerations)):
            tolerations.append({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300})
    if old is None:
        obj["status"] = {"phase": "Pending", "qosClass": _qos(spec)}


def _objects(items: Any) -> list[Json]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _container_defaults(container: Json) -> None:
    image = str(container.get("image", ""))
    tag = image.rpartition("/")[2].partition(":")[2]
    always = "@" not in image and tag in ("", "latest")
    container.setdefault("imagePullPolicy", "Always" if always else "IfNotPresent")
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    container.setdefault("resources", {})
    limits = container["resources"].get("limits")
    if limits:
        requests = container["resources"].setdefault("requests", {})
        for name, amount in limits.items():
            requests.setdefault(name, amount)
    for port in _objects(container.get("ports")):
        port.setdefault("protocol", "TCP")
    for variable in _objects(container.get("env")):
        source = variable.get("valueFrom") or {}
        if isinstance(source.get("fieldRef"), dict):
            source["fieldRef"].setdefault("apiVersion", "v1")
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if isinstance(probe, dict):
            for field, value in (
                ("timeoutSeconds", 1),
                ("periodSeconds", 10),
                ("successThreshold", 1),
                ("failureThreshold", 3),
            ):
                probe.setdefault(field, value)
            _handler_defaults(probe)
    for handler in (container.get("lifecycle") or {}).values():
        if isinstance(handler, dict):
            _handler_defaults(handler)


def _handler_defaults(handler: Json) -> None:
    if isinstance(handler.get("httpGet"), dict):
        handler["httpGet"].setdefault("path", "/")
        handler["httpGet"].setdefault("scheme", "HTTP")


def _volume_defaults(volume: Json) -> None:
    for name in ("configMap", "secret", "projected", "downwardAPI"):
        source = volume.get(name)
        if isinstance(source, dict):
            source.setdefault("defaultMode", 420)
            items = list(_objects(source.get("items")))
            for projection in _objects(source.get("sources")):
                items += _objects((projection.get("downwardAPI") or {}).get("items"))
                token = projection.get("serviceAccountToken")
                if isinstance(token, dict):
                    token.setdefault("expirationSeconds", 3600)
            for item in items:
                if isinstance(item.get("fieldRef"), dict):
                    item["fieldRef"].setdefault("apiVersion", "v1")
    if isinstance(volume.get("hostPath"), dict):
        volume["hostPath"].setdefault("type", "")
    if len(volume) == 1:
        volume["emptyDir"] = {}


def _qos(spec: Json) -> str:
    containers = _objects(spec.get("containers")) + _objects(spec.get("initContainers"))
    resources = [container.get("resources", {}) for container in containers]
    if not any(item.get("requests") or item.get("limits") for item in resources):
        return "BestEffort"
    for item in resources:
        limits, requests = item.get("limits", {}), item.get("requests", {})
        if any(name not in limits or requests.get(name) != limits[name] for name in ("cpu", "memory")):
            return "Burstable"
    return "Guaranteed"


def pod_rules(obj: Json, old: Json | None, subresource: str) -> list[Cause]:
    """Check a pod; on an update only what may change may have changed."""
    if subresource:
        return []
    spec: Json = obj["spec"]
    causes: list[Cause] = []
    if not spec.get("containers"):
        causes.append(Cause("spec.containers", "Required value", "FieldValueRequired"))
    names: set[str] = set()
    volumes = {volume.get("name") for volume in _objects(spec.get("volumes"))}
    for list_name in _CONTAINERS:
        for index, container in enumerate(_objects(spec.get(list_name))):
            causes += _container_rules(container, f"spec.{list_name}[{index}]", names, volumes)
    if spec["restartPolicy"] not in _POLICIES:
        supported = ", ".join(f'"{policy}"' for policy in _POLICIES)
        message = f'Unsupported value: "{spec["restartPolicy"]}": supported values: {supported}'
        causes.append(Cause("spec.restartPolicy", message, "FieldValueNotSupported"))
    if old is not None and _names(spec) != _names(old["spec"]):
        message = "Forbidden: pod updates may not add or remove containers"
        causes.append(Cause("spec.containers", message, "FieldValueForbidden"))
    elif old is not None and _fixed_part(spec) != _fixed_part(old["spec"]):
        changed = sorted(
            name
            for name in spec.keys() | old["spec"].keys()
            if _fixed_part(spec).get(name) != _fixed_part(old["spec"]).get(name)
        )
        hint = " (a pod gets its node through its binding subresource)" if "nodeName" in changed else ""
        causes.append(Cause("spec", f"{_IMMUTABLE}\nchanged: {', '.join(changed)}{hint}", "FieldValueForbidden"))
    return causes


def _container_rules(container: Json, path: str, names: set[str], volumes: set[Any]) -> list[Cause]:
    causes: list[Cause] = []
    name = container.get("name", "")
    if not name:
        causes.append(Cause(f"{path}.name", "Required value", "FieldValueRequired"))
    elif name in names:
        causes.append(Cause(f"{path}.name", f'Duplicate value: "{name}"', "FieldValueDuplicate"))
    names.add(name)
    if not container.get("image"):
        causes.append(Cause(f"{path}.image", "Required value", "FieldValueRequired"))
    for index, mount in enumerate(_objects(container.get("volumeMounts"))):
        if mount.get("name") not in volumes:
            message = f'Not found: "{mount.get("name", "")}"'
            causes.append(Cause(f"{path}.volumeMounts[{index}].name", message, "FieldValueNotFound"))
        if not mount.get("mountPath"):
            causes.append(Cause(f"{path}.volumeMounts[{index}].mountPath", "Required value", "FieldValueRequired"))
    for index, port in enumerate(_objects(container.get("ports"))):
        if not isinstance(port.get("containerPort"), int) or not 0 < port["containerPort"] < 65536:
            message = f"Invalid value: {port.get('containerPort', 0)}: must be between 1 and 65535, inclusive"
            causes.append(Cause(f"{path}.ports[{index}].containerPort", message))
    return causes


def _names(spec: Json) -> list[Any]:
    return [container.get("name") for container in _objects(spec.get("containers"))]


def _fixed_part(spec: Json) -> Json:
    """The spec without what an update may change."""
    fixed = {name: value for name, value in spec.items() if name not in _MUTABLE}
    for list_name in _CONTAINERS:
        if list_name in fixed:
            fixed[list_name] = [
                {name: value for name, value in item.items() if name != "image"} for item in _objects(fixed[list_name])
            ]
    return fixed
