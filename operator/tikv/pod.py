"""The pod of a TiKV.

It is what TiDB Operator renders for the same TiKV, so that a running pod can be taken over. Pure functions.
"""

from __future__ import annotations

from typing import Final

from controller_runtime.api import ObjectMeta, canonical_quantity
from controller_runtime.api.k8s import (
    ConfigMapVolumeSource,
    Container,
    ContainerPort,
    EmptyDirVolumeSource,
    ExecAction,
    KeyToPath,
    Lifecycle,
    LifecycleHandler,
    PersistentVolumeClaimVolumeSource,
    Pod,
    PodSpec,
    Probe,
    ProjectedVolumeSource,
    ResourceRequirements,
    SecretProjection,
    SecretVolumeSource,
    Volume,
    VolumeMount,
    VolumeProjection,
)
from controller_runtime.client import owner_reference
from tikv_operator.api import Cluster, Feature, TiKV
from tikv_operator.common import keys, names
from tikv_operator.common.features import enabled_features
from tikv_operator.common.image import resolve_image
from tikv_operator.common.overlay import overlay_pod
from tikv_operator.tikv import paths
from tikv_operator.tikv.template import features_annotation, template_annotation

__all__ = ["DEFAULT_IMAGE", "grace_period", "render_pod", "subresource_labels"]

DEFAULT_IMAGE: Final = "pingcap/tikv"

_NO_HURRY: Final = 65535
"""Seconds a pod may take to stop when somebody deletes it without saying how long: practically for ever, because its
leaders must be gone first."""
_REGIONS_PER_SECOND: Final = 200


def grace_period(region_count: int, minimum: int) -> int:
    """Return how many seconds a TiKV with so many regions may take to stop."""
    return max(minimum, region_count // _REGIONS_PER_SECOND + 1)


def subresource_labels(tikv: TiKV) -> dict[str, str]:
    """Return the labels that the pod, the config map and the claims of a TiKV share."""
    return keys.subresource_labels(
        tikv.metadata.labels, tikv.spec.cluster.name, names.TIKV_COMPONENT, tikv.metadata.name
    )


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
    overlay = tikv.spec.overlay.pod if tikv.spec.overlay is not None else None
    pod = overlay_pod(_base(tikv, cluster, store_id, prestop_image), overlay)
    pod.metadata.annotations |= {
        keys.ANNOTATION_LAST_TEMPLATE: template_annotation(tikv),
        keys.ANNOTATION_FEATURES: features_annotation(tikv),
    }
    return pod


def _base(tikv: TiKV, cluster: Cluster, store_id: str, prestop_image: str) -> Pod:
    name = names.tikv_pod_name(tikv.metadata.name)
    cluster_id = cluster.status.id if cluster.status is not None else ""
    ids = {keys.LABEL_CLUSTER_ID: cluster_id, keys.LABEL_STORE_ID: store_id}
    return Pod(
        metadata=ObjectMeta(
            name=name,
            namespace=tikv.metadata.namespace,
            labels=subresource_labels(tikv)
            | keys.app_labels(cluster.metadata.name, names.TIKV_COMPONENT)
            | {key: value for key, value in ids.items() if value},
            annotations={
                "prometheus.io/scrape": "true",
                "prometheus.io/port": str(names.tikv_status_port(tikv)),
                "prometheus.io/path": "/metrics",
            },
            owner_references=[owner_reference(tikv)],
        ),
        spec=PodSpec(
            hostname=name,
            subdomain=tikv.spec.subdomain,
            node_selector=tikv.spec.topology or None,
            termination_grace_period_seconds=_NO_HURRY,
            init_containers=[_prestop_container(tikv, prestop_image)],
            containers=[_tikv_container(tikv, cluster)],
            volumes=_volumes(tikv, cluster, name),
        ),
    )


def _prestop_container(tikv: TiKV, default_image: str) -> Container:
    chosen = tikv.spec.pre_stop.image if tikv.spec.pre_stop is not None else None
    return Container(
        name=paths.PRESTOP_CHECKER,
        image=chosen or default_image,
        image_pull_policy="IfNotPresent",
        command=["/bin/sh", "-c", f"cp /prestop-checker {paths.PRESTOP}/;"],
        volume_mounts=[VolumeMount(name=paths.PRESTOP_CHECKER, mount_path=paths.PRESTOP)],
    )


def _tikv_container(tikv: TiKV, cluster: Cluster) -> Container:
    return Container(
        name=paths.CONTAINER,
        image=resolve_image(tikv.spec.image, DEFAULT_IMAGE, tikv.spec.version),
        image_pull_policy="IfNotPresent",
        command=["/tikv-server", "--config", f"{paths.CONFIG}/{paths.CONFIG_FILE}"],
        ports=[
            ContainerPort(name="client", container_port=names.tikv_client_port(tikv)),
            ContainerPort(name="status", container_port=names.tikv_status_port(tikv)),
        ],
        volume_mounts=_mounts(tikv, cluster),
        resources=_resources(tikv),
        lifecycle=Lifecycle(
            pre_stop=LifecycleHandler(exec=ExecAction(command=["/bin/sh", "-c", _prestop_script(tikv, cluster)]))
        ),
        readiness_probe=_readiness_probe(tikv, cluster),
    )


def _mounts(tikv: TiKV, cluster: Cluster) -> list[VolumeMount]:
    mounts = [
        VolumeMount(name=paths.CONFIG_VOLUME, mount_path=paths.CONFIG),
        VolumeMount(name=paths.PRESTOP_CHECKER, mount_path=paths.PRESTOP),
    ]
    for volume in tikv.spec.volumes:
        for mount in volume.mounts:
            default = paths.DATA if mount.type == paths.DATA_MOUNT else ""
            mounts.append(
                VolumeMount(
                    name=names.volume_name(volume.name),
                    mount_path=mount.mount_path or default,
                    sub_path=mount.sub_path or None,
                )
            )
    if names.tls_enabled(cluster):
        mounts.append(VolumeMount(name=paths.TLS_VOLUME, mount_path=paths.TLS, read_only=True))
    return mounts


def _resources(tikv: TiKV) -> ResourceRequirements | None:
    """Return equal requests and limits, so that the pod gets what it was promised and nothing else."""
    given = tikv.spec.resources
    if given is None:
        return None
    amounts = {
        name: canonical_quantity(amount)
        for name, amount in (("cpu", given.cpu), ("memory", given.memory))
        if amount is not None
    }
    return ResourceRequirements(requests=amounts, limits=dict(amounts)) if amounts else None


def _prestop_script(tikv: TiKV, cluster: Cluster) -> str:
    pd = (cluster.status.pd if cluster.status is not None else None) or ""
    status = names.tikv_status_address(tikv, cluster)
    script = f"{paths.PRESTOP}/prestop-checker -mode  tikv  -pd {pd} -tikv-status-addr {status}"
    if names.tls_enabled(cluster):
        script += f" -tls  -ca {paths.TLS_CA} -cert {paths.TLS_CERT} -key {paths.TLS_KEY}"
    return f"{script} > /proc/1/fd/1"


def _readiness_probe(tikv: TiKV, cluster: Cluster) -> Probe | None:
    if Feature.USE_TIKV_READY_API not in enabled_features(tikv, cluster):
        return None
    tls = names.tls_enabled(cluster)
    scheme = "https" if tls else "http"
    url = f"{scheme}://{names.host_port('127.0.0.1', names.tikv_status_port(tikv))}/ready"
    command = ["curl", url, "--fail", "-sS", "--location"]
    if tls:
        command += ["--cacert", paths.TLS_CA, "--cert", paths.TLS_CERT, "--key", paths.TLS_KEY]
    return Probe(exec=ExecAction(command=command))


def _volumes(tikv: TiKV, cluster: Cluster, pod_name: str) -> list[Volume]:
    volumes = [
        Volume(name=paths.CONFIG_VOLUME, config_map=ConfigMapVolumeSource(name=pod_name)),
        Volume(name=paths.PRESTOP_CHECKER, empty_dir=EmptyDirVolumeSource()),
    ]
    for volume in tikv.spec.volumes:
        claim = names.volume_claim_name(volume.name, tikv.metadata.name, names.TIKV_COMPONENT)
        volumes.append(
            Volume(
                name=names.volume_name(volume.name),
                persistent_volume_claim=PersistentVolumeClaimVolumeSource(claim_name=claim),
            )
        )
    if names.tls_enabled(cluster):
        volumes.append(_tls_volume(tikv))
    return volumes


def _tls_volume(tikv: TiKV) -> Volume:
    """Return the volume with the certificates: one secret, or the CA of one and the key pair of another."""
    security = tikv.spec.security
    secrets = security.tls.cluster if security is not None and security.tls is not None else None
    default = names.instance_secret_name(tikv.metadata.name, names.TIKV_COMPONENT)
    ca = (secrets.ca.name if secrets is not None and secrets.ca is not None else None) or default
    pair = (
        secrets.cert_key_pair.name if secrets is not None and secrets.cert_key_pair is not None else None
    ) or default
    if ca == pair:
        return Volume(name=paths.TLS_VOLUME, secret=SecretVolumeSource(secret_name=pair))
    sources = [_projection(ca, "ca.crt"), _projection(pair, "tls.crt", "tls.key")]
    return Volume(name=paths.TLS_VOLUME, projected=ProjectedVolumeSource(sources=sources))


def _projection(secret: str, *files: str) -> VolumeProjection:
    items = [KeyToPath(key=file, path=file) for file in files]
    return VolumeProjection(secret=SecretProjection(name=secret, items=items))
