"""Defaults and rules of the built-in kinds other than pods, as far as operators and kubectl meet them.

Each function is pure except `ServiceAddresses`, which remembers the cluster IPs that it has given out.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import string
from typing import Any, Final

import orjson

from controller_runtime.api.quantity import parse_quantity
from controller_runtime.envtest.builtinrules import data_keys, secret_keys, unsupported
from controller_runtime.envtest.status import Cause, DecodingError
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


_ACCESS_MODES: Final = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_SERVICE_TYPES: Final = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_BASE64: Final = frozenset(string.ascii_letters + string.digits + "+/=")
_PROTOCOLS: Final = ("SCTP", "TCP", "UDP")
_AFFINITIES: Final = ("ClientIP", "None")


def _immutable(path: str, value: Any) -> Cause:
    shown = orjson.dumps(value).decode()
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
    """After creation a claim's volume and class can be set once; a bound one may also ask for more storage."""
    if subresource:
        return []
    spec: Json = obj["spec"]
    causes: list[Cause] = []
    modes = spec.get("accessModes")
    if not modes:
        message = "Required value: at least 1 access mode is required"
        causes.append(Cause("spec.accessModes", message, "FieldValueRequired"))
    causes += [
        unsupported("spec.accessModes", mode, _ACCESS_MODES) for mode in modes or () if mode not in _ACCESS_MODES
    ]
    wanted = spec.get("resources", {}).get("requests", {}).get("storage")
    if wanted is None:
        causes.append(Cause("spec.resources[storage]", "Required value", "FieldValueRequired"))
    elif parse_quantity(str(wanted)) <= 0:
        causes.append(Cause("spec.resources[storage]", f'Invalid value: "{wanted}": must be greater than zero'))
    if old is None or causes:
        return causes
    before: Json = old["spec"]
    bound = (old.get("status") or {}).get("phase") == "Bound"
    if _fixed_claim(spec, before, bound=bound) != _fixed_claim(before, before, bound=bound):
        message = (
            "Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for "
            "bound claims"
        )
        causes.append(Cause("spec", message, "FieldValueForbidden"))
    elif bound:
        causes += _shrunk(obj, old)
    if before.get("volumeAttributesClassName") and not spec.get("volumeAttributesClassName"):
        message = "Forbidden: update from non-nil value to nil is forbidden"
        causes.append(Cause("spec.volumeAttributesClassName", message, "FieldValueForbidden"))
    return causes


def _shrunk(obj: Json, old: Json) -> list[Cause]:
    """A claim may ask for less than before (after an expansion that failed), but for no less than it has."""
    wanted = str(obj["spec"]["resources"]["requests"]["storage"])
    has = (old.get("status") or {}).get("capacity", {}).get("storage")
    if has is None or parse_quantity(wanted) >= parse_quantity(str(has)):
        return []
    message = "Forbidden: field can not be less than status.capacity"
    return [Cause("spec.resources.requests.storage", message, "FieldValueForbidden")]


def _fixed_claim(spec: Json, before: Json, *, bound: bool) -> Json:
    free = {"volumeAttributesClassName"}
    if not before.get("volumeName"):
        free.add("volumeName")
    if "storageClassName" not in before:
        free.add("storageClassName")
    fixed = {name: value for name, value in spec.items() if name not in free}
    if bound:
        fixed["resources"] = {name: value for name, value in spec.get("resources", {}).items() if name != "requests"}
    return fixed


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
    return [_immutable(name, obj.get(name)) for name in fixed if obj.get(name) != old.get(name)]


def revision_rules(obj: Json, old: Json | None, subresource: str) -> list[Cause]:
    """The data of a ControllerRevision never changes."""
    causes: list[Cause] = []
    if old is None and obj.get("data") is None:
        causes.append(Cause("data", "Required value: data is mandatory", "FieldValueRequired"))
    if old is not None and obj.get("data") != old.get("data"):
        causes.append(_immutable("data", obj.get("data")))
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
    for value in (obj.get("data") or {}).values():
        try:
            base64.b64decode(value, validate=True)
        except binascii.Error as error:
            wrong = next((index for index, letter in enumerate(value) if letter not in _BASE64), len(value))
            raise DecodingError("Secret", "v1", "Secret", f"illegal base64 data at input byte {wrong}") from error
    causes = data_keys(obj) + secret_keys(obj)
    if old is not None and obj.get("type") != old.get("type"):
        causes.append(_immutable("type", obj.get("type")))
    return causes + _frozen(obj, old, ("data",))


def config_map_rules(obj: Json, old: Json | None, subresource: str) -> list[Cause]:
    return data_keys(obj) + _frozen(obj, old, ("data", "binaryData"))


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
    if spec["type"] not in _SERVICE_TYPES:
        causes.append(unsupported("spec.type", spec["type"], _SERVICE_TYPES))
    if spec["type"] == "ExternalName" and not spec.get("externalName"):
        causes.append(Cause("spec.externalName", "Required value", "FieldValueRequired"))
    if spec.get("sessionAffinity") not in _AFFINITIES:
        causes.append(unsupported("spec.sessionAffinity", spec.get("sessionAffinity"), _AFFINITIES))
    if not ports and spec.get("clusterIP") != "None" and spec["type"] != "ExternalName":
        causes.append(Cause("spec.ports", "Required value", "FieldValueRequired"))
    names: set[str] = set()
    for index, port in enumerate(ports):
        path = f"spec.ports[{index}]"
        number, name = port.get("port"), port.get("name", "")
        if not isinstance(number, int) or not 0 < number < 65536:
            message = f"Invalid value: {number or 0}: must be between 1 and 65535, inclusive"
            causes.append(Cause(f"{path}.port", message))
        target = port.get("targetPort")
        if isinstance(target, int) and not 0 < target < 65536:
            message = f"Invalid value: {target}: must be between 1 and 65535, inclusive"
            causes.append(Cause(f"{path}.targetPort", message))
        if port.get("protocol") not in _PROTOCOLS:
            causes.append(unsupported(f"{path}.protocol", port.get("protocol"), _PROTOCOLS))
        if len(ports) > 1 and not name:
            causes.append(Cause(f"{path}.name", "Required value", "FieldValueRequired"))
        elif name and name in names:
            causes.append(Cause(f"{path}.name", f'Duplicate value: "{name}"', "FieldValueDuplicate"))
        names.add(name)
    if old is not None and old["spec"].get("clusterIP") and spec.get("clusterIP") != old["spec"]["clusterIP"]:
        addresses = orjson.dumps([spec.get("clusterIP")]).decode()
        message = f"Invalid value: {addresses}: may not change once set"
        causes.append(Cause("spec.clusterIPs[0]", message))
    return causes
