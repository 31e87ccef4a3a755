"""The pod and the volume claims of a PD server.

They are what TiDB Operator renders for the same PD, so that a running pod can be taken over. Pure functions.
"""

from __future__ import annotations

import re
from typing import Final

from controller_runtime.api.k8s import (
    Container,
    ContainerPort,
    PersistentVolumeClaim,
    Pod,
    PodSpec,
    Probe,
    TCPSocketAction,
)
from tikv_operator.api import PD, Cluster, Feature
from tikv_operator.common import keys, names
from tikv_operator.common.features import enabled_features
from tikv_operator.common.image import resolve_image
from tikv_operator.instance import podparts, pvc
from tikv_operator.pd.component import PD_SERVER

__all__ = ["knows_ready_api", "render_claims", "render_pod"]

_PROBE_DELAY: Final = 5
"""Seconds after the start of the process until it is asked for the first time."""
_MICROSERVICE: Final = "ms"
_VERSION: Final = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:[-+].*)?")


def render_pod(pd: PD, cluster: Cluster, *, cluster_id: str, member_id: str) -> Pod:
    """Return the pod that a PD server should have.

    Args:
        cluster_id, member_id: as PD itself says; empty while that isn't known.

    Raises:
        ImageInvalid: the image is malformed, or the version is no valid tag.
        OverlayInvalid: the overlay does not fit.
    """
    pod = Pod(
        metadata=podparts.pod_metadata(
            PD_SERVER,
            pd,
            cluster,
            ids={keys.LABEL_CLUSTER_ID: cluster_id, keys.LABEL_MEMBER_ID: member_id},
            metrics_port=names.pd_client_port(pd),
        ),
        spec=PodSpec(
            hostname=names.pd_pod_name(pd.metadata.name),
            subdomain=pd.spec.subdomain,
            node_selector=pd.spec.topology or None,
            containers=[_container(pd, cluster)],
            volumes=podparts.volumes(PD_SERVER, pd, cluster),
        ),
    )
    return podparts.finished(pod, pd)


def render_claims(pd: PD, cluster: Cluster) -> list[PersistentVolumeClaim]:
    """Return the claims that a PD server should have: one for each volume, in the order of its volumes."""
    ids = {
        keys.LABEL_CLUSTER_ID: cluster.status.id if cluster.status is not None else "",
        keys.LABEL_MEMBER_ID: pd.status.id if pd.status is not None else "",
    }
    return pvc.render_claims(PD_SERVER, pd, cluster, {key: value for key, value in ids.items() if value})


def knows_ready_api(version: str) -> bool:
    """Return whether a PD of this version can be asked whether it is ready: from 9.0.0 on, and 8.5.2 and later 8.x."""
    found = _VERSION.fullmatch(version)
    return found is not None and tuple(map(int, found.groups())) >= (8, 5, 2)


def _container(pd: PD, cluster: Cluster) -> Container:
    service = ["services", "api"] if pd.spec.mode == _MICROSERVICE else []
    return Container(
        name=PD_SERVER.name,
        image=resolve_image(pd.spec.image, PD_SERVER.image, pd.spec.version),
        image_pull_policy="IfNotPresent",
        command=["/pd-server", *service, "--config", PD_SERVER.config_file],
        ports=[
            ContainerPort(name="client", container_port=names.pd_client_port(pd)),
            ContainerPort(name="peer", container_port=names.pd_peer_port(pd)),
        ],
        volume_mounts=podparts.mounts(PD_SERVER, pd, cluster),
        resources=podparts.resources(pd),
        readiness_probe=_readiness_probe(pd, cluster),
    )


def _readiness_probe(pd: PD, cluster: Cluster) -> Probe | None:
    features, port = enabled_features(pd, cluster), names.pd_client_port(pd)
    if Feature.USE_PD_READY_API_V2 in features:
        return podparts.curl_probe(PD_SERVER, cluster, port, "/pd/api/v2/readyz", initial_delay=_PROBE_DELAY)
    if Feature.USE_PD_READY_API in features and knows_ready_api(pd.spec.version):
        return podparts.curl_probe(PD_SERVER, cluster, port, "/pd/api/v2/ready", initial_delay=_PROBE_DELAY)
    if Feature.DISABLE_PD_DEFAULT_READINESS_PROBE in features:
        return None
    return Probe(tcp_socket=TCPSocketAction(port=port), initial_delay_seconds=_PROBE_DELAY)
