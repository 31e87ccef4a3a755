from __future__ import annotations

from helpers.golden import assert_golden
from helpers.tikv_fakes import make_cluster, make_tikv
from tikv_operator.tikv.configmap import render_config_map


def test_golden() -> None:
    assert_golden("tikv/config-map.yaml", render_config_map(make_tikv(), make_cluster()))
