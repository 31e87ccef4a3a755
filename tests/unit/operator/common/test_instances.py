"""What a status says about an instance or a group."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.group_instances import NOW, make_tikv
from helpers.group_world import make_pd_group
from tikv_operator.api import TiKV
from tikv_operator.common.instances import (
    available_in,
    cond_true_for_cluster,
    is_available,
    is_deleting,
    is_group_healthy_and_up_to_date,
    is_not_running,
    is_ready,
    is_up_to_date,
)


def tikv(**state: Any) -> TiKV:
    return make_tikv("kv-a", **state)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param({"ready": True}, True, id="ready"),
        pytest.param({"ready": False}, False, id="not ready"),
        pytest.param({"ready": None}, False, id="no condition"),
        pytest.param({"ready": True, "generation": 2, "observed": 1}, False, id="ready, but of an older generation"),
    ],
)
def test_ready_means_ready_now(state: dict[str, Any], expected: bool) -> None:
    assert is_ready(tikv(**state)) is expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param({"running": False}, True, id="known not to run"),
        pytest.param({"running": True}, False, id="runs"),
        pytest.param({"running": None}, False, id="nobody knows"),
        pytest.param(
            {"running": False, "generation": 2, "observed": 1}, False, id="did not run at an older generation"
        ),
    ],
)
def test_not_running_must_be_known(state: dict[str, Any], expected: bool) -> None:
    assert is_not_running(tikv(**state)) is expected


@pytest.mark.parametrize(
    ("state", "minimum", "left"),
    [
        pytest.param({"ready": False}, 5, None, id="not ready: nobody knows"),
        pytest.param({"ready": True, "ready_for": 0}, 0, 0.0, id="no minimum"),
        pytest.param({"ready": True, "ready_for": 2}, 5, 3.0, id="some time left"),
        pytest.param({"ready": True, "ready_for": 5}, 5, 0.0, id="exactly the minimum is not enough"),
        pytest.param({"ready": True, "ready_for": 6}, 5, 0.0, id="long enough"),
    ],
)
def test_available_after(state: dict[str, Any], minimum: float, left: float | None) -> None:
    found = available_in(tikv(**state), minimum, NOW)
    assert found == (None if left is None else pytest.approx(left, abs=0.01))


def test_available_means_ready_for_more_than_the_minimum() -> None:
    assert not is_available(tikv(ready_for=5), 5, NOW)
    assert is_available(tikv(ready_for=6), 5, NOW)
    assert is_available(tikv(ready_for=0), 0, NOW)


def test_a_ready_condition_without_a_time_counts_as_brand_new() -> None:
    found = tikv()
    assert found.status is not None
    found.status.conditions[0].last_transition_time = ""
    assert available_in(found, 5, NOW) == 5
    assert is_available(found, 0, NOW)


def test_up_to_date_needs_the_revision_and_the_generation() -> None:
    assert is_up_to_date(tikv())
    assert not is_up_to_date(tikv(synced=False))
    assert not is_up_to_date(tikv(generation=2, observed=1))
    bare = tikv()
    bare.status = None
    assert not is_up_to_date(bare)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param({}, False, id="stays"),
        pytest.param({"deleting": True}, True, id="being deleted"),
        pytest.param({"deferred": "true"}, True, id="marked"),
        pytest.param({"deferred": ""}, True, id="marked with an empty value"),
        pytest.param({"offline": True}, True, id="going offline"),
        pytest.param({"offline": False}, False, id="told to stay"),
        pytest.param({"offlined": True}, True, id="store gone"),
        pytest.param({"offlined": True, "generation": 2, "observed": 1}, True, id="store gone at an older generation"),
        pytest.param({"offlined": False}, False, id="store is there"),
    ],
)
def test_on_its_way_out(state: dict[str, Any], expected: bool) -> None:
    assert is_deleting(tikv(**state)) is expected


def test_a_condition_counts_for_a_cluster_only_under_its_current_generation() -> None:
    found = tikv()
    assert found.status is not None
    assert not cond_true_for_cluster(found, "Ready", 11)
    found.status.observed_cluster_generation = 11
    assert cond_true_for_cluster(found, "Ready", 11)
    assert not cond_true_for_cluster(found, "Ready", 12)
    found.status.observed_generation = 0
    assert not cond_true_for_cluster(found, "Ready", 11)


@pytest.mark.parametrize(
    ("change", "healthy"),
    [
        pytest.param({}, True, id="all agree"),
        pytest.param({"observed_generation": 0}, False, id="changed since"),
        pytest.param({"update_revision": "r2"}, False, id="another revision is wanted"),
        pytest.param({"replicas": 2}, False, id="too few"),
        pytest.param({"replicas": 4}, False, id="too many"),
        pytest.param({"ready_replicas": 2}, False, id="one is not ready"),
        pytest.param({"updated_replicas": 2}, False, id="one is not updated"),
        pytest.param({"current_replicas": 2}, False, id="one is not at the current revision"),
    ],
)
def test_a_group_is_healthy_if_all_its_counts_agree(change: dict[str, Any], healthy: bool) -> None:
    group = make_pd_group(reached="v8.1.0")
    assert group.status is not None
    for name, value in change.items():
        setattr(group.status, name, value)
    assert is_group_healthy_and_up_to_date(group) is healthy


def test_a_group_whose_size_has_changed_or_that_says_nothing_is_not_healthy() -> None:
    assert not is_group_healthy_and_up_to_date(make_pd_group(reached="v8.1.0", replicas=5))
    silent = make_pd_group()
    silent.status = None
    assert not is_group_healthy_and_up_to_date(silent)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param({}, True, id="true now"),
        pytest.param({"observed_cluster_generation": 10}, False, id="an older generation of the cluster"),
        pytest.param({"observed_generation": 0}, False, id="a status of an older generation"),
    ],
)
def test_a_condition_that_is_true_for_a_cluster(change: dict[str, Any], expected: bool) -> None:
    found = tikv()
    assert found.status is not None
    found.status.observed_cluster_generation = 11
    for name, value in change.items():
        setattr(found.status, name, value)
    assert cond_true_for_cluster(found, "Ready", 11) is expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param({"ready": False}, False, id="False"),
        pytest.param({"ready": None}, False, id="no such condition"),
        pytest.param({"generation": 2, "observed": 1}, False, id="of an older generation"),
    ],
)
def test_a_condition_that_is_not_true_for_a_cluster(state: dict[str, Any], expected: bool) -> None:
    found = tikv(**state)
    assert found.status is not None
    found.status.observed_cluster_generation = 11
    assert cond_true_for_cluster(found, "Ready", 11) is expected
