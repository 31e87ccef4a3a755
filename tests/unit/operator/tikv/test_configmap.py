from __future__ import annotations

import pytest

from helpers.golden import assert_golden
from helpers.tikv_fakes import make_cluster, make_tikv
from tikv_operator.api import (
    Cluster,
    ClusterDNS,
    FeatureGate,
    LocalObjectReference,
    Port,
    RemoteWorkers,
    TiKV,
    TiKVPorts,
    TiKVServer,
    TLSCluster,
    Volume,
    VolumeMount,
)
from tikv_operator.tikv.configmap import render_config_map

TLS = TLSCluster(enabled=True)
WORKERS = RemoteWorkers(worker=LocalObjectReference(name="w1"), coprocessor=LocalObjectReference(name="cop"))
TUNED = """[server]
grpc-concurrency = 4
[storage]
reserve-space = '0MB'
[storage.block-cache]
capacity = "1GB"
"""


@pytest.mark.parametrize(
    ("name", "tikv", "cluster"),
    [
        pytest.param("empty", make_tikv(config=""), make_cluster(), id="no configuration of the user's"),
        pytest.param("tuned", make_tikv(config=TUNED), make_cluster(), id="tables that both write"),
        pytest.param(
            "tls-workers", make_tikv(remote_workers=WORKERS), make_cluster(tls_cluster=TLS), id="TLS, workers"
        ),
        pytest.param(
            "tls-independent-workers",
            make_tikv(remote_workers=WORKERS),
            make_cluster(tls_cluster=TLS, feature_gates=[FeatureGate(name="IndependentKVEngineWorker")]),
            id="the feature IndependentKVEngineWorker",
        ),
        pytest.param(
            "fqdn-ports",
            make_tikv(
                server=TiKVServer(ports=TiKVPorts(client=Port(port=30160), peer=Port(port=30180))),
                volumes=[Volume(name="data", mounts=[VolumeMount(type="data", mount_path="/data")], storage="1Gi")],
            ),
            make_cluster(dns=ClusterDNS(mode="FQDN")),
            id="full domain names, ports and data directory of one's own",
        ),
        pytest.param(
            "values",
            make_tikv(config='a=1.5\nb=true\nc=[1,2]\nd=2024-01-01T00:00:00Z\ne="it\'s"\n'),
            make_cluster(),
            id="values of every type",
        ),
    ],
)
def test_golden_of_a_variant(name: str, tikv: TiKV, cluster: Cluster) -> None:
    assert_golden(f"tikv/config-map-{name}.yaml", render_config_map(tikv, cluster))


def test_golden() -> None:
    assert_golden("tikv/config-map.yaml", render_config_map(make_tikv(), make_cluster()))
