"""Labels, annotations and the finalizer of everything the operator owns, and the label sets that find it again.

The keys and values are those of TiDB Operator v2: dashboards, backup tools and users select on them, so they never
change. All functions are pure and return a new dict.
"""

from __future__ import annotations

from typing import Final

from controller_runtime.api import Selector, selector

__all__ = [
    "ANNOTATION_DEFER_DELETE",
    "ANNOTATION_FEATURES",
    "ANNOTATION_IGNORE_DIFF",
    "ANNOTATION_INITIAL_CLUSTER_NUM",
    "ANNOTATION_LAST_TEMPLATE",
    "ANNOTATION_MAX_UNAVAILABLE",
    "ANNOTATION_MAX_UNAVAILABLE_IN_ZONE",
    "ANNOTATION_PAUSED",
    "ANNOTATION_POD_DISRUPTION_BUDGET",
    "ANNOTATION_PRIORITY",
    "ANNOTATION_REPLACE_FAILED_MEMBERS",
    "ANNOTATION_TIPROXY_GRACEFUL_DELETE_DELAY",
    "ANNOTATION_UNRELOADED_CONFIG",
    "FINALIZER",
    "LABEL_CLUSTER",
    "LABEL_CLUSTER_ID",
    "LABEL_COMPONENT",
    "LABEL_GROUP",
    "LABEL_INSTANCE",
    "LABEL_INSTANCE_REVISION",
    "LABEL_MANAGED_BY",
    "LABEL_MEMBER_ID",
    "LABEL_REVISION_HASH",
    "LABEL_STORE_ID",
    "LABEL_VOLUME_NAME",
    "MANAGED",
    "MANAGED_BY",
    "app_labels",
    "cluster_labels",
    "component_labels",
    "instance_labels",
    "subresource_labels",
]

MANAGED_BY: Final = "tidb-operator"
"""The value of the managed-by label, and the field manager of every write."""

FINALIZER: Final = "pingcap.com/finalizer"

LABEL_MANAGED_BY: Final = "pingcap.com/managed-by"
LABEL_CLUSTER: Final = "pingcap.com/cluster"
LABEL_COMPONENT: Final = "pingcap.com/component"
LABEL_GROUP: Final = "pingcap.com/group"
LABEL_INSTANCE: Final = "pingcap.com/instance"
LABEL_INSTANCE_REVISION: Final = "pingcap.com/instance-revision-hash"
"""Holds the whole name of the ControllerRevision an instance was made from, in spite of its name."""
LABEL_VOLUME_NAME: Final = "pingcap.com/volume-name"
LABEL_CLUSTER_ID: Final = "tidb.pingcap.com/cluster-id"
LABEL_STORE_ID: Final = "tidb.pingcap.com/store-id"
LABEL_MEMBER_ID: Final = "tidb.pingcap.com/member-id"
LABEL_REVISION_HASH: Final = "controller.kubernetes.io/hash"

ANNOTATION_LAST_TEMPLATE: Final = "core.pingcap.com/last-instance-template"
ANNOTATION_FEATURES: Final = "core.pingcap.com/features"
ANNOTATION_DEFER_DELETE: Final = "core.pingcap.com/defer-delete"
ANNOTATION_IGNORE_DIFF: Final = "pingcap.com/ignore-diff"
"""Set by users on an object, through an overlay: paths, separated by commas, that stay as they are (`common.ignorediff`)."""
ANNOTATION_PRIORITY: Final = "core.pingcap.com/priority"
"""Set by users on an instance: a whole number from 0; the smallest is removed or updated first."""
ANNOTATION_MAX_UNAVAILABLE: Final = "core.pingcap.com/max-unavailable"
"""Set by users on a Cluster or a group: how many of its stores may be down at the same time. This operator's own."""
ANNOTATION_MAX_UNAVAILABLE_IN_ZONE: Final = "core.pingcap.com/max-unavailable-in-zone"
"""Set by users on a Cluster: how many stores of one zone may be down together, where PD makes that safe. Our own, too."""
ANNOTATION_PAUSED: Final = "core.pingcap.com/paused"
"""Set by users on a group: `true` stops every change of it that isn't a repair. Our own, too."""
ANNOTATION_POD_DISRUPTION_BUDGET: Final = "core.pingcap.com/pod-disruption-budget"
"""Set by users on a group: `false` if they want none of ours, because they have made one themselves. Our own, too."""
ANNOTATION_REPLACE_FAILED_MEMBERS: Final = "core.pingcap.com/replace-failed-members"
"""Set by users on a PDGroup: after how many seconds a member that has lost its data or its node is replaced by a new one."""
ANNOTATION_INITIAL_CLUSTER_NUM: Final = "pd.core.pingcap.com/initial-cluster-num"
ANNOTATION_TIPROXY_GRACEFUL_DELETE_DELAY: Final = "core.pingcap.com/tiproxy-graceful-shutdown-delete-delay-seconds"
ANNOTATION_UNRELOADED_CONFIG: Final = "core.pingcap.com/unreloaded-config"
"""On a pod, and only while there are any: configuration items that its running process doesn't use yet. TiDB Operator doesn't
know it, and leaves it alone."""

MANAGED: Final[Selector] = selector({LABEL_MANAGED_BY: MANAGED_BY})
"""Selects every object the operator owns: the scope of the cached built-in kinds."""


def cluster_labels(cluster: str) -> dict[str, str]:
    """Return the labels of what belongs to a cluster as a whole."""
    return {LABEL_MANAGED_BY: MANAGED_BY, LABEL_CLUSTER: cluster}


def component_labels(cluster: str, component: str, group: str = "") -> dict[str, str]:
    """Return the labels of what belongs to a component (`tikv`, `pd`) of a cluster, or to one group of it."""
    labels = cluster_labels(cluster) | {LABEL_COMPONENT: component}
    return labels | {LABEL_GROUP: group} if group else labels


def instance_labels(cluster: str, component: str, instance: str) -> dict[str, str]:
    """Return the labels that select what belongs to one instance."""
    return component_labels(cluster, component) | {LABEL_INSTANCE: instance}


def subresource_labels(own: dict[str, str], cluster: str, component: str, instance: str) -> dict[str, str]:
    """Return the labels that an instance's pod, config map and claims share.

    Args:
        own: the instance's own labels; its group and its revision are passed on, nothing else.
    """
    passed_on = {key: own[key] for key in (LABEL_GROUP, LABEL_INSTANCE_REVISION) if key in own}
    return passed_on | instance_labels(cluster, component, instance)


def app_labels(cluster: str, component: str) -> dict[str, str]:
    """Return the labels that Kubernetes recommends for applications."""
    return {
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/instance": cluster,
        "app.kubernetes.io/managed-by": MANAGED_BY,
        "app.kubernetes.io/name": "tidb-cluster",
    }
