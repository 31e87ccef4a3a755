"""CustomResourceDefinitions: what makes one valid, and what it serves."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.apiserver import WIDGETS, Server, names, widget, widget_crd

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def test_a_definition_is_established_and_served_at_once() -> None:
    server = Server()
    created = server.ok("POST", CRDS, widget_crd())
    conditions = {item["type"]: item["status"] for item in created["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}
    assert created["status"]["storedVersions"] == ["v1"]
    assert created["status"]["acceptedNames"]["listKind"] == "WidgetList"
    assert created["spec"]["names"]["singular"] == "widget"
    assert server("POST", WIDGETS, widget()).status == 201


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"group": ""}, "spec.group"),
        ({"scope": "Galaxy"}, "spec.scope"),
        ({"names": {"plural": "gadgets", "kind": "Gadget"}}, "metadata.name"),
        ({"versions": []}, "spec.versions"),
        (
            {"versions": [{"name": "v1", "served": True, "storage": True}]},
            "spec.versions[0].schema.openAPIV3Schema",
        ),
        ({"conversion": {"strategy": "Webhook"}}, "spec.conversion.strategy"),
    ],
)
def test_a_definition_is_refused_with_the_field_that_is_wrong(change: dict[str, Any], field: str) -> None:
    crd = widget_crd()
    crd["spec"].update(change)
    reply = Server()("POST", CRDS, crd)
    assert reply.status == 422
    assert field in [name for name, _ in reply.causes]


@pytest.mark.parametrize(
    ("schema", "field"),
    [
        ({"type": "string", "pattern": "("}, "spec.validation.openAPIV3Schema.properties[spec].pattern"),
        (
            {"type": "object", "x-kubernetes-validations": [{"rule": "self ==", "message": "m"}]},
            "spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].rule",
        ),
    ],
)
def test_a_schema_that_cannot_be_compiled_is_refused(schema: dict[str, Any], field: str) -> None:
    assert Server()("POST", CRDS, widget_crd(schema)).causes[0][0] == field


def test_a_changed_schema_holds_from_then_on() -> None:
    server = Server(widget_crd({"type": "object", "properties": {"a": {"type": "string"}}}))
    assert server.ok("POST", WIDGETS, widget(spec={"a": "x", "b": "y"}))["spec"] == {"a": "x"}
    crd = server.ok("GET", f"{CRDS}/widgets.example.com")
    properties = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    properties["spec"]["properties"]["b"] = {"type": "string"}
    server.ok("PUT", f"{CRDS}/widgets.example.com", crd)
    assert server.merge(f"{WIDGETS}/w", {"spec": {"b": "y"}}).body["spec"] == {"a": "x", "b": "y"}


def test_cluster_scoped_kinds_have_no_namespace() -> None:
    server = Server(widget_crd(scope="Cluster"))
    created = server.ok("POST", "/apis/example.com/v1/widgets", widget(namespace="default"))
    assert "namespace" not in created["metadata"]
    assert server("GET", WIDGETS).status == 404


def test_several_versions_share_their_objects() -> None:
    crd = widget_crd()
    first = crd["spec"]["versions"][0]
    crd["spec"]["versions"] = [{**first, "name": "v1beta1", "storage": False}, first]
    server = Server(crd)
    beta = "/apis/example.com/v1beta1/namespaces/default/widgets"
    created = server.ok("POST", beta, {**widget(spec={"a": 1}), "apiVersion": "example.com/v1beta1"})
    assert created["apiVersion"] == "example.com/v1beta1"
    assert server.ok("GET", f"{WIDGETS}/w")["apiVersion"] == "example.com/v1"
    assert {item["apiVersion"] for item in server.ok("GET", beta)["items"]} == {"example.com/v1beta1"}
    group = server.ok("GET", "/apis/example.com")
    assert [version["version"] for version in group["versions"]] == ["v1", "v1beta1"]


class TestScale:
    PATHS = {  # noqa: RUF012
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }

    def server(self) -> Server:
        server = Server(widget_crd(subresources={"scale": self.PATHS}))
        server.ok("POST", WIDGETS, widget(spec={"replicas": 3, "other": 1}))
        server.merge(f"{WIDGETS}/w/status", {"status": {"replicas": 2, "selector": "a=b"}})
        return server

    def test_shows_the_replicas(self) -> None:
        scale = self.server().ok("GET", f"{WIDGETS}/w/scale")
        assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
        assert (scale["spec"], scale["status"]) == ({"replicas": 3}, {"replicas": 2, "selector": "a=b"})

    def test_sets_the_replicas_and_nothing_else(self) -> None:
        server = self.server()
        scale = server.ok("GET", f"{WIDGETS}/w/scale")
        scale["spec"]["replicas"] = 5
        assert server.ok("PUT", f"{WIDGETS}/w/scale", scale)["spec"] == {"replicas": 5}
        assert server.merge(f"{WIDGETS}/w/scale", {"spec": {"replicas": 6}}).body["spec"] == {"replicas": 6}
        after = server.ok("GET", f"{WIDGETS}/w")
        assert after["spec"] == {"replicas": 6, "other": 1}
        assert after["metadata"]["generation"] == 3
        assert server("PUT", f"{WIDGETS}/w/scale", scale).status == 409

    @pytest.mark.parametrize(("replicas", "code"), [(-1, 422), ("many", 422), (True, 422)])
    def test_refuses_what_is_no_number_of_replicas(self, replicas: Any, code: int) -> None:
        assert self.server().merge(f"{WIDGETS}/w/scale", {"spec": {"replicas": replicas}}).status == code

    def test_of_an_object_without_replicas_is_an_error(self) -> None:
        server = Server(widget_crd(subresources={"scale": self.PATHS}))
        server.ok("POST", WIDGETS, widget(spec={}))
        reply = server("GET", f"{WIDGETS}/w/scale")
        assert (reply.status, reply.body["kind"]) == (500, "Status")


class TestDiscovery:
    AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"

    def test_shows_a_custom_kind_in_every_form(self) -> None:
        server = Server(widget_crd())
        groups = [group["name"] for group in server.ok("GET", "/apis")["groups"]]
        assert "example.com" in groups
        listed = {item["name"]: item for item in server.ok("GET", "/apis/example.com/v1")["resources"]}
        assert set(listed) == {"widgets", "widgets/status"}
        assert listed["widgets"]["shortNames"] == ["wd"]
        aggregated = server.ok("GET", "/apis", accept=self.AGGREGATED)
        assert aggregated["kind"] == "APIGroupDiscoveryList"
        found = {item["metadata"]["name"]: item for item in aggregated["items"]}
        [resource] = found["example.com"]["versions"][0]["resources"]
        assert resource["resource"] == "widgets"
        assert resource["responseKind"] == {"group": "example.com", "version": "v1", "kind": "Widget"}

    def test_of_the_core_group_stands_apart(self) -> None:
        server = Server()
        assert server.ok("GET", "/api")["versions"] == ["v1"]
        items = server.ok("GET", "/api", accept=self.AGGREGATED)["items"]
        assert [item["metadata"]["name"] for item in items] == [""]
        assert "pods" in {item["name"] for item in server.ok("GET", "/api/v1")["resources"]}

    def test_lists_an_openapi_document_for_each_version(self) -> None:
        server = Server(widget_crd({"type": "object", "properties": {"n": {"x-kubernetes-int-or-string": True}}}))
        before = server.ok("GET", "/openapi/v3")["paths"]
        assert {"api/v1", "apis/example.com/v1"} <= set(before)
        document = server.ok("GET", "/openapi/v3/apis/example.com/v1")
        schema = document["components"]["schemas"]["com.example.v1.Widget"]
        assert schema["properties"]["spec"]["properties"]["n"]["oneOf"] == [{"type": "integer"}, {"type": "string"}]
        assert schema["x-kubernetes-group-version-kind"] == [
            {"group": "example.com", "version": "v1", "kind": "Widget"}
        ]
        assert server("GET", "/openapi/v3/apis/nobody.example/v1").status == 404

    def test_urls_of_openapi_documents_change_with_their_content(self) -> None:
        server = Server(widget_crd())
        before = server.ok("GET", "/openapi/v3")["paths"]
        crd = f"{CRDS}/widgets.example.com"
        server.merge(crd, {"spec": {"names": {"kind": "Gadget", "listKind": "GadgetList", "singular": "gadget"}}})
        after = server.ok("GET", "/openapi/v3")["paths"]
        assert after["api/v1"] == before["api/v1"]
        assert after["apis/example.com/v1"] != before["apis/example.com/v1"]

    @pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz", "/readyz/ping"])
    def test_health_is_plain_text(self, path: str) -> None:
        assert Server()("GET", path).body == b"ok"

    def test_version(self) -> None:
        assert Server().ok("GET", "/version")["major"] == "1"


def test_objects_of_two_definitions_do_not_mix() -> None:
    other = widget_crd()
    other["metadata"]["name"] = "widgets.other.example"
    other["spec"]["group"] = "other.example"
    server = Server(widget_crd(), other)
    server.ok("POST", WIDGETS, widget("a"))
    assert names(server.ok("GET", "/apis/other.example/v1/widgets")) == []


def test_a_field_that_is_called_like_a_quantity_is_no_quantity() -> None:
    limits = {"type": "object", "additionalProperties": {"type": "integer"}}
    created = Server().ok("POST", CRDS, widget_crd({"type": "object", "properties": {"limits": limits}}))
    root = created["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert root["properties"]["spec"]["properties"]["limits"] == limits
