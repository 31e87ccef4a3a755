"""What the metadata of an object must be, and what of it never changes (`ValidateObjectMeta` in k8s.io/apimachinery).

Pure functions that return what is wrong.
"""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from controller_runtime.envtest.kinds import Kind
from controller_runtime.envtest.status import Cause
from controller_runtime.envtest.storage import Json

__all__ = ["finalizer_warnings", "validate_metadata", "validate_metadata_update"]

_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_DNS_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_DNS_1035: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_QUALIFIED: Final = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_LABEL_VALUE: Final = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_PATH_SEGMENT: Final = re.compile(r"[^/%]+")
_IMMUTABLE: Final = (
    *("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"),
)
_OWNER_FIELDS: Final = ("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion")
_MAX_ANNOTATIONS: Final = 256 * 1024

_SUBDOMAIN_RULE: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_RULE: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_1035_RULE: Final = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)


def validate_metadata(kind: Kind, metadata: Json) -> list[Cause]:
    """Check the metadata of an object that is to be stored."""
    causes: list[Cause] = []
    name = metadata.get("name", "")
    if not name:
        causes.append(Cause("metadata.name", "Required value: name or generateName is required", "FieldValueRequired"))
    else:
        problem = _name_problem(kind, name)
        if problem:
            causes.append(Cause("metadata.name", f'Invalid value: "{name}": {problem}'))
    for key, value in metadata.get("labels", {}).items():
        causes += _label_problems("metadata.labels", key)
        if len(value) > 63:
            causes.append(Cause("metadata.labels", f'Invalid value: "{value}": must be no more than 63 bytes'))
        elif not _LABEL_VALUE.fullmatch(value):
            rule = (
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
                "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used "
                "for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
            )
            causes.append(Cause("metadata.labels", f'Invalid value: "{value}": {rule}'))
    annotations = metadata.get("annotations", {})
    for key in annotations:
        causes += _label_problems("metadata.annotations", key.lower())
    if sum(len(key) + len(value) for key, value in annotations.items()) > _MAX_ANNOTATIONS:
        causes.append(
            Cause(
                "metadata.annotations", f"Too long: may not be more than {_MAX_ANNOTATIONS} bytes", "FieldValueTooLong"
            )
        )
    causes += _owner_problems(metadata.get("ownerReferences", []))
    finalizers = metadata.get("finalizers", [])
    for finalizer in finalizers:
        if not isinstance(finalizer, str) or not _qualified(finalizer):
            causes.append(Cause("metadata.finalizers", f'Invalid value: "{finalizer}": {_QUALIFIED_RULE}'))
    if not kind.custom and kind.resource.group != "apiextensions.k8s.io":
        for index, finalizer in enumerate(finalizers):
            if "/" not in str(finalizer) and finalizer not in _STANDARD_FINALIZERS:
                why = (
                    f'Invalid value: "{finalizer}": name is neither a standard finalizer name nor is it fully qualified'
                )
                causes.append(Cause(f"metadata.finalizers[{index}]", why))
    return causes


_STANDARD_FINALIZERS: Final = ("kubernetes", "orphan", "foregroundDeletion")


def finalizer_warnings(kind: Kind, metadata: Json, old: Json) -> list[str]:
    """What is said to a custom resource's new finalizers that have no domain."""
    if not kind.custom:
        return []
    known = (*old.get("finalizers", ()), *_STANDARD_FINALIZERS)
    new = [name for name in metadata.get("finalizers", ()) if "/" not in name and name not in known]
    advice = "prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers"
    return [f'metadata.finalizers: "{name}": {advice}' for name in new]


def _name_problem(kind: Kind, name: str) -> str:
    resource = kind.resource
    if resource.group == "rbac.authorization.k8s.io":
        return "" if _PATH_SEGMENT.fullmatch(name) and name not in (".", "..") else "may not contain '/' or '%'"
    if (resource.group, resource.plural) == ("", "services"):
        return "" if len(name) <= 63 and _DNS_1035.fullmatch(name) else _1035_RULE
    if (resource.group, resource.plural) == ("", "namespaces"):
        return "" if len(name) <= 63 and _DNS_LABEL.fullmatch(name) else _LABEL_RULE
    if len(name) > 253:
        return "must be no more than 253 characters"
    return "" if _SUBDOMAIN.fullmatch(name) else _SUBDOMAIN_RULE


_QUALIFIED_RULE: Final = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


def _qualified(text: str) -> bool:
    prefix, slash, name = text.rpartition("/")
    if slash and (len(prefix) > 253 or not _SUBDOMAIN.fullmatch(prefix)):
        return False
    return len(name) <= 63 and _QUALIFIED.fullmatch(name) is not None


def _label_problems(field: str, key: str) -> list[Cause]:
    return [] if _qualified(key) else [Cause(field, f'Invalid value: "{key}": {_QUALIFIED_RULE}')]


def _owner_problems(owners: list[Any]) -> list[Cause]:
    causes: list[Cause] = []
    controllers: list[str] = []
    for owner in owners:
        if not isinstance(owner, dict):
            causes.append(Cause("metadata.ownerReferences", "Invalid value: must be an object"))
            continue
        causes += _owner_field_problems(owner)
        if owner.get("controller"):
            controllers.append(f"{owner.get('kind')}/{owner.get('name')}")
    if len(controllers) > 1:
        given = orjson.dumps([_in_order(owner) for owner in owners if isinstance(owner, dict)]).decode()
        why = 'Only one reference can have Controller set to true. Found "true" in references for '
        causes.append(
            Cause("metadata.ownerReferences", f"Invalid value: {given}: {why}{' and '.join(controllers[:2])}")
        )
    return causes


def _owner_field_problems(owner: Json) -> list[Cause]:
    api_version = owner.get("apiVersion", "")
    rules = [("apiVersion", "version must not be empty", not api_version or api_version.count("/") > 1)]
    rules += [(name, "must not be empty", not owner.get(name)) for name in ("kind", "name", "uid")]
    causes = [
        Cause(f"metadata.ownerReferences.{name}", f'Invalid value: "{owner.get(name, "")}": {why}')
        for name, why, broken in rules
        if broken
    ]
    if (api_version, owner.get("kind")) == ("v1", "Event"):
        why = f"Invalid value: {orjson.dumps(_in_order(owner)).decode()}: /v1, Kind=Event is disallowed from being an owner"
        causes.append(Cause("metadata.ownerReferences", why))
    return causes


def _in_order(owner: Json) -> Json:
    return {name: owner[name] for name in _OWNER_FIELDS if name in owner}


def validate_metadata_update(metadata: Json, old: Json) -> list[Cause]:
    """Check that an update leaves alone what never changes."""
    causes: list[Cause] = []
    if "deletionTimestamp" in old:
        known = set(old.get("finalizers", []))
        added = [finalizer for finalizer in metadata.get("finalizers", []) if finalizer not in known]
        if added:
            listed = ", ".join(f'"{finalizer}"' for finalizer in added)
            message = (
                "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers "
                f"[]string{{{listed}}}"
            )
            causes.append(Cause("metadata.finalizers", message, "FieldValueForbidden"))
    for name in _IMMUTABLE:
        value = metadata.get(name, "")
        if value != old.get(name, ""):
            shown = orjson.dumps(value).decode()
            causes.append(Cause(f"metadata.{name}", f"Invalid value: {shown}: field is immutable"))
    return causes
