"""Talking to the pure API server in tests: one call per line, answers as plain values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from controller_runtime.envtest.answers import Answer, Call, ProxyAnswer, WatchAnswer
from controller_runtime.envtest.server import ApiServer
from controller_runtime.envtest.watching import Watch

__all__ = [
    "CONFIG_MAPS",
    "PODS",
    "WIDGETS",
    "ManualClock",
    "Reply",
    "Server",
    "config_map",
    "events",
    "names",
    "pod",
    "widget",
    "widget_crd",
]

EPOCH = 1_767_225_600.0  # 2026-01-01T00:00:00Z


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: float = EPOCH) -> None:
        self.time = now

    def now(self) -> float:
        return self.time


class Reply(NamedTuple):
    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def reason(self) -> str:
        return str(self.body.get("reason", ""))

    @property
    def message(self) -> str:
        return str(self.body.get("message", ""))

    @property
    def causes(self) -> list[tuple[str, str]]:
        return [(cause["field"], cause["message"]) for cause in self.body["details"]["causes"]]


class Server:
    """An `ApiServer` with a clock that a test moves by hand."""

    def __init__(self, *crds: dict[str, Any], history: int = 1000) -> None:
        self.clock = ManualClock()
        self.api = ApiServer(self.clock, history=history)
        for crd in crds:
            self.ok("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        headers: Mapping[str, str] | None = None,
        **params: str,
    ) -> Answer | WatchAnswer | ProxyAnswer:
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"content-type": content_type, "accept": accept, "user-agent": "tester/1", **(headers or {})}
        return self.api.handle(Call(method=method, path=path, params=list(params.items()), headers=sent, body=raw))

    def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> Reply:
        answer = self.call(method, path, body, **options)
        assert isinstance(answer, Answer), answer
        is_json = answer.headers["content-type"].startswith("application/json")
        return Reply(answer.status, json.loads(answer.body) if is_json else answer.body, answer.headers)

    def ok(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        reply = self(method, path, body, **options)
        assert reply.status < 300, reply
        return reply.body

    def apply(self, path: str, body: Any, manager: str = "tester", *, force: bool = False) -> Reply:
        params = {"fieldManager": manager, **({"force": "true"} if force else {})}
        return self("PATCH", path, body, content_type="application/apply-patch+yaml", **params)

    def merge(self, path: str, body: Any, **params: str) -> Reply:
        return self("PATCH", path, body, content_type="application/merge-patch+json", **params)

    def watch(self, path: str, **params: str) -> Watch:
        answer = self.call("GET", path, watch="1", **params)
        assert isinstance(answer, WatchAnswer), answer
        return answer.watch

    def settle(self) -> None:
        """Let the collector finish."""
        for _ in range(100):
            if not self.api.collector.busy:
                return
            self.api.collector.step()
        raise AssertionError("the collector does not come to rest")


def events(watch: Watch) -> list[tuple[str, Any]]:
    """What a watch has to tell now, as (type, object)."""
    return [(line["type"], line["object"]) for line in map(json.loads, watch.pull())]


def names(listing: Any) -> list[str]:
    return [item["metadata"]["name"] for item in listing["items"]]


def pod(name: str = "p", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "main", "image": "app:1"}], **spec}}


def widget_crd(
    schema: Mapping[str, Any] | None = None, *, status: bool = True, scope: str = "Namespaced", **version: Any
) -> dict[str, Any]:
    """A CRD of `widgets.example.com/v1`; `schema` describes the spec."""
    properties = {
        "spec": schema or {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    }
    subresources = {"status": {}} if status else {}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": scope,
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"]},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
                    "subresources": {**subresources, **version.pop("subresources", {})},
                    **version,
                }
            ],
        },
    }


def widget(name: str = "w", spec: Any = None, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": name, **metadata},
        **({} if spec is None else {"spec": spec}),
    }


WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"


def config_map(name: str = "c", data: Mapping[str, str] | None = None, **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **metadata}, "data": dict(data or {"a": "1"})}
