"""A typed kind becomes a CustomResourceDefinition: the Python type is the only source.

The schema comes from the type's fields (`controller_runtime.api.openapi` has the rules), everything else from its
`resource` and, if it has one, its class variable `definition`.

Example:
    class Widget(Object):
        resource = Resource(group="example.com", version="v1", kind="Widget", plural="widgets")
        definition: ClassVar[CustomResource] = CustomResource(short_names=("w",))
        spec: WidgetSpec
        status: WidgetStatus | None = None

    custom_resource_definition(Widget)     # a dict, ready to be applied or written as YAML
"""

from __future__ import annotations

from typing import Any

from controller_runtime.api.meta import Object
from controller_runtime.api.openapi import SchemaError, model_schema
from controller_runtime.api.schema import CustomResource, PrinterColumn, Rule, Scale

__all__ = ["SchemaError", "custom_resource_definition"]


def custom_resource_definition(kind: type[Object]) -> dict[str, Any]:
    """Return the CustomResourceDefinition (`apiextensions.k8s.io/v1`) of a kind, with its one version.

    Raises:
        SchemaError: a part of the type has no structural schema; the message names it.
    """
    resource = kind.resource
    definition: CustomResource = getattr(kind, "definition", CustomResource())
    metadata: dict[str, Any] = {"name": f"{resource.plural}.{resource.group}"}
    if definition.annotations:
        metadata["annotations"] = dict(definition.annotations)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": metadata,
        "spec": {
            "group": resource.group,
            "names": _names(kind, definition),
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "versions": [_version(kind, definition)],
        },
    }


def _names(kind: type[Object], definition: CustomResource) -> dict[str, Any]:
    name = kind.resource.kind
    names: dict[str, Any] = {
        "kind": name,
        "listKind": definition.list_kind or f"{name}List",
        "plural": kind.resource.plural,
        "singular": definition.singular or name.lower(),
    }
    if definition.short_names:
        names["shortNames"] = list(definition.short_names)
    if definition.categories:
        names["categories"] = list(definition.categories)
    return names


def _version(kind: type[Object], definition: CustomResource) -> dict[str, Any]:
    version: dict[str, Any] = {
        "name": kind.resource.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _root_schema(kind, definition.rules)},
    }
    subresources: dict[str, Any] = {}
    if definition.status:
        subresources["status"] = {}
    if definition.scale:
        subresources["scale"] = _scale(definition.scale)
    if subresources:
        version["subresources"] = subresources
    if definition.printer_columns:
        version["additionalPrinterColumns"] = [_column(column) for column in definition.printer_columns]
    if definition.selectable_fields:
        version["selectableFields"] = [{"jsonPath": path} for path in definition.selectable_fields]
    return version


def _root_schema(kind: type[Object], rules: tuple[Rule, ...]) -> dict[str, Any]:
    schema = model_schema(kind, exclude=("api_version", "kind", "metadata"), rules=rules)
    schema["properties"] = {
        "apiVersion": {"type": "string", "description": "Group and version of the schema that this object follows."},
        "kind": {"type": "string", "description": "The kind of this object."},
        "metadata": {"type": "object"},
        **schema.get("properties", {}),
    }
    return schema


def _scale(scale: Scale) -> dict[str, str]:
    paths = {"specReplicasPath": scale.spec_replicas_path, "statusReplicasPath": scale.status_replicas_path}
    if scale.label_selector_path:
        paths["labelSelectorPath"] = scale.label_selector_path
    return paths


def _column(column: PrinterColumn) -> dict[str, Any]:
    written: dict[str, Any] = {"name": column.name, "type": column.type, "jsonPath": column.json_path}
    if column.description:
        written["description"] = column.description
    if column.format:
        written["format"] = column.format
    if column.priority:
        written["priority"] = column.priority
    return written
