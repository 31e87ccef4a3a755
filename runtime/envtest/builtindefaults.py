"""Defaults and rules of the built-in kinds other than pods, as far as operators and kubectl meet them.

Each function is pure except `ServiceAddresses`, which remembers the cluster IPs that it has given out.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from typing import Any, Final

from controller_runtime.api.quantity import parse_quantity
from controller_runtime.envtest.status import Cause
from controller_runtime.envtest.storage import Change, Json, ResourceId, Storage

__all__ = [
    "ServiceAddresses",
    "claim_defaults",
    "claim_rules",
    "config_map_rules",
    "namespace_defaults",
    "node_defaults",
    "revision_rules",
    "secret_defaults",
    "secret_rules",
    "service_rules",
    "storage_class_defaults",
    "storage_class_rules",
    "volume_defaults",
]


def _immutable(path: str, value: Any) -> Cause:
    shown = f'"{value}"' if isinstance(value, str) else str(value)
    return Cause(path, f"Invalid value: {shown}: field is immutable")


def namespace_defaults(obj: Json, old: Json | None) -> None:
    """A namespace is active, labelled with its name, and kept by its own finalizer until its content is gone."""
    obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = obj["metadata"]["name"]
    if old is None:
        obj["spec"] = {"finalizers": ["kubernetes"]}
        obj["status"] = {"phase": "Active"}


def node_defaults(obj: Json, old: Json | None) -> None:
    obj.setdefault("spec", {})
    obj.setdefault("status", {})


def claim_defaults(obj: Json, old: Json | None) -> None:
    """A claim asks for a file system and is pending at first."""
    spec: Json = obj.setdefault("spec", {})
    spec.setdefault("volumeMode", "Filesystem")
    if old is None:
        obj["status"] = {"phase": "Pending"}


def claim_rules(obj: Json, old: Json | None, subresource: str) -> list[Cause]:
    """After creation a claim may only ask for more storage, name its volume once, or change its attributes class."""
    if subresource:
        return []
    spec: Json = obj["spec"]
    causes: list[Cause] = []
    if not spec.get("accessModes"):
        causes.append(
            Cause("spec.accessModes", "Required value: at least 1 access mode is required", "FieldValueRequired")
        )
    wanted = spec.get("resources", {}).get("requests", {}).get("storage")
    if wanted is None:
        causes.append(Cause("spec.resources[storage]", "Required value", "FieldValueRequired"))
    if old is None or causes:
        return causes
    before: Json = old["spec"]
    had = before.get("resources", {}).get("requests", {}).get("storage", "0")
    if parse_quantity(str(wanted)) < parse_quantity(str(had)):
        message = "Forbidden: field can not be less than previous value"
        causes.append(Cause("spec.resources.requests.storage", message, "FieldValueForbidden"))
    if _fixed_claim(spec, before) != _fixed_claim(before, before):
        message = (
            "Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for "
            "bound claims"
        )
        causes.append(Cause("spec", message, "FieldValueForbidden"))
    if before.get("volumeAttributesClassName") and not spec.get("volumeAttributesClassName"):
        message = "Forbidden: update from non-nil value to nil is forbidden"
        causes.append(Cause("spec.volumeAttributesClassName", message, "FieldValueForbidden"))
    return causes


def _fixed_claim(spec: Json, before: Json) -> Json:
    free = {"resources", "volumeAttributesClassName"}
    if not before.get("volumeName"):
        free.add("volumeName")
    if "storageClassName" not in before:
        free.add("storageClassName")
    return {name: value for name, value in spec.items() if name not in free}


def volume_defaults(obj: Json, old: Json | None) -> None:
    spec: Json = obj.setdefault("spec", {})
    spec.setdefault("persistentVolumeReclaimPolicy", "Retain")
    spec.setdefault("volumeMode", "Filesystem")
    if old is None:
        obj["status"] = {"phase": "Pending"}


def storage_class_defaults(obj: Json, old: Json | None) -> None:
    obj.setdefault("reclaimPolicy", "Delete")
    obj.setdefault("volumeBindingMode", "Immediate")


def storage_class_rules(obj: Json, old: Json | None, subresource: str) -> list[Cause]:
    if not obj.get("provisioner"):
        return [Cause("provisioner", "Required value", "FieldValueRequired")]
    if old is None:
        return []
    fixed = ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode")
    return [
        Cause(name, "Forbidden: updates to " + name + " are forbidden.", "FieldValueForbidden")
        for name in fixed
        if obj.get(name) != old.get(name)
    ]


def revision_rules(obj: Json, old: Json | None, subresource: str) -> list[Cause]:
    """The data of a ControllerRevision never changes."""
    causes: list[Cause] = []
    if old is None and obj.get("data") is None:
        causes.append(Cause("data", "Required value: data is mandatory", "FieldValueRequired"))
    if old is not None and obj.get("data") != old.get("data"):
        causes.append(Cause("data", 'Invalid value: "object": field is immutable'))
    revision = obj.get("revision", 0)
    if revision < 0:
        causes.append(Cause("revision", f"Invalid value: {revision}: must be greater than or equal to 0"))
    return causes


def secret_defaults(obj: Json, old: Json | None) -> None:
    """`stringData` is write-only: it ends up, encoded, in `data`."""
    obj.setdefault("type", "Opaque")
    plain = obj.pop("stringData", None)
    if isinstance(plain, dict) and plain:
        data: Json = obj.setdefault("data", {})
        for name, value in plain.items():
            data[name] = base64.b64encode(str(value).encode()).decode()


def secret_rules(obj: Json, old: Json | None, subresource: str) -> list[Cause]:
    causes: list[Cause] = []
    for name, value in (obj.get("data") or {}).items():
        try:
            base64.b64decode(value, validate=True)
        except binascii.Error as error:
            causes.append(Cause(f"data[{name}]", f"Invalid value: {error}"))
    if old is not None and obj.get("type") != old.get("type"):
        causes.append(_immutable("type", obj.get("type")))
    return causes + _frozen(obj, old, ("data",))


def config_map_rules(obj: Json, old: Json | None, subresource: str) -> list[Cause]:
    return _frozen(obj, old, ("data", "binaryData"))


def _frozen(obj: Json, old: Json | None, names: tuple[str, ...]) -> list[Cause]:
    """What `immutable: true` forbids."""
    if old is None or not old.get("immutable"):
        return []
    message = "Forbidden: field is immutable when `immutable` is set"
    return [
        Cause(name, message, "FieldValueForbidden") for name in (*names, "immutable") if obj.get(name) != old.get(name)
    ]


class ServiceAddresses:
    """Sets the defaults of services and gives each a cluster IP of its own."""

    NETWORK: Final = ipaddress.IPv4Network("10.96.0.0/16")

    def __init__(self, storage: Storage) -> None:
        self._used: set[str] = set()
        self._next = 10
        storage.observers.append(self._observe)

    def _observe(self, resource: ResourceId, change: Change) -> None:
        if resource != ("", "services"):
            return
        if change.old is not None:
            self._used -= set(_addresses(change.old.obj))
        if change.new is not None:
            self._used |= set(_addresses(change.new.obj))

    def defaults(self, obj: Json, old: Json | None) -> None:
        spec: Json = obj.setdefault("spec", {})
        for name, value in (("type", "ClusterIP"), ("sessionAffinity", "None"), ("internalTrafficPolicy", "Cluster")):
            spec.setdefault(name, value)
        for port in spec.get("ports") or []:
            port.setdefault("protocol", "TCP")
            port.setdefault("targetPort", port.get("port"))
        if spec["type"] == "ExternalName":
            return
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
        if not spec.get("clusterIP"):
            spec["clusterIP"] = old["spec"].get("clusterIP") if old is not None else self._take()
        spec["clusterIPs"] = [spec["clusterIP"]]
        if old is None:
            obj["status"] = {"loadBalancer": {}}

    def _take(self) -> str:
        while True:
            address = str(self.NETWORK.network_address + self._next)
            self._next = 10 + (self._next - 9) % (self.NETWORK.num_addresses - 20)
            if address not in self._used:
                return address


def _addresses(obj: Json) -> list[str]:
    return [address for address in obj["spec"].get("clusterIPs", []) if address != "None"]


def service_rules(obj: Json, old: Json | None, subresource: str) -> list[Cause]:
    if subresource:
        return []
    spec: Json = obj["spec"]
    causes: list[Cause] = []
    ports: list[Json] = spec.get("ports") or []
    if not ports and spec.get("clusterIP") != "None" and spec["type"] != "ExternalName":
        causes.append(Cause("spec.ports", "Required value", "FieldValueRequired"))
    names: set[str] = set()
    for index, port in enumerate(ports):
        path = f"spec.ports[{index}]"
        number, name = port.get("port"), port.get("name", "")
        if not isinstance(number, int) or not 0 < number < 65536:
            message = f"Invalid value: {number or 0}: must be between 1 and 65535, inclusive"
            causes.append(Cause(f"{path}.port", message))
        if len(ports) > 1 and not name:
            causes.append(Cause(f"{path}.name", "Required value", "FieldValueRequired"))
        elif name and name in names:
            causes.append(Cause(f"{path}.name", f'Duplicate value: "{name}"', "FieldValueDuplicate"))
        names.add(name)
    if old is not None and old["spec"].get("clusterIP") and spec.get("clusterIP") != old["spec"]["clusterIP"]:
        addresses = f'[]string{{"{spec.get("clusterIP")}"}}'
        message = f"Invalid value: {addresses}: may not change once set"
        causes.append(Cause("spec.clusterIPs[0]", message))
    return causes
