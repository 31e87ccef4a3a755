"""What a PDGroup makes, in all its variants. The files below tests/golden/pdgroup are what a reviewer should look at."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controller_runtime.api import encode
from helpers.golden import assert_golden
from helpers.group_fakes import FakeCluster
from helpers.group_world import DATA_VOLUME, group_context, make_cluster, make_pd_group
from tikv_operator.api import PDGroup
from tikv_operator.common.names import revision_name
from tikv_operator.common.revision import revision_data, revision_hash
from tikv_operator.group import build
from tikv_operator.group.build import Blueprint, controller_revision, headless_service, new_subdomain
from tikv_operator.group.tasks.pdb import pod_disruption_budget
from tikv_operator.pdgroup.component import PD_GROUP, client_service

FULL: dict[str, Any] = {
    "version": "v8.5.2",
    "template": {
        "config": 'log.level = "warn"\n',
        "resources": {"cpu": "1000m", "memory": "2048Mi"},
        "updateStrategy": {"config": "Restart"},
    },
    "features": ["UsePDReadyAPI"],
}
TLS = {"template": {"security": {"tls": {"cluster": {"ca": {"name": "ca"}, "certKeyPair": {"name": "pair"}}}}}}
LOG = {"name": "log", "mounts": [{"type": "log", "mountPath": "/log"}], "storage": "1Gi"}
VOLUMES = {"template": {"volumes": [DATA_VOLUME, LOG]}}
PORTS = {"template": {"server": {"ports": {"client": {"port": 12379}, "peer": {"port": 12380}}}}}
OVERLAY = {"template": {"overlay": {"pod": {"spec": {"containers": [{"name": "pd", "tty": True}]}}}}}
VARIANTS = [
    pytest.param("plain", {}, id="plain"),
    pytest.param("full", FULL, id="resources and features"),
    pytest.param("tls", TLS, id="TLS with secrets of its own"),
    pytest.param("volumes", VOLUMES, id="several volumes"),
    pytest.param("overlay", OVERLAY, id="an overlay"),
]


def sent(obj: Any) -> Any:
    return json.loads(encode(obj))


def instance(group: PDGroup, *, topology: dict[str, str] | None = None, cluster: Any = None) -> Any:
    features = tuple(group.spec.features or ())
    blueprint = Blueprint(revision="pd-pd-754b54c94", template=group.spec.template, features=features)
    subdomain = new_subdomain(PD_GROUP, group, cluster or make_cluster())
    return sent(build.instance(PD_GROUP, group, blueprint, name="pd-abc123", subdomain=subdomain, topology=topology))


@pytest.mark.parametrize(("name", "group"), VARIANTS)
def test_a_member_that_joins(name: str, group: dict[str, Any]) -> None:
    assert_golden(f"pdgroup/instance-{name}.yaml", instance(make_pd_group(bootstrapped=True, **group)))


def test_a_founder_is_told_how_many_there_will_be() -> None:
    assert_golden("pdgroup/instance-founder.yaml", instance(make_pd_group()))


def test_a_member_in_a_zone() -> None:
    zone = {"topology.kubernetes.io/zone": "a"}
    assert_golden("pdgroup/instance-topology.yaml", instance(make_pd_group(bootstrapped=True), topology=zone))


def test_a_member_under_the_subdomain_of_its_cluster() -> None:
    cluster = make_cluster(spec={"featureGates": [{"name": "ClusterSubdomain"}]})
    group = make_pd_group(bootstrapped=True, features=["ClusterSubdomain"])
    assert_golden("pdgroup/instance-subdomain.yaml", instance(group, cluster=cluster))


@pytest.mark.parametrize(("name", "group"), VARIANTS)
def test_a_revision(name: str, group: dict[str, Any]) -> None:
    made = make_pd_group(**group)
    data = revision_data(made)
    digest = revision_hash(data)
    full_name = revision_name("pd", "pd", digest)
    revision = controller_revision(PD_GROUP, made, name=full_name, data=data, digest=digest, revision=1)
    assert_golden(f"pdgroup/revision-{name}.yaml", sent(revision))


def test_the_plain_revision_has_the_name_that_tidb_operator_gives_it() -> None:
    assert revision_hash(revision_data(make_pd_group())) == "754b54c94"


@pytest.mark.parametrize(
    ("name", "group"), [pytest.param("plain", {}, id="plain"), pytest.param("ports", PORTS, id="ports of its own")]
)
def test_services(name: str, group: dict[str, Any]) -> None:
    made = make_pd_group(**group)
    both = (sent(headless_service(PD_GROUP, made)), sent(client_service(made)))
    assert_golden(f"pdgroup/services-{name}.yaml", *both)


def test_a_pod_disruption_budget() -> None:
    group = make_pd_group()
    ctx: Any = group_context(FakeCluster(), component=PD_GROUP, key=group.key)
    ctx.found, ctx.cluster = group, make_cluster()
    assert_golden("pdgroup/pod-disruption-budget.yaml", sent(pod_disruption_budget(ctx)))
