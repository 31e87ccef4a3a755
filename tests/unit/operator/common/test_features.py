from __future__ import annotations

import pytest

from helpers.tikv_fakes import make_cluster, make_tikv
from tikv_operator.api import FeatureGate
from tikv_operator.common.features import enabled_features


@pytest.mark.parametrize(
    ("own", "cluster", "enabled"),
    [
        pytest.param(None, [], set(), id="none"),
        pytest.param(None, ["UseTiKVReadyAPI"], {"UseTiKVReadyAPI"}, id="the cluster's where features cannot change"),
        pytest.param(["VolumeAttributesClass"], [], set(), id="the object's own alone do not count"),
        pytest.param(
            ["FeatureModification", "UseTiKVReadyAPI"],
            ["FeatureModification"],
            {"FeatureModification", "UseTiKVReadyAPI"},
            id="the object's own where features can change",
        ),
        pytest.param(
            ["FeatureModification"],
            ["FeatureModification", "UseTiKVReadyAPI"],
            {"FeatureModification"},
            id="a change that has not reached the object yet",
        ),
    ],
)
def test_which_features_are_on(own: list[str] | None, cluster: list[str], enabled: set[str]) -> None:
    gates = [FeatureGate(name=name) for name in cluster]
    assert enabled_features(make_tikv(features=own), make_cluster(feature_gates=gates)) == enabled
