"""Events have two faces: `events.k8s.io/v1`, in which they are stored, and the older `v1`. They differ in names only."""

from __future__ import annotations

from typing import Final

from controller_runtime.envtest.selection import FieldValue, field_at
from controller_runtime.envtest.storage import Json, ResourceId

__all__ = ["CORE_FIELDS", "FIELDS", "STORAGE", "core_defaults", "defaults", "from_core", "to_core"]

STORAGE: Final[ResourceId] = ("events.k8s.io", "events")

_CORE_NAMES: Final = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_NEW_NAMES: Final = {core: new for new, core in _CORE_NAMES.items()}


def to_core(event: Json) -> Json:
    """Return the event as `v1`."""
    core = {_CORE_NAMES.get(name, name): value for name, value in event.items()}
    core["apiVersion"] = "v1"
    return core


def from_core(event: Json) -> Json:
    """Return a `v1` event as `events.k8s.io/v1`."""
    new = {_NEW_NAMES.get(name, name): value for name, value in event.items()}
    new["apiVersion"] = "events.k8s.io/v1"
    return new


def core_defaults(event: Json, old: Json | None) -> None:
    """What a `v1` event always has, be it empty."""
    for name in ("firstTimestamp", "lastTimestamp", "eventTime"):
        event.setdefault(name, None)
    for name in ("reportingComponent", "reportingInstance"):
        event.setdefault(name, "")
    event.setdefault("source", {})


def defaults(event: Json, old: Json | None) -> None:
    """What an `events.k8s.io/v1` event always has, be it empty."""
    for name in ("deprecatedFirstTimestamp", "deprecatedLastTimestamp", "eventTime"):
        event.setdefault(name, None)
    event.setdefault("deprecatedSource", {})


def _about(face: str) -> dict[str, FieldValue]:
    """The fields by which either face selects; values are read from the stored form."""
    fields = {f"{face}.{name}": field_at(f"regarding.{name}") for name in _REFERENCE}
    return {
        **fields,
        "reason": field_at("reason"),
        "type": field_at("type"),
        "reportingComponent": field_at("reportingController"),
    }


_REFERENCE: Final = ("apiVersion", "fieldPath", "kind", "name", "namespace", "resourceVersion", "uid")
CORE_FIELDS: Final = {**_about("involvedObject"), "source": field_at("deprecatedSource.component")}
FIELDS: Final = {**_about("regarding"), **_about("involvedObject")}
