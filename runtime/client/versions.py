"""Comparing resourceVersions.

A resourceVersion is opaque in principle. Where both are decimal numbers, as every API server sends them, the versions of one
resource type are ordered like the numbers (Kubernetes has promised so since 1.35); of any others only equality is known.
"""

from __future__ import annotations

__all__ = ["compare_versions"]


def compare_versions(a: str, b: str) -> int | None:
    """Return a negative number, zero or a positive one if `a` is older than, the same as or newer than `b`.

    None means that it cannot be known.
    """
    if a == b:
        return 0
    if a.isascii() and b.isascii() and a.isdigit() and b.isdigit():
        return int(a) - int(b)
    return None
