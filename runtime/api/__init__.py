"""What Kubernetes objects are: typed kinds, metadata, keys, selectors, quantities and times.

Built-in kinds are in `controller_runtime.api.k8s`, CustomResourceDefinitions come from `controller_runtime.api.crd`.
"""

from __future__ import annotations

from controller_runtime.api.meta import (
    Condition,
    Model,
    Object,
    ObjectMeta,
    OwnerReference,
    decode,
    encode,
    source_of,
    to_builtins,
)
from controller_runtime.api.quantity import (
    QUANTITY_PATTERN,
    Quantity,
    canonical_quantity,
    parse_quantity,
    quantities_equal,
)
from controller_runtime.api.resource import ObjectKey, Resource
from controller_runtime.api.schema import CustomResource, PrinterColumn, Rule, Scale, Schema
from controller_runtime.api.selectors import Requirement, Selector, parse_selector, selector
from controller_runtime.api.time import format_micro_time, format_time, parse_time

__all__ = [
    "QUANTITY_PATTERN",
    "Condition",
    "CustomResource",
    "Model",
    "Object",
    "ObjectKey",
    "ObjectMeta",
    "OwnerReference",
    "PrinterColumn",
    "Quantity",
    "Requirement",
    "Resource",
    "Rule",
    "Scale",
    "Schema",
    "Selector",
    "canonical_quantity",
    "decode",
    "encode",
    "format_micro_time",
    "format_time",
    "parse_quantity",
    "parse_selector",
    "parse_time",
    "quantities_equal",
    "selector",
    "source_of",
    "to_builtins",
]
