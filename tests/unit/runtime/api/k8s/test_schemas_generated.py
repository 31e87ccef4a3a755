"""How the schemas of built-in types are made of what an API server publishes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from helpers.generators import loaded

PREFIX = "io.k8s.api.core.v1"


@pytest.fixture
def generator() -> Iterator[ModuleType]:
    with loaded("generate_schemas") as module:
        yield module


def reference(name: str, **beside: Any) -> dict[str, Any]:
    return {"allOf": [{"$ref": f"#/components/schemas/{name}"}], **beside}


def document(**schemas: Any) -> dict[str, Any]:
    return {"components": {"schemas": schemas}}


def field_of(generator: ModuleType, field: dict[str, Any], *, required: bool = False) -> Any:
    owner = {"type": "object", "properties": {"a": field}, **({"required": ["a"]} if required else {})}
    other = {"type": "object"}
    quantity = "io.k8s.apimachinery.pkg.api.resource.Quantity"
    schemas = {"Owner": owner, "Other": other, quantity: {"oneOf": [{"type": "string"}, {"type": "number"}]}}
    return generator.types_of(document(**schemas), ("Owner",))["Owner"]["properties"]["a"]


@pytest.mark.parametrize(
    ("published", "written"),
    [
        pytest.param({"type": "string", "description": "words"}, {"type": "string"}, id="no descriptions"),
        pytest.param({"type": "string", "enum": ["A"]}, {"type": "string"}, id="no choices"),
        pytest.param({"type": "integer", "format": "int32"}, {"type": "integer", "format": "int32"}, id="formats"),
        pytest.param(
            {"type": "string", "default": "TCP"}, {"type": "string", "default": "TCP"}, id="declared defaults"
        ),
        pytest.param({"type": "string", "default": ""}, {"type": "string", "default": ""}, id="empty ones, too"),
        pytest.param(reference("Other", default={}), {"$ref": "Other"}, id="an empty structure is no default"),
        pytest.param(reference("Other", description="words"), {"$ref": "Other"}, id="references are names"),
        pytest.param(
            {
                "type": "array",
                "items": reference("Other", default={}),
                "x-kubernetes-list-type": "atomic",
                "x-kubernetes-patch-strategy": "merge",
                "x-kubernetes-patch-merge-key": "a",
            },
            {"type": "array", "items": {"$ref": "Other"}, "x-kubernetes-list-type": "atomic"},
            id="lists, without what only patches of built-in kinds know",
        ),
        pytest.param(
            {"type": "object", "additionalProperties": {"type": "string", "default": ""}},
            {"type": "object", "additionalProperties": {"type": "string"}},
            id="maps",
        ),
    ],
)
def test_a_field_is_written_as_a_definition_says_it(generator: ModuleType, published: Any, written: Any) -> None:
    assert field_of(generator, published) == written


def test_a_required_field_has_no_default(generator: ModuleType) -> None:
    assert field_of(generator, {"type": "string", "default": ""}, required=True) == {"type": "string"}


def test_a_default_that_other_generators_do_not_see_is_left_out(generator: ModuleType) -> None:
    name = f"{PREFIX}.AzureDiskVolumeSource"
    disk = {"type": "object", "properties": {"kind": {"type": "string", "default": "Shared"}}}
    assert generator.types_of(document(**{name: disk}), (name,))[name]["properties"]["kind"] == {"type": "string"}


def test_quantities_are_numbers_or_texts_of_their_pattern(generator: ModuleType) -> None:
    name = "io.k8s.apimachinery.pkg.api.resource.Quantity"
    found = generator.types_of(document(Owner={"type": "object", "properties": {"a": reference(name)}}), ("Owner",))
    assert found["Owner"]["properties"]["a"] == {"$ref": name}
    assert found[name]["x-kubernetes-int-or-string"] is True
    assert found[name]["anyOf"] == [{"type": "integer"}, {"type": "string"}]
    assert found[name]["pattern"].startswith("^")


def test_all_that_the_roots_are_made_of_is_written_and_nothing_else(generator: ModuleType) -> None:
    schemas = {
        "Root": {"type": "object", "properties": {"list": {"type": "array", "items": reference("Item")}}},
        "Item": {"type": "object", "additionalProperties": reference("Value")},
        "Value": {"type": "string"},
        "Apart": {"type": "string"},
    }
    assert generator.types_of(document(**schemas), ("Root",)).keys() == {"Root", "Item", "Value"}


def test_a_keyword_that_nobody_has_decided_on_is_an_error(generator: ModuleType) -> None:
    with pytest.raises(generator.UnknownKeyword, match=r"^Owner\.a: minimum$"):
        field_of(generator, {"type": "integer", "minimum": 1})


def test_the_committed_file_is_laid_out_as_the_generator_does_it(generator: ModuleType) -> None:
    """That it says what is published is seen on the real API server: tests/real/test_published_schemas.py."""
    text = generator.TARGET.read_text()
    found = json.loads(text)
    assert text == generator.text_of(found["kubernetes"], found["types"])
    assert set(generator.ROOTS) <= found["types"].keys()
