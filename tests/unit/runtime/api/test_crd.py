"""A typed kind becomes a CustomResourceDefinition."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from msgspec import field

from controller_runtime.api import CustomResource, Model, Object, PrinterColumn, Resource, Rule, Scale, Schema
from controller_runtime.api.crd import custom_resource_definition


class WidgetSpec(Model, kw_only=True):
    """What is wanted."""

    replicas: Annotated[int, Schema(format="int32", minimum=0)]


class WidgetStatus(Model, kw_only=True):
    ready: bool | None = None


class Widget(Object, kw_only=True):
    """A widget."""

    resource = Resource(group="example.com", version="v1beta1", kind="Widget", plural="widgets")
    definition: ClassVar[CustomResource] = CustomResource(
        short_names=("w",),
        categories=("all",),
        scale=Scale(label_selector_path=".status.selector"),
        printer_columns=(
            PrinterColumn("Ready", "string", ".status.ready", description="Works.", priority=1),
            PrinterColumn("Age", "date", ".metadata.creationTimestamp", format="date"),
        ),
        selectable_fields=(".spec.replicas",),
        rules=(Rule("size(self.metadata.name) < 9", "too long", reason="FieldValueInvalid"),),
        annotations=(("example.com/a", "b"),),
    )

    spec: WidgetSpec
    status: WidgetStatus | None = None


class Plain(Object, kw_only=True):
    resource = Resource(group="example.com", version="v1", kind="Plain", plural="plains", namespaced=False)
    data: dict[str, str] = field(default_factory=dict)


def version_of(kind: type[Object]) -> dict[str, Any]:
    (version,) = custom_resource_definition(kind)["spec"]["versions"]
    assert isinstance(version, dict)
    return version


def test_names_group_and_scope() -> None:
    definition = custom_resource_definition(Widget)
    assert definition["metadata"] == {"name": "widgets.example.com", "annotations": {"example.com/a": "b"}}
    assert definition["spec"]["group"] == "example.com"
    assert definition["spec"]["scope"] == "Namespaced"
    assert definition["spec"]["names"] == {
        "kind": "Widget",
        "listKind": "WidgetList",
        "plural": "widgets",
        "singular": "widget",
        "shortNames": ["w"],
        "categories": ["all"],
    }


def test_the_version_is_served_and_stored() -> None:
    version = version_of(Widget)
    assert (version["name"], version["served"], version["storage"]) == ("v1beta1", True, True)


def test_subresources() -> None:
    assert version_of(Widget)["subresources"] == {
        "status": {},
        "scale": {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        },
    }


def test_printer_columns_keep_their_order() -> None:
    assert version_of(Widget)["additionalPrinterColumns"] == [
        {"name": "Ready", "type": "string", "jsonPath": ".status.ready", "description": "Works.", "priority": 1},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp", "format": "date"},
    ]


def test_selectable_fields() -> None:
    assert version_of(Widget)["selectableFields"] == [{"jsonPath": ".spec.replicas"}]


def test_root_schema_has_type_meta_an_open_metadata_and_the_rules_of_the_root() -> None:
    schema = version_of(Widget)["schema"]["openAPIV3Schema"]
    assert schema["type"] == "object"
    assert schema["description"] == "A widget."
    assert schema["required"] == ["spec"]
    assert schema["properties"]["apiVersion"]["type"] == "string"
    assert schema["properties"]["kind"]["type"] == "string"
    assert schema["properties"]["metadata"] == {"type": "object"}
    assert schema["properties"]["spec"]["required"] == ["replicas"]
    assert schema["x-kubernetes-validations"] == [
        {"rule": "size(self.metadata.name) < 9", "message": "too long", "reason": "FieldValueInvalid"}
    ]


def test_a_kind_without_a_definition_has_the_defaults() -> None:
    definition = custom_resource_definition(Plain)
    assert definition["spec"]["scope"] == "Cluster"
    version = version_of(Plain)
    assert version["subresources"] == {"status": {}}
    assert "additionalPrinterColumns" not in version
    assert "selectableFields" not in version
    assert "x-kubernetes-validations" not in version["schema"]["openAPIV3Schema"]


def test_calls_do_not_share_anything() -> None:
    first = custom_resource_definition(Widget)
    first["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["metadata"]["type"] = "changed"
    assert version_of(Widget)["schema"]["openAPIV3Schema"]["properties"]["metadata"] == {"type": "object"}
