"""The configuration file, byte for byte."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import pytest

from helpers.tikv_fakes import make_cluster, make_tikv
from tikv_operator.api import (
    Cluster,
    ClusterDNS,
    FeatureGate,
    LocalObjectReference,
    Port,
    RemoteWorkers,
    TiKVPorts,
    TiKVServer,
    TLSCluster,
    Volume,
    VolumeMount,
)
from tikv_operator.common.errors import ConfigInvalid
from tikv_operator.tikv.config import data_directory, render_config

SERVER = """\
[server]
addr = '[::]:20160'
advertise-addr = 'basic-tikv-abc123.basic-tikv-peer.ns1:20160'
status-addr = '[::]:20180'
advertise-status-addr = 'basic-tikv-abc123.basic-tikv-peer.ns1:20180'
"""
STORAGE = """\
[storage]
data-dir = '/var/lib/tikv'
"""
PLAIN = f"[pd]\nendpoints = ['http://pd-pd.ns1:2379']\n\n{SERVER}\n{STORAGE}"


def config(text: str | None, cluster: Cluster | None = None, **spec: Any) -> str:
    return render_config(make_tikv(config=text, **spec), cluster or make_cluster())


def tls_cluster(**spec: Any) -> Cluster:
    cluster = make_cluster(tls_cluster=TLSCluster(enabled=True), **spec)
    assert cluster.status is not None
    cluster.status.pd = "https://pd-pd.ns1:2379"
    return cluster


class TestGolden:
    @pytest.mark.parametrize(
        "text",
        [pytest.param("", id="empty"), pytest.param(None, id="absent"), pytest.param("# only this", id="a comment")],
    )
    def test_a_without_any_configuration(self, text: str | None) -> None:
        assert config(text) == PLAIN

    def test_b_the_users_tables_are_merged_and_sorted(self) -> None:
        text = (
            "[server]\ngrpc-concurrency = 4\n[storage]\nreserve-space='0MB'\n[storage.block-cache]\ncapacity=\"1GB\"\n"
        )
        assert config(text) == dedent(
            """\
            [pd]
            endpoints = ['http://pd-pd.ns1:2379']

            [server]
            addr = '[::]:20160'
            advertise-addr = 'basic-tikv-abc123.basic-tikv-peer.ns1:20160'
            advertise-status-addr = 'basic-tikv-abc123.basic-tikv-peer.ns1:20180'
            grpc-concurrency = 4
            status-addr = '[::]:20180'

            [storage]
            data-dir = '/var/lib/tikv'
            reserve-space = '0MB'

            [storage.block-cache]
            capacity = '1GB'
            """
        )

    @pytest.mark.parametrize(
        ("features", "worker"),
        [
            pytest.param([], "cop", id="without IndependentKVEngineWorker"),
            pytest.param(["IndependentKVEngineWorker"], "w1", id="with IndependentKVEngineWorker"),
        ],
    )
    def test_c_with_tls_and_remote_workers(self, features: list[str], worker: str) -> None:
        workers = RemoteWorkers(worker=LocalObjectReference(name="w1"), coprocessor=LocalObjectReference(name="cop"))
        cluster = tls_cluster(feature_gates=[FeatureGate(name=name) for name in features])
        assert config("", cluster, remote_workers=workers) == (
            "[dfs]\n"
            "remote-compactor-addr = 'https://w1-tikv-worker.ns1:19000/compact'\n\n"
            "[kvengine]\n"
            "remote-coprocessor-addr = 'https://cop-tikv-worker.ns1:19000/coprocessor'\n"
            f"remote-worker-addr = 'https://{worker}-tikv-worker.ns1:19000/coprocessor'\n\n"
            "[pd]\n"
            "endpoints = ['https://pd-pd.ns1:2379']\n\n"
            "[security]\n"
            "ca-path = '/var/lib/tikv-tls/ca.crt'\n"
            "cert-path = '/var/lib/tikv-tls/tls.crt'\n"
            "key-path = '/var/lib/tikv-tls/tls.key'\n\n"
            f"{SERVER}\n{STORAGE}"
        )

    @pytest.mark.parametrize(
        ("names", "independent", "compactor", "coprocessor", "worker"),
        [
            pytest.param({}, False, "w1", "w1", "w1", id="worker alone"),
            pytest.param({"coprocessor": "cop"}, False, "w1", "cop", "cop", id="coprocessor"),
            pytest.param({"coprocessor": "cop"}, True, "w1", "cop", "w1", id="coprocessor, independent worker"),
            pytest.param({"compactor": "com"}, False, "com", "w1", "w1", id="compactor"),
            pytest.param({"compactor": "com", "coprocessor": "cop"}, False, "com", "cop", "cop", id="both"),
        ],
    )
    def test_c_each_address_has_its_worker(
        self, names: dict[str, str], independent: bool, compactor: str, coprocessor: str, worker: str
    ) -> None:
        workers = RemoteWorkers(
            worker=LocalObjectReference(name="w1"),
            **{kind: LocalObjectReference(name=name) for kind, name in names.items()},
        )
        gates = [FeatureGate(name="IndependentKVEngineWorker")] if independent else []
        text = config("", make_cluster(feature_gates=gates), remote_workers=workers)
        assert f"remote-compactor-addr = 'http://{compactor}-tikv-worker.ns1:19000/compact'" in text
        assert f"remote-coprocessor-addr = 'http://{coprocessor}-tikv-worker.ns1:19000/coprocessor'" in text
        assert f"remote-worker-addr = 'http://{worker}-tikv-worker.ns1:19000/coprocessor'" in text

    def test_d_with_full_names_other_ports_and_another_data_directory(self) -> None:
        text = config(
            "",
            make_cluster(dns=ClusterDNS(mode="FQDN", cluster_domain="cluster.local")),
            server=TiKVServer(ports=TiKVPorts(client=Port(port=30160), peer=Port(port=30180))),
            volumes=[Volume(name="data", mounts=[VolumeMount(type="data", mount_path="/data")], storage="20Gi")],
        )
        host = "basic-tikv-abc123.basic-tikv-peer.ns1.svc.cluster.local"
        assert "addr = '[::]:30160'\n" in text
        assert f"advertise-addr = '{host}:30160'\n" in text
        assert f"advertise-status-addr = '{host}:30180'\n" in text
        assert "data-dir = '/data'\n" in text

    def test_e_a_dotted_key_becomes_a_table(self) -> None:
        assert config('log.level = "info"') == f"[log]\nlevel = 'info'\n\n{PLAIN}"

    def test_f_every_type_of_value(self) -> None:
        text = r"""
a=1.5
b=true
c=[1,2]
d=2024-01-01T00:00:00Z
e="it's"
f="tab\t\n"
"""
        values = r"""a = 1.5
b = true
c = [1, 2]
d = 2024-01-01T00:00:00Z
e = "it's"
f = "tab\t\n"
"""
        assert config(text) == f"{values}\n{PLAIN}"

    @pytest.mark.parametrize("text", ["server.addr = ''", "pd.endpoints = []"])
    def test_g_a_managed_field_may_be_there_if_it_is_empty(self, text: str) -> None:
        assert "advertise-addr = 'basic-tikv-abc123.basic-tikv-peer.ns1:20160'\n" in config(text)

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("invalid\n", "tikv config cannot be decoded: .*line 1"),
            ("server.addr=1", "server.addr must be a string, not 1"),
            ("server = 1", "server must be a table, not 1"),
            ("pd.endpoints = 'x'", "pd.endpoints must be a list of strings"),
            ("pd.endpoints = [1]", "pd.endpoints must be a list of strings"),
            ("kvengine.remote-worker-addr = 1", "kvengine.remote-worker-addr must be a string"),
        ],
    )
    def test_h_what_cannot_be_used_is_refused_with_a_reason(self, text: str, complaint: str) -> None:
        with pytest.raises(ConfigInvalid, match=complaint):
            config(text)


class TestManagedFields:
    @pytest.mark.parametrize(
        "text",
        [
            "server.addr = 'x'",
            "server.advertise-addr = 'x'",
            "server.status-addr = 'x'",
            "server.advertise-status-addr = 'x'",
            "storage.data-dir = 'x'",
            "pd.endpoints = ['x']",
            "security.ca-path = 'x'",
            "security.cert-path = 'x'",
            "security.key-path = 'x'",
            "Server.Addr = 'x'",
        ],
    )
    def test_cannot_be_set_by_the_user(self, text: str) -> None:
        with pytest.raises(ConfigInvalid, match="field is managed by operator, cannot be set in config file"):
            config(text)

    def test_are_listed_in_a_fixed_order(self) -> None:
        with pytest.raises(ConfigInvalid) as raised:
            config("pd.endpoints = ['x']\nsecurity.key-path = 'k'\nserver.addr = 'a'")
        assert str(raised.value) == (
            "cannot generate tikv config: [server.addr pd.endpoints security.key-path]: "
            "field is managed by operator, cannot be set in config file"
        )

    def test_remote_addresses_are_the_users_without_remote_workers_and_the_operators_with(self) -> None:
        text = "dfs.remote-compactor-addr = 'http://mine'\nkvengine.x = 1"
        assert "remote-compactor-addr = 'http://mine'\n" in config(text)
        workers = RemoteWorkers(worker=LocalObjectReference(name="w1"))
        rendered = config(text, remote_workers=workers)
        assert "remote-compactor-addr = 'http://w1-tikv-worker.ns1:19000/compact'\n" in rendered
        assert "remote-worker-addr = 'http://w1-tikv-worker.ns1:19000/coprocessor'\nx = 1\n" in rendered


def test_the_last_data_mount_of_all_volumes_wins() -> None:
    volumes = [
        Volume(name="data", mounts=[VolumeMount(type="data", mount_path="/a")], storage="1Gi"),
        Volume(
            name="more", mounts=[VolumeMount(type="raft"), VolumeMount(type="data", mount_path="/b")], storage="1Gi"
        ),
    ]
    assert data_directory(make_tikv(volumes=volumes)) == "/b"
    assert data_directory(make_tikv(volumes=[])) == "/var/lib/tikv"
