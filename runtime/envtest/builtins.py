"""The built-in kinds that the embedded server has: their names, subresources and manners, as one table.

Adding a kind means adding a line. Typed kinds bring their schema along; the others (RBAC) are stored as they come.
"""

from __future__ import annotations

from typing import Any

from controller_runtime.api import k8s
from controller_runtime.api.meta import Object
from controller_runtime.api.resource import Resource
from controller_runtime.envtest import builtincolumns as columns
from controller_runtime.envtest import builtindefaults as rules
from controller_runtime.envtest import builtinrules, eventviews
from controller_runtime.envtest.builtinschema import builtin_schema
from controller_runtime.envtest.builtinstrategy import BuiltinStrategy, Defaults, Rules, UntypedStrategy
from controller_runtime.envtest.kinds import ALL_VERBS, Kind, Strategy
from controller_runtime.envtest.poddefaults import pod_defaults, pod_rules
from controller_runtime.envtest.selection import FieldValue, field_at
from controller_runtime.envtest.storage import Storage

__all__ = ["builtin_kinds"]

_RBAC = "rbac.authorization.k8s.io"
_POD_SUBRESOURCES = frozenset(
    ("status", "eviction", "binding", "ephemeralcontainers", "log", "exec", "attach", "portforward", "proxy")
)
_POD_FIELDS = (
    "spec.hostNetwork",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "status.phase",
    "status.podIP",
    "status.podIPs",
    "status.nominatedNodeName",
)


def builtin_kinds(storage: Storage, crd_strategy: Strategy) -> list[Kind]:
    """Return all built-in kinds; those that must remember something do so by following `storage`."""
    addresses = rules.ServiceAddresses(storage)
    status = frozenset(("status",))
    role = UntypedStrategy(None, builtinrules.role_rules)
    binding = UntypedStrategy(builtinrules.binding_defaults, builtinrules.binding_rules)
    return [
        _kind(
            k8s.Namespace,
            short=("ns",),
            subresources=frozenset(("status", "finalize")),
            defaults=rules.namespace_defaults,
            columns=columns.NAMESPACE,
            fields=_fields("status.phase"),
            returns_deleted=True,
            verbs=ALL_VERBS - {"deletecollection"},
        ),
        _kind(
            k8s.Pod,
            short=("po",),
            categories=("all",),
            subresources=_POD_SUBRESOURCES,
            defaults=pod_defaults,
            rules=pod_rules,
            columns=columns.POD,
            fields={**_fields(*_POD_FIELDS), "spec.hostNetwork": _host_network, "status.podIPs": _pod_ips},
            generation=True,
            graceful=True,
            returns_deleted=True,
        ),
        _kind(
            k8s.Service,
            short=("svc",),
            categories=("all",),
            subresources=frozenset(("status", "proxy")),
            defaults=addresses.defaults,
            rules=rules.service_rules,
            columns=columns.SERVICE,
            fields=_fields("spec.clusterIP", "spec.type"),
            returns_deleted=True,
            create_on_update=True,
        ),
        _kind(k8s.ConfigMap, short=("cm",), rules=rules.config_map_rules, columns=columns.CONFIG_MAP),
        _kind(
            k8s.Secret,
            defaults=rules.secret_defaults,
            rules=rules.secret_rules,
            columns=columns.SECRET,
            fields=_fields("type"),
        ),
        _kind(
            k8s.ServiceAccount,
            short=("sa",),
            subresources=frozenset(("token",)),
            columns=columns.SERVICE_ACCOUNT,
            returns_deleted=True,
        ),
        _kind(
            k8s.PersistentVolumeClaim,
            short=("pvc",),
            subresources=status,
            defaults=rules.claim_defaults,
            rules=rules.claim_rules,
            columns=columns.CLAIM,
            returns_deleted=True,
        ),
        _kind(
            k8s.PersistentVolume,
            short=("pv",),
            subresources=status,
            defaults=rules.volume_defaults,
            columns=columns.VOLUME,
            returns_deleted=True,
        ),
        _kind(
            k8s.Node,
            short=("no",),
            subresources=frozenset(("status", "proxy")),
            defaults=rules.node_defaults,
            rules=builtinrules.node_rules,
            columns=columns.NODE,
            fields={"spec.unschedulable": _unschedulable},
        ),
        _kind(
            k8s.CoreEvent,
            short=("ev",),
            defaults=eventviews.core_defaults,
            rules=builtinrules.event_rules,
            columns=columns.EVENT,
            fields=eventviews.CORE_FIELDS,
            create_on_update=True,
            storage=eventviews.STORAGE,
            from_storage=eventviews.to_core,
            to_storage=eventviews.from_core,
        ),
        _kind(
            k8s.Event,
            short=("ev",),
            defaults=eventviews.defaults,
            rules=builtinrules.new_event_rules,
            columns=columns.EVENT,
            fields=eventviews.FIELDS,
            create_on_update=True,
            storage=eventviews.STORAGE,
        ),
        _kind(k8s.ControllerRevision, rules=rules.revision_rules, columns=columns.REVISION),
        _kind(
            k8s.Lease,
            rules=builtinrules.lease_rules,
            columns=columns.LEASE,
            unconditional_update=False,
            create_on_update=True,
        ),
        _kind(
            k8s.StorageClass,
            short=("sc",),
            defaults=rules.storage_class_defaults,
            rules=rules.storage_class_rules,
            columns=columns.STORAGE_CLASS,
            returns_deleted=True,
        ),
        _kind(k8s.EndpointSlice, columns=columns.ENDPOINT_SLICE, generation=True),
        _kind(
            k8s.PodDisruptionBudget,
            short=("pdb",),
            subresources=status,
            columns=columns.DISRUPTION_BUDGET,
            generation=True,
            unconditional_update=False,
        ),
        _kind(
            k8s.CustomResourceDefinition,
            short=("crd", "crds"),
            categories=("api-extensions",),
            subresources=status,
            strategy=crd_strategy,
            columns=columns.CRD,
            generation=True,
            unconditional_update=False,
            returns_deleted=True,
        ),
        *(
            Kind(
                resource=Resource(_RBAC, "v1", name, plural, namespaced=namespaced),
                columns=columns.BINDING if name.endswith("Binding") else columns.CREATED_AT,
                strategic=True,
                create_on_update=True,
                strategy=binding if name.endswith("Binding") else role,
            )
            for name, plural, namespaced in (
                ("Role", "roles", True),
                ("RoleBinding", "rolebindings", True),
                ("ClusterRole", "clusterroles", False),
                ("ClusterRoleBinding", "clusterrolebindings", False),
            )
        ),
    ]


def _kind(
    typed: type[Object],
    *,
    short: tuple[str, ...] = (),
    defaults: Defaults | None = None,
    rules: Rules | None = None,
    strategy: Strategy | None = None,
    **options: Any,
) -> Kind:
    resource = typed.resource

    def read_schema() -> dict[str, Any]:
        return builtin_schema(typed)

    return Kind(
        resource=resource,
        short_names=short,
        strategy=strategy or BuiltinStrategy(typed, defaults, rules),
        strategic=True,
        read_schema=read_schema,
        **options,
    )


def _fields(*paths: str) -> dict[str, FieldValue]:
    return {path: field_at(path) for path in paths}


def _host_network(obj: dict[str, Any]) -> str:
    return "true" if obj.get("spec", {}).get("hostNetwork") else "false"


def _pod_ips(obj: dict[str, Any]) -> str:
    return ",".join(entry.get("ip", "") for entry in obj.get("status", {}).get("podIPs") or ())


def _unschedulable(obj: dict[str, Any]) -> str:
    return "true" if obj.get("spec", {}).get("unschedulable") else "false"
