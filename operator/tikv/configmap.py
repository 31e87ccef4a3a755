"""The config map of a TiKV. Pure functions."""

from __future__ import annotations

from controller_runtime.api import ObjectMeta
from controller_runtime.api.k8s import ConfigMap
from controller_runtime.client import owner_reference
from tikv_operator.api import Cluster, TiKV
from tikv_operator.common import names
from tikv_operator.tikv import paths
from tikv_operator.tikv.config import render_config
from tikv_operator.tikv.pod import subresource_labels

__all__ = ["render_config_map"]


def render_config_map(tikv: TiKV, cluster: Cluster) -> ConfigMap:
    """Return the config map that a TiKV should have.

    Raises:
        ConfigInvalid: the user's configuration cannot be used.
    """
    return ConfigMap(
        metadata=ObjectMeta(
            name=names.tikv_pod_name(tikv.metadata.name),
            namespace=tikv.metadata.namespace,
            labels=subresource_labels(tikv),
            owner_references=[owner_reference(tikv)],
        ),
        data={paths.CONFIG_FILE: render_config(tikv, cluster)},
    )
