"""The config map of a TiKV. Pure functions."""

from __future__ import annotations

from controller_runtime.api.k8s import ConfigMap
from tikv_operator.api import Cluster, TiKV
from tikv_operator.instance import configmap
from tikv_operator.tikv.component import TIKV
from tikv_operator.tikv.config import render_config

__all__ = ["render_config_map"]


def render_config_map(tikv: TiKV, cluster: Cluster) -> ConfigMap:
    """Return the config map that a TiKV should have.

    Raises:
        ConfigInvalid: the user's configuration cannot be used.
    """
    return configmap.render_config_map(TIKV, tikv, render_config(tikv, cluster))
