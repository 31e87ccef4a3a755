"""Labels, by the tables that other tools select on."""

from __future__ import annotations

from tikv_operator.common.keys import (
    LABEL_GROUP,
    LABEL_INSTANCE_REVISION,
    MANAGED,
    app_labels,
    cluster_labels,
    component_labels,
    instance_labels,
    subresource_labels,
)

GROUP = {
    "pingcap.com/managed-by": "tidb-operator",
    "pingcap.com/cluster": "tc",
    "pingcap.com/component": "tikv",
    "pingcap.com/group": "basic",
}


def test_the_labels_of_a_group() -> None:
    assert component_labels("tc", "tikv", "basic") == GROUP


def test_the_labels_of_a_component_and_of_a_cluster_are_part_of_them() -> None:
    assert component_labels("tc", "tikv").items() < GROUP.items()
    assert cluster_labels("tc").items() < component_labels("tc", "tikv").items()


def test_what_an_instance_owns_is_found_by_the_instance() -> None:
    assert instance_labels("tc", "tikv", "basic-abc123") == {
        "pingcap.com/managed-by": "tidb-operator",
        "pingcap.com/cluster": "tc",
        "pingcap.com/component": "tikv",
        "pingcap.com/instance": "basic-abc123",
    }


def test_what_an_instance_owns_inherits_its_group_and_revision_only() -> None:
    own = {LABEL_GROUP: "basic", LABEL_INSTANCE_REVISION: "basic-tikv-9f6f5d95c", "team": "storage"}
    labels = subresource_labels(own, "tc", "tikv", "basic-abc123")
    assert labels == GROUP | {
        "pingcap.com/instance": "basic-abc123",
        "pingcap.com/instance-revision-hash": "basic-tikv-9f6f5d95c",
    }
    assert subresource_labels({}, "tc", "tikv", "x") == instance_labels("tc", "tikv", "x")


def test_the_labels_that_kubernetes_recommends() -> None:
    assert app_labels("tc", "tikv") == {
        "app.kubernetes.io/component": "tikv",
        "app.kubernetes.io/instance": "tc",
        "app.kubernetes.io/managed-by": "tidb-operator",
        "app.kubernetes.io/name": "tidb-cluster",
    }


def test_the_scope_of_the_cache_holds_all_of_ours_and_nothing_else() -> None:
    assert MANAGED.matches(GROUP)
    assert not MANAGED.matches({"pingcap.com/cluster": "tc"})
