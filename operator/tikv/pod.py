"""The pod of a TiKV.

It is what TiDB Operator renders for the same TiKV, so that a running pod can be taken over. Pure functions.
"""

from __future__ import annotations

from typing import Final

from controller_runtime.api.k8s import (
    Container,
    ContainerPort,
    EmptyDirVolumeSource,
    ExecAction,
    Lifecycle,
    LifecycleHandler,
    Pod,
    PodSpec,
    Probe,
    Volume,
    VolumeMount,
)
from tikv_operator.api import Cluster, Feature, TiKV
from tikv_operator.common import keys, names
from tikv_operator.common.features import enabled_features
from tikv_operator.common.image import resolve_image
from tikv_operator.instance import podparts
from tikv_operator.tikv import paths
from tikv_operator.tikv.component import TIKV

__all__ = ["grace_period", "render_pod"]

_NO_HURRY: Final = 65535
"""Seconds a pod may take to stop when somebody deletes it without saying how long: practically for ever, because its
leaders must be gone first."""
_REGIONS_PER_SECOND: Final = 200


def grace_period(region_count: int, minimum: int) -> int:
    """Return how many seconds a TiKV with so many regions may take to stop."""
    return max(minimum, region_count // _REGIONS_PER_SECOND + 1)


def render_pod(tikv: TiKV, cluster: Cluster, *, store_id: str, prestop_image: str) -> Pod:
    """Return the pod that a TiKV should have.

    Args:
        cluster: must have a PD URL in its status.
        store_id: of its store, as PD knows it; empty if it has none, or nobody knows.
        prestop_image: the operator's default image of the pre-stop checker.

    Raises:
        ImageInvalid: the image is malformed, or the version is no valid tag.
        OverlayInvalid: the overlay does not fit.
    """
    name = names.tikv_pod_name(tikv.metadata.name)
    cluster_id = cluster.status.id if cluster.status is not None else ""
    ids = {keys.LABEL_CLUSTER_ID: cluster_id, keys.LABEL_STORE_ID: store_id}
    pod = Pod(
        metadata=podparts.pod_metadata(
            TIKV,
            tikv,
            cluster,
            ids={key: value for key, value in ids.items() if value},
            metrics_port=names.tikv_status_port(tikv),
        ),
        spec=PodSpec(
            hostname=name,
            subdomain=tikv.spec.subdomain,
            node_selector=tikv.spec.topology or None,
            termination_grace_period_seconds=_NO_HURRY,
            init_containers=[_prestop_container(tikv, prestop_image)],
            containers=[_tikv_container(tikv, cluster)],
            volumes=podparts.volumes(TIKV, tikv, cluster, more=[_prestop_volume()]),
        ),
    )
    return podparts.finished(pod, tikv)


def _prestop_container(tikv: TiKV, default_image: str) -> Container:
    chosen = tikv.spec.pre_stop.image if tikv.spec.pre_stop is not None else None
    return Container(
        name=paths.PRESTOP_CHECKER,
        image=chosen or default_image,
        image_pull_policy="IfNotPresent",
        command=["/bin/sh", "-c", f"cp /prestop-checker {paths.PRESTOP}/;"],
        volume_mounts=[_prestop_mount()],
    )


def _prestop_mount() -> VolumeMount:
    return VolumeMount(name=paths.PRESTOP_CHECKER, mount_path=paths.PRESTOP)


def _prestop_volume() -> Volume:
    return Volume(name=paths.PRESTOP_CHECKER, empty_dir=EmptyDirVolumeSource())


def _tikv_container(tikv: TiKV, cluster: Cluster) -> Container:
    return Container(
        name=paths.CONTAINER,
        image=resolve_image(tikv.spec.image, TIKV.image, tikv.spec.version),
        image_pull_policy="IfNotPresent",
        command=["/tikv-server", "--config", TIKV.config_file],
        ports=[
            ContainerPort(name="client", container_port=names.tikv_client_port(tikv)),
            ContainerPort(name="status", container_port=names.tikv_status_port(tikv)),
        ],
        volume_mounts=podparts.mounts(TIKV, tikv, cluster, more=[_prestop_mount()]),
        resources=podparts.resources(tikv),
        lifecycle=Lifecycle(
            pre_stop=LifecycleHandler(exec=ExecAction(command=["/bin/sh", "-c", _prestop_script(tikv, cluster)]))
        ),
        readiness_probe=_readiness_probe(tikv, cluster),
    )


def _prestop_script(tikv: TiKV, cluster: Cluster) -> str:
    pd = (cluster.status.pd if cluster.status is not None else None) or ""
    status = names.tikv_status_address(tikv, cluster)
    script = f"{paths.PRESTOP}/prestop-checker -mode  tikv  -pd {pd} -tikv-status-addr {status}"
    if names.tls_enabled(cluster):
        script += f" -tls  -ca {TIKV.tls_ca} -cert {TIKV.tls_cert} -key {TIKV.tls_key}"
    return f"{script} > /proc/1/fd/1"


def _readiness_probe(tikv: TiKV, cluster: Cluster) -> Probe | None:
    if Feature.USE_TIKV_READY_API not in enabled_features(tikv, cluster):
        return None
    return podparts.curl_probe(TIKV, cluster, names.tikv_status_port(tikv), "/ready")
