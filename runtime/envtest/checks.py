"""What a write is checked for before and beside the kind's own rules: its URL, its preconditions, its home.

Every check is a plain function that returns nothing, or raises the StatusError that a real server would answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from controller_runtime.api.resource import ObjectKey, Resource
from controller_runtime.envtest.kinds import Kind
from controller_runtime.envtest.parts import copied
from controller_runtime.envtest.status import (
    Cause,
    DecodingError,
    StatusError,
    bad_request,
    conflict,
    forbidden,
    invalid,
    not_found,
)
from controller_runtime.envtest.storage import Json, Storage, Stored
from controller_runtime.envtest.typedvalues import typed_problems
from controller_runtime.envtest.users import User

__all__ = [
    "WriteOptions",
    "check_applied_fields",
    "check_home",
    "check_uid",
    "check_unknown_fields",
    "check_url",
    "check_valid",
    "check_version",
]

_FOLDERS: Final = {
    "nodes": "minions",
    "services": "services/specs",
    "customresourcedefinitions": "apiextensions.k8s.io/customresourcedefinitions",
}
_NAMESPACES: Final = Resource("", "v1", "Namespace", "namespaces", namespaced=False)


@dataclass(slots=True, kw_only=True)
class WriteOptions:
    """What a request says beside the object.

    Attributes:
        validation: what happens to unknown fields: `Ignore`, `Warn` or `Strict`.
        user: who writes; None for the cluster itself.
        duplicates: what is to be said of fields that the body has more than once.
        warnings: collects what the answer's Warning headers say.
    """

    manager: str = "unknown"
    dry_run: bool = False
    force: bool = False
    validation: str = "Warn"
    user: User | None = None
    duplicates: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def check_url(key: ObjectKey, metadata: Json) -> None:
    """An object goes where its name says."""
    name, namespace = metadata.get("name", ""), metadata.get("namespace", "")
    if not name:
        raise bad_request(f"the name of the object ({key.name} based on URL) was undeterminable: name must be provided")
    if name != key.name:
        raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({key.name})")
    if namespace and key.namespace and namespace != key.namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")


def check_version(kind: Kind, stored: Stored, metadata: Json) -> None:
    """The version that an update names must be that of the stored object."""
    version = metadata.get("resourceVersion")
    if not version or version == "0":
        if not kind.unconditional_update:
            message = "Invalid value: 0: must be specified for an update"
            plural = replace(kind.resource, kind=kind.resource.plural)
            raise invalid(plural, stored.key.name, [Cause("metadata.resourceVersion", message)])
    elif version != stored.metadata["resourceVersion"]:
        raise conflict(kind.resource, stored.key.name)


def check_uid(kind: Kind, key: ObjectKey, metadata: Json, stored: Stored | None) -> None:
    """The uid that an update names must be that of the stored object."""
    uid, found = metadata.get("uid"), "" if stored is None else stored.uid
    if uid and uid != found:
        why = (
            f"StorageError: invalid object, Code: 4, Key: {_storage_path(kind, key)}, ResourceVersion: 0, "
            f"AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, UID in object meta: {found}"
        )
        raise conflict(kind.resource, key.name, why)


def _storage_path(kind: Kind, key: ObjectKey) -> str:
    """Where a real server keeps the object in etcd."""
    resource = kind.resource
    folder = f"{resource.group}/{resource.plural}" if kind.custom else _FOLDERS.get(resource.plural, resource.plural)
    return "/".join(filter(None, ("/registry", folder, key.namespace, key.name)))


def check_home(storage: Storage, kind: Kind, namespace: str, metadata: Json) -> None:
    """A new object needs a namespace that exists and is not on its way out."""
    if not kind.resource.namespaced:
        return
    given = metadata.get("namespace", "")
    if given and given != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    home = storage.get(("", "namespaces"), ObjectKey("", namespace))
    if home is None:
        raise not_found(_NAMESPACES, namespace)
    if "deletionTimestamp" in home.metadata:
        message = f"unable to create new content in namespace {namespace} because it is being terminated"
        cause = Cause("metadata.namespace", f"namespace {namespace} is being terminated", "NamespaceTerminating")
        raise forbidden(kind.resource, metadata.get("name") or metadata.get("generateName", ""), message, [cause])


def check_applied_fields(kind: Kind, config: Json) -> None:
    """An apply never drops an unknown field in silence, and must be able to tell whose each part is."""
    known = copied(config)
    problems = [f".{path}: field not declared in schema" for path in kind.strategy.prune(known)]
    problems = [*typed_problems(kind.schema, known), *problems]
    if problems:
        metadata, resource = config["metadata"], kind.resource
        named = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}"
        group_version = resource.api_version if resource.group else f"/{resource.version}"
        told = problems[0] if len(problems) == 1 else "\n".join(["errors:", *(f"  {problem}" for problem in problems)])
        message = f"failed to create typed patch object ({named}; {group_version}, Kind={resource.kind}): {told}"
        raise StatusError(500, "", message)


def check_valid(kind: Kind, name: str, causes: Iterable[Cause], options: WriteOptions) -> None:
    """Refuse what is not valid; of what was so before is only warned."""
    found = list(causes)
    wrong = [cause for cause in found if not cause.warning]
    if wrong:
        raise invalid(kind.resource, name, wrong)
    options.warnings += [cause.text for cause in found]


def check_unknown_fields(kind: Kind, unknown: Iterable[str], options: WriteOptions) -> None:
    """Refuse or report the fields that were dropped, or came twice, as the request wants it."""
    problems = [*options.duplicates, *(f'unknown field "{path}"' for path in unknown)]
    if not problems:
        return
    if options.validation == "Strict":
        resource = kind.resource
        why = f"strict decoding error: {', '.join(problems)}"
        raise DecodingError(resource.kind, resource.version, resource.kind, why)
    if options.validation == "Warn":
        options.warnings += problems
