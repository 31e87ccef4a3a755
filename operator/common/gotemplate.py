"""A template as Go would serialise it: what revision hashes and the last-template annotation are made of.

TiDB Operator hashes the JSON of its typed template, so a revision keeps its name, and a pod stays, only if the same bytes
come out here: structs that are present although empty, zero values that are left out, quantities in canonical form, and
nothing that a type does not know. The trees have their keys in the order of Go's struct fields; `gojson` writes them.

All functions are pure; what they return shares nothing with their arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from controller_runtime.api import canonical_quantity, to_builtins
from tikv_operator.api import PDTemplateSpec, TemplateMeta, TiKVTemplateSpec
from tikv_operator.common.gopod import claim_spec_tree, pod_spec_tree

__all__ = ["TemplateSpec", "metadata_tree", "template_spec_tree"]

TemplateSpec = TiKVTemplateSpec | PDTemplateSpec


def metadata_tree(metadata: TemplateMeta | None) -> dict[str, Any]:
    """Return a template's metadata: empty parts are left out, the whole never is."""
    return {} if metadata is None else _metadata(to_builtins(metadata))


def template_spec_tree(spec: TemplateSpec) -> dict[str, Any]:
    """Return the template part of a spec; of an instance's spec, its own fields are left out."""
    kind = TiKVTemplateSpec if isinstance(spec, TiKVTemplateSpec) else PDTemplateSpec
    given = to_builtins(spec)
    tree = {name: _RENDER[name](given.get(name)) if name in _RENDER else given.get(name) for name in _fields(kind)}
    return {name: value for name, value in tree.items() if not _left_out(name, value)}


def _fields(kind: type[TemplateSpec]) -> tuple[str, ...]:
    return kind.__struct_encode_fields__


def _left_out(name: str, value: Any) -> bool:
    if value is None:
        return name != "volumes"
    return value == "" and name in _PLAIN_TEXT


_PLAIN_TEXT: Final = ("config", "mode")
"""Text without a pointer in Go: empty is the same as absent. An image is a pointer."""


def _metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    return {key: _sorted(value) if isinstance(value, dict) else value for key, value in metadata.items() if value}


def _server(server: dict[str, Any] | None) -> dict[str, Any]:
    server = server or {}
    tree = {"ports": server.get("ports", {})}
    if server.get("labels"):
        tree["labels"] = _sorted(server["labels"])
    return tree


def _resources(resources: dict[str, Any] | None) -> dict[str, Any]:
    return {name: canonical_quantity(value) for name, value in (resources or {}).items()}


def _update_strategy(strategy: dict[str, Any] | None) -> dict[str, Any]:
    return _without_empty(strategy or {})


def _volumes(volumes: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
    return None if volumes is None else [_volume(volume) for volume in volumes]


def _volume(volume: dict[str, Any]) -> dict[str, Any]:
    mounts = [
        {"type": mount["type"]} | _without_empty({key: value for key, value in mount.items() if key != "type"})
        for mount in volume["mounts"]
    ]
    return volume | {"mounts": mounts, "storage": canonical_quantity(volume["storage"])}


def _overlay(overlay: dict[str, Any] | None) -> dict[str, Any] | None:
    if overlay is None:
        return None
    tree: dict[str, Any] = {}
    if "pod" in overlay:
        tree["pod"] = _overlaid(overlay["pod"], pod_spec_tree)
    if overlay.get("volumeClaims"):
        tree["volumeClaims"] = [
            {"name": claim["name"], "volumeClaim": _overlaid(claim["volumeClaim"], claim_spec_tree)}
            for claim in overlay["volumeClaims"]
        ]
    return tree


def _overlaid(part: dict[str, Any], spec_tree: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    return {"metadata": _metadata(part.get("metadata", {}))} | (
        {"spec": spec_tree(part["spec"])} if "spec" in part else {}
    )


def _remote_workers(workers: dict[str, Any] | None) -> dict[str, Any] | None:
    if workers is None:
        return None
    return {name: _without_empty(reference) for name, reference in workers.items()}


def _without_empty(mapping: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if value != ""}


def _sorted(mapping: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted(mapping.items()))


_RENDER: Final[dict[str, Callable[[Any], Any]]] = {
    "server": _server,
    "resources": _resources,
    "updateStrategy": _update_strategy,
    "volumes": _volumes,
    "remoteWorkers": _remote_workers,
    "overlay": _overlay,
}
