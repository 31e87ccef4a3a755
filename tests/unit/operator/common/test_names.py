from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller_runtime.api import ObjectKey, ObjectMeta
from helpers.tikv_fakes import make_cluster, make_tikv
from tikv_operator.api import Cluster, ClusterDNS, ClusterSpec, Port, TiKVPorts, TiKVServer, TLSCluster
from tikv_operator.common import names

FQDN = ClusterDNS(mode="FQDN", cluster_domain="cluster.local")


TLS = TLSCluster(enabled=True)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(names.pod_name("basic-abc123", "tikv"), "basic-tikv-abc123", id="pod and config map"),
        pytest.param(
            names.volume_claim_name("data", "basic-abc123", "tikv"), "data-basic-tikv-abc123", id="volume claim"
        ),
        pytest.param(names.volume_name("data"), "ti-vol-data", id="volume of the pod"),
        pytest.param(names.peer_service_name("basic", "tikv"), "basic-tikv-peer", id="headless service"),
        pytest.param(names.cluster_subdomain("tc"), "tc-cluster", id="subdomain of the cluster"),
        pytest.param(names.revision_name("basic", "tikv", "9f6f5d95c"), "basic-tikv-9f6f5d95c", id="revision"),
        pytest.param(names.service_host("basic-tikv-peer", make_cluster()), "basic-tikv-peer.ns1", id="service host"),
        pytest.param(
            names.service_host("basic-tikv-peer", make_cluster(dns=FQDN)),
            "basic-tikv-peer.ns1.svc.cluster.local",
            id="service host, fully qualified",
        ),
        pytest.param(
            names.tikv_host(make_tikv(), make_cluster()), "basic-tikv-abc123.basic-tikv-peer.ns1", id="instance host"
        ),
        pytest.param(
            names.tikv_client_address(make_tikv(), make_cluster()),
            "basic-tikv-abc123.basic-tikv-peer.ns1:20160",
            id="advertised address",
        ),
        pytest.param(names.listen_address(20160), "[::]:20160", id="listen address"),
        pytest.param(names.tikv_client_port(make_tikv()), 20160, id="client port"),
        pytest.param(names.tikv_status_port(make_tikv()), 20180, id="status port"),
        pytest.param(
            names.instance_secret_name("basic-abc123", "tikv"), "basic-tikv-cluster-secret", id="secret of instances"
        ),
        pytest.param(names.cluster_client_secret_name("tc"), "tc-cluster-client-secret", id="secret of the operator"),
        pytest.param(
            names.remote_worker_url("w1", make_cluster(tls_cluster=TLS)),
            "https://w1-tikv-worker.ns1:19000",
            id="address of a worker",
        ),
    ],
)
def test_a_name_or_an_address(found: object, expected: object) -> None:
    assert found == expected


class TestNames:
    def test_the_component_stands_between_the_group_and_the_suffix(self) -> None:
        assert names.tikv_pod_name("basic-abc123") == "basic-tikv-abc123"
        assert names.pd_pod_name("basic-abc123") == "basic-pd-abc123"

    def test_a_group_name_may_have_hyphens(self) -> None:
        assert names.tikv_pod_name("my-tikv-group-abc123") == "my-tikv-group-tikv-abc123"

    def test_of_objects_that_belong_to_an_instance(self) -> None:
        assert names.volume_claim_name("data", "basic-abc123", "tikv") == "data-basic-tikv-abc123"
        assert names.volume_name("data") == "ti-vol-data"
        assert names.instance_secret_name("basic-abc123", "tikv") == "basic-tikv-cluster-secret"

    def test_of_objects_that_belong_to_a_group_or_a_cluster(self) -> None:
        assert names.peer_service_name("basic", "tikv") == "basic-tikv-peer"
        assert names.pd_service_name("basic") == "basic-pd"
        assert names.pd_peer_service_name("basic") == "basic-pd-peer"
        assert names.cluster_subdomain("tc") == "tc-cluster"
        assert names.cluster_client_secret_name("tc") == "tc-cluster-client-secret"
        assert names.cluster_pd_service_name(make_cluster()) == "tc-pd"
        assert names.cluster_pd_service_name(make_cluster(customized_pd_service_name="other")) == "other"

    def test_a_revision_name_is_cut_before_its_digest(self) -> None:
        assert names.revision_name("basic", "tikv", "9f6f5d95c") == "basic-tikv-9f6f5d95c"
        long = names.revision_name("g" * 300, "tikv", "9f6f5d95c")
        assert long == "g" * 223 + "-9f6f5d95c"

    @pytest.mark.parametrize("name", ["basic", "tikv"])
    def test_an_instance_without_a_suffix_has_a_pod_too(self, name: str) -> None:
        pod = names.tikv_pod_name(name)
        assert pod == f"{name}-tikv"
        assert names.instance_of_pod(pod, "tikv") == name

    def test_a_pod_of_something_else_belongs_to_no_instance(self) -> None:
        assert names.instance_of_pod("basic-pd-abc123", "tikv") is None
        assert names.instance_of_pod("a-b-tikv", "tikv") is None
        assert names.instance_of_pod("tikv", "tikv") is None
        assert names.instance_of_pod("-tikv-abc", "tikv") is None
        assert names.instance_of_pod("", "tikv") is None

    @given(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", fullmatch=True), st.sampled_from(["tikv", "pd"]))
    def test_every_instance_is_found_again_from_its_pod(self, name: str, component: str) -> None:
        assert names.instance_of_pod(names.pod_name(name, component), component) == name


class TestHosts:
    @pytest.mark.parametrize(
        ("namespace", "dns", "host"),
        [
            pytest.param("ns1", None, "svc.ns1", id="relative to the Kubernetes cluster by default"),
            pytest.param("ns1", ClusterDNS(mode="InCluster"), "svc.ns1", id="relative when asked for"),
            pytest.param("", None, "svc.default", id="without a namespace"),
            pytest.param("ns1", FQDN, "svc.ns1.svc.cluster.local", id="fully qualified"),
            pytest.param("ns1", ClusterDNS(mode="FQDN"), "svc.ns1.svc.cluster.local", id="with the default domain"),
            pytest.param("ns1", ClusterDNS(mode="FQDN", cluster_domain="x.y"), "svc.ns1.svc.x.y", id="with a domain"),
        ],
    )
    def test_of_a_service(self, namespace: str, dns: ClusterDNS | None, host: str) -> None:
        cluster = Cluster(metadata=ObjectMeta(name="tc", namespace=namespace), spec=ClusterSpec(dns=dns))
        assert names.service_host("svc", cluster) == host

    def test_addresses_of_a_tikv(self) -> None:
        tikv, cluster = make_tikv(), make_cluster()
        assert names.tikv_client_address(tikv, cluster) == "basic-tikv-abc123.basic-tikv-peer.ns1:20160"
        assert names.tikv_status_address(tikv, cluster) == "basic-tikv-abc123.basic-tikv-peer.ns1:20180"
        assert names.listen_address(20160) == "[::]:20160"

    def test_the_status_port_is_the_one_called_peer(self) -> None:
        tikv = make_tikv(server=TiKVServer(ports=TiKVPorts(client=Port(port=1), peer=Port(port=2))))
        assert (names.tikv_client_port(tikv), names.tikv_status_port(tikv)) == (1, 2)

    def test_urls_say_whether_the_cluster_has_tls(self) -> None:
        plain, tls = make_cluster(), make_cluster(tls_cluster=TLSCluster(enabled=True))
        assert names.pd_url("pd-pd", 2379, plain) == "http://pd-pd.ns1:2379"
        assert names.pd_url("pd-pd", 2379, tls) == "https://pd-pd.ns1:2379"
        assert names.remote_worker_url("w1", tls) == "https://w1-tikv-worker.ns1:19000"


class TestTheWayBackFromAnAddress:
    @pytest.mark.parametrize(
        ("address", "name"),
        [
            pytest.param("basic-tikv-abc123.basic-tikv-peer.ns1:20160", "basic-abc123", id="short"),
            pytest.param("basic-tikv-abc123.s.ns1.svc.cluster.local:30160", "basic-abc123", id="fully qualified"),
            pytest.param("basic-tikv-abc123.tc-cluster.ns1:20160", "basic-abc123", id="of a cluster-wide subdomain"),
            pytest.param("basic-tikv.s.ns1:20160", "basic", id="without a suffix"),
            pytest.param("basic-tiflash-abc123.s.ns1:20160", None, id="of another component"),
            pytest.param("basic-tikv-abc123.s.ns2:20160", None, id="in another namespace"),
            pytest.param("10.0.0.1:20160", None, id="an IP address"),
            pytest.param("[::1]:20160", None, id="an IPv6 address"),
            pytest.param("localhost", None, id="neither port nor namespace"),
            pytest.param("", None, id="empty"),
        ],
    )
    def test_leads_to_the_tikv_or_to_none(self, address: str, name: str | None) -> None:
        expected = None if name is None else ObjectKey("ns1", name)
        assert names.tikv_key_of_address(address, "ns1") == expected

    @pytest.mark.parametrize("dns", [None, FQDN], ids=["short", "fully qualified"])
    def test_leads_back_to_where_it_came_from(self, dns: ClusterDNS | None) -> None:
        tikv = make_tikv()
        address = names.tikv_client_address(tikv, make_cluster(dns=dns))
        assert names.tikv_key_of_address(address, "ns1") == tikv.key
