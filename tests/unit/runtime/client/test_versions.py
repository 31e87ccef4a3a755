"""The order of resourceVersions."""

from __future__ import annotations

import pytest

from controller_runtime.client.versions import compare_versions


@pytest.mark.parametrize(
    ("a", "b", "sign"),
    [
        ("1", "2", -1),
        ("10", "9", 1),
        ("18446744073709551616", "18446744073709551615", 1),
        ("7", "7", 0),
        ("x", "x", 0),
        ("", "", 0),
        ("x", "y", None),
        ("1", "", None),
        ("1", "1a", None),
        ("-1", "1", None),
        ("1", "²", None),
    ],
)
def test_decimal_versions_are_ordered_and_of_others_only_equality_is_known(a: str, b: str, sign: int | None) -> None:
    order = compare_versions(a, b)
    assert (order if order is None else (order > 0) - (order < 0)) == sign
