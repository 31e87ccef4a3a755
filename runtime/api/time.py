"""RFC 3339 timestamps as Kubernetes writes them: seconds precision in UTC (`Time`) or microseconds (`MicroTime`)."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["format_micro_time", "format_time", "parse_time"]


def format_time(seconds: float) -> str:
    """Format seconds since the epoch as `metav1.Time`, e.g. `2026-11-24T09:00:00Z` (fractions are cut off)."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_micro_time(seconds: float) -> str:
    """Format seconds since the epoch as `metav1.MicroTime`, e.g. `2026-11-24T09:00:00.000000Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> float:
    """Parse an RFC 3339 timestamp into seconds since the epoch.

    Raises:
        ValueError: `text` is not a timestamp with a time zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        msg = f"timestamp {text!r} has no time zone"
        raise ValueError(msg)
    return moment.timestamp()
