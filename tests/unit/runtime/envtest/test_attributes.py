"""What a request's method, path and query say that it does."""

from __future__ import annotations

import pytest

from controller_runtime.envtest.attributes import Attributes, attributes_of


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/api/v1/pods", ("list", "", "pods", "", "", "")),
        ("GET", "/api/v1/namespaces/a/pods", ("list", "", "pods", "", "a", "")),
        ("GET", "/api/v1/namespaces/a/pods/x", ("get", "", "pods", "", "a", "x")),
        ("HEAD", "/api/v1/namespaces/a/pods/x", ("get", "", "pods", "", "a", "x")),
        ("POST", "/api/v1/namespaces/a/pods", ("create", "", "pods", "", "a", "")),
        ("PUT", "/api/v1/namespaces/a/pods/x/status", ("update", "", "pods", "status", "a", "x")),
        ("PATCH", "/apis/apps/v1/namespaces/a/deployments/x", ("patch", "apps", "deployments", "", "a", "x")),
        ("DELETE", "/apis/apps/v1/namespaces/a/deployments/x", ("delete", "apps", "deployments", "", "a", "x")),
        ("DELETE", "/apis/apps/v1/namespaces/a/deployments", ("deletecollection", "apps", "deployments", "", "a", "")),
        ("GET", "/api/v1/namespaces", ("list", "", "namespaces", "", "", "")),
        ("GET", "/api/v1/namespaces/a", ("get", "", "namespaces", "", "a", "a")),
        ("PUT", "/api/v1/namespaces/a/finalize", ("update", "", "namespaces", "finalize", "a", "a")),
        (
            "GET",
            "/api/v1/namespaces/a/services/http:x:80/proxy/y/z",
            ("get", "", "services", "proxy", "a", "http:x:80"),
        ),
        ("GET", "/api/v1/nodes/x%2Fy", ("get", "", "nodes", "", "", "x/y")),
        ("GET", "/healthz", ("get", "", "", "", "", "")),
        ("GET", "/apis/apps/v1", ("get", "", "", "", "", "")),
        ("POST", "/version", ("post", "", "", "", "", "")),
    ],
)
def test_method_and_path(method: str, target: str, expected: tuple[str, ...]) -> None:
    found = attributes_of(method, target, ())

    assert (found.verb, found.group, found.resource, found.subresource, found.namespace, found.name) == expected
    assert found.path == target


@pytest.mark.parametrize("value", ["1", "true", "True"])
def test_a_list_with_watch_is_a_watch(value: str) -> None:
    assert attributes_of("GET", "/api/v1/pods", [("watch", value)]).verb == "watch"
    assert attributes_of("GET", "/api/v1/pods", [("watch", "false")]).verb == "list"


@pytest.mark.parametrize("selector", ["metadata.name=x", "a=b,metadata.name==x"])
def test_a_list_of_one_name_names_it(selector: str) -> None:
    found = attributes_of("GET", "/api/v1/pods", [("fieldSelector", selector)])

    assert found == Attributes(verb="list", path="/api/v1/pods", version="v1", resource="pods", name="x"), (
        "so that who may read one object may list and watch it"
    )
