"""Subresources that are more than a part of the object: scale, eviction, binding, finalize.

Each reads a small object of a kind of its own and turns it into a write or a delete of the main one. Plain synchronous
code for one event loop.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import orjson

from controller_runtime.api.resource import ObjectKey, Resource
from controller_runtime.envtest.apply import conflict_with, decode_managers
from controller_runtime.envtest.checks import WriteOptions, check_url
from controller_runtime.envtest.deletes import DeleteOptions, Deleter, read_delete_options
from controller_runtime.envtest.fieldset import contains
from controller_runtime.envtest.kinds import Kind
from controller_runtime.envtest.patches import APPLY, patched, read_yaml
from controller_runtime.envtest.shapes import check_applied_shape
from controller_runtime.envtest.status import (
    Cause,
    StatusError,
    bad_request,
    conflict,
    go_type,
    invalid,
    not_found,
    too_many_requests,
    unprocessable_patch,
)
from controller_runtime.envtest.storage import Json, Storage, Stored
from controller_runtime.envtest.writes import Writer

__all__ = ["bind", "evict", "finalize_namespace", "read_scale", "write_scale"]

_SCALE: Final = Resource("autoscaling", "v1", "Scale", "scales")
_SCALE_KIND: Final = Kind(resource=_SCALE)


def _value(obj: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        obj = obj.get(name) if isinstance(obj, dict) else None
    return obj


def read_scale(kind: Kind, stored: Stored) -> Json:
    """The Scale of an object."""
    paths = kind.scale
    if paths is None:
        raise not_found(kind.resource, stored.key.name)
    obj, metadata = stored.obj, stored.metadata
    replicas = _value(obj, paths.spec)
    if not isinstance(replicas, int):
        path = "." + ".".join(paths.spec)
        raise StatusError(500, "InternalError", f"the spec replicas field {path!r} does not exist")
    status: Json = {"replicas": _value(obj, paths.status) or 0}
    selector = _value(obj, paths.selector) if paths.selector else None
    if selector:
        status["selector"] = selector
    names = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: metadata[name] for name in names if name in metadata},
        "spec": {"replicas": replicas},
        "status": status,
    }


def write_scale(
    writer: Writer, kind: Kind, stored: Stored, body: bytes, media: str | None, options: WriteOptions
) -> Json:
    """Set an object's replicas by a PUT (`media` None), a patch or an apply of its Scale; return the new Scale.

    Raises:
        StatusError: it was refused.
    """
    scale = read_scale(kind, stored)
    if media == APPLY:
        return _apply_scale(kind, stored, scale, read_yaml(body), options)
    wanted = read_yaml(body) if media is None else patched(orjson.loads(orjson.dumps(scale)), body, media, None)
    if not isinstance(wanted, dict) or not isinstance(wanted.get("spec", {}), dict):
        raise bad_request("the body must be a Scale of autoscaling/v1")
    if (wanted.get("apiVersion", "autoscaling/v1"), wanted.get("kind", "Scale")) != ("autoscaling/v1", "Scale"):
        raise bad_request("no kind is registered for the type v1.Scale in scheme")
    check_url(stored.key, wanted.get("metadata") or {})
    version = _value(wanted, ("metadata", "resourceVersion"))
    if version and version != stored.metadata["resourceVersion"]:
        raise conflict(kind.resource, stored.key.name)
    replicas = _value(wanted, ("spec", "replicas"))
    replicas = 0 if replicas is None else replicas
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        why = f"json: cannot unmarshal {go_type(replicas)} into Go struct field ScaleSpec.spec.replicas of type int32"
        raise bad_request(why) if media is None else unprocessable_patch(wanted, why)
    obj = kind.from_storage(stored.copy())
    node: Json = obj
    paths = kind.scale
    assert paths is not None, "read_scale has looked"  # noqa: S101 - an invariant, not input
    for name in paths.spec[:-1]:
        node = node.setdefault(name, {})
    node[paths.spec[-1]] = replicas
    return read_scale(kind, writer.update(kind, stored.key, obj, options, "scale").stored)


def _apply_scale(kind: Kind, stored: Stored, scale: Json, config: Any, options: WriteOptions) -> Json:
    """Apply a Scale as kube-apiserver does it for custom resources: it tells conflicts, and fails to store a change."""
    config = check_applied_shape(_SCALE_KIND, config)
    check_url(stored.key, {"name": stored.key.name, **config["metadata"]})
    if _value(config, ("spec", "replicas")) is None:
        return scale
    paths = kind.scale
    assert paths is not None, "read_scale has looked"  # noqa: S101 - an invariant, not input
    field = tuple(f"f:{name}" for name in paths.spec)
    others = [
        replace(manager, api_version=_SCALE.api_version)
        for manager, owned in decode_managers(stored.metadata.get("managedFields", [])).items()
        if contains(owned.fields, field) and (manager.name, manager.operation) != (options.manager, "Apply")
    ]
    if others and config["spec"]["replicas"] != scale["spec"]["replicas"] and not options.force:
        raise conflict_with([(manager, ("f:spec", "f:replicas")) for manager in others])
    named = f"{config['metadata'].get('namespace', '')}/{stored.key.name}"
    why = "request to convert CR to an invalid group/version: autoscaling/v1"
    message = f"failed to convert new object ({named}; autoscaling/v1, Kind=Scale) to proper version: {why}"
    raise StatusError(500, "", message)


def evict(deleter: Deleter, storage: Storage, kind: Kind, key: ObjectKey, body: Any) -> Json:
    """Evict a pod, unless a disruption budget forbids it now."""
    stored = storage.get(kind.storage, key)
    if stored is None:
        raise not_found(kind.resource, key.name)
    if not isinstance(body, dict):
        raise bad_request("the body must be an Eviction of policy/v1")
    for budget in storage.table(("policy", "poddisruptionbudgets")).objects.values():
        if budget.key.namespace == key.namespace and _covers(budget.obj, stored.labels):
            allowed = _value(budget.obj, ("status", "disruptionsAllowed")) or 0
            if allowed <= 0:
                message = "Cannot evict pod as it would violate the pod's disruption budget."
                text = f"The disruption budget {budget.key.name} does not allow evicting pods currently"
                raise too_many_requests(message, 10, [Cause("", text, "DisruptionBudget")])
    options: DeleteOptions = read_delete_options(body.get("deleteOptions"), {})
    deleter.delete(kind, key, options)
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def _covers(budget: Json, labels: dict[str, str]) -> bool:
    """Whether a budget's label selector matches; an empty selector covers every pod of the namespace."""
    selector = _value(budget, ("spec", "selector"))
    if not isinstance(selector, dict):
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for expression in selector.get("matchExpressions") or []:
        value, values = labels.get(expression.get("key")), expression.get("values") or []
        fits = {
            "In": value in values,
            "NotIn": value not in values,
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }
        if not fits.get(expression.get("operator"), False):
            return False
    return True


def bind(storage: Storage, kind: Kind, key: ObjectKey, body: Any, now: str) -> Json:
    """Give a pod its node, as a scheduler does."""
    stored = storage.get(kind.storage, key)
    if stored is None:
        raise not_found(kind.resource, key.name)
    node = _value(body, ("target", "name"))
    if not node:
        raise invalid(kind.resource, key.name, [Cause("target.name", "Required value", "FieldValueRequired")])
    if stored.obj["spec"].get("nodeName"):
        raise conflict(
            kind.resource, key.name, f'pod {key.name} is already assigned to node "{stored.obj["spec"]["nodeName"]}"'
        )
    if "deletionTimestamp" in stored.metadata:
        raise conflict(kind.resource, key.name, f"pod {key.name} is being deleted, cannot be assigned to a host")
    obj = stored.copy()
    obj["spec"]["nodeName"] = node
    status: Json = obj.setdefault("status", {})
    conditions = [item for item in status.get("conditions", []) if item.get("type") != "PodScheduled"]
    conditions.append({"type": "PodScheduled", "status": "True", "lastTransitionTime": now})
    status["conditions"] = conditions
    storage.put(kind.storage, key, obj)
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def finalize_namespace(storage: Storage, kind: Kind, key: ObjectKey, body: Any) -> Stored:
    """Replace a namespace's own finalizers; without any it goes, if it is being deleted."""
    stored = storage.get(kind.storage, key)
    if stored is None:
        raise not_found(kind.resource, key.name)
    finalizers = _value(body, ("spec", "finalizers")) or []
    obj = stored.copy()
    obj.setdefault("spec", {})["finalizers"] = finalizers
    if not finalizers and "deletionTimestamp" in stored.metadata and not stored.metadata.get("finalizers"):
        return storage.remove(kind.storage, key)
    return storage.put(kind.storage, key, obj)
