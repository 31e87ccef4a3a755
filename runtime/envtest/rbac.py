"""Access control by roles (RBAC), evaluated on the stored Roles, ClusterRoles and their bindings.

Members of `system:masters` may do everything; everybody else what a binding allows. Rules only ever allow, so who is bound
to nothing may do nothing (Kubernetes documentation, "Using RBAC Authorization").

Concurrency: plain synchronous code for one event loop. Decisions follow the storage at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from controller_runtime.api.resource import ObjectKey
from controller_runtime.envtest.attributes import Attributes
from controller_runtime.envtest.storage import Json, ResourceId, Storage
from controller_runtime.envtest.users import MASTERS, User, service_account_of

__all__ = ["RBAC", "Authorizer", "Decision", "Grant"]

RBAC: Final = "rbac.authorization.k8s.io"
_CLUSTER_ROLES: Final[ResourceId] = (RBAC, "clusterroles")
_ROLES: Final[ResourceId] = (RBAC, "roles")
_CLUSTER_BINDINGS: Final[ResourceId] = (RBAC, "clusterrolebindings")
_BINDINGS: Final[ResourceId] = (RBAC, "rolebindings")


class Decision(NamedTuple):
    """Whether something is allowed, and why (or what went wrong on the way to the answer)."""

    allowed: bool
    reason: str = ""


class Grant(NamedTuple):
    """One rule that a binding gives to a user."""

    rule: Json
    reason: str


class Authorizer:
    """See the module docstring."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def decide(self, user: User, request: Attributes) -> Decision:
        """Decide whether `user` may do this."""
        if MASTERS in user.groups:
            return Decision(True)
        problems: list[str] = []
        for grant in self.grants(user, request.namespace if request.resource else "", problems):
            if _allows(grant.rule, request):
                return Decision(True, grant.reason)
        return Decision(False, _summary(problems))

    def grants(self, user: User, namespace: str, problems: list[str]) -> Iterator[Grant]:
        """All rules that apply to a user in a namespace (or, without one, in the whole cluster)."""
        for stored in self._storage.table(_CLUSTER_BINDINGS).objects.values():
            yield from self._bound(user, stored.obj, "", problems)
        if namespace:
            for stored in self._storage.table(_BINDINGS).objects.values():
                if stored.key.namespace == namespace:
                    yield from self._bound(user, stored.obj, namespace, problems)

    def rules_of(self, reference: Json, namespace: str) -> list[Json] | None:
        """The rules of a referenced role; None if there is no such role."""
        cluster_wide = reference.get("kind") == "ClusterRole"
        resource = _CLUSTER_ROLES if cluster_wide else _ROLES
        key = ObjectKey("" if cluster_wide else namespace, reference.get("name", ""))
        stored = self._storage.get(resource, key)
        return None if stored is None else stored.obj.get("rules") or []

    def _bound(self, user: User, binding: Json, namespace: str, problems: list[str]) -> Iterator[Grant]:
        subject = _matching_subject(user, binding.get("subjects") or [], namespace)
        if not subject:
            return
        reference: Json = binding["roleRef"]
        rules = self.rules_of(reference, namespace)
        if rules is None:
            problems.append(f'{reference["kind"].lower()}.{RBAC} "{reference["name"]}" not found')
            return
        name = binding["metadata"]["name"]
        shown = f'RoleBinding "{name}/{namespace}"' if namespace else f'ClusterRoleBinding "{name}"'
        reason = f'RBAC: allowed by {shown} of {reference["kind"]} "{reference["name"]}" to {subject}'
        for rule in rules:
            yield Grant(rule, reason)


def _matching_subject(user: User, subjects: list[Json], namespace: str) -> str:
    """Name the first subject that means this user."""
    for subject in subjects:
        kind, name = subject.get("kind"), subject.get("name", "")
        if kind == "User" and name == user.name:
            return f'User "{name}"'
        if kind == "Group" and name in user.groups:
            return f'Group "{name}"'
        if kind == "ServiceAccount":
            home = subject.get("namespace") or namespace
            if service_account_of(user.name) == (home, name):
                return f'ServiceAccount "{name}/{home}"'
    return ""


def _allows(rule: Json, request: Attributes) -> bool:
    if not _lists(rule, "verbs", request.verb):
        return False
    if not request.resource:
        return any(_path_matches(pattern, request.path) for pattern in rule.get("nonResourceURLs") or ())
    resources = rule.get("resources") or ()
    wanted = {"*", request.resource}
    if request.subresource:
        wanted = {"*", f"{request.resource}/{request.subresource}", f"*/{request.subresource}"}
    names = rule.get("resourceNames") or ()
    return (
        _lists(rule, "apiGroups", request.group)
        and not wanted.isdisjoint(resources)
        and (not names or request.name in names)
    )


def _lists(rule: Json, field: str, value: str) -> bool:
    values = rule.get(field) or ()
    return value in values or "*" in values


def _path_matches(pattern: str, path: str) -> bool:
    if pattern.endswith("*"):
        return path.startswith(pattern.rstrip("*"))
    return pattern == path


def _summary(problems: list[str]) -> str:
    distinct = list(dict.fromkeys(problems))
    if not distinct:
        return ""
    return f"RBAC: {distinct[0]}" if len(distinct) == 1 else f"RBAC: [{', '.join(distinct)}]"
