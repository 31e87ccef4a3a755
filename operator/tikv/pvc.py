"""The volume claims of a TiKV. Pure functions."""

from __future__ import annotations

from controller_runtime.api.k8s import PersistentVolumeClaim
from tikv_operator.api import Cluster, TiKV
from tikv_operator.common import keys
from tikv_operator.instance import pvc
from tikv_operator.tikv.component import TIKV

__all__ = ["render_claims"]


def render_claims(tikv: TiKV, cluster: Cluster) -> list[PersistentVolumeClaim]:
    """Return the claims that a TiKV should have: one for each volume, in the order of its volumes."""
    ids = {
        keys.LABEL_CLUSTER_ID: cluster.status.id if cluster.status is not None else "",
        keys.LABEL_STORE_ID: (tikv.status.id if tikv.status is not None else None) or "",
    }
    labels = keys.app_labels(cluster.metadata.name, TIKV.name) | {key: value for key, value in ids.items() if value}
    return pvc.render_claims(TIKV, tikv, cluster, labels)
