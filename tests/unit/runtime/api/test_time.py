"""Timestamps as Kubernetes writes them."""

from __future__ import annotations

import pytest

from controller_runtime.api import format_micro_time, format_time, parse_time


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "1970-01-01T00:00:00Z"), (1735095903.999, "2024-12-25T03:05:03Z"), (1e9, "2001-09-09T01:46:40Z")],
)
def test_time_has_seconds_and_cuts_fractions(seconds: float, text: str) -> None:
    assert format_time(seconds) == text


def test_micro_time_has_six_digits() -> None:
    assert format_micro_time(0) == "1970-01-01T00:00:00.000000Z"
    assert format_micro_time(1.5) == "1970-01-01T00:00:01.500000Z"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0.0),
        ("1970-01-01T01:00:00+01:00", 0.0),
        ("1970-01-01T00:00:01.500000Z", 1.5),
        ("2024-12-25T03:41:23.480549971Z", 1735098083.480549),
    ],
)
def test_parsing(text: str, seconds: float) -> None:
    assert parse_time(text) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize("text", ["", "now", "2024-12-25T03:41:23", "2024-13-01T00:00:00Z"])
def test_what_is_no_timestamp_with_a_zone_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_time(text)


def test_both_ways() -> None:
    assert format_time(parse_time("2026-11-24T09:00:00Z")) == "2026-11-24T09:00:00Z"
    assert parse_time(format_micro_time(12.25)) == 12.25
