"""Markers that carry OpenAPI validation in `Annotated[...]`: the Python type is the only source of a CRD.

msgspec ignores them, so reading stays lenient; `controller_runtime.api.crd` turns them into a structural schema.

Example:
    replicas: Annotated[int | None, Schema(minimum=0, format="int32")] = None
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

__all__ = ["UNSET", "CustomResource", "PrinterColumn", "Rule", "Scale", "Schema"]


class _Unset:
    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = _Unset()


@dataclass(frozen=True, slots=True)
class Rule:
    """One `x-kubernetes-validations` entry: a CEL expression over `self` (and `oldSelf` for a transition rule)."""

    rule: str
    message: str
    field_path: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """Validation, defaulting and merge hints of one field, by their OpenAPI names.

    `default` is the server-side default (applied by the API server, never by the Python type). `schema` replaces the
    generated schema of the field altogether. `part_of` replaces it by that of a built-in type (a class of
    `controller_runtime.api.k8s`) of which the field holds any part, known to this version of Kubernetes or not.
    `items` annotates the items of a list or the values of a map. `required` overrides what the Python default says.
    """

    description: str = ""
    default: Any = UNSET
    enum: tuple[str, ...] = ()
    format: str = ""
    pattern: str = ""
    minimum: int | None = None
    maximum: int | None = None
    min_length: int | None = None
    max_length: int | None = None
    min_items: int | None = None
    max_items: int | None = None
    min_properties: int | None = None
    max_properties: int | None = None
    list_type: Literal["", "atomic", "set", "map"] = ""
    list_map_keys: tuple[str, ...] = ()
    map_type: Literal["", "atomic", "granular"] = ""
    int_or_string: bool = False
    preserve_unknown_fields: bool = False
    embedded_resource: bool = False
    nullable: bool = False
    required: bool | None = None
    rules: tuple[Rule, ...] = ()
    items: Schema | None = None
    part_of: type | None = None
    schema: dict[str, Any] | None = field(default=None, hash=False)


@dataclass(frozen=True, slots=True)
class PrinterColumn:
    """One column of `kubectl get`."""

    name: str
    type: str
    json_path: str
    description: str = ""
    format: str = ""
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Scale:
    """The paths of the scale subresource."""

    spec_replicas_path: str = ".spec.replicas"
    status_replicas_path: str = ".status.replicas"
    label_selector_path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomResource:
    """What a CRD says beside the schema. Give it to a kind as the class variable `definition`.

    `rules` are CEL rules of the root object (they see `self.metadata.name`).
    """

    singular: str = ""
    list_kind: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    status: bool = True
    scale: Scale | None = None
    printer_columns: tuple[PrinterColumn, ...] = ()
    selectable_fields: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
