"""Which instances of a group may be taken down together, by what PD says of their stores."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.group_instances import make_tikv
from tikv_operator.api import TiKV
from tikv_operator.pdclient import PDConfig, PDSnapshot, Store
from tikv_operator.tikvgroup.zone import zone_mates

CONFIG: dict[str, Any] = {"location_labels": ("zone", "host"), "isolation_level": "zone"}


def instance(number: int) -> TiKV:
    """The instance of store `number`; stores 1, 4, 7 are in zone a, 2, 5, 8 in zone b, 3, 6, 9 in zone c."""
    made = make_tikv(f"kv-{number}")
    assert made.status is not None
    made.status.id = str(number)
    return made


def snapshot(*, lacking: int = 0, **config: Any) -> PDSnapshot:
    stores = {
        str(number): Store(
            id=str(number),
            address=str(number),
            labels={} if number == lacking else {"zone": "abc"[(number - 1) % 3], "host": f"h{number}"},
        )
        for number in range(1, 10)
    }
    return PDSnapshot(stores=stores, config=PDConfig(**CONFIG | config))


@pytest.mark.parametrize(
    ("said", "candidates", "moving", "mates"),
    [
        pytest.param(snapshot(), [1, 2, 3, 4, 7], [], {1, 4, 7}, id="the first one sets the zone"),
        pytest.param(snapshot(), [1, 2, 5], [8], {2, 5}, id="what is in motion does"),
        pytest.param(snapshot(), [1, 2, 5], [8, 1], set(), id="in motion in two zones"),
        pytest.param(snapshot(isolation_level=""), [1, 4], [], set(), id="PD promises nothing"),
        pytest.param(snapshot(lacking=9), [1, 4], [], set(), id="a store whose zone is unknown"),
        pytest.param(snapshot(max_replicas=5), [1, 4], [], set(), id="fewer zones than replicas"),
        pytest.param(snapshot(), [1, 4], [10], set(), id="one in motion that PD does not know"),
        pytest.param(snapshot(), [1, 4, 10], [], {1, 4}, id="a candidate that PD does not know"),
        pytest.param(snapshot(), [], [], set(), id="nobody"),
    ],
)
def test_mates(said: PDSnapshot, candidates: list[int], moving: list[int], mates: set[int]) -> None:
    found = zone_mates(said, [instance(number) for number in candidates], [instance(number) for number in moving])
    assert found == {f"kv-{number}" for number in mates}
