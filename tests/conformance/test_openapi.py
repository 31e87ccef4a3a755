"""OpenAPI: one document per group version, found through an index, with what kubectl explains and validates."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from helpers.rest import Answer, Api
from helpers.things import GROUP, THING_CRD

DOCUMENT = f"apis/{GROUP}/v1"
METADATA = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


async def located(api: Api, path: str = DOCUMENT) -> tuple[str, str]:
    """The path of a document and the hash that the index has for it."""
    index = (await api.eventually("/openapi/v3", lambda answer: path in answer.ok()["paths"])).json["paths"]
    url = urlsplit(index[path]["serverRelativeURL"])
    return url.path, parse_qs(url.query)["hash"][0]


async def document(api: Api, path: str = DOCUMENT) -> dict[str, Any]:
    return dict((await api.get((await located(api, path))[0])).ok())


def schema_of(found: dict[str, Any], kind: str) -> dict[str, Any]:
    (schema,) = [schema for name, schema in found["components"]["schemas"].items() if name.endswith(f".{kind}")]
    return dict(schema)


class TestIndex:
    async def test_names_a_document_for_each_group_version(self, api: Api) -> None:
        paths = (await api.get("/openapi/v3")).ok()["paths"]
        assert {"api/v1", "apis/apps/v1", "apis/coordination.k8s.io/v1"} <= set(paths)
        path, digest = await located(api)
        assert path == f"/openapi/v3/{DOCUMENT}"
        assert digest

    async def test_has_another_hash_when_a_schema_changes(self, api: Api) -> None:
        group = "changing.example.com"
        crd: dict[str, Any] = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"changings.{group}"},
            "spec": {
                "group": group,
                "scope": "Namespaced",
                "names": {"kind": "Changing", "plural": "changings", "singular": "changing"},
                "versions": [
                    {
                        "name": "v1",
                        "served": True,
                        "storage": True,
                        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"a": {"type": "string"}}}},
                    }
                ],
            },
        }
        await api.cluster.install_crds(crd)
        _, before = await located(api, f"apis/{group}/v1")
        core = await located(api, "api/v1")
        crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["b"] = {"type": "string"}
        await api.cluster.install_crds(crd)

        def changed(answer: Answer) -> bool:
            return before not in answer.ok()["paths"][f"apis/{group}/v1"]["serverRelativeURL"]

        await api.eventually("/openapi/v3", changed)
        assert "b" in schema_of(await document(api, f"apis/{group}/v1"), "Changing")["properties"]
        assert await located(api, "api/v1") == core
        (await api.delete(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/changings.{group}")).ok()


class TestCaching:
    async def test_by_hash_is_for_ever(self, api: Api) -> None:
        path, digest = await located(api)
        answer = await api.get(path, hash=digest)
        assert (answer.status, answer.headers["etag"]) == (200, f'"{digest}"')
        assert answer.headers["cache-control"] == "public, immutable"
        assert answer.headers["content-type"] == "application/json"

    @pytest.mark.parametrize("by_hash", [True, False])
    async def test_sends_nothing_to_who_has_it(self, api: Api, by_hash: bool) -> None:
        path, digest = await located(api)
        query = {"hash": digest} if by_hash else {}
        answer = await api.request("GET", path, headers={"If-None-Match": f'"{digest}"'}, query=query)
        assert (answer.status, answer.body) == (304, b"")

    async def test_leads_from_an_old_hash_to_the_present_one(self, api: Api) -> None:
        path, digest = await located(api)
        answer = await api.request("GET", path, query={"hash": "OLD"})
        if answer.status == 301:  # else the client has followed
            assert answer.headers["location"] == f"{path}?hash={digest}"
        else:
            assert (answer.status, answer.headers["etag"]) == (200, f'"{digest}"')


class TestDocuments:
    async def test_are_openapi_3(self, api: Api) -> None:
        found = await document(api)
        assert set(found) == {"openapi", "info", "paths", "components"}
        assert found["openapi"].startswith("3.0")

    async def test_have_the_schema_of_a_custom_resource(self, api: Api) -> None:
        schema = schema_of(await document(api), "Thing")
        declared: dict[str, Any] = THING_CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
        assert schema["type"] == "object"
        assert schema["x-kubernetes-group-version-kind"] == [{"group": GROUP, "version": "v1", "kind": "Thing"}]
        assert set(schema["properties"]) == {"apiVersion", "kind", "metadata", "spec", "status"}
        assert schema["properties"]["status"] == declared["status"]
        spec = schema["properties"]["spec"]["properties"]
        for name in ("size", "colour", "fixed", "tags", "parts", "steps", "labels", "whole", "free", "note"):
            assert spec[name] == declared["spec"]["properties"][name], name
        assert schema["x-kubernetes-selectable-fields"] == [{"fieldPath": "spec.colour"}]

    @pytest.mark.parametrize(("path", "kind"), [(DOCUMENT, "Thing"), ("api/v1", "ConfigMap"), ("api/v1", "Pod")])
    async def test_have_metadata_in_one_place(self, api: Api, path: str, kind: str) -> None:
        found = await document(api, path)
        names = [name for name in found["components"]["schemas"] if name.endswith(f".{kind}")]
        schema = found["components"]["schemas"][min(names, key=len)]
        assert schema["properties"]["metadata"]["allOf"] == [{"$ref": f"#/components/schemas/{METADATA}"}]
        metadata = found["components"]["schemas"][METADATA]["properties"]
        assert {"name", "namespace", "labels", "annotations", "ownerReferences", "finalizers"} <= set(metadata)

    async def test_have_built_in_kinds_too(self, api: Api) -> None:
        schema = (await document(api, "api/v1"))["components"]["schemas"]["io.k8s.api.core.v1.ConfigMap"]
        assert set(schema["properties"]) == {"apiVersion", "kind", "metadata", "data", "binaryData", "immutable"}
        assert schema["properties"]["data"]["additionalProperties"]["type"] == "string"
        assert schema["x-kubernetes-group-version-kind"] == [{"group": "", "version": "v1", "kind": "ConfigMap"}]

    async def test_have_the_operations_with_what_kubectl_looks_for(self, api: Api) -> None:
        paths = (await document(api))["paths"]
        base = f"/apis/{GROUP}/v1"
        one = f"{base}/namespaces/{{namespace}}/things/{{name}}"
        expected = {
            f"{base}/things": {"get"},
            f"{base}/namespaces/{{namespace}}/things": {"delete", "get", "post"},
            one: {"delete", "get", "patch", "put"},
            f"{one}/status": {"get", "patch", "put"},
        }
        assert {path: set(paths[path]) - {"parameters"} for path in expected} == expected
        patch = paths[one]["patch"]
        assert patch["x-kubernetes-action"] == "patch"
        assert patch["x-kubernetes-group-version-kind"] == {"group": GROUP, "version": "v1", "kind": "Thing"}
        names = {parameter["name"] for parameter in patch["parameters"]}
        assert {"dryRun", "fieldManager", "fieldValidation", "force"} <= names

    async def test_of_what_is_not_there_are_not_found(self, api: Api) -> None:
        assert (await api.get("/openapi/v3/apis/nowhere.example.com/v1")).status == 404


async def test_the_old_form_is_there_for_old_clients(api: Api) -> None:
    assert (await api.get("/openapi/v2")).ok()["swagger"] == "2.0"
