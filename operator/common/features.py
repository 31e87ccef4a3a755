"""Which features are on for an object. Pure functions."""

from __future__ import annotations

from tikv_operator.api import PD, Cluster, Feature, PDGroup, TiKV, TiKVGroup

__all__ = ["enabled_features"]


def enabled_features(obj: TiKV | TiKVGroup | PD | PDGroup, cluster: Cluster) -> frozenset[str]:
    """Return the names of the features that are on for an instance or a group.

    The object's own list decides only where features may be changed while the cluster runs (FeatureModification), so that
    a change reaches one instance after the other; otherwise the Cluster's list does.
    """
    own = frozenset(obj.spec.features or ())
    if Feature.FEATURE_MODIFICATION in own:
        return own
    return frozenset(gate.name for gate in cluster.spec.feature_gates or ())
