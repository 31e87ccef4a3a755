"""The shape by which server-side apply and field ownership see an object: which lists are maps or sets, what is atomic.

A shape is read lazily from an OpenAPI schema with the `x-kubernetes-list-type`, `-list-map-keys` and `-map-type`
extensions; a field that no schema describes is *deduced*: its maps merge key by key, its lists are replaced whole.
Shapes are immutable and shared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, final

__all__ = ["ATOMIC", "DEDUCED", "MergeType"]

Merge = Literal["granular", "atomic", "set", "map"]


@final
class MergeType:
    """How one value merges.

    Attributes:
        merge: `granular` (a scalar, or a map merged by key), `atomic` (replaced whole), or a list that is a `set` of
            scalars or a `map` keyed by `keys`.
        keys: the key fields of a list that is a map.
        defaults: values that a missing key field counts as.
    """

    __slots__ = ("_additional", "_children", "_item", "_schema", "defaults", "keys", "merge")

    def __init__(self, schema: Mapping[str, Any] | None) -> None:
        self._schema: Mapping[str, Any] = schema or {}
        self._children: dict[str, MergeType] = {}
        self.keys: tuple[str, ...] = tuple(self._schema.get("x-kubernetes-list-map-keys", ()))
        list_type = self._schema.get("x-kubernetes-list-type", "")
        self.merge: Merge = "granular"
        if list_type in ("set", "map"):
            self.merge = list_type
        elif self._schema.get("x-kubernetes-map-type") == "atomic" or list_type == "atomic":
            self.merge = "atomic"
        properties = self._schema.get("items", {}).get("properties", {})
        self.defaults: Mapping[str, Any] = {
            key: properties[key]["default"] for key in self.keys if "default" in properties.get(key, {})
        }
        self._item: MergeType | None = None
        self._additional: MergeType | None = None

    def field(self, name: str) -> MergeType:
        """The shape of a map's value."""
        child = self._children.get(name)
        if child is not None:
            return child
        schema = self._schema.get("properties", {}).get(name)
        if schema is not None:
            child = self._children[name] = MergeType(schema)
            return child
        return self._values

    def has_field(self, name: str) -> bool:
        """Whether `name` is a named field of a structure, rather than a key of a map."""
        return name in self._schema.get("properties", {})

    @property
    def item(self) -> MergeType:
        """The shape of a list's items."""
        if self._item is None:
            self._item = MergeType(self._schema["items"]) if "items" in self._schema else DEDUCED
        return self._item

    @property
    def _values(self) -> MergeType:
        """The shape of the values of a map without named fields."""
        if self._additional is None:
            schema = self._schema.get("additionalProperties")
            self._additional = MergeType(schema) if isinstance(schema, Mapping) else DEDUCED
        return self._additional


DEDUCED: Final = MergeType(None)
ATOMIC: Final = MergeType({"x-kubernetes-map-type": "atomic"})
