"""How the objects, hosts and ports of a cluster are called.

Other operators' users know these names by heart and PD remembers the addresses, so they never change. An instance is
called `<group>-<suffix>`; its pod, config map and host name put the component between the two parts:
`basic-abc123` becomes `basic-tikv-abc123`.

Guarantees: every function is pure and total. A name without a hyphen (an instance that somebody created by hand) has no
suffix, so its pod is `<name>-tikv`; the reverse, `instance_of_pod`, knows that form too, and no two names share a pod.
"""

from __future__ import annotations

from typing import Final

from controller_runtime.api.resource import ObjectKey
from tikv_operator.api import PD, Cluster, PDGroup, TiKV, TiKVGroup, TiKVServer

__all__ = [
    "PD_CLIENT_PORT",
    "PD_COMPONENT",
    "PD_PEER_PORT",
    "REMOTE_WORKER_PORT",
    "TIKV_CLIENT_PORT",
    "TIKV_COMPONENT",
    "TIKV_STATUS_PORT",
    "cluster_client_secret_name",
    "cluster_pd_service_name",
    "cluster_subdomain",
    "host_port",
    "instance_of_pod",
    "instance_secret_name",
    "listen_address",
    "pd_advertise_url",
    "pd_client_port",
    "pd_peer_port",
    "pd_peer_service_name",
    "pd_pod_name",
    "pd_service_name",
    "pd_url",
    "peer_service_name",
    "pod_name",
    "remote_worker_url",
    "revision_name",
    "service_host",
    "split_name",
    "tikv_client_address",
    "tikv_client_port",
    "tikv_group_client_port",
    "tikv_group_status_port",
    "tikv_host",
    "tikv_key_of_address",
    "tikv_pod_name",
    "tikv_status_address",
    "tikv_status_port",
    "tls_enabled",
    "volume_claim_name",
    "volume_name",
]

PD_COMPONENT: Final = "pd"
TIKV_COMPONENT: Final = "tikv"

TIKV_CLIENT_PORT: Final = 20160
TIKV_STATUS_PORT: Final = 20180
PD_CLIENT_PORT: Final = 2379
PD_PEER_PORT: Final = 2380
REMOTE_WORKER_PORT: Final = 19000

_LONGEST_REVISION_PREFIX: Final = 223
_DEFAULT_NAMESPACE: Final = "default"
_DEFAULT_CLUSTER_DOMAIN: Final = "cluster.local"


def split_name(name: str) -> tuple[str, str]:
    """Split an instance's name at its last hyphen; a name without one has an empty suffix."""
    prefix, hyphen, suffix = name.rpartition("-")
    return (prefix, suffix) if hyphen else (name, "")


def pod_name(name: str, component: str) -> str:
    """Return the name that the pod, the config map and the host of an instance share."""
    prefix, suffix = split_name(name)
    return f"{prefix}-{component}-{suffix}" if suffix else f"{prefix}-{component}"


def instance_of_pod(pod: str, component: str) -> str | None:
    """Return the name of the instance whose pod has this name, or None if no instance's pod is called so."""
    prefix, _, suffix = pod.rpartition("-")
    group = prefix.removesuffix(f"-{component}")
    if group and group != prefix and suffix:
        return f"{group}-{suffix}"
    # The pod of a name without a hyphen; "a-b-tikv" would be the pod of "a-b", which is called "a-tikv-b" instead.
    return prefix if prefix and suffix == component and "-" not in prefix else None


def volume_name(volume: str) -> str:
    """Return the name under which a pod knows the claim of a volume."""
    return f"ti-vol-{volume}"


def volume_claim_name(volume: str, name: str, component: str) -> str:
    """Return the name of the claim of one volume of the instance `name`."""
    return f"{volume}-{pod_name(name, component)}"


def peer_service_name(group: str, component: str) -> str:
    """Return the name of a group's headless service, which gives each instance its DNS name."""
    return f"{group}-{component}-peer"


def revision_name(group: str, component: str, digest: str) -> str:
    """Return the name of a ControllerRevision; the part before the digest is cut to 223 bytes."""
    prefix = f"{group}-{component}".encode()[:_LONGEST_REVISION_PREFIX].decode("utf-8", "ignore")
    return f"{prefix}-{digest}"


def instance_secret_name(name: str, component: str) -> str:
    """Return the default name of the secret with an instance's certificates: one per group."""
    return f"{split_name(name)[0]}-{component}-cluster-secret"


def cluster_client_secret_name(cluster: str) -> str:
    """Return the default name of the secret with which the operator itself talks to a cluster."""
    return f"{cluster}-cluster-client-secret"


def cluster_subdomain(cluster: str) -> str:
    """Return the name of the one headless service of a cluster with the feature ClusterSubdomain."""
    return f"{cluster}-cluster"


def service_host(service: str, cluster: Cluster) -> str:
    """Return the DNS name of a service in the cluster's namespace, short or fully qualified as `spec.dns` says."""
    namespace = cluster.metadata.namespace or _DEFAULT_NAMESPACE
    dns = cluster.spec.dns
    if dns is None or dns.mode != "FQDN":
        return f"{service}.{namespace}"
    return f"{service}.{namespace}.svc.{dns.cluster_domain or _DEFAULT_CLUSTER_DOMAIN}"


def tls_enabled(cluster: Cluster) -> bool:
    """Return whether the components of the cluster talk TLS to each other."""
    return cluster.spec.tls_cluster is not None and bool(cluster.spec.tls_cluster.enabled)


def host_port(host: str, port: int) -> str:
    return f"{host}:{port}"


def listen_address(port: int) -> str:
    """Return the address that listens on every interface, IPv4 and IPv6."""
    return f"[::]:{port}"


def remote_worker_url(worker: str, cluster: Cluster) -> str:
    """Return the URL of a group of remote workers."""
    host = service_host(f"{worker}-tikv-worker", cluster)
    return f"{_scheme(cluster)}://{host_port(host, REMOTE_WORKER_PORT)}"


# TiKV


def tikv_pod_name(name: str) -> str:
    return pod_name(name, TIKV_COMPONENT)


def tikv_client_port(tikv: TiKV) -> int:
    """Return the port on which a TiKV serves clients and other stores."""
    return _tikv_client_port(tikv.spec.server)


def tikv_status_port(tikv: TiKV) -> int:
    """Return the port of a TiKV's status server. Its field is called `peer`."""
    return _tikv_status_port(tikv.spec.server)


def tikv_group_client_port(group: TiKVGroup) -> int:
    return _tikv_client_port(group.spec.template.spec.server)


def tikv_group_status_port(group: TiKVGroup) -> int:
    return _tikv_status_port(group.spec.template.spec.server)


def tikv_host(tikv: TiKV, cluster: Cluster) -> str:
    """Return the DNS name of a TiKV's pod."""
    return f"{tikv_pod_name(tikv.metadata.name)}.{service_host(tikv.spec.subdomain, cluster)}"


def tikv_client_address(tikv: TiKV, cluster: Cluster) -> str:
    """Return the address a TiKV registers its store with: what PD calls the store's address."""
    return host_port(tikv_host(tikv, cluster), tikv_client_port(tikv))


def tikv_status_address(tikv: TiKV, cluster: Cluster) -> str:
    """Return the address of a TiKV's status server, as PD knows it."""
    return host_port(tikv_host(tikv, cluster), tikv_status_port(tikv))


def tikv_key_of_address(address: str, namespace: str) -> ObjectKey | None:
    """Return the TiKV whose store has this address, without looking at any TiKV.

    Args:
        address: a store's address in PD, `<pod>.<subdomain>.<namespace>[.svc.<domain>]:<port>`.
        namespace: of the cluster that PD belongs to.

    Returns:
        None for an address that no TiKV in `namespace` can have: a store outside of this Kubernetes cluster, or one
        that another operator named.
    """
    host, colon, _ = address.rpartition(":")
    labels = (host if colon else address).split(".")
    if len(labels) < 3 or labels[2] != namespace:
        return None
    name = instance_of_pod(labels[0], TIKV_COMPONENT)
    return None if name is None else ObjectKey(namespace, name)


def _tikv_client_port(server: TiKVServer | None) -> int:
    port = server.ports.client if server is not None and server.ports is not None else None
    return TIKV_CLIENT_PORT if port is None else port.port


def _tikv_status_port(server: TiKVServer | None) -> int:
    port = server.ports.peer if server is not None and server.ports is not None else None
    return TIKV_STATUS_PORT if port is None else port.port


# PD


def pd_pod_name(name: str) -> str:
    return pod_name(name, PD_COMPONENT)


def pd_service_name(group: str) -> str:
    """Return the name of the service through which clients reach the PDs of a group."""
    return f"{group}-pd"


def pd_peer_service_name(group: str) -> str:
    return peer_service_name(group, PD_COMPONENT)


def cluster_pd_service_name(cluster: Cluster) -> str:
    """Return the name of the service over all PD groups of a cluster (feature MultiPDGroup)."""
    return cluster.spec.customized_pd_service_name or pd_service_name(cluster.metadata.name)


def pd_client_port(owner: PD | PDGroup) -> int:
    server = owner.spec.server if isinstance(owner, PD) else owner.spec.template.spec.server
    port = server.ports.client if server is not None and server.ports is not None else None
    return PD_CLIENT_PORT if port is None else port.port


def pd_peer_port(owner: PD | PDGroup) -> int:
    server = owner.spec.server if isinstance(owner, PD) else owner.spec.template.spec.server
    port = server.ports.peer if server is not None and server.ports is not None else None
    return PD_PEER_PORT if port is None else port.port


def pd_url(service: str, port: int, cluster: Cluster) -> str:
    """Return the URL of a PD service: what `status.pd` of a Cluster holds."""
    return f"{_scheme(cluster)}://{host_port(service_host(service, cluster), port)}"


def pd_advertise_url(pd: PD, cluster: Cluster, port: int) -> str:
    """Return the URL that one PD tells the others to reach it under."""
    host = f"{pd_pod_name(pd.metadata.name)}.{service_host(pd.spec.subdomain, cluster)}"
    return f"{_scheme(cluster)}://{host_port(host, port)}"


def _scheme(cluster: Cluster) -> str:
    return "https" if tls_enabled(cluster) else "http"
