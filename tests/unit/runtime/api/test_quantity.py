"""Quantities: value, canonical form and equality as Kubernetes has them."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller_runtime.api import QUANTITY_PATTERN, canonical_quantity, parse_quantity, quantities_equal


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", "0"),
        ("1", "1"),
        ("+1", "1"),
        ("-1", "-1"),
        (".5", "0.5"),
        ("5.", "5"),
        ("100m", "0.1"),
        ("1n", "0.000000001"),
        ("1u", "0.000001"),
        ("1k", "1000"),
        ("1.5G", "1500000000"),
        ("1E", "1e18"),
        ("1e3", "1000"),
        ("1E3", "1000"),
        ("12e-1", "1.2"),
        ("1e+2", "100"),
        ("1Ki", "1024"),
        ("1.5Gi", "1610612736"),
        ("1Ei", str(2**60)),
        (3, "3"),
        (0.5, "0.5"),
        (1e21, str(2**63 - 1)),
    ],
)
def test_value(text: str | float, value: str) -> None:
    assert parse_quantity(text) == Decimal(value)


@pytest.mark.parametrize(
    "text", ["", " ", "1 ", "Gi", "1gi", "1KI", "1K", "1mi", "--1", "1.2.3", "1e", "1e1.5", "0x10", "1_000", "²", True]
)
def test_what_is_no_quantity_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{text!r} is not a quantity")):
        parse_quantity(text)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        # decimal
        ("0", "0"),
        ("0Gi", "0"),
        ("1000m", "1"),
        ("1500m", "1500m"),
        ("0.5", "500m"),
        ("0.1", "100m"),
        ("1000", "1k"),
        ("1500", "1500"),
        ("1.5k", "1500"),
        ("100000k", "100M"),
        ("-1000m", "-1"),
        ("+5", "5"),
        ("0.0005", "500u"),
        ("1000n", "1u"),
        # exponents stay exponents
        ("1e3", "1e3"),
        ("1500e3", "1500e3"),
        ("12e5", "1200e3"),
        ("1E6", "1e6"),
        ("5e-1", "500e-3"),
        # binary
        ("2048Mi", "2Gi"),
        ("1024Ki", "1Mi"),
        ("100Ki", "100Ki"),
        ("1.5Gi", "1536Mi"),
        ("1536Mi", "1536Mi"),
        ("0.5Gi", "512Mi"),
        ("-1024Ki", "-1Mi"),
        # too small, or not whole in bytes: written as a decimal
        ("0.5Ki", "512"),
        ("1000Ki", "1000Ki"),
        ("1.0001Ki", "1024102400u"),
        # limits
        ("0.1n", "1n"),
        ("-0.1n", "-1n"),
        ("1.0000000001", "1000000001n"),
        # numbers, as YAML may give them
        (1, "1"),
        (1000, "1k"),
        (0.25, "250m"),
        (1e-7, "100n"),
    ],
)
def test_canonical_form(text: str | float, canonical: str) -> None:
    assert canonical_quantity(text) == canonical


def test_absurd_exponents_cost_nothing() -> None:
    assert parse_quantity("1e999999999") == 2**63 - 1
    assert parse_quantity("1e-999999999") == Decimal("1e-9")
    assert canonical_quantity("0e999999999") == "0"


@pytest.mark.parametrize(("a", "b"), [("1", "1000m"), ("2Gi", "2048Mi"), ("1k", "1e3"), (2, "2"), ("0", "0Gi")])
def test_equal_whatever_the_notation(a: str | int, b: str) -> None:
    assert quantities_equal(a, b)


def test_binary_and_decimal_suffixes_differ() -> None:
    assert not quantities_equal("1G", "1Gi")


NUMBER_AND_SUFFIX = re.compile(r"[+-]?[0-9]{1,6}(\.[0-9]{0,4})?([KMGT]i|[numkMGT]|e[+-]?[0-9])?", re.ASCII)
QUANTITIES = st.from_regex(NUMBER_AND_SUFFIX, fullmatch=True)


@given(QUANTITIES)
def test_canonical_form_keeps_the_value_and_is_stable(text: str) -> None:
    canonical = canonical_quantity(text)
    assert quantities_equal(text, canonical)
    assert canonical_quantity(canonical) == canonical


@given(QUANTITIES)
def test_the_schema_accepts_what_we_read_and_what_we_write(text: str) -> None:
    assert re.search(QUANTITY_PATTERN, text)
    assert re.search(QUANTITY_PATTERN, canonical_quantity(text))
