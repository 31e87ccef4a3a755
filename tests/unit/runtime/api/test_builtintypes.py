"""The schema of a part of a built-in type: checked where it is known, open where it isn't."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from controller_runtime.api import Model, ObjectMeta, k8s
from controller_runtime.api.builtintypes import part_schema
from controller_runtime.api.k8s import Container, PersistentVolumeClaimSpec, PodSpec, ServiceSpec
from controller_runtime.envtest.structural import structural_problems

Json = dict[str, Any]

WHOLES = pytest.mark.parametrize("whole", [PodSpec, PersistentVolumeClaimSpec], ids=lambda whole: whole.__name__)


def part(whole: type) -> Json:
    schema = part_schema(whole)
    assert schema is not None
    return schema


def walk(schema: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    """Yield every schema in a schema, with its path."""
    yield path, schema
    for name, below in schema.get("properties", {}).items():
        yield from walk(below, f"{path}.{name}")
    for keyword, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if keyword in schema:
            yield from walk(schema[keyword], path + mark)


def at(whole: type, path: str) -> Json:
    return dict(walk(part(whole)))[path]


@WHOLES
def test_is_what_a_definition_may_say(whole: type) -> None:
    assert structural_problems(part(whole), "schema") == []


def test_requires_nothing_of_the_type_itself() -> None:
    assert "required" not in part(PodSpec)


@pytest.mark.parametrize(
    ("path", "required"),
    [
        (".containers[]", ["name"]),
        (".containers[].volumeMounts[]", ["mountPath", "name"]),
        (".containers[].readinessProbe.httpGet", ["port"]),
        (".volumes[]", ["name"]),
        (".topologySpreadConstraints[]", ["maxSkew", "topologyKey", "whenUnsatisfiable"]),
    ],
)
def test_requires_what_the_parts_require(path: str, required: list[str]) -> None:
    assert sorted(at(PodSpec, path)["required"]) == required


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        (".containers", ["name"]),
        (".initContainers", ["name"]),
        (".containers[].env", ["name"]),
        (".containers[].ports", ["containerPort", "protocol"]),
        (".containers[].volumeMounts", ["mountPath"]),
        (".volumes", ["name"]),
        (".imagePullSecrets", ["name"]),
    ],
)
def test_says_what_tells_the_items_of_a_list_apart(path: str, keys: list[str]) -> None:
    found = at(PodSpec, path)
    assert (found["x-kubernetes-list-type"], found["x-kubernetes-list-map-keys"]) == ("map", keys)


def test_has_the_defaults_that_are_declared_and_no_other() -> None:
    defaults = {path: schema["default"] for path, schema in walk(part(PodSpec)) if "default" in schema}
    assert defaults[".containers[].ports[].protocol"] == "TCP"
    assert defaults[".volumes[].configMap.name"] == ""
    for path, schema in walk(part(PodSpec)):
        for name in schema.get("required", ()):
            assert f"{path}.{name}" not in defaults, "it could not be missing"


@WHOLES
def test_every_structure_keeps_what_it_does_not_know(whole: type) -> None:
    objects = {path: schema for path, schema in walk(part(whole)) if schema.get("type") == "object"}
    assert len(objects) > 5
    closed = [
        path
        for path, schema in objects.items()
        if "additionalProperties" not in schema and schema.get("x-kubernetes-preserve-unknown-fields") is not True
    ]
    assert closed == []


@WHOLES
def test_has_neither_words_nor_choices(whole: type) -> None:
    for path, schema in walk(part(whole)):
        assert not {"description", "enum", "$ref", "oneOf", "allOf"} & schema.keys(), path


def test_results_share_nothing() -> None:
    first = part(PodSpec)
    first["properties"]["containers"]["items"]["properties"].clear()
    assert part(PodSpec)["properties"]["containers"]["items"]["properties"]["image"] == {"type": "string"}


def test_parts_of_parts_are_known_too() -> None:
    assert part(Container) == {
        name: value for name, value in at(PodSpec, ".containers[]").items() if name != "required"
    }


def test_a_type_that_nobody_has_asked_for_is_not_known() -> None:
    assert part_schema(ServiceSpec) is None
    assert part_schema(ObjectMeta) is None


def test_a_class_that_is_only_called_like_a_type_is_none() -> None:
    impostor = msgspec.defstruct("PodSpec", [], bases=(Model,))
    assert part_schema(impostor) is None


@WHOLES
def test_what_it_knows_is_what_the_class_knows(whole: type[Model]) -> None:
    """Both are generated, from two sources: what the API server lets in, the typed object must be able to hold."""
    assert list(unlike(whole, part(whole))) == []


def test_a_field_that_the_class_does_not_have_would_be_found() -> None:
    schema = part(PodSpec)
    schema["properties"]["containers"]["items"]["properties"]["new"] = {"type": "string"}
    assert list(unlike(PodSpec, schema)) == ["Container.new"]


def unlike(model: type[Model], schema: Json) -> Iterator[str]:
    """Yield the fields that either a class or its schema doesn't have, at any depth."""
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(model)}
    properties = schema["properties"]
    yield from (f"{model.__name__}.{name}" for name in sorted(fields.keys() ^ properties.keys()))
    for name in fields.keys() & properties.keys():
        for below in models_in(fields[name]):
            yield from unlike(below, properties[name].get("items", properties[name]))


def models_in(annotation: Any) -> list[type[Model]]:
    """The generated classes in an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return [annotation] if annotation.__module__.startswith(k8s.__name__) else []
    return [found for inner in getattr(annotation, "__args__", ()) for found in models_in(inner)]
