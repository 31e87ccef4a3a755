"""Finding the resource of a kind."""

from __future__ import annotations

from typing import Any

import pytest

from controller_runtime.api.resource import Resource
from controller_runtime.client import BadRequest, DecodeError, Forbidden, NotFound, discover
from controller_runtime.client.discovery import Discovery
from helpers.scripted_api import Reply, ScriptedApi, status

APPS = Reply(
    body={
        "kind": "APIResourceList",
        "resources": [
            {"name": "deployments/status", "kind": "Deployment", "namespaced": True},
            {"name": "deployments", "kind": "Deployment", "namespaced": True},
            {"name": "things", "kind": "Thing", "namespaced": False},
        ],
    }
)


@pytest.mark.parametrize(
    ("api_version", "kind", "path", "resource"),
    [
        ("apps/v1", "Deployment", "/apis/apps/v1", Resource("apps", "v1", "Deployment", "deployments")),
        ("v1", "Thing", "/api/v1", Resource("", "v1", "Thing", "things", namespaced=False)),
    ],
)
async def test_a_kind_is_found_by_its_api_version(api_version: str, kind: str, path: str, resource: Resource) -> None:
    api = ScriptedApi(APPS)
    assert await discover(api, api_version, kind) == resource
    assert api.requests[0].path == path


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (status(404, "NotFound"), NotFound, r"does not serve the API version 'apps/v1' \(of kind 'Nope'\)"),
        (APPS, NotFound, "serves no kind 'Nope' in the API version 'apps/v1'"),
        (status(403, "Forbidden", "no"), Forbidden, "no"),
        (Reply(body=b"<html>"), DecodeError, "discovery of apps/v1"),
    ],
)
async def test_what_is_not_there_is_said_clearly(answer: Reply, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        await discover(ScriptedApi(answer), "apps/v1", "Nope")


async def test_found_resources_are_remembered_and_missing_ones_are_not() -> None:
    api = ScriptedApi(status(404, "NotFound"), APPS)
    discovery = Discovery(api)
    manifest = {"apiVersion": "apps/v1", "kind": "Deployment"}
    with pytest.raises(NotFound):
        await discovery.resource_of(manifest)
    for _ in range(3):
        assert (await discovery.resource_of(manifest)).plural == "deployments"
    assert len(api.requests) == 2


@pytest.mark.parametrize("manifest", [{}, {"kind": "X"}, {"apiVersion": "v1"}, {"apiVersion": "v1", "kind": 5}])
async def test_a_manifest_without_a_kind_is_refused(manifest: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="needs an apiVersion and a kind"):
        await Discovery(ScriptedApi()).resource_of(manifest)
