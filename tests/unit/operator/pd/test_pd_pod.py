"""The pod and the claims, in all their variants. The files below tests/golden/pd are what a reviewer should look at."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.golden import assert_golden
from helpers.pd_fakes import CLUSTER_ID, make_pd, make_pd_pod
from helpers.tikv_fakes import make_cluster
from tikv_operator.api import (
    PD,
    CertificateSecrets,
    Cluster,
    ClusterDNS,
    ComponentTLS,
    FeatureGate,
    Overlay,
    PDPorts,
    PDServer,
    PDStatus,
    PodOverlay,
    Port,
    ResourceRequirements,
    SecretReference,
    Security,
    TemplateMeta,
    TLSCluster,
    UpdateStrategy,
    Volume,
    VolumeClaimOverlay,
    VolumeClaimTemplate,
    VolumeMount,
)
from tikv_operator.common.errors import ImageInvalid
from tikv_operator.instance.configmap import render_config_map
from tikv_operator.instance.template import reloadable
from tikv_operator.pd.component import PD_SERVER
from tikv_operator.pd.config import render_config
from tikv_operator.pd.pod import knows_ready_api, render_claims, render_pod

TLS: dict[str, Any] = {"tls_cluster": TLSCluster(enabled=True)}


def gates(*names: str) -> dict[str, Any]:
    return {"feature_gates": [FeatureGate(name=name) for name in names]}


def rendered(pd: PD, cluster: Cluster | None = None, *, cluster_id: str = "", member_id: str = "") -> Any:
    return render_pod(pd, cluster or make_cluster(), cluster_id=cluster_id, member_id=member_id)


@pytest.mark.parametrize(
    ("name", "spec", "cluster"),
    [
        ("plain", {"resources": ResourceRequirements(cpu="1", memory="2Gi"), "topology": {"zone": "a"}}, {}),
        ("topologies", {"topology": {"topology.kubernetes.io/region": "r", "topology.kubernetes.io/zone": "a"}}, {}),
        ("image", {"image": "registry.example.com/pd"}, {}),
        ("subdomain", {"subdomain": "tc-cluster", "features": ["ClusterSubdomain"]}, gates("ClusterSubdomain")),
        ("tls", {}, TLS),
        (
            "tls-secrets",
            {
                "security": Security(
                    tls=ComponentTLS(
                        cluster=CertificateSecrets(
                            ca=SecretReference(name="ca"), cert_key_pair=SecretReference(name="pair")
                        )
                    )
                )
            },
            TLS,
        ),
        ("microservice", {"mode": "ms"}, {}),
        ("ready-api", {"version": "v8.5.2"}, gates("UsePDReadyAPI")),
        ("ready-api-tls", {"version": "v9.0.0"}, {**TLS, **gates("UsePDReadyAPI")}),
        ("ready-api-v2", {}, gates("UsePDReadyAPI", "UsePDReadyAPIV2", "DisablePDDefaultReadinessProbe")),
        ("no-probe", {}, gates("DisablePDDefaultReadinessProbe")),
        (
            "overlay",
            {
                "overlay": Overlay(
                    pod=PodOverlay(
                        metadata=TemplateMeta(labels={"a": "b"}),
                        spec={"containers": [{"name": "pd", "env": [{"name": "TZ", "value": "UTC"}]}]},
                    )
                )
            },
            {},
        ),
        (
            "ports-and-volumes",
            {
                "server": PDServer(ports=PDPorts(client=Port(port=12379), peer=Port(port=12380))),
                "volumes": [
                    Volume(name="data", mounts=[VolumeMount(type="data", mount_path="/pd")], storage="20Gi"),
                    Volume(name="log", mounts=[VolumeMount(type="log", mount_path="/log")], storage="1Gi"),
                ],
            },
            {},
        ),
    ],
)
def test_pods(name: str, spec: dict[str, Any], cluster: dict[str, Any]) -> None:
    assert_golden(f"pd/pod-{name}.yaml", rendered(make_pd(**spec), make_cluster(**cluster)))


def test_the_ids_are_labels_also_while_they_are_unknown() -> None:
    labels = rendered(make_pd()).metadata.labels
    assert (labels["tidb.pingcap.com/cluster-id"], labels["tidb.pingcap.com/member-id"]) == ("", "")
    labels = rendered(make_pd(), cluster_id="7", member_id="9").metadata.labels
    assert (labels["tidb.pingcap.com/cluster-id"], labels["tidb.pingcap.com/member-id"]) == ("7", "9")


def test_4_claims() -> None:
    overlay = Overlay(
        volume_claims=[
            VolumeClaimOverlay(name="data", volume_claim=VolumeClaimTemplate(metadata=TemplateMeta(labels={"a": "b"})))
        ]
    )
    assert_golden("pd/claims.yaml", *render_claims(make_pd(status=PDStatus(id="mmm"), overlay=overlay), make_cluster()))


def test_4_claims_of_several_volumes_with_an_attributes_class() -> None:
    volumes = [
        Volume(
            name="data",
            mounts=[VolumeMount(type="data")],
            storage="20480Mi",
            storage_class_name="fast",
            volume_attributes_class_name="gold",
        ),
        Volume(name="log", mounts=[VolumeMount(type="log", mount_path="/log")], storage="1Gi"),
    ]
    cluster = make_cluster(**gates("VolumeAttributesClass"))
    assert_golden("pd/claims-attributes-class.yaml", *render_claims(make_pd(volumes=volumes), cluster))


def test_4_claims_without_ids() -> None:
    cluster = make_cluster()
    cluster.status = None
    (claim,) = render_claims(make_pd(), cluster)
    assert not {"tidb.pingcap.com/cluster-id", "tidb.pingcap.com/member-id"} & claim.metadata.labels.keys()
    assert "app.kubernetes.io/name" not in claim.metadata.labels


def test_the_config_map() -> None:
    pd = make_pd(config="[schedule]\nleader-schedule-limit = 8\n")
    assert_golden("pd/config-map.yaml", render_config_map(PD_SERVER, pd, render_config(pd, make_cluster(), [pd])))


@pytest.mark.parametrize(
    ("name", "founders", "cluster"),
    [
        pytest.param("joins", [], {}, id="a server that joins"),
        pytest.param("founds", ["basic-abc123", "basic-def456"], {}, id="a founder"),
        pytest.param("tls", ["basic-abc123", "basic-def456"], TLS, id="a founder with TLS"),
        pytest.param("fqdn", [], {"dns": ClusterDNS(mode="FQDN")}, id="full domain names"),
    ],
)
def test_the_config_map_of_a_variant(name: str, founders: list[str], cluster: dict[str, Any]) -> None:
    boot = {"pd.core.pingcap.com/initial-cluster-num": str(len(founders))} if founders else {}
    peers = [make_pd(founder, annotations=boot) for founder in founders or ["basic-abc123"]]
    text = render_config(peers[0], make_cluster(**cluster), peers)
    assert_golden(f"pd/config-map-{name}.yaml", render_config_map(PD_SERVER, peers[0], text))


@pytest.mark.parametrize("version", ["v8.5.2", "8.5.3", "v9.0.0", "v8.6.0-alpha", "v10.1.0"])
def test_new_versions_can_be_asked_whether_they_are_ready(version: str) -> None:
    assert knows_ready_api(version)


@pytest.mark.parametrize("version", ["v8.5.1", "v7.5.0", "v8.4.9", "nonsense", ""])
def test_old_versions_cannot(version: str) -> None:
    assert not knows_ready_api(version)


def test_an_image_that_makes_no_sense_is_said() -> None:
    with pytest.raises(ImageInvalid):
        rendered(make_pd(image="a:b:c"))


RESOURCES = ResourceRequirements(cpu="2")
SIDECAR = Overlay(pod=PodOverlay(metadata=TemplateMeta(labels={"a": "b"})))
BIGGER = [Volume(name="data", mounts=[VolumeMount(type="data")], storage="40Gi")]
MOVED = [Volume(name="data", mounts=[VolumeMount(type="data", mount_path="/x")], storage="20Gi")]
FM = ["FeatureModification"]


@pytest.mark.parametrize(
    ("old", "new", "in_place"),
    [
        pytest.param({}, {}, True, id="nothing"),
        pytest.param({}, {"annotations": {"pd.core.pingcap.com/initial-cluster-num": "3"}}, True, id="boot-annotation"),
        pytest.param({}, {"annotations": {"core.pingcap.com/defer-delete": "true"}}, True, id="defer-delete"),
        pytest.param({}, {"annotations": {"core.pingcap.com/priority": "1"}}, False, id="priority"),
        pytest.param({}, {"version": "v8.1.1"}, False, id="version"),
        pytest.param({}, {"image": "pd:mine"}, False, id="image"),
        pytest.param({}, {"mode": "ms"}, False, id="mode"),
        pytest.param({}, {"resources": RESOURCES}, False, id="resources"),
        pytest.param({}, {"config": "a = 1"}, False, id="config-restart"),
        pytest.param({}, {"config": "a = 1", "update_strategy": UpdateStrategy(config="HotReload")}, True, id="hot"),
        pytest.param({}, {"volumes": BIGGER}, True, id="storage"),
        pytest.param({}, {"volumes": MOVED}, False, id="mount"),
        pytest.param({}, {"overlay": SIDECAR}, True, id="overlay-labels"),
        pytest.param({}, {"server": PDServer(ports=PDPorts(client=Port(port=2379)))}, True, id="default-port-said"),
        pytest.param({}, {"server": PDServer(ports=PDPorts(client=Port(port=12379)))}, False, id="other-port"),
        pytest.param({}, {"topology": {"zone": "a"}}, True, id="topology"),
        pytest.param({}, {"features": ["UsePDReadyAPI"]}, True, id="feature-without-modification"),
        *(
            pytest.param({"features": FM}, {"features": [*FM, feature]}, False, id=feature)
            for feature in (
                "DisablePDDefaultReadinessProbe",
                "UsePDReadyAPI",
                "UsePDReadyAPIV2",
                "ClusterSubdomain",
            )
        ),
        *(
            pytest.param({"features": FM}, {"features": [*FM, feature]}, True, id=feature)
            for feature in ("MultiPDGroup", "VolumeAttributesClass", "UseTiKVReadyAPI")
        ),
    ],
)
def test_what_recreates_a_pod(old: dict[str, Any], new: dict[str, Any], in_place: bool) -> None:
    assert reloadable(PD_SERVER, make_pd(**new), make_pd_pod(make_pd(**old))) is in_place


def test_the_golden_cluster_id_is_the_fixtures() -> None:
    assert make_pd_pod().metadata.labels["tidb.pingcap.com/cluster-id"] == CLUSTER_ID
