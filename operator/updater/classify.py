"""Which instances of a group are of the wanted revision, which are not, and which are on their way out.

Pure functions over instances that the caller owns; the order of the instances (by name) is kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tikv_operator.common.instances import (
    Instance,
    is_available,
    is_offline,
    is_offlined,
    is_up_to_date,
)
from tikv_operator.common.keys import ANNOTATION_DEFER_DELETE, LABEL_INSTANCE_REVISION

__all__ = ["Classes", "classify", "is_unavailable_update"]

I = TypeVar("I", bound=Instance)  # noqa: E741 (an instance kind)


@dataclass(slots=True)
class Classes(Generic[I]):
    """The instances of a group, each in exactly one class.

    Attributes:
        update: of the wanted revision.
        outdated: of another revision.
        being_offline: their store is leaving the cluster, which can still be taken back.
        deleted: to be removed: marked for it, or without a store.
        ending: the API server is deleting them already; nothing is done about them any more.
    """

    update: list[I] = field(default_factory=list)
    outdated: list[I] = field(default_factory=list)
    being_offline: list[I] = field(default_factory=list)
    deleted: list[I] = field(default_factory=list)
    ending: list[I] = field(default_factory=list)


def classify(instances: Iterable[I], revision: str | None) -> Classes[I]:
    """Sort instances into classes.

    Args:
        revision: the name of the wanted revision; None if any will do, so that no instance is outdated.
    """
    classes: Classes[I] = Classes()
    for instance in instances:
        _class_of(classes, instance, revision).append(instance)
    return classes


def _class_of(classes: Classes[I], instance: I, revision: str | None) -> list[I]:
    metadata = instance.metadata
    if metadata.deletion_timestamp is not None:
        return classes.ending
    if ANNOTATION_DEFER_DELETE in metadata.annotations or is_offlined(instance):
        return classes.deleted
    if is_offline(instance):
        return classes.being_offline
    if revision is None or metadata.labels.get(LABEL_INSTANCE_REVISION) == revision:
        return classes.update
    return classes.outdated


def is_unavailable_update(instance: Instance, min_ready_seconds: float, now: float) -> bool:
    """Return whether an instance of the wanted revision can't be counted on yet."""
    return not is_available(instance, min_ready_seconds, now) or not is_up_to_date(instance)
