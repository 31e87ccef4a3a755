"""Discovery in both its forms, the version, and the health of the server."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.rest import Api
from helpers.things import GROUP

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


async def resources(api: Api, path: str) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in (await api.get(path)).ok()["resources"]}


class TestGroups:
    async def test_the_core_group_has_one_version(self, api: Api) -> None:
        answer = (await api.get("/api")).ok()
        assert (answer["kind"], answer["versions"]) == ("APIVersions", ["v1"])

    @pytest.mark.parametrize("group", ["apps", "coordination.k8s.io", "rbac.authorization.k8s.io", GROUP])
    async def test_each_other_is_listed_and_has_a_page(self, api: Api, group: str) -> None:
        listing = (await api.get("/apis")).ok()
        assert (listing["kind"], listing["apiVersion"]) == ("APIGroupList", "v1")
        (entry,) = [entry for entry in listing["groups"] if entry["name"] == group]
        version = {"groupVersion": f"{group}/v1", "version": "v1"}
        assert version in entry["versions"]
        assert entry["preferredVersion"] == version
        assert (await api.get(f"/apis/{group}")).ok() == {"kind": "APIGroup", "apiVersion": "v1", **entry}

    async def test_the_root_lists_paths(self, api: Api) -> None:
        paths = (await api.get("/")).ok()["paths"]
        assert {"/api", "/api/v1", "/apis", "/apis/apps/v1", "/livez", "/openapi/v3", "/version"} <= set(paths)


class TestResources:
    async def test_of_the_core_group(self, api: Api) -> None:
        answer = (await api.get("/api/v1")).ok()
        assert (answer["kind"], answer["groupVersion"], answer.get("apiVersion")) == ("APIResourceList", "v1", None)

    @pytest.mark.parametrize(
        ("path", "expected"),
        [
            (
                "/api/v1",
                {
                    "name": "pods",
                    "singularName": "pod",
                    "namespaced": True,
                    "kind": "Pod",
                    "verbs": VERBS,
                    "shortNames": ["po"],
                    "categories": ["all"],
                    "storageVersionHash": "xPOwRZ+Yhw8=",
                },
            ),
            (
                "/api/v1",
                {
                    "name": "namespaces",
                    "singularName": "namespace",
                    "namespaced": False,
                    "kind": "Namespace",
                    "verbs": [verb for verb in VERBS if verb != "deletecollection"],
                    "shortNames": ["ns"],
                },
            ),
            (
                "/api/v1",
                {
                    "name": "pods/eviction",
                    "singularName": "",
                    "namespaced": True,
                    "group": "policy",
                    "version": "v1",
                    "kind": "Eviction",
                    "verbs": ["create"],
                },
            ),
            (
                "/api/v1",
                {"name": "pods/status", "singularName": "", "kind": "Pod", "verbs": ["get", "patch", "update"]},
            ),
            ("/api/v1", {"name": "pods/binding", "kind": "Binding", "verbs": ["create"]}),
            ("/api/v1", {"name": "pods/log", "kind": "Pod", "verbs": ["get"]}),
            ("/api/v1", {"name": "pods/exec", "kind": "PodExecOptions", "verbs": ["create", "get"]}),
            (
                "/api/v1",
                {
                    "name": "services/proxy",
                    "kind": "ServiceProxyOptions",
                    "verbs": ["create", "delete", "get", "patch", "update"],
                },
            ),
            ("/api/v1", {"name": "namespaces/finalize", "kind": "Namespace", "verbs": ["update"]}),
            ("/apis/coordination.k8s.io/v1", {"name": "leases", "namespaced": True, "kind": "Lease", "verbs": VERBS}),
            ("/apis/storage.k8s.io/v1", {"name": "storageclasses", "namespaced": False, "shortNames": ["sc"]}),
            (
                "/apis/apiextensions.k8s.io/v1",
                {"name": "customresourcedefinitions", "shortNames": ["crd", "crds"], "categories": ["api-extensions"]},
            ),
            (
                "/apis/authentication.k8s.io/v1",
                {
                    "name": "selfsubjectreviews",
                    "singularName": "selfsubjectreview",
                    "namespaced": False,
                    "kind": "SelfSubjectReview",
                    "verbs": ["create"],
                },
            ),
            (
                f"/apis/{GROUP}/v1",
                {
                    "name": "things",
                    "singularName": "thing",
                    "namespaced": True,
                    "kind": "Thing",
                    "verbs": ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"],
                    "shortNames": ["th"],
                },
            ),
            (
                f"/apis/{GROUP}/v1",
                {"name": "things/status", "singularName": "", "kind": "Thing", "verbs": ["get", "patch", "update"]},
            ),
            (
                f"/apis/{GROUP}/v1",
                {
                    "name": "things/scale",
                    "group": "autoscaling",
                    "version": "v1",
                    "kind": "Scale",
                    "verbs": ["get", "patch", "update"],
                },
            ),
        ],
    )
    async def test_say_what_can_be_done_with_them(self, api: Api, path: str, expected: dict[str, Any]) -> None:
        found = (await resources(api, path))[expected["name"]]
        assert {name: found.get(name) for name in expected} == expected


class TestAggregatedDiscovery:
    async def groups(self, api: Api, path: str) -> dict[str, dict[str, Any]]:
        answer = await api.get(path, accept=f"{AGGREGATED},application/json;q=0.9")
        assert answer.headers["content-type"] == AGGREGATED
        listing = answer.ok()
        assert (listing["kind"], listing["apiVersion"]) == ("APIGroupDiscoveryList", "apidiscovery.k8s.io/v2")
        return {group["metadata"].get("name", ""): group for group in listing["items"]}

    async def test_has_the_core_group_in_one_piece(self, api: Api) -> None:
        (group,) = (await self.groups(api, "/api")).values()
        (version,) = group["versions"]
        assert (version["version"], version["freshness"]) == ("v1", "Current")
        found = {entry["resource"]: entry for entry in version["resources"]}
        assert found["configmaps"] == {
            "resource": "configmaps",
            "responseKind": {"group": "", "version": "", "kind": "ConfigMap"},
            "scope": "Namespaced",
            "singularResource": "configmap",
            "verbs": VERBS,
            "shortNames": ["cm"],
        }
        parts = {entry["subresource"]: entry for entry in found["pods"]["subresources"]}
        eviction = {"group": "policy", "version": "v1", "kind": "Eviction"}
        assert parts["eviction"] == {"subresource": "eviction", "responseKind": eviction, "verbs": ["create"]}
        assert parts["status"]["verbs"] == ["get", "patch", "update"]

    async def test_has_all_other_groups_in_one_piece(self, api: Api) -> None:
        groups = await self.groups(api, "/apis")
        assert {"apps", "coordination.k8s.io", GROUP} <= set(groups)
        (version,) = groups[GROUP]["versions"]
        (found,) = version["resources"]
        kind = {"group": GROUP, "version": "v1", "kind": "Thing"}
        assert {name: found[name] for name in ("resource", "responseKind", "scope", "shortNames")} == {
            "resource": "things",
            "responseKind": kind,
            "scope": "Namespaced",
            "shortNames": ["th"],
        }
        parts = {entry["subresource"]: entry["responseKind"] for entry in found["subresources"]}
        assert parts == {"status": kind, "scale": {"group": "autoscaling", "version": "v1", "kind": "Scale"}}

    @pytest.mark.parametrize("path", ["/api", "/apis"])
    async def test_is_not_sent_again_to_who_has_it(self, api: Api, path: str) -> None:
        first = await api.get(path, accept=AGGREGATED)
        tag = first.headers["etag"]
        assert tag.strip('"')
        again = await api.request("GET", path, accept=AGGREGATED, headers={"If-None-Match": tag})
        assert (again.status, again.body) == (304, b"")

    @pytest.mark.parametrize(
        "accept", ["application/json", "*/*", f"{AGGREGATED.replace('v=v2', 'v=v9')},application/json"]
    )
    async def test_is_only_for_who_asks_for_it(self, api: Api, accept: str) -> None:
        assert (await api.get("/api", accept=accept)).ok()["kind"] == "APIVersions"
        assert (await api.get("/apis", accept=accept)).ok()["kind"] == "APIGroupList"

    @pytest.mark.parametrize("accept", [AGGREGATED.replace("v=v2", "v=v9"), "text/html"])
    async def test_knows_no_other_form(self, api: Api, accept: str) -> None:
        assert (await api.get("/apis", accept=accept)).status == 406


async def test_a_kind_is_discovered_when_its_definition_is_established_and_no_longer_when_that_is_gone(
    api: Api,
) -> None:
    group = "come-and-go.example.com"
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"visitors.{group}"},
        "spec": {
            "group": group,
            "scope": "Cluster",
            "names": {"kind": "Visitor", "plural": "visitors", "singular": "visitor", "categories": ["guests"]},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": version == "v1",
                    "schema": {"openAPIV3Schema": {"type": "object"}},
                }
                for version in ("v1beta1", "v1")
            ],
        },
    }
    await api.cluster.install_crds(crd)
    page = (await api.eventually(f"/apis/{group}", lambda answer: answer.status == 200)).ok()
    assert [version["version"] for version in page["versions"]] == ["v1", "v1beta1"]
    assert page["preferredVersion"]["version"] == "v1"
    found = (await resources(api, f"/apis/{group}/v1beta1"))["visitors"]
    assert (found["namespaced"], found["categories"]) == (False, ["guests"])
    (await api.delete(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/visitors.{group}")).ok()
    await api.eventually(f"/apis/{group}", lambda answer: answer.status == 404)
    assert (await api.get(f"/apis/{group}/v1/visitors")).status == 404


class TestVersion:
    async def test_is_a_number_with_the_circumstances(self, api: Api) -> None:
        version = (await api.get("/version")).ok()
        assert (version["major"], version["minor"]) == ("1", "36")
        assert version["gitVersion"].startswith("v1.36.")
        assert set(version) >= {"buildDate", "compiler", "emulationMajor", "goVersion", "gitCommit", "platform"}

    async def test_is_read_only(self, api: Api) -> None:
        answer = await api.post("/version", {})
        assert (answer.status, answer.reason) == (405, "MethodNotAllowed")


class TestHealth:
    @pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz", "/livez/ping", "/readyz/ping", "/readyz/etcd"])
    async def test_is_one_word(self, api: Api, path: str) -> None:
        answer = await api.get(path)
        assert (answer.status, answer.text) == (200, "ok")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"

    @pytest.mark.parametrize("name", ["healthz", "livez", "readyz"])
    async def test_is_told_check_by_check_on_request(self, api: Api, name: str) -> None:
        lines = (await api.get(f"/{name}", verbose="")).text.splitlines()
        assert (lines[0], lines[-1]) == ("[+]ping ok", f"{name} check passed")
        assert "[+]etcd ok" in lines

    @pytest.mark.parametrize("name", ["healthz", "livez", "readyz"])
    async def test_leaves_out_what_is_excluded(self, api: Api, name: str) -> None:
        lines = (await api.get(f"/{name}", verbose="1", exclude="ping")).text.splitlines()
        assert (lines[0], lines[-1]) == ("[+]ping excluded: ok", f"{name} check passed")
        lines = (await api.get(f"/{name}", verbose="1", exclude="nothing")).text.splitlines()
        assert lines[-2] == 'warn: some health checks cannot be excluded: no matches for "nothing"'
        assert (await api.get(f"/{name}", exclude="nothing")).text == "ok"

    async def test_of_a_check_that_is_none_is_not_found(self, api: Api) -> None:
        answer = await api.get("/livez/nothing")
        assert (answer.status, answer.text) == (404, "404 page not found\n")


class TestNothing:
    @pytest.mark.parametrize(
        "path", ["/nowhere", "/apis/nowhere.example.com", "/apis/nowhere.example.com/v1/things", "/swagger.json"]
    )
    async def test_is_where_no_group_is(self, api: Api, path: str) -> None:
        answer = await api.get(path)
        assert (answer.status, answer.text) == (404, "404 page not found\n")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"

    @pytest.mark.parametrize(
        "path",
        [
            *("/api/v2", "/apis/apps/v9", "/api/v1/nothings", "/apis/apps/v1/nothings"),
            *("/api/v1/namespaces/default/configmaps/a/status", "/api/v1/pods/p", "/api/v1/namespaces/default/nodes"),
        ],
    )
    async def test_is_where_a_group_has_no_such_resource(self, api: Api, path: str) -> None:
        answer = await api.get(path)
        assert (answer.status, answer.reason) == (404, "NotFound")
        assert answer.json["message"] == "the server could not find the requested resource"
