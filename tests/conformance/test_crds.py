"""CustomResourceDefinitions: what is refused, what they bring into being, and what goes with them."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.definitions import CRDS, GROUP, causes, definition, path_of, refused
from helpers.rest import Answer, Api
from helpers.things import THING_CRD, thing, things_path

OBJECT: dict[str, Any] = {"type": "object"}
ROOT = "spec.validation.openAPIV3Schema"


async def proposed(api: Api, schema: Any, **version: Any) -> Answer:
    """Try to define a kind with this schema; nothing is stored."""
    crd = definition("tries", "Try", OBJECT, **version)
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema
    return await api.post(CRDS, crd, dryRun="All")


def with_a(**schema: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": schema}}


def rule(**found: Any) -> dict[str, Any]:
    return with_a(type="string", maxLength=5, **{"x-kubernetes-validations": [found]})


KEYED = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}


@pytest.mark.parametrize(
    ("schema", "field", "message"),
    [
        ({"type": "string"}, "type", 'Invalid value: "string": must be object at the root'),
        (with_a(), "properties[a].type", "Required value: must not be empty for specified object fields"),
        (
            with_a(type="array", items={}),
            "properties[a].items.type",
            "Required value: must not be empty for specified array items",
        ),
        (with_a(type="array"), "properties[a].items", "Required value: must be specified"),
        (
            with_a(type="foo"),
            "properties[a].type",
            'Unsupported value: "foo": supported values: "array", "boolean", "integer", "number", "object", "string"',
        ),
        (
            with_a(type="object", properties={"b": {"type": "string"}}, additionalProperties={"type": "string"}),
            "properties[a].additionalProperties",
            "Forbidden: additionalProperties and properties are mutual exclusive",
        ),
        (
            with_a(type="array", uniqueItems=True, items={"type": "string"}),
            "properties[a].uniqueItems",
            "Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        ),
        (with_a(**{"$ref": "x"}), "properties[a].$ref", "Forbidden: $ref is not supported"),
        (
            with_a(type="integer", default="x"),
            "properties[a].default",
            'Invalid value: "string":  in body must be of type integer: "string"',
        ),
        (
            with_a(type="object", default={"z": 1}, properties={"b": {"type": "string"}}),
            "properties[a].default",
            'Invalid value: {"z":1}: must not have unknown fields',
        ),
        (
            {**with_a(type="string"), "anyOf": [{"properties": {"a": {"default": "y"}}}]},
            "anyOf[0].properties[a].default",
            "Forbidden: must be undefined to be structural",
        ),
        (
            with_a(type="array", items=OBJECT, **{"x-kubernetes-list-type": "map"}),
            "properties[a].x-kubernetes-list-map-keys",
            "Required value: must not be empty if x-kubernetes-list-type is map",
        ),
        (
            with_a(type="array", items=with_a(type="string"), **KEYED),
            "properties[a].x-kubernetes-list-map-keys",
            'Invalid value: ["k"]: entries must all be names of item properties',
        ),
        (
            with_a(type="array", items={"type": "object", "properties": {"k": {"type": "string"}}}, **KEYED),
            "properties[a].items.properties[k].default",
            "Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required "
            "property",
        ),
        (
            with_a(type="array", items={"type": "string"}, **{"x-kubernetes-list-type": "foo"}),
            "properties[a].x-kubernetes-list-type",
            'Unsupported value: "foo": supported values: "atomic", "set", "map"',
        ),
        (
            with_a(type="object", **{"x-kubernetes-preserve-unknown-fields": False}),
            "properties[a].x-kubernetes-preserve-unknown-fields",
            "Invalid value: false: must be true or undefined",
        ),
        (
            {"type": "object", "properties": {"metadata": {"type": "object", "properties": {"labels": OBJECT}}}},
            "properties[metadata]",
            "Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified",
        ),
        (
            rule(rule="self\n!= 'a'"),
            "properties[a].x-kubernetes-validations[0].message",
            "Required value: message must be specified if rule contains line breaks",
        ),
    ],
)
async def test_a_schema_must_be_structural(api: Api, schema: Any, field: str, message: str) -> None:
    answer = await proposed(api, schema)
    refused(answer, 422, "Invalid")
    assert [(found, words) for _, found, words in causes(answer)] == [(f"{ROOT}.{field}", message)]


async def test_a_rule_must_be_an_expression(api: Api) -> None:
    answer = await proposed(api, rule(rule="self ==", message="m"))
    refused(answer, 422, "Invalid")
    [(reason, field, message)] = causes(answer)
    assert (reason, field) == ("FieldValueInvalid", f"{ROOT}.properties[a].x-kubernetes-validations[0].rule")
    assert "compilation failed" in message
    assert "Syntax error" in message


@pytest.mark.parametrize(
    "schema",
    [
        with_a(**{"x-kubernetes-int-or-string": True}),
        with_a(**{"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}),
        with_a(**{"x-kubernetes-preserve-unknown-fields": True}),
        with_a(type="object", additionalProperties=True),
        with_a(type="array", items={"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}}}, **KEYED),
    ],
)  # fmt: skip
async def test_a_structural_schema_is_taken(api: Api, schema: Any) -> None:
    assert (await proposed(api, schema)).status == 201


@pytest.mark.parametrize(
    ("version", "field", "message"),
    [
        (
            {"additionalPrinterColumns": [{"name": "x", "type": "foo", "jsonPath": ".spec"}]},
            "spec.additionalPrinterColumns[0].type",
            'Invalid value: "foo": must be one of boolean,date,integer,number,string',
        ),
        (
            {"additionalPrinterColumns": [{"name": "x", "type": "string"}]},
            "spec.additionalPrinterColumns[0].JSONPath",
            "Required value",
        ),
        (
            {"subresources": {"scale": {"specReplicasPath": "spec", "statusReplicasPath": ".status.replicas"}}},
            "spec.subresources.scale.specReplicasPath",
            'Invalid value: "spec": must be a simple json path starting with .',
        ),
    ],
)
async def test_columns_and_scales_must_lead_somewhere(api: Api, version: Any, field: str, message: str) -> None:
    answer = await proposed(api, OBJECT, **version)
    refused(answer, 422, "Invalid")
    assert [(found, words) for _, found, words in causes(answer)] == [(field, message)]


async def test_the_name_is_made_of_plural_and_group(api: Api) -> None:
    crd = definition("tries", "Try", OBJECT)
    crd["metadata"]["name"] = "other"
    answer = await api.post(CRDS, crd, dryRun="All")
    assert refused(answer, 422, "Invalid") == (
        'CustomResourceDefinition.apiextensions.k8s.io "other" is invalid: metadata.name: Invalid value: "other": must be '
        'spec.names.plural+"."+spec.group'
    )


async def test_a_definition_gets_its_defaults_and_conditions(api: Api) -> None:
    found = (await api.get(f"{CRDS}/{THING_CRD['metadata']['name']}")).ok()
    assert found["spec"]["conversion"] == {"strategy": "None"}
    assert found["status"]["storedVersions"] == ["v1"]
    assert found["status"]["acceptedNames"] == THING_CRD["spec"]["names"]
    conditions = {
        each["type"]: (each["status"], each["reason"], each["message"]) for each in found["status"]["conditions"]
    }
    assert conditions["NamesAccepted"] == ("True", "NoConflicts", "no conflicts found")
    assert conditions["Established"] == ("True", "InitialNamesAccepted", "the initial names have been accepted")


async def test_names_that_are_not_given_are_made_up(api: Api) -> None:
    await api.cluster.install_crds(definition("plains", "Plain", OBJECT))
    names = (await api.get(f"{CRDS}/plains.{GROUP}")).ok()["spec"]["names"]
    assert names == {"plural": "plains", "singular": "plain", "kind": "Plain", "listKind": "PlainList"}
    (await api.delete(f"{CRDS}/plains.{GROUP}")).ok()


async def test_short_names_and_categories_are_discovered(api: Api) -> None:
    crd = definition("shorts", "Short", OBJECT)
    crd["spec"]["names"] |= {"shortNames": ["sh"], "categories": ["all", "cases"]}
    await api.cluster.install_crds(crd)
    resources = (await api.get(f"/apis/{GROUP}/v1")).ok()["resources"]
    [found] = [each for each in resources if each["name"] == "shorts"]
    assert (found["shortNames"], found["categories"], found["kind"]) == (["sh"], ["all", "cases"], "Short")
    (await api.delete(f"{CRDS}/shorts.{GROUP}")).ok()


async def test_the_objects_go_with_their_definition(api: Api, namespace: str) -> None:
    await api.cluster.install_crds(definition("shortlives", "Shortlived", OBJECT))
    body = {"apiVersion": f"{GROUP}/v1", "kind": "Shortlived", "metadata": {"name": "a"}, "spec": {}}
    (await api.post(path_of("shortlives", namespace), body)).ok()
    (await api.delete(f"{CRDS}/shortlives.{GROUP}")).ok()
    await api.gone(f"{CRDS}/shortlives.{GROUP}")
    await api.gone(path_of("shortlives", namespace))
    await api.cluster.install_crds(definition("shortlives", "Shortlived", OBJECT))
    listed = await api.eventually(path_of("shortlives", namespace), lambda answer: answer.status == 200)
    assert listed.json["items"] == []
    (await api.delete(f"{CRDS}/shortlives.{GROUP}")).ok()


async def test_the_columns_are_a_table(api: Api, namespace: str) -> None:
    (await api.post(things_path(namespace), thing("t", size=3, colour="red"))).ok()
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    table = (await api.get(things_path(namespace), accept=accept)).ok()
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    columns = [(each["name"], each["type"], each["priority"]) for each in table["columnDefinitions"]]
    assert columns == [
        ("Name", "string", 0), ("Size", "integer", 0), ("Colour", "string", 0), ("Phase", "string", 1),
    ]  # fmt: skip
    [row] = table["rows"]
    assert row["cells"] == ["t", 3, "red", None]
    assert row["object"]["kind"] == "PartialObjectMetadata"


@pytest.mark.parametrize(
    ("include", "kind"), [("Object", "Thing"), ("Metadata", "PartialObjectMetadata"), ("None", None)]
)
async def test_a_row_brings_what_is_asked_for(api: Api, namespace: str, include: str, kind: str | None) -> None:
    (await api.post(things_path(namespace), thing("t"))).ok()
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    [row] = (await api.get(things_path(namespace), accept=accept, includeObject=include)).ok()["rows"]
    assert (row["object"] or {}).get("kind") == kind
