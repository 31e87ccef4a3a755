"""Tables: how the server prints objects for `kubectl get` (Kubernetes API concepts, "Receiving resources as Tables").

A table has one row per object with the cells of the kind's columns, and as much of the object itself as the request's
`includeObject` asks for. Pure functions; ages are computed from the time that is passed in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from controller_runtime.api.time import parse_time
from controller_runtime.envtest.jsonpath import compile_path
from controller_runtime.envtest.kinds import Column, Kind
from controller_runtime.envtest.storage import Json

__all__ = ["age", "bookmark_table", "custom_columns", "human_duration", "metadata_only", "table"]

_NAME: Final = Column(
    "Name", "string", lambda obj, _: obj["metadata"]["name"], "Name must be unique within a namespace.", "name"
)
_CREATED: Final = Column(
    "Created At", "date", lambda obj, _: obj["metadata"].get("creationTimestamp"), "When the object was created."
)
_CUSTOM_AGE: Final = Column("Age", "date", lambda obj, now: age(obj["metadata"].get("creationTimestamp"), now))


def table(
    kind: Kind, objects: Iterable[Json], *, now: float, include: str, metadata: Json, columns: bool = True
) -> Json:
    """Return a Table.

    Args:
        include: `Object`, `Metadata` or `None`: what comes with each row.
        metadata: the table's own metadata.
        columns: whether the column definitions are sent (of a watch only with the first event).
    """
    shown = _shown(kind)
    rows = [{"cells": [column.cell(obj, now) for column in shown], **_included(obj, include)} for obj in objects]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": [column.definition() for column in shown] if columns else None,
        "rows": rows,
    }


def _shown(kind: Kind) -> tuple[Column, ...]:
    """The columns of a kind; the name comes first, if it has no other place."""
    columns = kind.columns or (_CREATED,)
    return columns if any(column.name == _NAME.name for column in columns) else (_NAME, *columns)


def bookmark_table(kind: Kind, obj: Json, metadata: Json) -> Json:
    """The table that a bookmark comes as: one row of empty cells with the bookmark's metadata."""
    cells = [""] * len(_shown(kind))
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": None,
        "rows": [{"cells": cells, "object": metadata_only(obj)}],
    }


def _included(obj: Json, include: str) -> Json:
    if include == "None":
        return {"object": None}
    return {"object": obj if include == "Object" else metadata_only(obj)}


def metadata_only(obj: Json) -> Json:
    """The object as PartialObjectMetadata."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def custom_columns(definitions: Iterable[Json]) -> tuple[Column, ...]:
    """The columns of a CRD's `additionalPrinterColumns`; an age if it has none.

    Raises:
        JsonPathError: a path cannot be understood.
    """
    columns = tuple(_custom_column(definition) for definition in definitions)
    return columns or (_CUSTOM_AGE,)


def _custom_column(definition: Json) -> Column:
    path = compile_path(definition["jsonPath"])
    column_type = definition["type"]

    def cell(obj: Json, now: float) -> Any:
        found = path(obj)
        return _cell(found[0], column_type, now) if found else None

    return Column(
        definition["name"],
        column_type,
        cell,
        definition.get(
            "description", "Custom resource definition column (in JSONPath format): " + definition["jsonPath"]
        ),
        definition.get("format", ""),
        definition.get("priority", 0),
    )


def _cell(value: Any, column_type: str, now: float) -> Any:
    """A cell holds a value of the column's type, or nothing."""
    if column_type == "date":
        return age(value, now)
    if column_type == "integer":
        return value if isinstance(value, int) and not isinstance(value, bool) else None
    if column_type == "number":
        return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    if column_type == "boolean":
        return value if isinstance(value, bool) else None
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def age(timestamp: Any, now: float) -> str:
    """How long ago a timestamp was, as kubectl prints it."""
    if not isinstance(timestamp, str) or not timestamp:
        return "<unknown>"
    try:
        moment = parse_time(timestamp)
    except ValueError:
        return "<invalid>"
    return human_duration(now - moment)


def human_duration(seconds: float) -> str:
    """A duration as kubectl prints it: two units at most, coarser the longer it is."""
    if seconds < -1:
        return "<invalid>"
    if seconds < 0:
        return "0s"
    total = int(seconds)
    minutes, hours, days = total // 60, total // 3600, total // 86400
    if total < 120:
        return f"{total}s"
    if minutes < 10:
        return f"{minutes}m{total % 60}s" if total % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if days < 730:
        return f"{days}d"
    years = days // 365
    if years < 8:
        return f"{years}y{days % 365}d" if days % 365 else f"{years}y"
    return f"{years}y"
