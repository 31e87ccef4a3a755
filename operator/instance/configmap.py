"""The config map of an instance. Pure functions."""

from __future__ import annotations

from controller_runtime.api import ObjectMeta
from controller_runtime.api.k8s import ConfigMap
from controller_runtime.client import owner_reference
from tikv_operator.common import names
from tikv_operator.common.instances import Instance
from tikv_operator.instance.component import CONFIG_FILE, InstanceComponent
from tikv_operator.instance.podparts import subresource_labels

__all__ = ["render_config_map"]


def render_config_map(component: InstanceComponent, instance: Instance, text: str) -> ConfigMap:
    """Return the config map that an instance should have.

    Args:
        text: its configuration file.
    """
    return ConfigMap(
        metadata=ObjectMeta(
            name=names.pod_name(instance.metadata.name, component.name),
            namespace=instance.metadata.namespace,
            labels=subresource_labels(component, instance),
            owner_references=[owner_reference(instance)],
        ),
        data={CONFIG_FILE: text},
    )
