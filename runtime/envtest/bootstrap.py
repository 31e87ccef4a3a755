"""The roles that every cluster has from its start, as far as they matter without nodes and controllers.

`admin`, `edit` and `view` are written out here; a real cluster aggregates them from labelled roles.
"""

from __future__ import annotations

from typing import Final

from controller_runtime.envtest.rbac import RBAC
from controller_runtime.envtest.storage import Json
from controller_runtime.envtest.users import AUTHENTICATED, MASTERS

__all__ = ["cluster_role_bindings", "cluster_roles"]

_READ: Final = ["get", "list", "watch"]
_WRITE: Final = ["create", "delete", "deletecollection", "patch", "update"]
_HEALTH: Final = ["/healthz", "/livez", "/readyz", "/version", "/version/"]
_DISCOVERY: Final = ["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*"]
_CORE: Final = ["configmaps", "persistentvolumeclaims", "pods", "serviceaccounts", "services"]
_EVERYTHING: Final = ["*"]


def cluster_roles() -> list[Json]:
    """The ClusterRoles."""
    view = [
        _rule(
            [""], [*_CORE, "events", "namespaces", "persistentvolumeclaims/status", "pods/log", "pods/status"], _READ
        ),
        _rule(["apps"], ["controllerrevisions"], _READ),
        _rule(["discovery.k8s.io"], ["endpointslices"], _READ),
        _rule(["policy"], ["poddisruptionbudgets", "poddisruptionbudgets/status"], _READ),
    ]
    edit = [
        *view,
        _rule([""], ["secrets"], [*_READ, *_WRITE]),
        _rule([""], _CORE, _WRITE),
        _rule([""], ["pods/eviction", "serviceaccounts/token"], ["create"]),
        _rule(["policy"], ["poddisruptionbudgets"], _WRITE),
        _rule(["coordination.k8s.io"], ["leases"], [*_READ, *_WRITE]),
    ]
    admin = [
        *edit,
        _rule([RBAC], ["rolebindings", "roles"], [*_READ, *_WRITE]),
        _rule(["authorization.k8s.io"], ["localsubjectaccessreviews"], ["create"]),
    ]
    return [
        _role(
            "cluster-admin",
            _rule(_EVERYTHING, _EVERYTHING, _EVERYTHING),
            {"nonResourceURLs": _EVERYTHING, "verbs": _EVERYTHING},
        ),
        _role("system:discovery", {"nonResourceURLs": [*_DISCOVERY, *_HEALTH], "verbs": ["get"]}),
        _role("system:public-info-viewer", {"nonResourceURLs": _HEALTH, "verbs": ["get"]}),
        _role(
            "system:basic-user",
            _rule(["authorization.k8s.io"], ["selfsubjectaccessreviews", "selfsubjectrulesreviews"], ["create"]),
            _rule(["authentication.k8s.io"], ["selfsubjectreviews"], ["create"]),
        ),
        _role("view", *view),
        _role("edit", *edit),
        _role("admin", *admin),
    ]


def cluster_role_bindings() -> list[Json]:
    """The ClusterRoleBindings, each named as its role."""
    everybody = [AUTHENTICATED, "system:unauthenticated"]
    return [
        _binding("cluster-admin", MASTERS),
        _binding("system:discovery", AUTHENTICATED),
        _binding("system:basic-user", AUTHENTICATED),
        _binding("system:public-info-viewer", *everybody),
    ]


def _rule(groups: list[str], resources: list[str], verbs: list[str]) -> Json:
    return {"apiGroups": groups, "resources": resources, "verbs": verbs}


def _role(name: str, *rules: Json) -> Json:
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}},
        "rules": list(rules),
    }


def _binding(role: str, *groups: str) -> Json:
    return {
        "metadata": {"name": role, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": group} for group in groups],
    }
