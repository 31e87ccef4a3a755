"""PD's configuration file: the user's TOML with what only the operator knows written over it.

A PD server finds the others in one of two ways. Those that are there when the cluster is born know each other from their
configuration (`initial-cluster`); every later one asks the running cluster to take it in (`join`). Which of the two it is says an
annotation that the group gives to the first ones. A server with data ignores both.

Pure functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tikv_operator.api import PD, Cluster
from tikv_operator.common import names
from tikv_operator.common.errors import ConfigInvalid
from tikv_operator.common.keys import ANNOTATION_INITIAL_CLUSTER_NUM, LABEL_GROUP
from tikv_operator.common.toml import parse_toml
from tikv_operator.instance.config import Field, ManagedConfig, Value, data_directory
from tikv_operator.pd.component import PD_SERVER

__all__ = ["CannotStartYet", "advertised_peer_url", "bootstraps", "founders", "render_config"]

_NAME: Final[Field] = ("", "name")
_DATA_DIR: Final[Field] = ("", "data-dir")
_CLIENT_URLS: Final[Field] = ("", "client-urls")
_PEER_URLS: Final[Field] = ("", "peer-urls")
_ADVERTISE_CLIENT_URLS: Final[Field] = ("", "advertise-client-urls")
_ADVERTISE_PEER_URLS: Final[Field] = ("", "advertise-peer-urls")
_INITIAL_CLUSTER: Final[Field] = ("", "initial-cluster")
_INITIAL_CLUSTER_STATE: Final[Field] = ("", "initial-cluster-state")
_INITIAL_CLUSTER_TOKEN: Final[Field] = ("", "initial-cluster-token")
_JOIN: Final[Field] = ("", "join")
_CA_PATH: Final[Field] = ("security", "cacert-path")
_CERT_PATH: Final[Field] = ("security", "cert-path")
_KEY_PATH: Final[Field] = ("security", "key-path")

_CONFIG: Final = ManagedConfig(
    component=PD_SERVER.name,
    managed=(
        _NAME,
        _DATA_DIR,
        _CLIENT_URLS,
        _PEER_URLS,
        _ADVERTISE_CLIENT_URLS,
        _ADVERTISE_PEER_URLS,
        _INITIAL_CLUSTER,
        _INITIAL_CLUSTER_STATE,
        _INITIAL_CLUSTER_TOKEN,
        _JOIN,
        _CA_PATH,
        _CERT_PATH,
        _KEY_PATH,
    ),
)


class CannotStartYet(Exception):
    """The servers that this one needs to know of are not all there; nothing is wrong with the object."""


def bootstraps(pd: PD) -> bool:
    """Return whether a PD is one of the servers that the cluster is born with, and has not come so far yet."""
    return ANNOTATION_INITIAL_CLUSTER_NUM in pd.metadata.annotations


def founders(pd: PD, peers: Sequence[PD]) -> list[PD]:
    """Return the servers that the cluster is born with, as one of them has to see them.

    Servers of other groups form no cluster with it, and one that is being deleted will not start.
    """
    group = pd.metadata.labels.get(LABEL_GROUP)
    return [
        peer
        for peer in peers
        if bootstraps(peer)
        and peer.metadata.labels.get(LABEL_GROUP) == group
        and peer.metadata.deletion_timestamp is None
    ]


def advertised_peer_url(text: str) -> str:
    """Return the address that a server with this configuration tells its peers; empty if the text does not say."""
    try:
        url = parse_toml(text).get(_ADVERTISE_PEER_URLS[1])
    except ValueError:
        return ""
    return url if isinstance(url, str) else ""


def render_config(pd: PD, cluster: Cluster, peers: Sequence[PD]) -> str:
    """Return the text of PD's configuration file.

    Args:
        peers: the PDs of the whole cluster, itself included, sorted by name.

    Raises:
        ConfigInvalid: the user's configuration isn't TOML, has a value of a wrong type, or sets a managed field; or the
            annotation makes no sense.
        CannotStartYet: the others are not all there.
    """
    client, peer = names.pd_client_port(pd), names.pd_peer_port(pd)
    values: dict[Field, Value] = {
        _NAME: pd.metadata.name,
        _DATA_DIR: data_directory(PD_SERVER, pd),
        _CLIENT_URLS: _listen_url(client, cluster),
        _PEER_URLS: _listen_url(peer, cluster),
        _ADVERTISE_CLIENT_URLS: names.pd_advertise_url(pd, cluster, client),
        _ADVERTISE_PEER_URLS: names.pd_advertise_url(pd, cluster, peer),
        _INITIAL_CLUSTER_TOKEN: pd.spec.cluster.name,
    }
    if names.tls_enabled(cluster):
        values |= {_CA_PATH: PD_SERVER.tls_ca, _CERT_PATH: PD_SERVER.tls_cert, _KEY_PATH: PD_SERVER.tls_key}
    values |= _start(pd, cluster, peers)
    return _CONFIG.render(pd.spec.config or "", values)


def _start(pd: PD, cluster: Cluster, peers: Sequence[PD]) -> dict[Field, Value]:
    """Return how a server without data comes to its cluster."""
    if not bootstraps(pd):
        url = cluster.status.pd if cluster.status is not None else None
        if not url:
            msg = "a PD that joins needs to know where PD is, which its cluster doesn't say yet"
            raise CannotStartYet(msg)
        return {_JOIN: url}
    text = pd.metadata.annotations[ANNOTATION_INITIAL_CLUSTER_NUM]
    if not (text.isascii() and text.isdecimal()):
        msg = f"cannot parse initial cluster num {text!r}: it must be a whole number"
        raise ConfigInvalid(msg)
    first = founders(pd, peers)
    if len(first) != int(text):
        msg = f"unexpected number of replicas, expected is {int(text)}, current is {len(first)}"
        raise CannotStartYet(msg)
    members = ",".join(
        f"{peer.metadata.name}={names.pd_advertise_url(peer, cluster, names.pd_peer_port(peer))}" for peer in first
    )
    return {_INITIAL_CLUSTER: members, _INITIAL_CLUSTER_STATE: "new"}


def _listen_url(port: int, cluster: Cluster) -> str:
    return f"{'https' if names.tls_enabled(cluster) else 'http'}://{names.listen_address(port)}"
