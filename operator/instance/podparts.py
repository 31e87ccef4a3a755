"""The parts that the pods of all components have: metadata, mounts, volumes, resources, a probe by curl.

They are what TiDB Operator renders for the same instance, so that a running pod can be taken over. Pure functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from controller_runtime.api import ObjectMeta, canonical_quantity
from controller_runtime.api.k8s import (
    ConfigMapVolumeSource,
    ExecAction,
    KeyToPath,
    PersistentVolumeClaimVolumeSource,
    Pod,
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
from tikv_operator.api import Cluster
from tikv_operator.common import keys, names
from tikv_operator.common.instances import Instance
from tikv_operator.common.overlay import overlay_pod
from tikv_operator.instance.component import CONFIG_VOLUME, DATA_MOUNT, TLS_VOLUME, InstanceComponent
from tikv_operator.instance.template import features_annotation, template_annotation

__all__ = ["curl_probe", "finished", "mounts", "pod_metadata", "resources", "subresource_labels", "volumes"]


def subresource_labels(component: InstanceComponent, instance: Instance) -> dict[str, str]:
    """Return the labels that the pod, the config map and the claims of an instance share."""
    metadata = instance.metadata
    return keys.subresource_labels(metadata.labels, instance.spec.cluster.name, component.name, metadata.name)


def pod_metadata(
    component: InstanceComponent, instance: Instance, cluster: Cluster, *, ids: Mapping[str, str], metrics_port: int
) -> ObjectMeta:
    """Return the metadata of an instance's pod.

    Args:
        ids: labels that say which part of the cluster the instance is.
    """
    return ObjectMeta(
        name=names.pod_name(instance.metadata.name, component.name),
        namespace=instance.metadata.namespace,
        labels=subresource_labels(component, instance)
        | keys.app_labels(cluster.metadata.name, component.name)
        | dict(ids),
        annotations={
            "prometheus.io/scrape": "true",
            "prometheus.io/port": str(metrics_port),
            "prometheus.io/path": "/metrics",
        },
        owner_references=[owner_reference(instance)],
    )


def finished(pod: Pod, instance: Instance) -> Pod:
    """Return the pod with its instance's overlay, and with the marks that say what it was made from.

    Raises:
        OverlayInvalid: the overlay does not fit.
    """
    overlay = instance.spec.overlay.pod if instance.spec.overlay is not None else None
    pod = overlay_pod(pod, overlay)
    pod.metadata.annotations |= {
        keys.ANNOTATION_LAST_TEMPLATE: template_annotation(instance),
        keys.ANNOTATION_FEATURES: features_annotation(instance),
    }
    return pod


def mounts(
    component: InstanceComponent, instance: Instance, cluster: Cluster, *, more: Iterable[VolumeMount] = ()
) -> list[VolumeMount]:
    """Return where the main container finds its configuration, `more`, its volumes and its certificates."""
    found = [VolumeMount(name=CONFIG_VOLUME, mount_path=component.config), *more]
    for volume in instance.spec.volumes:
        for mount in volume.mounts:
            default = component.data if mount.type == DATA_MOUNT else ""
            found.append(
                VolumeMount(
                    name=names.volume_name(volume.name),
                    mount_path=mount.mount_path or default,
                    sub_path=mount.sub_path or None,
                )
            )
    if names.tls_enabled(cluster):
        found.append(VolumeMount(name=TLS_VOLUME, mount_path=component.tls, read_only=True))
    return found


def volumes(
    component: InstanceComponent, instance: Instance, cluster: Cluster, *, more: Iterable[Volume] = ()
) -> list[Volume]:
    """Return the pod's volumes: its config map, `more`, its claims and its certificates."""
    pod = names.pod_name(instance.metadata.name, component.name)
    found = [Volume(name=CONFIG_VOLUME, config_map=ConfigMapVolumeSource(name=pod)), *more]
    for volume in instance.spec.volumes:
        claim = names.volume_claim_name(volume.name, instance.metadata.name, component.name)
        source = PersistentVolumeClaimVolumeSource(claim_name=claim)
        found.append(Volume(name=names.volume_name(volume.name), persistent_volume_claim=source))
    if names.tls_enabled(cluster):
        found.append(_tls_volume(component, instance))
    return found


def resources(instance: Instance) -> ResourceRequirements | None:
    """Return equal requests and limits, so that the pod gets what it was promised and nothing else."""
    given = instance.spec.resources
    if given is None:
        return None
    amounts = {
        name: canonical_quantity(amount)
        for name, amount in (("cpu", given.cpu), ("memory", given.memory))
        if amount is not None
    }
    return ResourceRequirements(requests=amounts, limits=dict(amounts)) if amounts else None


def curl_probe(
    component: InstanceComponent, cluster: Cluster, port: int, path: str, *, initial_delay: int | None = None
) -> Probe:
    """Return a probe that asks the process itself, from inside of its container."""
    tls = names.tls_enabled(cluster)
    url = f"{'https' if tls else 'http'}://{names.host_port('127.0.0.1', port)}{path}"
    command = ["curl", url, "--fail", "-sS", "--location"]
    if tls:
        command += ["--cacert", component.tls_ca, "--cert", component.tls_cert, "--key", component.tls_key]
    return Probe(exec=ExecAction(command=command), initial_delay_seconds=initial_delay)


def _tls_volume(component: InstanceComponent, instance: Instance) -> Volume:
    """Return the volume with the certificates: one secret, or the CA of one and the key pair of another."""
    security = instance.spec.security
    secrets = security.tls.cluster if security is not None and security.tls is not None else None
    default = names.instance_secret_name(instance.metadata.name, component.name)
    ca = (secrets.ca.name if secrets is not None and secrets.ca is not None else None) or default
    pair = (
        secrets.cert_key_pair.name if secrets is not None and secrets.cert_key_pair is not None else None
    ) or default
    if ca == pair:
        return Volume(name=TLS_VOLUME, secret=SecretVolumeSource(secret_name=pair))
    sources = [_projection(ca, "ca.crt"), _projection(pair, "tls.crt", "tls.key")]
    return Volume(name=TLS_VOLUME, projected=ProjectedVolumeSource(sources=sources))


def _projection(secret: str, *files: str) -> VolumeProjection:
    items = [KeyToPath(key=file, path=file) for file in files]
    return VolumeProjection(secret=SecretProjection(name=secret, items=items))
