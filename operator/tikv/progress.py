"""How far something is, in a text that doesn't change with every single step. Pure functions."""

from __future__ import annotations

__all__ = ["left_on_store", "roughly"]

_EXACT_BELOW = 100


def roughly(count: int) -> str:
    """Return a count for a person: exact below 100, otherwise rounded up to two leading digits.

    A condition that counts down tens of thousands of regions is then written some hundred times, not at every look at PD.
    """
    if count < _EXACT_BELOW:
        return str(count)
    unit = 10 ** (len(str(count)) - 2)
    return f"about {-(-count // unit) * unit}"


def left_on_store(leaders: int, regions: int) -> str:
    """Return what still has to leave a store."""
    return f"{roughly(leaders)} leaders and {roughly(regions)} regions left"
