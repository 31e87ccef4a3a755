"""The services of a Cluster as a whole. The files below tests/golden/cluster are what a reviewer should look at."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.golden import assert_golden
from helpers.group_world import make_cluster
from tikv_operator.cluster.build import pd_service, subdomain_service


def test_the_service_of_the_subdomain() -> None:
    assert_golden("cluster/service-subdomain.yaml", subdomain_service(make_cluster()))


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        pytest.param("pd", {}, id="default name"),
        pytest.param("pd-customized", {"customizedPDServiceName": "mypd"}, id="a name of its own"),
    ],
)
def test_the_service_of_all_pds(name: str, spec: dict[str, Any]) -> None:
    assert_golden(f"cluster/service-{name}.yaml", pd_service(make_cluster(spec=spec)))
