"""Discovery: which groups, versions and resources there are, in the old and the aggregated form, and the version.

Pure functions of the table of kinds.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Final

from controller_runtime.api.resource import Resource
from controller_runtime.envtest.kinds import Kind, Kinds
from controller_runtime.envtest.reviews import REVIEWS
from controller_runtime.envtest.storage import Json

__all__ = ["VERSION", "aggregated", "api_versions", "group", "groups", "resources"]

VERSION: Final[Json] = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.0+embedded",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "embedded",
}

# Resources that only answer, and store nothing.
_REVIEW_GROUPS: Final = tuple(dict.fromkeys(group for group, _ in REVIEWS))
# Subresources with a kind of their own: (group, version, kind, verbs).
_FOREIGN: Final[dict[str, tuple[str, str, str, tuple[str, ...]]]] = {
    "scale": ("autoscaling", "v1", "Scale", ("get", "patch", "update")),
    "eviction": ("policy", "v1", "Eviction", ("create",)),
    "binding": ("", "", "Binding", ("create",)),
    "token": ("authentication.k8s.io", "v1", "TokenRequest", ("create",)),
}


# Subresources that take options of their own instead of an object, what those are called, and their verbs.
_PROXY: Final = ("create", "delete", "get", "patch", "update")
_OPTIONS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "log": ("", ("get",)),
    "finalize": ("", ("update",)),
    "exec": ("ExecOptions", ("create", "get")),
    "attach": ("AttachOptions", ("create", "get")),
    "portforward": ("PortForwardOptions", ("create", "get")),
    "proxy": ("ProxyOptions", _PROXY),
}
_CUSTOM_VERBS: Final = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")


def api_versions() -> Json:
    """The answer to `/api`."""
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def groups(kinds: Kinds) -> Json:
    """The answer to `/apis`."""
    names = [name for name in _all_groups(kinds) if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(kinds, name) for name in names]}


def group(kinds: Kinds, name: str) -> Json | None:
    """The answer to `/apis/<group>`; None if there is no such group."""
    if name not in _all_groups(kinds):
        return None
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(kinds, name)}


def _all_groups(kinds: Kinds) -> dict[str, list[str]]:
    found = kinds.groups()
    for name in _REVIEW_GROUPS:
        found.setdefault(name, ["v1"])
    return found


def _group(kinds: Kinds, name: str) -> Json:
    versions = [{"groupVersion": f"{name}/{version}", "version": version} for version in _all_groups(kinds)[name]]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def resources(kinds: Kinds, name: str, version: str) -> Json | None:
    """The answer to `/api/v1` or `/apis/<group>/<version>`; None if there is no such version."""
    if version not in _all_groups(kinds).get(name, []):
        return None
    listed: list[Json] = []
    for kind in kinds.in_version(name, version):
        listed.append(_resource(kind))
        listed += [_subresource(kind, subresource) for subresource in _subresources(kind)]
    for plural, review, namespaced in _reviews(name):
        singular = review.lower()
        entry = {
            "name": plural,
            "singularName": singular,
            "namespaced": namespaced,
            "kind": review,
            "verbs": ["create"],
        }
        listed.append(entry)
    return {
        "kind": "APIResourceList",
        **({"apiVersion": "v1"} if name else {}),
        "groupVersion": f"{name}/{version}" if name else version,
        "resources": listed,
    }


def _resource(kind: Kind) -> Json:
    resource = kind.resource
    entry: Json = {
        "name": resource.plural,
        "singularName": kind.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": _verbs(kind),
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    if kind.stored_as_served:
        entry["storageVersionHash"] = _storage_version_hash(resource)
    return entry


def _verbs(kind: Kind) -> list[str]:
    """In the order of a real server, which is not the same for all."""
    return [verb for verb in _CUSTOM_VERBS if verb in kind.verbs] if kind.custom else sorted(kind.verbs)


def _subresources(kind: Kind) -> list[str]:
    """By name; of a custom kind the status comes before the scale."""
    return sorted(kind.subresources, reverse=kind.custom)


def _storage_version_hash(resource: Resource) -> str:
    """An opaque name of the version in which objects are stored."""
    name = f"{resource.group}/{resource.version}/{resource.kind}"
    return base64.b64encode(hashlib.sha256(name.encode()).digest()[:8]).decode()


def _subresource(kind: Kind, name: str) -> Json:
    group_name, version, own, verbs = _FOREIGN.get(name, ("", "", kind.resource.kind, ("get", "patch", "update")))
    if name in _OPTIONS:
        options, verbs = _OPTIONS[name]
        own = f"{own}{options}"
    return {
        "name": f"{kind.resource.plural}/{name}",
        "singularName": "",
        "namespaced": kind.resource.namespaced,
        **({"group": group_name, "version": version} if version else {}),
        "kind": own,
        "verbs": list(verbs),
    }


def aggregated(kinds: Kinds, *, core: bool) -> Json:
    """The answer to `/api` or `/apis` in the form of `apidiscovery.k8s.io/v2`: everything at once."""
    names = [name for name in _all_groups(kinds) if (name == "") == core]
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [
            {
                "metadata": {"name": name},
                "versions": [
                    {"version": version, "resources": _discovered(kinds, name, version), "freshness": "Current"}
                    for version in versions
                ],
            }
            for name, versions in _all_groups(kinds).items()
            if name in names
        ],
    }


def _discovered(kinds: Kinds, name: str, version: str) -> list[Json]:
    listed: list[Json] = []
    for kind in kinds.in_version(name, version):
        resource = kind.resource
        entry: Json = {
            "resource": resource.plural,
            "responseKind": _response_kind(kind),
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "singularResource": kind.singular,
            "verbs": _verbs(kind),
        }
        if kind.short_names:
            entry["shortNames"] = list(kind.short_names)
        if kind.categories:
            entry["categories"] = list(kind.categories)
        if kind.subresources:
            entry["subresources"] = [_discovered_sub(kind, subresource) for subresource in _subresources(kind)]
        listed.append(entry)
    for plural, review, namespaced in _reviews(name):
        listed.append(
            {
                "resource": plural,
                "responseKind": _gvk(name, version, review),
                "scope": "Namespaced" if namespaced else "Cluster",
                "singularResource": review.lower(),
                "verbs": ["create"],
            }
        )
    return listed


def _reviews(name: str) -> list[tuple[str, str, bool]]:
    """The reviews of a group: plural, kind, and whether it is namespaced."""
    return [(plural, kind, namespaced) for (group, plural), (kind, namespaced) in REVIEWS.items() if group == name]


def _discovered_sub(kind: Kind, name: str) -> Json:
    plain = _subresource(kind, name)
    answer = {**_response_kind(kind), "kind": plain["kind"]}
    if "version" in plain:
        answer = _gvk(plain["group"], plain["version"], plain["kind"])
    return {"subresource": name, "responseKind": answer, "verbs": plain["verbs"]}


def _response_kind(kind: Kind) -> dict[str, Any]:
    """What a resource's answers are of; of built-in kinds a real server leaves out what the list has said already."""
    resource = kind.resource
    return _gvk(resource.group, resource.version, resource.kind) if kind.custom else _gvk("", "", resource.kind)


def _gvk(group_name: str, version: str, kind: str) -> dict[str, Any]:
    return {"group": group_name, "version": version, "kind": kind}
