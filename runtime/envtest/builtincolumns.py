"""What `kubectl get` shows of the built-in kinds: the columns of a real server, as far as their facts exist here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from controller_runtime.envtest.kinds import Column
from controller_runtime.envtest.storage import Json
from controller_runtime.envtest.table import age

__all__ = [
    "BINDING",
    "CLAIM",
    "CONFIG_MAP",
    "CRD",
    "CREATED_AT",
    "DISRUPTION_BUDGET",
    "ENDPOINT_SLICE",
    "EVENT",
    "LEASE",
    "NAMESPACE",
    "NODE",
    "POD",
    "REVISION",
    "SECRET",
    "SERVICE",
    "SERVICE_ACCOUNT",
    "STORAGE_CLASS",
    "VOLUME",
]

Read = Callable[[Json], Any]


def _at(obj: Any, *names: str) -> Any:
    for name in names:
        obj = obj.get(name) if isinstance(obj, dict) else None
    return obj


def _text(*names: str, missing: str = "<none>") -> Callable[[Json, float], Any]:
    def cell(obj: Json, _: float) -> Any:
        value = _at(obj, *names)
        return missing if value in (None, "", []) else str(value)

    return cell


def _of(read: Read) -> Callable[[Json, float], Any]:
    return lambda obj, _: read(obj)


def _column(name: str, cell: Callable[[Json, float], Any], *, wide: bool = False, kind: str = "string") -> Column:
    return Column(name, kind, cell, priority=1 if wide else 0)


def _count(*names: str) -> Callable[[Json, float], Any]:
    return lambda obj, _: str(sum(len(obj.get(name) or ()) for name in names))


AGE: Final = _column("Age", lambda obj, now: age(obj["metadata"].get("creationTimestamp"), now))
CREATED_AT: Final = (
    Column("Created At", "date", lambda obj, _: obj["metadata"].get("creationTimestamp"), format="date-time"),
)


def _container_statuses(obj: Json) -> list[Json]:
    return list(_at(obj, "status", "containerStatuses") or [])


def _pod_ready(obj: Json) -> str:
    ready = sum(1 for status in _container_statuses(obj) if status.get("ready"))
    return f"{ready}/{len(_at(obj, 'spec', 'containers') or [])}"


def _pod_status(obj: Json) -> str:
    if "deletionTimestamp" in obj["metadata"]:
        return "Terminating"
    for status in _at(obj, "status", "initContainerStatuses") or []:
        reason = _at(status, "state", "waiting", "reason")
        if reason and reason != "PodInitializing":
            return f"Init:{reason}"
    for status in reversed(_container_statuses(obj)):
        reason = _at(status, "state", "waiting", "reason") or _at(status, "state", "terminated", "reason")
        if reason:
            return str(reason)
    return str(_at(obj, "status", "reason") or _at(obj, "status", "phase") or "Unknown")


POD: Final = (
    _column("Ready", _of(_pod_ready)),
    _column("Status", _of(_pod_status)),
    _column(
        "Restarts", _of(lambda obj: str(sum(status.get("restartCount", 0) for status in _container_statuses(obj))))
    ),
    AGE,
    _column("IP", _text("status", "podIP"), wide=True),
    _column("Node", _text("spec", "nodeName"), wide=True),
    _column("Nominated Node", _text("status", "nominatedNodeName"), wide=True),
    _column("Readiness Gates", _of(lambda obj: "<none>"), wide=True),
)


def _ports(obj: Json) -> str:
    ports = _at(obj, "spec", "ports") or []
    shown = [
        f"{port['port']}:{port['nodePort']}/{port['protocol']}"
        if port.get("nodePort")
        else f"{port['port']}/{port['protocol']}"
        for port in ports
    ]
    return ",".join(shown) or "<none>"


def _labels(*names: str) -> Callable[[Json, float], Any]:
    def cell(obj: Json, _: float) -> str:
        labels = _at(obj, *names) or {}
        return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or "<none>"

    return cell


SERVICE: Final = (
    _column("Type", _text("spec", "type")),
    _column("Cluster-IP", _text("spec", "clusterIP")),
    _column("External-IP", _text("spec", "externalName")),
    _column("Port(s)", _of(_ports)),
    AGE,
    _column("Selector", _labels("spec", "selector"), wide=True),
)
CONFIG_MAP: Final = (_column("Data", _count("data", "binaryData")), AGE)
SECRET: Final = (_column("Type", _text("type")), _column("Data", _count("data"), kind="integer"), AGE)
SERVICE_ACCOUNT: Final = (AGE,)
NAMESPACE: Final = (_column("Status", _text("status", "phase")), AGE)


def _role(obj: Json) -> str:
    return f"{_at(obj, 'roleRef', 'kind')}/{_at(obj, 'roleRef', 'name')}"


def _subjects(kind: str) -> Callable[[Json, float], Any]:
    def cell(obj: Json, _: float) -> str:
        subjects = [subject for subject in obj.get("subjects") or [] if subject.get("kind") == kind]
        return ", ".join("/".join(filter(None, (subject.get("namespace"), subject["name"]))) for subject in subjects)

    return cell


BINDING: Final = (
    _column("Role", _of(_role)),
    AGE,
    _column("Users", _subjects("User"), wide=True),
    _column("Groups", _subjects("Group"), wide=True),
    _column("ServiceAccounts", _subjects("ServiceAccount"), wide=True),
)

_MODES: Final = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def _modes(*names: str) -> Callable[[Json, float], Any]:
    return lambda obj, _: ",".join(_MODES.get(mode, mode) for mode in _at(obj, *names) or [])


def _claim_status(obj: Json) -> str:
    return "Terminating" if "deletionTimestamp" in obj["metadata"] else str(_at(obj, "status", "phase") or "")


CLAIM: Final = (
    _column("Status", _of(_claim_status)),
    _column("Volume", _text("spec", "volumeName", missing="")),
    _column("Capacity", _text("status", "capacity", "storage", missing="")),
    _column("Access Modes", _modes("status", "accessModes")),
    _column("StorageClass", _text("spec", "storageClassName", missing="")),
    _column("VolumeAttributesClass", _text("spec", "volumeAttributesClassName", missing="<unset>")),
    AGE,
    _column("VolumeMode", _text("spec", "volumeMode", missing="<unset>"), wide=True),
)


def _claim_of_volume(obj: Json) -> str:
    claim = _at(obj, "spec", "claimRef")
    return f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else ""


VOLUME: Final = (
    _column("Capacity", _text("spec", "capacity", "storage", missing="")),
    _column("Access Modes", _modes("spec", "accessModes")),
    _column("Reclaim Policy", _text("spec", "persistentVolumeReclaimPolicy")),
    _column("Status", _of(_claim_status)),
    _column("Claim", _of(_claim_of_volume)),
    _column("StorageClass", _text("spec", "storageClassName", missing="")),
    _column("VolumeAttributesClass", _text("spec", "volumeAttributesClassName", missing="<unset>")),
    _column("Reason", _text("status", "reason", missing="")),
    AGE,
    _column("VolumeMode", _text("spec", "volumeMode", missing="<unset>"), wide=True),
)


def _condition(obj: Json, name: str) -> str:
    for condition in _at(obj, "status", "conditions") or []:
        if condition.get("type") == name:
            return str(condition.get("status"))
    return "Unknown"


def _node_status(obj: Json) -> str:
    status = {"True": "Ready", "False": "NotReady"}.get(_condition(obj, "Ready"), "Unknown")
    return f"{status},SchedulingDisabled" if _at(obj, "spec", "unschedulable") else status


def _node_roles(obj: Json) -> str:
    prefix = "node-role.kubernetes.io/"
    roles = sorted(key.removeprefix(prefix) for key in obj["metadata"].get("labels", {}) if key.startswith(prefix))
    return ",".join(roles) or "<none>"


NODE: Final = (
    _column("Status", _of(_node_status)),
    _column("Roles", _of(_node_roles)),
    AGE,
    _column("Version", _text("status", "nodeInfo", "kubeletVersion", missing="")),
)


def _event_subject(obj: Json) -> str:
    subject = _either(obj, "involvedObject", "regarding") or {}
    return "/".join(filter(None, (str(subject.get("kind", "")).lower(), subject.get("name"))))


def _either(obj: Json, *names: str) -> Any:
    """What an event has under one of the names: they are not the same in both of its faces."""
    return next((obj[name] for name in names if obj.get(name)), None)


def _first_seen(obj: Json, now: float) -> str:
    return age(_either(obj, "firstTimestamp", "deprecatedFirstTimestamp", "eventTime"), now)


def _last_seen(obj: Json, now: float) -> str:
    seen = _at(obj, "series", "lastObservedTime") or _either(obj, "lastTimestamp", "deprecatedLastTimestamp")
    return age(seen, now) if seen else _first_seen(obj, now)


def _event_source(obj: Json) -> str:
    source = _either(obj, "source", "deprecatedSource") or {}
    component = source.get("component") or _either(obj, "reportingComponent", "reportingController")
    return ", ".join(filter(None, (component, source.get("host") or obj.get("reportingInstance"))))


def _event_count(obj: Json) -> str:
    return str(_at(obj, "series", "count") or _either(obj, "count", "deprecatedCount") or 1)


EVENT: Final = (
    _column("Last Seen", _last_seen),
    _column("Type", _text("type", missing="")),
    _column("Reason", _text("reason", missing="")),
    _column("Object", _of(_event_subject)),
    _column(
        "Subobject",
        _of(lambda obj: (_either(obj, "involvedObject", "regarding") or {}).get("fieldPath", "")),
        wide=True,
    ),
    _column("Source", _of(_event_source), wide=True),
    _column("Message", lambda obj, _: str(_either(obj, "message", "note") or "").strip()),
    _column("First Seen", _first_seen, wide=True),
    _column("Count", _of(_event_count), wide=True),
    _column("Name", _text("metadata", "name"), wide=True),
)


def _owner(obj: Json) -> str:
    for owner in obj["metadata"].get("ownerReferences") or []:
        if owner.get("controller"):
            group = str(owner.get("apiVersion", "")).rpartition("/")[0]
            kind = str(owner.get("kind", "")).lower()
            return f"{kind}.{group}/{owner.get('name')}" if group else f"{kind}/{owner.get('name')}"
    return "<none>"


REVISION: Final = (
    _column("Controller", _of(_owner)),
    _column("Revision", _of(lambda obj: obj.get("revision", 0)), kind="integer"),
    AGE,
)
LEASE: Final = (_column("Holder", _text("spec", "holderIdentity", missing="")), AGE)
STORAGE_CLASS: Final = (
    _column("Provisioner", _text("provisioner")),
    _column("ReclaimPolicy", _text("reclaimPolicy")),
    _column("VolumeBindingMode", _text("volumeBindingMode")),
    _column("AllowVolumeExpansion", _of(lambda obj: bool(obj.get("allowVolumeExpansion"))), kind="boolean"),
    AGE,
)


def _slice_ports(obj: Json) -> str:
    ports = [str(port["port"]) for port in obj.get("ports") or [] if port.get("port")]
    return ",".join(ports) or "<unset>"


def _slice_addresses(obj: Json) -> str:
    addresses = [address for endpoint in obj.get("endpoints") or [] for address in endpoint.get("addresses", [])]
    shown = ",".join(addresses[:3])
    return f"{shown} + {len(addresses) - 3} more..." if len(addresses) > 3 else shown or "<unset>"


ENDPOINT_SLICE: Final = (
    _column("AddressType", _text("addressType")),
    _column("Ports", _of(_slice_ports)),
    _column("Endpoints", _of(_slice_addresses)),
    AGE,
)
DISRUPTION_BUDGET: Final = (
    _column("Min Available", _text("spec", "minAvailable", missing="N/A")),
    _column("Max Unavailable", _text("spec", "maxUnavailable", missing="N/A")),
    _column("Allowed Disruptions", _of(lambda obj: _at(obj, "status", "disruptionsAllowed") or 0), kind="integer"),
    AGE,
)
CRD: Final = CREATED_AT
