"""Labels, by the tables that other tools select on."""

from __future__ import annotations

import pytest

from tikv_operator.common import keys
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


@pytest.mark.parametrize(
    ("found", "key"),
    [
        pytest.param(keys.LABEL_MANAGED_BY, "pingcap.com/managed-by", id="label managed-by"),
        pytest.param(keys.LABEL_CLUSTER, "pingcap.com/cluster", id="label cluster"),
        pytest.param(keys.LABEL_COMPONENT, "pingcap.com/component", id="label component"),
        pytest.param(keys.LABEL_GROUP, "pingcap.com/group", id="label group"),
        pytest.param(keys.LABEL_INSTANCE, "pingcap.com/instance", id="label instance"),
        pytest.param(keys.LABEL_INSTANCE_REVISION, "pingcap.com/instance-revision-hash", id="label revision"),
        pytest.param(keys.LABEL_VOLUME_NAME, "pingcap.com/volume-name", id="label volume-name"),
        pytest.param(keys.LABEL_CLUSTER_ID, "tidb.pingcap.com/cluster-id", id="label cluster-id"),
        pytest.param(keys.LABEL_STORE_ID, "tidb.pingcap.com/store-id", id="label store-id"),
        pytest.param(keys.LABEL_MEMBER_ID, "tidb.pingcap.com/member-id", id="label member-id"),
        pytest.param(keys.LABEL_REVISION_HASH, "controller.kubernetes.io/hash", id="label hash"),
        pytest.param(keys.ANNOTATION_LAST_TEMPLATE, "core.pingcap.com/last-instance-template", id="last template"),
        pytest.param(keys.ANNOTATION_FEATURES, "core.pingcap.com/features", id="features"),
        pytest.param(keys.ANNOTATION_DEFER_DELETE, "core.pingcap.com/defer-delete", id="defer-delete"),
        pytest.param(keys.ANNOTATION_PRIORITY, "core.pingcap.com/priority", id="priority"),
        pytest.param(
            keys.ANNOTATION_INITIAL_CLUSTER_NUM, "pd.core.pingcap.com/initial-cluster-num", id="initial-cluster-num"
        ),
        pytest.param(
            keys.ANNOTATION_TIPROXY_GRACEFUL_DELETE_DELAY,
            "core.pingcap.com/tiproxy-graceful-shutdown-delete-delay-seconds",
            id="delay of TiProxy",
        ),
        pytest.param(keys.FINALIZER, "pingcap.com/finalizer", id="finalizer"),
        pytest.param(keys.MANAGED_BY, "tidb-operator", id="who manages"),
    ],
)
def test_a_key_that_others_know(found: str, key: str) -> None:
    assert found == key


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
