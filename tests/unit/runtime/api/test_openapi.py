"""A type becomes a structural schema."""

from __future__ import annotations

import enum
from typing import Annotated, Any, ClassVar, Literal

import pytest
from msgspec import field

from controller_runtime.api import Model, Quantity, Rule, Schema
from controller_runtime.api.k8s import PodSpec
from controller_runtime.api.openapi import SchemaError, model_schema


class Colour(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


class Item(Model, kw_only=True):
    """One item.

    Not part of the description.
    """

    name: str
    weight: Annotated[int | None, Schema(format="int32", minimum=1)] = None


class Named(Model, kw_only=True):
    __schema__ = Schema(map_type="atomic", rules=(Rule("self.name != 'base'", "base"),))

    name: Annotated[str | None, Schema(default="")] = None


class Special(Named, kw_only=True):
    __schema__ = Schema(rules=(Rule("self.name != 'own'", "own"),))


Labels = Annotated[dict[str, str], Schema(min_properties=1)]


class Everything(Model, kw_only=True):
    text: str
    number: int
    real: float
    flag: bool
    anything: Any
    maybe: str | None = None
    zero: Annotated[int, Schema(required=True)] = field(default_factory=int)
    not_required: Annotated[str, Schema(required=False)]
    wire: str | None = field(name="wireIP", default=None)
    defaulted: Annotated[str, Schema(default="x", min_length=1, max_length=9, pattern="^x")] = "x"
    choice: Literal["a", "b"] | None = None
    colour: Colour | None = None
    listed: Annotated[str | None, Schema(enum=("s", "t"))] = None
    numbers: list[int] | None = None
    matrix: list[list[int]] | None = None
    names: Annotated[list[str], Schema(list_type="set", items=Schema(pattern="^n"), max_items=3)] = field(
        default_factory=list
    )
    items: Annotated[list[Item] | None, Schema(list_type="map", list_map_keys=("name",))] = None
    labels: Annotated[Labels | None, Schema(max_properties=2)] = None
    free: dict[str, Any] | None = None
    free_list: list[Any] | None = None
    port: int | str | None = None
    quantity: Quantity | None = None
    forced: Annotated[str | None, Schema(int_or_string=True)] = None
    given: Annotated[dict[str, Any] | None, Schema(schema={"type": "object", "description": "as it is"})] = None
    null: Annotated[str | None, Schema(nullable=True)] = None
    kept: Annotated[Item | None, Schema(preserve_unknown_fields=True, description="Kept.")] = None
    constant: ClassVar[int] = 1

    documented: str | None = None
    """What it is
    for.

    And more.
    """


SCHEMA = model_schema(Everything)
PROPERTIES = SCHEMA["properties"]
INT_OR_STRING = {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}
ITEM = {
    "type": "object",
    "description": "One item.",
    "properties": {"name": {"type": "string"}, "weight": {"type": "integer", "format": "int32", "minimum": 1}},
    "required": ["name"],
}


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("text", {"type": "string"}),
        ("number", {"type": "integer"}),
        ("real", {"type": "number"}),
        ("flag", {"type": "boolean"}),
        ("anything", {"x-kubernetes-preserve-unknown-fields": True}),
        ("maybe", {"type": "string"}),
        ("wireIP", {"type": "string"}),
        ("defaulted", {"type": "string", "default": "x", "minLength": 1, "maxLength": 9, "pattern": "^x"}),
        ("choice", {"type": "string", "enum": ["a", "b"]}),
        ("colour", {"type": "string", "enum": ["red", "blue"]}),
        ("listed", {"type": "string", "enum": ["s", "t"]}),
        ("numbers", {"type": "array", "items": {"type": "integer"}}),
        ("matrix", {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}),
        (
            "names",
            {
                "type": "array",
                "items": {"type": "string", "pattern": "^n"},
                "maxItems": 3,
                "x-kubernetes-list-type": "set",
            },
        ),
        (
            "items",
            {
                "type": "array",
                "items": ITEM,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            },
        ),
        (
            "labels",
            {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1, "maxProperties": 2},
        ),
        ("free", {"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
        ("freeList", {"type": "array", "items": {"x-kubernetes-preserve-unknown-fields": True}}),
        ("port", INT_OR_STRING),
        ("forced", INT_OR_STRING),
        ("given", {"type": "object", "description": "as it is"}),
        ("null", {"type": "string", "nullable": True}),
        ("kept", {**ITEM, "x-kubernetes-preserve-unknown-fields": True, "description": "Kept."}),
        ("documented", {"type": "string", "description": "What it is for."}),
    ],
)
def test_field(name: str, schema: dict[str, Any]) -> None:
    assert PROPERTIES[name] == schema


def test_quantity_is_a_number_or_a_string_of_its_pattern() -> None:
    quantity = PROPERTIES["quantity"]
    assert quantity.pop("pattern").startswith("^")
    assert quantity == INT_OR_STRING


def test_required_are_the_fields_without_a_python_default_unless_said_otherwise() -> None:
    assert SCHEMA["required"] == ["anything", "flag", "number", "real", "text", "zero"]


def test_class_variables_are_no_fields() -> None:
    assert "constant" not in PROPERTIES


def test_fields_can_be_excluded() -> None:
    schema = model_schema(Item, exclude=("name",))
    assert "required" not in schema
    assert list(schema["properties"]) == ["weight"]


def test_marks_of_a_class_are_inherited_and_its_own_rules_come_first() -> None:
    schema = model_schema(Special)
    assert schema["x-kubernetes-map-type"] == "atomic"
    assert [rule["message"] for rule in schema["x-kubernetes-validations"]] == ["own", "base"]


def test_marks_of_a_field_come_on_top_of_those_of_its_class() -> None:
    class Holder(Model, kw_only=True):
        inner: Annotated[Special | None, Schema(map_type="granular", rules=(Rule("true", "field", ".name"),))] = None

    inner = model_schema_of_local(Holder, Special)["properties"]["inner"]
    assert inner["x-kubernetes-map-type"] == "granular"
    assert inner["x-kubernetes-validations"][-1] == {"rule": "true", "message": "field", "fieldPath": ".name"}
    assert [rule["message"] for rule in inner["x-kubernetes-validations"]] == ["own", "base", "field"]


def model_schema_of_local(holder: type[Model], *_: type[Model]) -> dict[str, Any]:
    """Name the types that string annotations of a local class refer to, so that linters see them used."""
    return model_schema(holder)


class Node(Model, kw_only=True):
    children: list[Node] | None = None


class Unkeyed(Model, kw_only=True):
    items: Annotated[list[Item], Schema(list_type="map")]


class MissingKey(Model, kw_only=True):
    items: Annotated[list[Item], Schema(list_type="map", list_map_keys=("colour",))]


class OptionalKey(Model, kw_only=True):
    items: Annotated[list[Item], Schema(list_type="map", list_map_keys=("weight",))]


class TwoTypes(Model, kw_only=True):
    value: bool | list[str]


class NumberKeys(Model, kw_only=True):
    value: dict[int, str]


class Bytes(Model, kw_only=True):
    value: bytes


class PartOfNothing(Model):
    value: Annotated[dict[str, Any] | None, Schema(part_of=Item)] = None


class MixedEnum(Model, kw_only=True):
    value: Literal[1, "a"]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Node, r"Node\.children\[\]: Node contains itself"),
        (Unkeyed, r"Unkeyed\.items: a list of type map needs list_map_keys"),
        (MissingKey, r"MissingKey\.items: the items have no field 'colour'"),
        (OptionalKey, r"OptionalKey\.items: the key 'weight' must be required, or have a default"),
        (TwoTypes, r"TwoTypes\.value: .* has no structural schema"),
        (NumberKeys, r"NumberKeys\.value: the keys of a map must be strings"),
        (Bytes, r"Bytes\.value: .*bytes.* has no structural schema"),
        (PartOfNothing, r"PartOfNothing\.value: the schema of Item isn't known"),
        (MixedEnum, r"MixedEnum\.value: the values of an enumeration must be scalars of one type"),
    ],
)
def test_what_a_server_would_refuse_is_refused_with_its_path(model: type[Model], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        model_schema(model)


class Partly(Model, kw_only=True):
    spec: Annotated[
        dict[str, Any] | None, Schema(part_of=PodSpec, rules=(Rule("!has(self.hostNetwork)", "not that"),))
    ] = None
    """Any part of a pod's spec."""


def test_a_part_of_a_built_in_type_has_its_schema_and_the_marks_of_the_field() -> None:
    spec = model_schema(Partly)["properties"]["spec"]
    assert spec["properties"]["hostNetwork"] == {"type": "boolean"}
    assert spec["x-kubernetes-preserve-unknown-fields"] is True
    assert spec["description"] == "Any part of a pod's spec."
    assert spec["x-kubernetes-validations"] == [{"rule": "!has(self.hostNetwork)", "message": "not that"}]


def test_the_result_is_private() -> None:
    first = model_schema(Everything)
    first["properties"]["given"]["description"] = "changed"
    assert model_schema(Everything)["properties"]["given"]["description"] == "as it is"
