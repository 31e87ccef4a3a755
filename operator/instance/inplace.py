"""What of a newly rendered pod a running one can take over, and what has to wait for its next restart. Pure functions.

A pod's metadata and its images can be changed while it runs, the rest of its spec can't. A pod that was made by another
version of the operator, under another address of PD, say, differs in that rest; the API server would refuse the whole change.

Only what is rendered is compared: what the API server, admission webhooks or the scheduler added is theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from controller_runtime.api import parse_quantity, to_builtins
from controller_runtime.api.k8s import Container, Pod
from tikv_operator.common.keys import ANNOTATION_UNRELOADED_CONFIG

__all__ = ["can_take_over", "frozen_differences", "metadata_changes"]

_IDENTITIES: Final = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "volumeMounts": "mountPath",
    "ports": "containerPort",
}
"""The lists whose items are compared one by one, by what tells them apart."""
_QUANTITIES: Final = frozenset({"limits", "requests", "overhead"})
_QUANTITY: Final = frozenset({"divisor", "sizeLimit"})
_OURS_ALONE: Final = frozenset({ANNOTATION_UNRELOADED_CONFIG})
"""Annotations that are removed, too, when they aren't rendered any more."""


def frozen_differences(expected: Pod, current: Pod) -> list[str]:
    """Return where a running pod differs from what is rendered now and can't be changed; as paths, in the order of the spec."""
    return list(_differences(to_builtins(expected.spec), to_builtins(current.spec), "", ""))


def can_take_over(expected: Pod, current: Pod) -> bool:
    """Return whether there is something that the running pod should take over: metadata, or an image."""
    return bool(metadata_changes(expected, current)) or _images(expected) - _images(current) != set()


def metadata_changes(expected: Pod, current: Pod) -> dict[str, dict[str, str | None]]:
    """Return the labels and annotations to set, and (as None) to remove, in the form of a merge patch of the metadata."""
    gone = (_OURS_ALONE & current.metadata.annotations.keys()) - expected.metadata.annotations.keys()
    labels, annotations = (
        {key: value for key, value in wanted.items() if present.get(key) != value}
        for wanted, present in (
            (expected.metadata.labels, current.metadata.labels),
            (expected.metadata.annotations, current.metadata.annotations),
        )
    )
    changes: dict[str, dict[str, str | None]] = {
        "labels": dict(labels),
        "annotations": {**annotations, **dict.fromkeys(sorted(gone))},
    }
    return {name: change for name, change in changes.items() if change}


def _images(pod: Pod) -> set[tuple[str, str | None]]:
    containers: list[Container] = [] if pod.spec is None else [*pod.spec.containers, *(pod.spec.init_containers or ())]
    return {(container.name, container.image) for container in containers}


def _differences(wanted: Any, present: Any, path: str, field: str) -> Iterator[str]:
    if isinstance(wanted, dict) and isinstance(present, dict):
        for name, value in wanted.items():
            if name == "image" or value in (None, "", [], {}):
                continue
            inner = f"{path}.{name}" if path else name
            if name in _QUANTITIES and isinstance(value, dict):
                if not _same_quantities(value, present.get(name)):
                    yield inner
            else:
                yield from _differences(value, present.get(name), inner, name)
    elif isinstance(wanted, list) and isinstance(present, list) and field in _IDENTITIES:
        identity = _IDENTITIES[field]
        known = {item.get(identity): item for item in present}
        for item in wanted:
            yield from _differences(item, known.get(item.get(identity)), f"{path}[{item.get(identity)}]", "")
    elif isinstance(wanted, list) and isinstance(present, list) and all(isinstance(item, dict) for item in wanted):
        if not all(any(not list(_differences(item, other, "", "")) for other in present) for item in wanted):
            yield path
    elif wanted != present and not (field in _QUANTITY and _amount(wanted) == _amount(present)):
        yield path


def _same_quantities(wanted: dict[str, Any], present: Any) -> bool:
    return isinstance(present, dict) and all(
        _amount(value) == _amount(present.get(name)) for name, value in wanted.items()
    )


def _amount(value: Any) -> Decimal | None:
    try:
        return None if value is None else parse_quantity(value)
    except (ValueError, InvalidOperation):
        return None
