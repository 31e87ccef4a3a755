"""PD's configuration file: the vectors of TiDB Operator, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.pd_fakes import make_pd
from helpers.tikv_fakes import make_cluster
from tikv_operator.api import PD, ClusterDNS, PDPorts, PDServer, Port, TLSCluster, Volume, VolumeMount
from tikv_operator.common.errors import ConfigInvalid
from tikv_operator.pd.config import CannotStartYet, bootstraps, founders, render_config

NUM = "pd.core.pingcap.com/initial-cluster-num"
TLS: dict[str, Any] = {"tls_cluster": TLSCluster(enabled=True)}

JOINING = """\
advertise-client-urls = 'https://basic-pd-0.basic-tikv-peer.ns1:2379'
advertise-peer-urls = 'https://basic-pd-0.basic-tikv-peer.ns1:2380'
client-urls = 'https://[::]:2379'
data-dir = '/var/lib/pd'
initial-cluster-token = 'tc'
join = 'http://pd-pd.ns1:2379'
name = 'basic-0'
peer-urls = 'https://[::]:2380'

[security]
cacert-path = '/var/lib/pd-tls/ca.crt'
cert-path = '/var/lib/pd-tls/tls.crt'
key-path = '/var/lib/pd-tls/tls.key'
"""
MANAGED = (
    "name",
    "data-dir",
    "client-urls",
    "peer-urls",
    "advertise-client-urls",
    "advertise-peer-urls",
    "initial-cluster",
    "initial-cluster-state",
    "initial-cluster-token",
    "join",
    "security.cacert-path",
    "security.cert-path",
    "security.key-path",
)


def member(name: str, *, boot: str | None = None, **parts: Any) -> PD:
    annotations = {} if boot is None else {NUM: boot}
    return make_pd(name, annotations=annotations, **{"subdomain": "basic-tikv-peer", **parts})


def trio(boot: str = "3", **parts: Any) -> list[PD]:
    return [member(f"basic-{number}", boot=boot, **parts) for number in range(3)]


def test_2_overlay_join() -> None:
    assert render_config(member("basic-0"), make_cluster(**TLS), trio()) == JOINING


def test_2_overlay_new() -> None:
    peers = trio()
    text = render_config(peers[0], make_cluster(**TLS), peers)
    assert "join" not in text
    assert (
        "initial-cluster = 'basic-0=https://basic-pd-0.basic-tikv-peer.ns1:2380,"
        "basic-1=https://basic-pd-1.basic-tikv-peer.ns1:2380,basic-2=https://basic-pd-2.basic-tikv-peer.ns1:2380'\n"
        "initial-cluster-state = 'new'\ninitial-cluster-token = 'tc'\n"
    ) in text


def test_2_a_users_table_stands_before_the_operators() -> None:
    text = render_config(member("basic-0", config='[log]\nlevel = "info"\n'), make_cluster(**TLS), [])
    assert text.index("[log]\nlevel = 'info'\n") < text.index("[security]")


def test_2_validate_empty_config() -> None:
    assert "name = 'basic-0'" in render_config(member("basic-0", config=""), make_cluster(), [])


def test_2_validate_with_all_13_managed_values_set() -> None:
    tables = "".join(f'{name} = "x"\n' for name in MANAGED)
    with pytest.raises(ConfigInvalid) as failure:
        render_config(member("basic-0", config=tables), make_cluster(), [])
    assert str(failure.value) == (
        f"cannot generate pd config: [{' '.join(MANAGED)}]: field is managed by operator, cannot be set in config file"
    )


@pytest.mark.parametrize("text", ["invalid", "name = 1", "security = 1"])
def test_2_what_is_no_configuration_is_said(text: str) -> None:
    with pytest.raises(ConfigInvalid, match="pd config cannot be decoded"):
        render_config(member("basic-0", config=text), make_cluster(), [])


def test_13_a_pd_that_joins_waits_until_the_cluster_says_where_pd_is() -> None:
    cluster = make_cluster()
    cluster.status = None
    with pytest.raises(CannotStartYet):
        render_config(member("basic-0"), cluster, [])


def test_13_an_annotation_that_is_no_number_is_said() -> None:
    with pytest.raises(ConfigInvalid, match="cannot parse initial cluster num 'x'"):
        render_config(member("basic-0", boot="x"), make_cluster(), [])


@pytest.mark.parametrize("count", [2, 4])
def test_13_founders_wait_until_all_of_them_are_there_and_no_more(count: int) -> None:
    peers = [member(f"basic-{number}", boot="3") for number in range(count)]
    with pytest.raises(CannotStartYet, match=f"expected is 3, current is {count}"):
        render_config(peers[0], make_cluster(), peers)


def test_13_each_founder_has_its_own_port_and_subdomain() -> None:
    peers = trio()
    ports = PDServer(ports=PDPorts(peer=Port(port=12380)))
    peers[1] = member("basic-1", boot="3", server=ports, subdomain="other")
    assert "basic-1=http://basic-pd-1.other.ns1:12380" in render_config(peers[0], make_cluster(), peers)


def test_13_the_last_of_two_data_mounts_counts() -> None:
    volumes = [
        Volume(name=name, mounts=[VolumeMount(type="data", mount_path=path)], storage="1Gi")
        for name, path in (("data", "/a"), ("more", "/b"))
    ]
    assert "data-dir = '/b'" in render_config(member("basic-0", volumes=volumes), make_cluster(), [])


def test_b1_a_founder_that_is_being_deleted_and_those_of_other_groups_do_not_count() -> None:
    peers = [*trio(), member("basic-3", boot="3", deleting=True), member("other-0", boot="3", group="other")]
    assert [peer.metadata.name for peer in founders(peers[0], peers)] == ["basic-0", "basic-1", "basic-2"]
    assert "other-0" not in render_config(peers[0], make_cluster(), peers)


def test_names_can_be_fully_qualified() -> None:
    text = render_config(member("basic-0"), make_cluster(dns=ClusterDNS(mode="FQDN")), [])
    assert "advertise-peer-urls = 'http://basic-pd-0.basic-tikv-peer.ns1.svc.cluster.local:2380'" in text


def test_only_the_annotation_makes_a_founder() -> None:
    assert bootstraps(member("basic-0", boot="3"))
    assert not bootstraps(member("basic-0"))
