"""Which instance an action hits.

A policy narrows a list of instances; `choose` asks one policy after the other. A policy that leaves exactly one has
decided, one that leaves none is passed over, and of what is left in the end the first is taken (instances are in the order
of their names, so the choice never depends on chance).

Pure functions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final, TypeVar

from tikv_operator.common.instances import Instance, is_not_running, is_ready, is_up_to_date
from tikv_operator.common.keys import ANNOTATION_PRIORITY

__all__ = ["Policy", "choose", "not_running", "preferred", "priority", "unready"]

I = TypeVar("I", bound=Instance)  # noqa: E741 (an instance kind)

_LONGEST_RANK: Final = 18
"""Digits of a priority. An annotation may be a quarter of a megabyte long, more than an integer can be made from."""

Policy = Callable[[Sequence[I]], Sequence[I]]


def choose(instances: Sequence[I], *policies: Policy[I]) -> I:
    """Return the instance that the policies, the most important first, agree on.

    Raises:
        ValueError: there are no instances.
    """
    if not instances:
        msg = "there is no instance to choose"
        raise ValueError(msg)
    left = instances
    for policy in policies:
        preferred_ones = policy(left)
        if len(preferred_ones) == 1:
            return preferred_ones[0]
        if preferred_ones:
            left = preferred_ones
    return left[0]


def not_running(instances: Sequence[I]) -> Sequence[I]:
    """Prefer instances that are known not to run."""
    return [instance for instance in instances if is_not_running(instance)]


def unready(instances: Sequence[I]) -> Sequence[I]:
    """Prefer instances that are not ready, or whose controller has not caught up with them."""
    return [instance for instance in instances if not is_up_to_date(instance) or not is_ready(instance)]


def priority(instances: Sequence[I]) -> Sequence[I]:
    """Prefer the instances with the smallest priority; those without a valid one come last."""
    ranked = [(rank, instance) for instance in instances if (rank := _rank(instance)) is not None]
    if not ranked:
        return instances
    smallest = min(rank for rank, _ in ranked)
    return [instance for rank, instance in ranked if rank == smallest]


def preferred(names: Collection[str]) -> Policy[I]:
    """Prefer the instances of these names."""

    def policy(instances: Sequence[I]) -> Sequence[I]:
        return [instance for instance in instances if instance.metadata.name in names]

    return policy


def _rank(instance: Instance) -> int | None:
    text = instance.metadata.annotations.get(ANNOTATION_PRIORITY, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_RANK else None
