"""Which stores can be down together."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tikv_operator.updater.isolation import Placement, can_be_down_together, place_of

ZONES = Placement(location_labels=("zone", "host"), isolation_level="zone")
HOSTS = Placement(location_labels=("zone", "host"), isolation_level="host")


def store(zone: str, host: str = "h") -> dict[str, str]:
    return {"zone": zone, "host": host, "engine": "tikv"}


STORES = [store(zone, host) for zone in "abc" for host in "12"]


@pytest.mark.parametrize(
    ("down", "stores", "placement", "safe"),
    [
        pytest.param(STORES[:2], STORES, ZONES, True, id="a whole zone of three"),
        pytest.param([STORES[0], STORES[2]], STORES, ZONES, False, id="of two zones"),
        pytest.param(STORES[:2], STORES, HOSTS, False, id="of two hosts where hosts are the places"),
        pytest.param([STORES[0], STORES[0]], STORES, HOSTS, True, id="of one host"),
        pytest.param(STORES[:2], STORES[:4], ZONES, False, id="fewer zones than replicas"),
        pytest.param(
            STORES[:2], STORES, Placement(location_labels=("zone",)), False, id="PD promises nothing without a level"
        ),
        pytest.param(
            STORES[:2],
            STORES,
            Placement(location_labels=("zone",), isolation_level="rack"),
            False,
            id="a level that is no location label",
        ),
        pytest.param(STORES[:2], [*STORES, {"host": "x"}], ZONES, False, id="a store whose zone nobody knows"),
        pytest.param(STORES[:2], [*STORES, {"zone": "", "host": "x"}], ZONES, False, id="a store without a zone"),
        pytest.param(
            STORES[:2],
            STORES,
            Placement(location_labels=("zone",), isolation_level="zone", replicas=2),
            False,
            id="two replicas can spare none",
        ),
        pytest.param([], STORES, ZONES, True, id="none at all"),
    ],
)
def test_what_may_be_down(
    down: list[dict[str, str]], stores: list[dict[str, str]], placement: Placement, safe: bool
) -> None:
    assert can_be_down_together(down, stores, placement) is safe


def test_a_host_of_the_same_name_in_another_zone_is_another_place() -> None:
    assert place_of(store("a", "1"), HOSTS) != place_of(store("b", "1"), HOSTS)
    assert place_of(store("a", "1"), HOSTS) == ("a", "1")
    assert place_of(store("a", "1"), ZONES) == ("a",)


@given(
    zones=st.integers(1, 6),
    replicas=st.integers(1, 7),
    per_zone=st.integers(1, 4),
    level=st.sampled_from(["zone", "host", ""]),
    seed=st.integers(0, 2**32),
    data=st.data(),
)
def test_every_region_keeps_its_quorum_wherever_pd_has_put_it(
    zones: int, replicas: int, per_zone: int, level: str, seed: int, data: st.DataObject
) -> None:
    """Regions are placed as PD promises: no two voters in one place of the isolation level, anything else goes."""
    stores = [store(f"z{zone}", f"h{number}") for zone in range(zones) for number in range(per_zone)]
    placement = Placement(location_labels=("zone", "host"), isolation_level=level, replicas=replicas)
    down = data.draw(st.lists(st.sampled_from(range(len(stores))), unique=True))
    if not can_be_down_together([stores[index] for index in down], stores, placement):
        return
    chance = random.Random(seed)
    for _ in range(20):
        order = chance.sample(range(len(stores)), len(stores))
        voters: dict[tuple[str, ...] | None, int] = {}
        for index in order:
            voters.setdefault(place_of(stores[index], placement), index)
        region = list(voters.values())[:replicas]
        assert len(region) == replicas
        assert sum(index not in down for index in region) > replicas // 2
