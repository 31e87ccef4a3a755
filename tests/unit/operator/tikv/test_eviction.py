from __future__ import annotations

import pytest

from helpers.tikv_fakes import NOW, FakePD, make_store, make_tikv, with_condition
from tikv_operator.pdclient import Store
from tikv_operator.tikv.eviction import EvictionState, eviction_state, is_ours, leaders_can_leave, leaves_a_taker


@pytest.mark.parametrize(
    ("status", "reason", "age", "store", "expected"),
    [
        pytest.param(True, "Evicted", 1, True, EvictionState(over=True), id="evicted"),
        pytest.param(True, "StoreNotExist", 1, False, EvictionState(over=True), id="no store"),
        pytest.param(True, "StoreNotExist", 1, True, EvictionState(over=False), id="a store has come since"),
        pytest.param(True, "Evicted", 1, False, EvictionState(over=False), id="the store has gone since"),
        pytest.param(True, "EvictedByOther", 1, True, EvictionState(over=True), id="evicted by somebody else"),
        pytest.param(
            False, "EvictingByOther", 301, True, EvictionState(True, True, 0.001), id="somebody else takes too long"
        ),
        pytest.param(False, "NotEvicted", 9999, True, EvictionState(over=False), id="not begun"),
        pytest.param(False, "Evicting", 100, True, EvictionState(over=False, left=200.001), id="under way"),
        pytest.param(False, "Evicting", 301, True, EvictionState(over=True, timed_out=True, left=0.001), id="too long"),
    ],
)
def test_what_a_condition_says(status: bool, reason: str, age: float, store: bool, expected: EvictionState) -> None:
    tikv = with_condition(make_tikv(), "LeadersEvicted", status, reason, age=age)
    assert eviction_state(tikv, make_store() if store else None, leaving=False, timeout=300.0, now=NOW) == expected


@pytest.mark.parametrize(
    ("reason", "leaving", "leaders", "over"),
    [
        pytest.param("Evicting", True, 0, True, id="the last one has left"),
        pytest.param("EvictingByOther", True, 0, True, id="the last one has left for somebody else"),
        pytest.param("Evicting", True, 1, False, id="one is left"),
        pytest.param("Evicting", False, 0, False, id="pd doesn't evict yet"),
        pytest.param("NotEvicted", True, 0, False, id="not begun by us"),
    ],
)
def test_an_eviction_is_over_when_no_leader_is_left(reason: str, leaving: bool, leaders: int, over: bool) -> None:
    tikv = with_condition(make_tikv(), "LeadersEvicted", False, reason, age=1)
    store = make_store(leader_count=leaders)
    assert eviction_state(tikv, store, leaving=leaving, timeout=300.0, now=NOW).over is over


@pytest.mark.parametrize("generation", [None, 2])
def test_no_condition_of_this_generation_says_nothing(generation: int | None) -> None:
    tikv = make_tikv()
    if generation is not None:
        with_condition(tikv, "LeadersEvicted", True, "Evicted", generation=generation)
    assert eviction_state(tikv, make_store(), leaving=False, timeout=300.0, now=NOW) == EvictionState(over=False)


@pytest.mark.parametrize(
    ("reason", "ours"),
    [
        ("Evicting", True),
        ("Evicted", True),
        ("Ending", True),
        ("NotEvicted", False),
        ("StoreNotExist", False),
        ("EvictingByOther", False),
    ],
)
def test_the_condition_remembers_whose_eviction_it_is(reason: str, ours: bool) -> None:
    assert is_ours(with_condition(make_tikv(), "LeadersEvicted", False, reason, generation=1)) is ours
    assert not is_ours(make_tikv())


@pytest.mark.parametrize(
    ("other", "replicas", "possible"),
    [
        pytest.param(make_store(id="5", address="b:1"), 3, True, id="another store"),
        pytest.param(make_store(id="5", address="b:1"), 1, False, id="a single replica has nowhere to go"),
        pytest.param(
            make_store(id="5", address="b:1", state_name="Down"), 3, True, id="one that is down may come back"
        ),
        pytest.param(make_store(id="5", address="b:1", state="Tombstone"), 3, False, id="one that is gone does not"),
        pytest.param(
            make_store(id="5", address="b:1", state="Offline"), 3, False, id="one that leaves does not either"
        ),
        pytest.param(
            make_store(id="5", address="b:1", labels={"engine": "tiflash"}), 3, False, id="TiFlash never leads"
        ),
    ],
)
def test_leaders_need_another_store(other: Store, replicas: int, possible: bool) -> None:
    pd = FakePD(make_store(), other, alone=True, max_replicas=replicas)
    assert pd.snapshot is not None
    assert leaders_can_leave(make_store(), pd.snapshot) is possible


@pytest.mark.parametrize(
    ("other", "evicting", "left"),
    [
        pytest.param(make_store(id="5", address="b:1"), [], True, id="another store"),
        pytest.param(make_store(id="5", address="b:1"), ["4"], True, id="this one's own eviction doesn't count"),
        pytest.param(make_store(id="5", address="b:1"), ["5"], False, id="one that gives up its own leaders"),
        pytest.param(make_store(id="5", address="b:1", state_name="Down"), [], True, id="one that may come back"),
        pytest.param(make_store(id="5", address="b:1", state="Tombstone"), [], False, id="one that is gone"),
        pytest.param(make_store(id="5", address="b:1", labels={"engine": "tiflash"}), [], False, id="TiFlash"),
    ],
)
def test_an_eviction_leaves_a_store_that_takes_leaders(other: Store, evicting: list[str], left: bool) -> None:
    pd = FakePD(make_store(), other, alone=True, evicting=evicting)
    assert pd.snapshot is not None
    assert leaves_a_taker(make_store(), pd.snapshot) is left
