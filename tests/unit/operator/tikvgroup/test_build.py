"""The objects a group makes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controller_runtime.api import encode
from helpers.group_world import make_cluster, make_group
from tikv_operator.api import TemplateMeta, TiKVGroup
from tikv_operator.group import build
from tikv_operator.group.build import Blueprint, controller_revision, headless_service, new_subdomain
from tikv_operator.tikvgroup.component import TIKV_GROUP

OWNER = {
    "apiVersion": "core.pingcap.com/v1alpha1",
    "kind": "TiKVGroup",
    "name": "basic",
    "uid": "uid-basic",
    "controller": True,
    "blockOwnerDeletion": True,
}
LABELS = {
    "pingcap.com/managed-by": "tidb-operator",
    "pingcap.com/component": "tikv",
    "pingcap.com/cluster": "tc",
    "pingcap.com/group": "basic",
}


def sent(obj: Any) -> Any:
    return json.loads(encode(obj))


def blueprint(group: TiKVGroup) -> Blueprint:
    return Blueprint(
        revision="basic-tikv-9f6f5d95c", template=group.spec.template, features=tuple(group.spec.features or ())
    )


def instance(group: TiKVGroup, **parts: Any) -> Any:
    values = {"name": "basic-abc123", "subdomain": "basic-tikv-peer", "topology": None}
    return sent(build.instance(TIKV_GROUP, group, blueprint(group), **values | parts))


def test_an_instance_is_the_template_with_the_groups_marks() -> None:
    group = make_group(
        template={
            "config": "log.level = 'info'",
            "resources": {"cpu": "1000m", "memory": "2048Mi"},
            "server": {},
            "updateStrategy": {},
        },
        template_metadata={
            "name": "ignored",
            "labels": {"a": "b", "pingcap.com/group": "x"},
            "annotations": {"c": "d"},
        },
        features=["UseTiKVReadyAPI"],
    )
    assert instance(group) == {
        "apiVersion": "core.pingcap.com/v1alpha1",
        "kind": "TiKV",
        "metadata": {
            "name": "basic-abc123",
            "namespace": "ns1",
            "labels": LABELS | {"a": "b", "pingcap.com/instance-revision-hash": "basic-tikv-9f6f5d95c"},
            "annotations": {"c": "d"},
            "finalizers": ["pingcap.com/finalizer"],
            "ownerReferences": [OWNER],
        },
        "spec": {
            "cluster": {"name": "tc"},
            "features": ["UseTiKVReadyAPI"],
            "subdomain": "basic-tikv-peer",
            "offline": False,
            "version": "v8.1.0",
            "config": "log.level = 'info'",
            "resources": {"cpu": "1", "memory": "2Gi"},
            "volumes": [{"name": "data", "mounts": [{"type": "data"}], "storage": "20Gi"}],
        },
    }


def test_making_an_instance_leaves_the_group_as_it_is() -> None:
    group = make_group(template={"resources": {"cpu": "1000m"}, "server": {"ports": {}}}, features=["MultiPDGroup"])
    before = encode(group)
    made = build.instance(TIKV_GROUP, group, blueprint(group), name="x", subdomain="y", topology={"zone": "a"})
    made.spec.volumes[0].storage = "1Gi"
    made.metadata.labels["a"] = "b"
    assert encode(group) == before


def test_a_topology_and_a_resource_version_are_passed_on() -> None:
    made = instance(make_group(), topology={"zone": "a"}, resource_version="17")
    assert made["spec"]["topology"] == {"zone": "a"}
    assert made["metadata"]["resourceVersion"] == "17"


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        pytest.param({"ports": {}}, None, id="no ports"),
        pytest.param({"ports": {}, "labels": {"a": "b"}}, {"labels": {"a": "b"}}, id="labels only"),
        pytest.param({"ports": {"client": {"port": 1}}}, {"ports": {"client": {"port": 1}}}, id="a port"),
    ],
)
def test_parts_that_say_nothing_are_not_applied(server: dict[str, Any], expected: dict[str, Any] | None) -> None:
    assert instance(make_group(template={"server": server}))["spec"].get("server") == expected


def test_the_headless_service() -> None:
    assert sent(
        headless_service(TIKV_GROUP, make_group(template={"server": {"ports": {"client": {"port": 30160}}}}))
    ) == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "basic-tikv-peer", "namespace": "ns1", "labels": LABELS, "ownerReferences": [OWNER]},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "None",
            "ipFamilyPolicy": "PreferDualStack",
            "publishNotReadyAddresses": True,
            "selector": LABELS,
            "ports": [
                {"name": "client", "port": 30160, "protocol": "TCP", "targetPort": "client"},
                {"name": "status", "port": 20180, "protocol": "TCP", "targetPort": "status"},
            ],
        },
    }


def test_the_subdomain_of_a_new_instance() -> None:
    gates = [{"name": "ClusterSubdomain"}]
    assert new_subdomain(TIKV_GROUP, make_group(), make_cluster()) == "basic-tikv-peer"
    assert new_subdomain(TIKV_GROUP, make_group(), make_cluster(spec={"featureGates": gates})) == "tc-cluster"


def test_a_revision_carries_its_data_byte_for_byte() -> None:
    data = b'{"spec":{"template":{"$patch":"replace","config":"\\u003c"}}}'
    made = controller_revision(TIKV_GROUP, make_group(), name="basic-tikv-x", data=data, digest="abc", revision=3)
    assert data in encode(made)
    assert sent(made) == {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": "basic-tikv-x",
            "namespace": "ns1",
            "labels": LABELS | {"controller.kubernetes.io/hash": "abc"},
            "ownerReferences": [OWNER],
        },
        "data": json.loads(data),
        "revision": 3,
    }


def test_a_mark_for_removal_in_a_template_is_not_passed_on() -> None:
    annotations = {"core.pingcap.com/defer-delete": "false", "a": "b"}
    group = make_group()
    group.spec.template.metadata = TemplateMeta(annotations=annotations)
    made = build.instance(
        TIKV_GROUP, group, blueprint(group), name="basic-abc123", subdomain="basic-tikv-peer", topology=None
    )
    assert made.metadata.annotations == {"a": "b"}
