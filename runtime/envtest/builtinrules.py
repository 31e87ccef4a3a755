"""What is checked of the smaller built-in kinds: data and its keys, events, leases, roles and bindings, nodes.

Each rule takes the object, what stood there before (None for a new one) and the subresource, and returns what is wrong.
Pure functions.
"""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from controller_runtime.envtest.status import Cause
from controller_runtime.envtest.storage import Json

__all__ = [
    "binding_defaults",
    "binding_rules",
    "data_keys",
    "event_rules",
    "lease_rules",
    "new_event_rules",
    "node_rules",
    "role_rules",
    "secret_keys",
    "unsupported",
]

_KEY: Final = re.compile(r"[-._a-zA-Z0-9]+")
_KEY_HELP: Final = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_SECRET_KEYS: Final = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}
_REQUIRED: Final = "FieldValueRequired"


def unsupported(field: str, value: Any, supported: tuple[str, ...]) -> Cause:
    """A value that is none of those there are."""
    listed = ", ".join(f'"{name}"' for name in supported)
    shown = orjson.dumps(value).decode()
    return Cause(field, f"Unsupported value: {shown}: supported values: {listed}", "FieldValueNotSupported")


def data_keys(obj: Json) -> list[Cause]:
    """The keys of a ConfigMap or Secret can be names of files, and each is there once."""
    causes: list[Cause] = []
    for field in ("data", "binaryData"):
        for key in obj.get(field) or {}:
            if not _KEY.fullmatch(key):
                causes.append(Cause(f"{field}[{key}]", f'Invalid value: "{key}": {_KEY_HELP}'))
            elif field == "data" and key in (obj.get("binaryData") or {}):
                causes.append(Cause(f"data[{key}]", f'Invalid value: "{key}": duplicate of key present in binaryData'))
    return causes


def secret_keys(obj: Json) -> list[Cause]:
    """A Secret of a known type has the keys of that type."""
    kind, data = obj.get("type"), obj.get("data") or {}
    if kind == "kubernetes.io/basic-auth":
        if "username" in data or "password" in data:
            return []
        return [Cause(f"data[{key}]", "Required value", _REQUIRED) for key in ("username", "password")]
    missing = [key for key in _SECRET_KEYS.get(str(kind), ()) if key not in data]
    causes = [Cause(f"data[{key}]", "Required value", _REQUIRED) for key in missing]
    account = "kubernetes.io/service-account.name"
    if kind == "kubernetes.io/service-account-token" and not obj["metadata"].get("annotations", {}).get(account):
        causes.append(Cause(f"metadata.annotations[{account}]", "Required value", _REQUIRED))
    return causes


def event_rules(obj: Json, old: Json | None, subresource: str) -> list[Cause]:
    """An event of the core group lives in the namespace of what it is about."""
    return _home(obj, (obj.get("involvedObject") or {}).get("namespace", ""))


def new_event_rules(obj: Json, old: Json | None, subresource: str) -> list[Cause]:
    """An event of the newer group also says when, who, what and why."""
    causes = _home(obj, (obj.get("regarding") or {}).get("namespace", ""))
    if obj.get("deprecatedFirstTimestamp") or (old is not None and not old.get("eventTime")):
        return causes  # it was written as an event of the core group
    causes += [
        Cause(field, "Required value", _REQUIRED)
        for field in ("eventTime", "reportingController", "reportingInstance", "action", "reason")
        if not obj.get(field)
    ]
    if obj.get("type") not in ("Normal", "Warning"):
        causes.append(Cause("type", f'Invalid value: "": has invalid value: {obj.get("type") or ""}'))
    return causes


def _home(obj: Json, about: str) -> list[Cause]:
    """Events about what is in no namespace are in `default` (or in `kube-system`)."""
    namespace = obj["metadata"].get("namespace", "")
    if about == namespace or (not about and namespace in ("default", "kube-system")):
        return []
    return [Cause("involvedObject.namespace", f'Invalid value: "{about}": does not match event.namespace')]


def lease_rules(obj: Json, old: Json | None, subresource: str) -> list[Cause]:
    spec = obj.get("spec") or {}
    causes: list[Cause] = []
    duration, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if isinstance(duration, int) and duration <= 0:
        causes.append(Cause("spec.leaseDurationSeconds", f"Invalid value: {duration}: must be greater than 0"))
    if isinstance(transitions, int) and transitions < 0:
        message = f"Invalid value: {transitions}: must be greater than or equal to 0"
        causes.append(Cause("spec.leaseTransitions", message))
    return causes


def role_rules(obj: Json, old: Json | None, subresource: str) -> list[Cause]:
    """Each rule names verbs, and either resources with their groups or paths."""
    causes: list[Cause] = []
    for index, rule in enumerate(obj.get("rules") or []):
        path = f"rules[{index}]"
        if not rule.get("verbs"):
            message = "Required value: verbs must contain at least one value"
            causes.append(Cause(f"{path}.verbs", message, _REQUIRED))
        if rule.get("nonResourceURLs"):
            if obj["metadata"].get("namespace"):
                shown = orjson.dumps(rule["nonResourceURLs"]).decode()
                message = f"Invalid value: {shown}: namespaced rules cannot apply to non-resource URLs"
                causes.append(Cause(f"{path}.nonResourceURLs", message))
            continue
        for field in ("apiGroups", "resources"):
            if not rule.get(field):
                what = "api group" if field == "apiGroups" else "resource"
                message = f"Required value: resource rules must supply at least one {what}"
                causes.append(Cause(f"{path}.{field}", message, _REQUIRED))
    return causes


def binding_rules(obj: Json, old: Json | None, subresource: str) -> list[Cause]:
    """A binding refers to a role, and to the same one for ever."""
    reference = obj.get("roleRef") or {}
    kinds = ("Role", "ClusterRole") if obj["metadata"].get("namespace") else ("ClusterRole",)
    causes: list[Cause] = []
    if reference.get("kind") not in kinds:
        causes.append(unsupported("roleRef.kind", reference.get("kind", ""), kinds))
    if not reference.get("name"):
        causes.append(Cause("roleRef.name", "Required value", _REQUIRED))
    if old is not None and reference != old.get("roleRef"):
        shown = orjson.dumps(reference).decode()
        causes.append(Cause("roleRef", f"Invalid value: {shown}: cannot change roleRef"))
    return causes


def binding_defaults(obj: Json, old: Json | None) -> None:
    """Users, groups and roles are of the group of access control, if nothing else is said."""
    group = "rbac.authorization.k8s.io"
    if isinstance(obj.get("roleRef"), dict):
        obj["roleRef"].setdefault("apiGroup", group)
    for subject in obj.get("subjects") or []:
        if isinstance(subject, dict) and subject.get("kind") in ("User", "Group"):
            subject.setdefault("apiGroup", group)


def node_rules(obj: Json, old: Json | None, subresource: str) -> list[Cause]:
    """A node's provider id is set once."""
    before = (old or {}).get("spec", {}).get("providerID", "")
    if before and obj.get("spec", {}).get("providerID", "") != before:
        message = 'Forbidden: node updates may not change providerID except from "" to valid'
        return [Cause("spec.providerID", message, "FieldValueForbidden")]
    return []
