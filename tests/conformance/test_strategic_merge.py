"""Strategic merge patches: lists of built-in kinds merge by key, with directives; custom resources have none of it."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.definitions import refused
from helpers.rest import STRATEGIC, Api
from helpers.things import thing, things_path

POD = {
    "metadata": {"name": "p", "finalizers": ["example.com/1", "example.com/2"]},
    "spec": {
        "containers": [
            {"name": "a", "image": "i:1", "env": [{"name": "E", "value": "1"}]},
            {"name": "b", "image": "i:2"},
        ],
        "tolerations": [{"key": "k", "operator": "Exists"}],
    },
}
SERVICE = {
    "metadata": {"name": "s"},
    "spec": {"selector": {"a": "b"}, "ports": [{"name": "x", "port": 80}, {"name": "y", "port": 81}]},
}


async def patched(api: Api, namespace: str, plural: str, obj: Any, patch: Any) -> Any:
    path = f"/api/v1/namespaces/{namespace}/{plural}"
    (await api.post(path, obj)).ok()
    answer = await api.patch(f"{path}/{obj['metadata']['name']}", patch, content_type=STRATEGIC)
    cleared = {"metadata": {"finalizers": None}}
    (await api.patch(f"{path}/{obj['metadata']['name']}", cleared)).ok()
    return answer


async def test_items_merge_by_their_key(api: Api, namespace: str) -> None:
    patch = {"spec": {"containers": [{"name": "b", "image": "i:3"}]}}
    containers = (await patched(api, namespace, "pods", POD, patch)).ok()["spec"]["containers"]
    assert [(each["name"], each["image"]) for each in containers] == [("a", "i:1"), ("b", "i:3")]
    assert containers[0]["env"] == [{"name": "E", "value": "1"}]


@pytest.mark.parametrize(
    ("finalizers", "expected"),
    [
        ({"finalizers": ["example.com/3"]}, ["example.com/3", "example.com/1", "example.com/2"]),
        ({"finalizers": ["example.com/2"]}, ["example.com/1", "example.com/2"]),
        ({"$deleteFromPrimitiveList/finalizers": ["example.com/1"]}, ["example.com/2"]),
        (
            {"$setElementOrder/finalizers": ["example.com/2", "example.com/1"]},
            ["example.com/2", "example.com/1"],
        ),
        (
            {
                "$setElementOrder/finalizers": ["example.com/3", "example.com/2", "example.com/1"],
                "finalizers": ["example.com/3"],
            },
            ["example.com/3", "example.com/2", "example.com/1"],
        ),
    ],
)
async def test_lists_of_scalars_are_sets(api: Api, namespace: str, finalizers: Any, expected: list[str]) -> None:
    answer = await patched(api, namespace, "pods", POD, {"metadata": finalizers})
    assert answer.ok()["metadata"]["finalizers"] == expected


@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        ({"ports": [{"port": 80, "name": "z"}]}, [("z", 80), ("y", 81)]),
        ({"ports": [{"port": 81, "$patch": "delete"}]}, [("x", 80)]),
        ({"ports": [{"$patch": "replace"}, {"port": 99, "name": "z"}]}, [("z", 99)]),
        (
            {
                "$setElementOrder/ports": [{"port": 81}, {"port": 80}, {"port": 82}],
                "ports": [{"port": 82, "name": "z"}],
            },
            [("y", 81), ("x", 80), ("z", 82)],
        ),
        ({"ports": [{"port": 82, "name": "z"}]}, [("z", 82), ("x", 80), ("y", 81)]),
    ],
)
async def test_directives_in_lists(api: Api, namespace: str, ports: Any, expected: Any) -> None:
    found = (await patched(api, namespace, "services", SERVICE, {"spec": ports})).ok()["spec"]["ports"]
    assert [(port["name"], port["port"]) for port in found] == expected


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({"n": "1"}, {"a": "b", "n": "1"}),
        ({"a": None, "n": "1"}, {"n": "1"}),
        ({"$patch": "replace", "n": "1"}, {"n": "1"}),
        ({"$retainKeys": ["n"], "n": "1"}, {"n": "1"}),
    ],
)
async def test_directives_in_maps(api: Api, namespace: str, selector: Any, expected: Any) -> None:
    answer = await patched(api, namespace, "services", SERVICE, {"spec": {"selector": selector}})
    assert answer.ok()["spec"]["selector"] == expected


async def test_lists_without_a_key_are_replaced(api: Api, namespace: str) -> None:
    tolerations = [{"key": "k", "operator": "Exists"}, {"key": "z", "operator": "Exists"}]
    found = (await patched(api, namespace, "pods", POD, {"spec": {"tolerations": tolerations}})).ok()
    assert found["spec"]["tolerations"][:2] == tolerations


async def test_an_item_without_its_key_is_refused(api: Api, namespace: str) -> None:
    answer = await patched(api, namespace, "pods", POD, {"spec": {"containers": [{"image": "i:3"}]}})
    assert refused(answer, 500, "") == "map: map[image:i:3] does not contain declared merge key: name"


async def test_an_unknown_directive_is_refused(api: Api, namespace: str) -> None:
    answer = await patched(api, namespace, "pods", POD, {"metadata": {"$patch": "frob"}})
    assert refused(answer, 500, "") == "unknown patch type: frob in map: map[$patch:frob]"


async def test_conditions_of_a_node_merge_by_type(api: Api, namespace: str) -> None:
    path = f"/api/v1/nodes/{namespace}"
    (await api.post("/api/v1/nodes", {"metadata": {"name": namespace}})).ok()
    first = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    second = {"status": {"conditions": [{"type": "Disk", "status": "True"}, {"type": "Ready", "status": "False"}]}}
    (await api.patch(f"{path}/status", first, content_type=STRATEGIC)).ok()
    found = (await api.patch(f"{path}/status", second, content_type=STRATEGIC)).ok()["status"]["conditions"]
    (await api.delete(path)).ok()
    assert {each["type"]: each["status"] for each in found} == {"Ready": "False", "Disk": "True"}


async def test_custom_resources_have_no_strategic_merge(api: Api, namespace: str) -> None:
    (await api.post(things_path(namespace), thing("t"))).ok()
    answer = await api.patch(things_path(namespace, "t"), {"spec": {"size": 2}}, content_type=STRATEGIC)
    assert refused(answer, 415, "UnsupportedMediaType") == (
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
    )
