"""What a TiKVGroup makes, in all its variants. The files below tests/golden/tikvgroup are what a reviewer should look at."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controller_runtime.api import encode
from helpers.golden import assert_golden
from helpers.group_fakes import FakeCluster
from helpers.group_world import DATA_VOLUME, group_context, make_cluster, make_group
from tikv_operator.api import TiKVGroup
from tikv_operator.common.names import revision_name
from tikv_operator.common.revision import revision_data, revision_hash
from tikv_operator.group import build
from tikv_operator.group.build import Blueprint, controller_revision, headless_service, new_subdomain
from tikv_operator.group.tasks.pdb import pod_disruption_budget
from tikv_operator.tikvgroup.component import TIKV_GROUP

FULL: dict[str, Any] = {
    "template": {
        "config": 'a = "<x>&"\n',
        "resources": {"cpu": "1000m", "memory": "2048Mi"},
        "updateStrategy": {"config": "Restart"},
    },
    "template_metadata": {"labels": {"a": "b"}},
    "features": ["UseTiKVReadyAPI"],
}
SERVER_LABELS = {"template": {"server": {"labels": {"disk": "ssd"}}, "placement": {"exclusive": True}}}
TLS = {"template": {"security": {"tls": {"cluster": {"ca": {"name": "ca"}, "certKeyPair": {"name": "pair"}}}}}}
RAFT = {"name": "raft", "mounts": [{"type": "raft", "mountPath": "/raft", "subPath": "engine"}], "storage": "10240Mi"}
VOLUMES = {"template": {"volumes": [DATA_VOLUME, RAFT | {"storageClassName": "fast"}]}}
PORTS = {"template": {"server": {"ports": {"client": {"port": 30160}, "peer": {"port": 30180}}}}}
OVERLAY = {
    "template": {
        "overlay": {
            "pod": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "tikv", "env": [{"name": "A", "value": ""}]}], "hostNetwork": False},
            },
            "volumeClaims": [{"name": "data", "volumeClaim": {"metadata": {"annotations": {"c": "d"}}}}],
        }
    }
}
VARIANTS = [
    pytest.param("plain", {}, id="plain"),
    pytest.param("full", FULL, id="resources, features and metadata"),
    pytest.param("server-labels", SERVER_LABELS, id="server labels"),
    pytest.param("tls", TLS, id="TLS with secrets of its own"),
    pytest.param("volumes", VOLUMES, id="several volumes"),
    pytest.param("overlay", OVERLAY, id="an overlay"),
]


def sent(obj: Any) -> Any:
    return json.loads(encode(obj))


def instance(group: TiKVGroup, *, topology: dict[str, str] | None = None, cluster: Any = None) -> Any:
    features = tuple(group.spec.features or ())
    blueprint = Blueprint(revision="basic-tikv-9f6f5d95c", template=group.spec.template, features=features)
    subdomain = new_subdomain(TIKV_GROUP, group, cluster or make_cluster())
    return sent(
        build.instance(TIKV_GROUP, group, blueprint, name="basic-abc123", subdomain=subdomain, topology=topology)
    )


@pytest.mark.parametrize(("name", "group"), VARIANTS)
def test_an_instance(name: str, group: dict[str, Any]) -> None:
    assert_golden(f"tikvgroup/instance-{name}.yaml", instance(make_group(**group)))


def test_an_instance_in_a_zone() -> None:
    zone = {"topology.kubernetes.io/region": "r", "topology.kubernetes.io/zone": "a"}
    assert_golden("tikvgroup/instance-topology.yaml", instance(make_group(), topology=zone))


def test_an_instance_under_the_subdomain_of_its_cluster() -> None:
    gates = ["FeatureModification", "ClusterSubdomain"]
    cluster = make_cluster(spec={"featureGates": [{"name": name} for name in gates]})
    assert_golden("tikvgroup/instance-subdomain.yaml", instance(make_group(features=gates), cluster=cluster))


@pytest.mark.parametrize(("name", "group"), VARIANTS)
def test_a_revision(name: str, group: dict[str, Any]) -> None:
    made = make_group(**group)
    data = revision_data(made)
    digest = revision_hash(data)
    full_name = revision_name("basic", "tikv", digest)
    revision = controller_revision(TIKV_GROUP, made, name=full_name, data=data, digest=digest, revision=1)
    assert_golden(f"tikvgroup/revision-{name}.yaml", sent(revision))


def test_the_revision_with_everything_has_the_name_that_tidb_operator_gives_it() -> None:
    assert revision_hash(revision_data(make_group(**FULL))) == "9f6f5d95c"


@pytest.mark.parametrize(
    ("name", "group"), [pytest.param("plain", {}, id="plain"), pytest.param("ports", PORTS, id="ports of its own")]
)
def test_a_service(name: str, group: dict[str, Any]) -> None:
    assert_golden(f"tikvgroup/service-{name}.yaml", sent(headless_service(TIKV_GROUP, make_group(**group))))


def test_a_pod_disruption_budget() -> None:
    ctx = group_context(FakeCluster())
    ctx.found, ctx.cluster = make_group(), make_cluster()
    assert_golden("tikvgroup/pod-disruption-budget.yaml", sent(pod_disruption_budget(ctx)))
