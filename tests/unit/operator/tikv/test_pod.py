"""The pod, in all its variants. The files below tests/golden/tikv are what a reviewer should look at."""

from __future__ import annotations

from typing import Any

import pytest

from controller_runtime.api import to_builtins
from controller_runtime.api.k8s import Pod
from helpers.golden import assert_golden
from helpers.tikv_fakes import IMAGE, make_cluster, make_tikv
from tikv_operator.api import (
    CertificateSecrets,
    Cluster,
    ClusterDNS,
    ComponentTLS,
    FeatureGate,
    LocalObjectReference,
    Overlay,
    PodOverlay,
    Port,
    PreStop,
    RemoteWorkers,
    ResourceRequirements,
    SecretReference,
    Security,
    TemplateMeta,
    TiKV,
    TiKVPlacement,
    TiKVPorts,
    TiKVServer,
    TLSCluster,
    UpdateStrategy,
    Volume,
    VolumeMount,
)
from tikv_operator.common.errors import ImageInvalid, OverlayInvalid
from tikv_operator.tikv.pod import grace_period, render_pod

TLS: dict[str, Any] = {"tls_cluster": TLSCluster(enabled=True)}
OVERLAY = Overlay(
    pod=PodOverlay(
        metadata=TemplateMeta(labels={"a": "b"}, annotations={"prometheus.io/port": "1"}),
        spec={
            "terminationGracePeriodSeconds": 10,
            "nodeSelector": {"zone": "b", "disk": "ssd"},
            "containers": [
                {"name": "tikv", "env": [{"name": "A", "value": "1"}]},
                {"name": "sidecar", "image": "busybox:1"},
            ],
        },
    )
)


IN_PLACE = Overlay(
    pod=PodOverlay(
        spec={
            "initContainers": [{"name": "ti-prestop-checker", "image": "checker:2"}],
            "containers": [
                {
                    "name": "tikv",
                    "image": "tikv:mine",
                    "ports": [{"name": "client", "containerPort": 20160, "protocol": "TCP"}],
                    "resources": {"limits": {"cpu": "2"}},
                    "volumeMounts": [{"name": "ti-vol-data", "mountPath": "/var/lib/tikv", "subPath": "x"}],
                }
            ],
            "volumes": [{"name": "ti-config", "emptyDir": {}}],
            "tolerations": [{"key": "db", "operator": "Exists"}],
            "hostNetwork": True,
        }
    )
)


def rendered(tikv: TiKV, cluster: Cluster | None = None, store_id: str = "") -> Pod:
    return render_pod(tikv, cluster or make_cluster(), store_id=store_id, prestop_image=IMAGE)


def secrets(ca: str | None, pair: str | None) -> Security:
    return Security(
        tls=ComponentTLS(
            cluster=CertificateSecrets(
                ca=SecretReference(name=ca) if ca else None,
                cert_key_pair=SecretReference(name=pair) if pair else None,
            )
        )
    )


@pytest.mark.parametrize(
    ("name", "tikv", "cluster"),
    [
        pytest.param("plain", make_tikv(topology={"zone": "a"}), make_cluster(), id="plain"),
        pytest.param("tls", make_tikv(), make_cluster(**TLS), id="TLS with the default secret"),
        pytest.param(
            "tls-secrets", make_tikv(security=secrets("ca", "pair")), make_cluster(**TLS), id="two TLS secrets"
        ),
        pytest.param("overlay", make_tikv(topology={"zone": "a"}, overlay=OVERLAY), make_cluster(), id="an overlay"),
        pytest.param(
            "ready-api",
            make_tikv(features=["UseTiKVReadyAPI"]),
            make_cluster(feature_gates=[FeatureGate(name="UseTiKVReadyAPI")], **TLS),
            id="TiKV's ready API with TLS",
        ),
        pytest.param(
            "ready-api-plain",
            make_tikv(features=["UseTiKVReadyAPI"]),
            make_cluster(feature_gates=[FeatureGate(name="UseTiKVReadyAPI")]),
            id="TiKV's ready API without TLS",
        ),
        pytest.param(
            "topologies",
            make_tikv(topology={"topology.kubernetes.io/region": "r", "topology.kubernetes.io/zone": "a"}),
            make_cluster(),
            id="a topology of several labels",
        ),
        pytest.param(
            "server-labels",
            make_tikv(server=TiKVServer(labels={"disk": "ssd"}), placement=TiKVPlacement(exclusive=True)),
            make_cluster(),
            id="server labels, which are PD's business alone",
        ),
        pytest.param(
            "volumes",
            make_tikv(
                volumes=[
                    Volume(name="data", mounts=[VolumeMount(type="data"), VolumeMount(type="x")], storage="20Gi"),
                    Volume(
                        name="raft",
                        mounts=[VolumeMount(type="raft", mount_path="/raft", sub_path="engine")],
                        storage="10Gi",
                    ),
                ],
                resources=None,
            ),
            make_cluster(),
            id="several volumes and no resources",
        ),
        pytest.param(
            "ports-fqdn",
            make_tikv(server=TiKVServer(ports=TiKVPorts(client=Port(port=30160), peer=Port(port=30180)))),
            make_cluster(dns=ClusterDNS(mode="FQDN")),
            id="ports of one's own and full domain names",
        ),
        pytest.param(
            "images",
            make_tikv(image="registry.example.com/tikv", pre_stop=PreStop(image="registry.example.com/checker:1")),
            make_cluster(),
            id="images of one's own",
        ),
        pytest.param(
            "subdomain",
            make_tikv(subdomain="tc-cluster", features=["FeatureModification", "ClusterSubdomain"]),
            make_cluster(),
            id="the cluster's subdomain, with changeable features",
        ),
        pytest.param(
            "template-in-full",
            make_tikv(
                server=TiKVServer(labels={"disk": "ssd", "a<b": "&"}),
                placement=TiKVPlacement(exclusive=True),
                update_strategy=UpdateStrategy(config="HotReload"),
                remote_workers=RemoteWorkers(
                    worker=LocalObjectReference(name="w1"), coprocessor=LocalObjectReference(name="cop")
                ),
                config='a = "<x>&"\n',
            ),
            make_cluster(),
            id="all that the template annotation records",
        ),
        pytest.param(
            "overlay-in-place",
            make_tikv(overlay=IN_PLACE),
            make_cluster(),
            id="an overlay of what the operator renders itself",
        ),
    ],
)
def test_golden(name: str, tikv: TiKV, cluster: Cluster) -> None:
    assert_golden(f"tikv/pod-{name}.yaml", rendered(tikv, cluster))


def test_golden_of_a_pod_whose_store_is_known() -> None:
    assert_golden("tikv/pod-store-known.yaml", rendered(make_tikv(), store_id="4"))


def test_golden_of_a_tikv_that_nobody_groups_in_a_cluster_without_an_id() -> None:
    tikv, cluster = make_tikv(), make_cluster()
    assert cluster.status is not None
    tikv.metadata.labels, cluster.status.id = {}, ""
    assert_golden("tikv/pod-bare.yaml", rendered(tikv, cluster))


def test_the_spec_is_tidb_operators_field_by_field() -> None:
    """Produced by TiDB Operator v2 for the same TiKV."""
    script = (
        "/prestop/prestop-checker -mode  tikv  -pd http://pd-pd.ns1:2379 "
        "-tikv-status-addr basic-tikv-abc123.basic-tikv-peer.ns1:20180 > /proc/1/fd/1"
    )
    assert to_builtins(rendered(make_tikv(topology={"zone": "a"})).spec) == {
        "volumes": [
            {"name": "ti-config", "configMap": {"name": "basic-tikv-abc123"}},
            {"name": "ti-prestop-checker", "emptyDir": {}},
            {"name": "ti-vol-data", "persistentVolumeClaim": {"claimName": "data-basic-tikv-abc123"}},
        ],
        "initContainers": [
            {
                "name": "ti-prestop-checker",
                "image": "pingcap/tidb-operator-prestop-checker:latest",
                "command": ["/bin/sh", "-c", "cp /prestop-checker /prestop/;"],
                "volumeMounts": [{"name": "ti-prestop-checker", "mountPath": "/prestop"}],
                "imagePullPolicy": "IfNotPresent",
            }
        ],
        "containers": [
            {
                "name": "tikv",
                "image": "pingcap/tikv:v8.1.0",
                "command": ["/tikv-server", "--config", "/etc/tikv/config.toml"],
                "ports": [{"name": "client", "containerPort": 20160}, {"name": "status", "containerPort": 20180}],
                "resources": {"limits": {"cpu": "1", "memory": "2Gi"}, "requests": {"cpu": "1", "memory": "2Gi"}},
                "volumeMounts": [
                    {"name": "ti-config", "mountPath": "/etc/tikv"},
                    {"name": "ti-prestop-checker", "mountPath": "/prestop"},
                    {"name": "ti-vol-data", "mountPath": "/var/lib/tikv"},
                ],
                "lifecycle": {"preStop": {"exec": {"command": ["/bin/sh", "-c", script]}}},
                "imagePullPolicy": "IfNotPresent",
            }
        ],
        "terminationGracePeriodSeconds": 65535,
        "nodeSelector": {"zone": "a"},
        "hostname": "basic-tikv-abc123",
        "subdomain": "basic-tikv-peer",
    }


class TestMetadata:
    def test_labels_and_annotations_of_the_tikv_are_not_passed_on(self) -> None:
        tikv = make_tikv()
        tikv.metadata.labels["mine"] = tikv.metadata.annotations["mine"] = "x"
        pod = rendered(tikv)
        assert "mine" not in pod.metadata.labels
        assert "mine" not in pod.metadata.annotations

    def test_ids_are_labels_as_soon_as_they_are_known(self) -> None:
        labels = rendered(make_tikv(), store_id="4").metadata.labels
        assert labels["tidb.pingcap.com/store-id"] == "4"
        assert labels["tidb.pingcap.com/cluster-id"] == "7452180154224557728"
        unborn = make_cluster()
        assert unborn.status is not None
        unborn.status.id = ""
        assert (
            not {"tidb.pingcap.com/store-id", "tidb.pingcap.com/cluster-id"}
            & rendered(make_tikv(), unborn).metadata.labels.keys()
        )

    def test_features_are_an_annotation_in_the_tikvs_order(self) -> None:
        tikv = make_tikv(features=["VolumeAttributesClass", "FeatureModification"])
        assert (
            rendered(tikv).metadata.annotations["core.pingcap.com/features"]
            == "VolumeAttributesClass,FeatureModification"
        )
        assert rendered(make_tikv()).metadata.annotations["core.pingcap.com/features"] == ""

    def test_a_tikv_without_group_labels_has_a_pod_too(self) -> None:
        tikv = make_tikv()
        tikv.metadata.labels = {}
        assert "pingcap.com/group" not in rendered(tikv).metadata.labels


class TestContainers:
    @pytest.mark.parametrize(
        ("pre_stop", "image"),
        [
            pytest.param(None, IMAGE, id="absent"),
            pytest.param(PreStop(), IMAGE, id="without an image"),
            pytest.param(PreStop(image="mine:1"), "mine:1", id="with an image"),
        ],
    )
    def test_the_pre_stop_checkers_image(self, pre_stop: PreStop | None, image: str) -> None:
        spec = rendered(make_tikv(pre_stop=pre_stop)).spec
        assert spec is not None
        assert spec.init_containers is not None
        assert spec.init_containers[0].image == image

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            pytest.param(None, None, id="none"),
            pytest.param(ResourceRequirements(), None, id="neither"),
            pytest.param(ResourceRequirements(cpu="1000m"), {"cpu": "1"}, id="cpu"),
            pytest.param(ResourceRequirements(memory="2048Mi"), {"memory": "2Gi"}, id="memory"),
            pytest.param(ResourceRequirements(cpu=2), {"cpu": "2"}, id="a number"),
        ],
    )
    def test_requests_are_limits(self, given: ResourceRequirements | None, expected: dict[str, str] | None) -> None:
        spec = rendered(make_tikv(resources=given)).spec
        assert spec is not None
        resources = spec.containers[0].resources
        if expected is None:
            assert resources is None
        else:
            assert resources is not None
            assert resources.requests == resources.limits == expected

    def test_an_image_that_cannot_be_is_an_error_of_the_spec(self) -> None:
        with pytest.raises(ImageInvalid):
            rendered(make_tikv(image="a:b:c"))

    def test_an_overlay_that_does_not_fit_is_an_error_of_the_spec(self) -> None:
        with pytest.raises(OverlayInvalid):
            rendered(make_tikv(overlay=Overlay(pod=PodOverlay(spec={"containers": 1}))))


@pytest.mark.parametrize(
    ("ca", "pair", "source"),
    [
        pytest.param(None, None, {"secret": {"secretName": "basic-tikv-cluster-secret"}}, id="the default for both"),
        pytest.param("one", "one", {"secret": {"secretName": "one"}}, id="one for both"),
        pytest.param(
            "one",
            None,
            {
                "projected": {
                    "sources": [
                        {"secret": {"name": "one", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                        {
                            "secret": {
                                "name": "basic-tikv-cluster-secret",
                                "items": [{"key": "tls.crt", "path": "tls.crt"}, {"key": "tls.key", "path": "tls.key"}],
                            }
                        },
                    ]
                }
            },
            id="two",
        ),
    ],
)
def test_certificates_come_from_one_secret_or_from_two(
    ca: str | None, pair: str | None, source: dict[str, Any]
) -> None:
    spec = rendered(make_tikv(security=secrets(ca, pair)), make_cluster(**TLS)).spec
    assert spec is not None
    assert spec.volumes is not None
    assert to_builtins(spec.volumes[-1]) == {"name": "ti-tls"} | source


@pytest.mark.parametrize(
    ("regions", "seconds"), [(0, 30), (5799, 30), (5800, 30), (6000, 31), (6199, 31), (6200, 32), (100_000, 501)]
)
def test_the_grace_period_grows_with_the_regions(regions: int, seconds: int) -> None:
    assert grace_period(regions, 30) == seconds
