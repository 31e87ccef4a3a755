"""Patch bodies and their content types (Kubernetes API concepts, "Updating resources").

A patch is bytes with a content type; `merge_diff` computes the smallest JSON merge patch (RFC 7386) between two objects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from controller_runtime.api.meta import encode

__all__ = ["APPLY", "JSON_PATCH", "MERGE_PATCH", "Patch", "json_patch", "merge_diff", "merge_patch"]

MERGE_PATCH: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
APPLY: Final = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class Patch:
    """One patch: its content type and its body."""

    content_type: str
    body: bytes


def merge_patch(changes: dict[str, Any]) -> Patch:
    """A JSON merge patch: keys set to None are removed, lists are replaced whole."""
    return Patch(MERGE_PATCH, encode(changes))


def json_patch(operations: list[dict[str, Any]]) -> Patch:
    """A JSON patch (RFC 6902)."""
    return Patch(JSON_PATCH, encode(operations))


def merge_diff(before: Any, after: Any) -> dict[str, Any]:
    """Return the merge patch that turns `before` into `after` (both dicts); `{}` if they are equal.

    A key that only `before` has becomes None. Lists and scalars are replaced whole.
    """
    changes: dict[str, Any] = {}
    for name in before:
        if name not in after:
            changes[name] = None
    for name, value in after.items():
        if name not in before:
            changes[name] = value
        elif isinstance(value, dict) and isinstance(before[name], dict):
            inner = merge_diff(before[name], value)
            if inner:
                changes[name] = inner
        elif before[name] != value or type(before[name]) is not type(value):
            changes[name] = value
    return changes
