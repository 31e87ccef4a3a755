"""How built-in kinds are decoded, defaulted and checked.

`BuiltinStrategy` does what decoding into a Go type does (unknown fields dropped, wrong types refused, quantities made
canonical) and then calls the kind's own `defaults` and `rules`, if it has any.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from controller_runtime.api.meta import Object
from controller_runtime.api.quantity import canonical_quantity
from controller_runtime.envtest.builtinschema import QUANTITIES, builtin_schema
from controller_runtime.envtest.schema import Node, compile_schema, prune, type_fits
from controller_runtime.envtest.status import Cause, DecodingError, bad_request, go_type
from controller_runtime.envtest.storage import Json

__all__ = ["BuiltinStrategy", "Defaults", "Rules", "UntypedStrategy"]

Defaults = Callable[[Json, Json | None], None]
Rules = Callable[[Json, Json | None, str], list[Cause]]


class BuiltinStrategy:
    """See the module docstring."""

    def __init__(self, typed: type[Object], defaults: Defaults | None = None, rules: Rules | None = None) -> None:
        self._typed = typed
        self._resource = typed.resource
        self._defaults = defaults
        self._rules = rules

    def prune(self, obj: Json) -> list[str]:
        node = _compiled(self._typed)
        _canonical_quantities(node, obj)
        unknown: list[str] = []
        prune(node, obj, "", unknown, root=True)
        for name, part in obj.items():
            child = node.child(name)
            if child is not None and name != "metadata":
                self._check_types(child, part, name)
        return unknown

    def _check_types(self, node: Node, value: Any, path: str) -> None:
        if not type_fits(node, value):
            kind = self._resource.kind
            what = f"{go_type(value)} into Go struct field {kind}.{path} of type {node.type or 'IntOrString'}"
            raise DecodingError(kind, self._resource.version, kind, f"json: cannot unmarshal {what}")
        if isinstance(value, dict):
            for name, inner in value.items():
                child = node.child(name)
                if child is not None:
                    self._check_types(child, inner, f"{path}.{name}" if name in node.properties else path)
        elif isinstance(value, list) and node.items is not None:
            for item in value:
                self._check_types(node.items, item, path)

    def prepare(self, obj: Json, old: Json | None) -> None:
        if self._defaults is not None:
            self._defaults(obj, old)

    def validate(self, obj: Json, old: Json | None, subresource: str) -> list[Cause]:
        return [] if self._rules is None else self._rules(obj, old, subresource)


class UntypedStrategy:
    """For kinds without a typed class: takes every field, and checks by the kind's own rules."""

    def __init__(self, defaults: Defaults | None, rules: Rules) -> None:
        self._defaults = defaults
        self._rules = rules

    def prune(self, obj: Json) -> list[str]:
        return []

    def prepare(self, obj: Json, old: Json | None) -> None:
        if self._defaults is not None:
            self._defaults(obj, old)

    def validate(self, obj: Json, old: Json | None, subresource: str) -> list[Cause]:
        return self._rules(obj, old, subresource)


@functools.cache
def _compiled(typed: type[Object]) -> Node:
    """The compiled schema, which all servers of a process share."""
    return compile_schema(builtin_schema(typed))


def _canonical_quantities(node: Node, value: Any) -> None:
    """Write every quantity as the server would: `1000m` becomes `1`, a number becomes text."""
    if isinstance(value, dict):
        for name, inner in value.items():
            child = node.child(name)
            if child is None:  # what has no schema (as the schema in a CRD) may be called like a quantity, but is none
                continue
            if name in QUANTITIES and child.additional is not None and isinstance(inner, dict):
                for resource, amount in inner.items():
                    inner[resource] = _canonical(amount, f"{name}.{resource}")
            else:
                _canonical_quantities(child, inner)
    elif isinstance(value, list) and node.items is not None:
        for item in value:
            _canonical_quantities(node.items, item)


def _canonical(amount: Any, path: str) -> str:
    try:
        return canonical_quantity(amount)
    except (ValueError, TypeError) as error:
        pattern = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        raise bad_request(f"{path}: {pattern}: {error}") from error
