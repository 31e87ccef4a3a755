"""The objects of the benchmarks: a Widget of 3.7 KB with all its fields typed, a small Gadget that it owns, a Pod of 7 KB."""

from __future__ import annotations

from typing import Any

import msgspec

from controller_runtime import Condition, Model, Object, Resource

__all__ = ["Gadget", "GadgetSpec", "Widget", "WidgetSpec", "WidgetStatus", "definition", "gadget", "pod", "widget"]

GROUP = "bench.example.com"
NAMESPACE = "default"


class EnvVar(Model):
    name: str
    value: str


class Endpoint(Model):
    host: str
    port: int
    zone: str


class WidgetSpec(Model, kw_only=True):
    sequence: int = 0
    title: str = ""
    replicas: int = 0
    config: str = ""
    selector: dict[str, str] = msgspec.field(default_factory=dict)
    env: list[EnvVar] = msgspec.field(default_factory=list)
    endpoints: list[Endpoint] = msgspec.field(default_factory=list)


class WidgetStatus(Model, kw_only=True):
    run: str = ""
    phase: str = ""
    conditions: list[Condition] = msgspec.field(default_factory=list)


class Widget(Object, kw_only=True):
    resource = Resource(group=GROUP, version="v1", kind="Widget", plural="widgets")
    spec: WidgetSpec = msgspec.field(default_factory=WidgetSpec)
    status: WidgetStatus = msgspec.field(default_factory=WidgetStatus)


class GadgetSpec(Model, kw_only=True):
    sequence: int = 0


class Gadget(Object, kw_only=True):
    resource = Resource(group=GROUP, version="v1", kind="Gadget", plural="gadgets")
    spec: GadgetSpec = msgspec.field(default_factory=GadgetSpec)


def definition(resource: Resource) -> dict[str, Any]:
    """Return a CustomResourceDefinition whose schema takes any spec: nothing is to be measured in the schema's checks."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{resource.group}"},
        "spec": {
            "group": resource.group,
            "scope": "Namespaced",
            "names": {
                "kind": resource.kind,
                "plural": resource.plural,
                "singular": resource.kind.lower(),
                "listKind": f"{resource.kind}List",
            },
            "versions": [
                {
                    "name": resource.version,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {
                        "openAPIV3Schema": {"type": "object", "properties": {"spec": anything, "status": anything}}
                    },
                }
            ],
        },
    }


def widget(name: str) -> dict[str, Any]:
    """Return a Widget as a user would create it, without its status: 2.1 KB, 3.7 KB once the server has stored it."""
    return {
        "apiVersion": Widget.resource.api_version,
        "kind": "Widget",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {f"example.com/label-{n}": f"value-{n}" for n in range(4)},
            "annotations": {
                "example.com/note": "An annotation of a usual length, as tools and people leave them. " * 3
            },
        },
        "spec": {
            "sequence": 0,
            "title": f"The widget {name} of the benchmark",
            "replicas": 3,
            "config": "\n".join(f"[section-{n}]\nkey = value-{n}\nlimit = {n * 1000}" for n in range(16)),
            "selector": {"app": "widget", "instance": name},
            "env": [{"name": f"VARIABLE_{n}", "value": f"value-of-{n}"} for n in range(10)],
            "endpoints": [
                {"host": f"host-{n}.widgets.example.com", "port": 8000 + n, "zone": f"zone-{n % 3}"} for n in range(6)
            ],
        },
    }


def status(run: str) -> dict[str, Any]:
    """Return a Widget's status."""
    return {
        "run": run,
        "phase": "Running",
        "conditions": [
            {
                "type": kind,
                "status": "True",
                "reason": "AsExpected",
                "message": "Everything is as it should be.",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
                "observedGeneration": 1,
            }
            for kind in ("Ready", "Available", "Synced")
        ],
    }


def gadget(name: str, owner: str, owner_uid: str) -> dict[str, Any]:
    """Return a Gadget that a Widget owns."""
    return {
        "apiVersion": Gadget.resource.api_version,
        "kind": "Gadget",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "ownerReferences": [
                {
                    "apiVersion": Widget.resource.api_version,
                    "kind": "Widget",
                    "name": owner,
                    "uid": owner_uid,
                    "controller": True,
                }
            ],
        },
        "spec": {"sequence": 0},
    }


def pod(name: str) -> dict[str, Any]:
    """Return a Pod with two containers, probes, volumes and affinity: about 7 KB once the server has stored it."""

    def container(role: str) -> dict[str, Any]:
        probe = {"httpGet": {"path": f"/{role}/health", "port": 20180}, "periodSeconds": 10, "failureThreshold": 5}
        return {
            "name": role,
            "image": f"registry.example.com/widgets/{role}:v8.1.0",
            "args": [f"--option-{n}=value-{n}" for n in range(4)],
            "env": [{"name": f"VARIABLE_{n}", "value": f"value-of-{n}"} for n in range(5)],
            "ports": [{"name": f"port-{n}", "containerPort": 20160 + n} for n in range(2)],
            "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "4Gi"}},
            "readinessProbe": probe,
            "livenessProbe": probe,
            "volumeMounts": [{"name": f"volume-{n}", "mountPath": f"/var/lib/{role}/{n}"} for n in range(3)],
        }

    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": {f"example.com/label-{n}": f"value-{n}" for n in range(8)},
            "annotations": {f"example.com/note-{n}": "An annotation of a usual length." for n in range(4)},
        },
        "spec": {
            "containers": [container("server"), container("sidecar")],
            "volumes": [{"name": f"volume-{n}", "configMap": {"name": f"{name}-{n}"}} for n in range(3)],
            "nodeName": "node-1",
        },
    }
