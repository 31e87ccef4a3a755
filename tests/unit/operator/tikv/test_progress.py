from __future__ import annotations

import pytest

from tikv_operator.tikv.progress import left_on_store, roughly


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (99, "99"),
        (100, "about 100"),
        (101, "about 110"),
        (999, "about 1000"),
        (12345, "about 13000"),
        (990001, "about 1000000"),
    ],
)
def test_a_count_is_exact_while_it_is_small(count: int, text: str) -> None:
    assert roughly(count) == text


def test_a_long_way_down_is_told_in_few_steps() -> None:
    assert len({roughly(count) for count in range(100_000)}) < 400


def test_what_is_left_on_a_store() -> None:
    assert left_on_store(0, 250) == "0 leaders and about 250 regions left"
