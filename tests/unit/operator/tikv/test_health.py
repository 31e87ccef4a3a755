from __future__ import annotations

from typing import Any

import pytest

from helpers.tikv_fakes import NOW, make_pod, make_store
from tikv_operator.common.settings import Settings
from tikv_operator.pdclient import Store
from tikv_operator.tikv.health import Health, assess


def judge(
    store: Store | None, *, ready_for: float | None = 3600.0, ready_api: bool = False, pod: bool = True
) -> Health:
    return assess(
        store,
        make_pod(ready_for=ready_for) if pod else None,
        ready_api=ready_api,
        settings=Settings(store_ready_seconds=15, store_ready_min_regions=100),
        now=NOW,
    )


@pytest.mark.parametrize(
    ("store", "ready"),
    [
        pytest.param({}, True, id="few regions, no leader"),
        pytest.param({"region_count": 99}, True, id="just few enough regions"),
        pytest.param({"region_count": 100}, False, id="many regions, no leader"),
        pytest.param({"region_count": 100, "leader_count": 1}, True, id="many regions, one leader"),
        pytest.param({"busy": True}, False, id="busy"),
    ],
)
def test_a_store_can_serve_if_it_leads_regions_or_has_few(store: dict[str, Any], ready: bool) -> None:
    health = judge(make_store(**store))
    assert (health.store_ready, health.healthy) == (ready, ready)


@pytest.mark.parametrize(
    ("ready_for", "healthy", "recheck"),
    [
        (None, False, None),
        (0, False, 15.001),
        (14, False, 1.001),
        (15, False, 0.001),
        (16, True, None),
    ],
)
def test_the_pod_must_have_been_ready_for_a_while(
    ready_for: float | None, healthy: bool, recheck: float | None
) -> None:
    health = judge(make_store(), ready_for=ready_for)
    assert health.healthy is healthy
    assert health.recheck == pytest.approx(recheck) if recheck else health.recheck is None


def test_the_ready_api_replaces_all_waiting_but_the_store_must_be_known() -> None:
    assert judge(make_store(busy=True), ready_for=None, ready_api=True).healthy
    assert judge(make_store(), pod=False, ready_api=True).healthy
    assert not judge(None, ready_api=True).healthy


def test_nothing_is_healthy_without_pod_or_store() -> None:
    assert judge(None) == Health()
    assert not judge(make_store(), pod=False).healthy


class TestWhatPDSaysOfAnEarlierProcess:
    def test_does_not_count_before_the_store_registers_again(self) -> None:
        health = judge(make_store(start_timestamp=int(NOW) - 7200), ready_for=3600)
        assert (health.healthy, health.unseen) == (False, True)
        assert health.recheck is not None

    def test_does_not_count_before_the_first_heartbeat(self) -> None:
        health = judge(make_store(start_timestamp=int(NOW) - 3600, last_heartbeat=NOW - 3601), ready_for=3600)
        assert (health.healthy, health.unseen) == (False, True)

    def test_counts_afterwards(self) -> None:
        assert judge(make_store(start_timestamp=int(NOW) - 3600, last_heartbeat=NOW - 5), ready_for=3600).healthy
