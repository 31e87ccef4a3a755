"""What a pod was made from, and whether it must be made again.

A pod carries the template of its instance as JSON, byte for byte as TiDB Operator writes it. `reloadable` compares that with the
instance of now: where only things differ that a running pod can take over (or that don't concern it), the pod is updated in
place; otherwise it is recreated.

Three decisions differ from TiDB Operator's:

- Labels and annotations that somebody put on the instance itself, and that its group's template doesn't have, don't restart a
  database, as far as the template can be known (`TemplateKeys`).
- What is rendered the same restarts nothing: a port that is said to be the default, a protocol that the API server has put where
  an overlay has none, the name in an overlay's metadata (which is ignored), a pre-stop image of one's own (a running pod can
  take another image).
- An absent `updateStrategy.config` means `Restart`, the documented default. TiDB Operator gets the same by a side effect: it
  writes groups back with an empty `updateStrategy`, into which the API server then puts the default.

Pure functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import msgspec

from controller_runtime.api import Model
from controller_runtime.api.k8s import ControllerRevision, Pod
from tikv_operator.api import Feature, TemplateMeta, UpdateStrategy
from tikv_operator.common import keys
from tikv_operator.common.errors import OverlayInvalid
from tikv_operator.common.gojson import go_json
from tikv_operator.common.gotemplate import TemplateSpec, metadata_tree, template_spec_tree
from tikv_operator.common.instances import Instance
from tikv_operator.instance.component import InstanceComponent

__all__ = [
    "RecordedTemplate",
    "TemplateKeys",
    "features_annotation",
    "recorded_template",
    "reloadable",
    "template_annotation",
    "template_keys",
]


S = TypeVar("S", bound=TemplateSpec)


class _Recorded(Model, kw_only=True):
    metadata: TemplateMeta | None = None
    spec: Any


@dataclass(frozen=True, slots=True)
class RecordedTemplate(Generic[S]):
    """The template that a pod says it was made from."""

    metadata: TemplateMeta | None
    spec: S


@dataclass(frozen=True, slots=True)
class TemplateKeys:
    """The labels and annotations that come from a group's template, as opposed to those that somebody put on an instance."""

    labels: frozenset[str] = frozenset()
    annotations: frozenset[str] = frozenset()


def template_annotation(instance: Instance) -> str:
    """Return the text of the pod's annotation `core.pingcap.com/last-instance-template`.

    Raises:
        OverlayInvalid: a quantity in the overlay is malformed.
    """
    own = TemplateMeta(labels=instance.metadata.labels, annotations=instance.metadata.annotations)
    return go_json({"metadata": metadata_tree(own), "spec": _tree(instance.spec)})


def features_annotation(instance: Instance) -> str:
    """Return the text of the pod's annotation `core.pingcap.com/features`."""
    return ",".join(instance.spec.features or ())


def recorded_template(kind: type[S], pod: Pod) -> RecordedTemplate[S] | None:
    """Return what the pod was made from; None if it doesn't say, or not in words we understand."""
    text = pod.metadata.annotations.get(keys.ANNOTATION_LAST_TEMPLATE, "")
    try:
        recorded = msgspec.convert(_without_nulls(msgspec.json.decode(text)), _Recorded)
        spec = msgspec.convert(recorded.spec, kind)
    except msgspec.MsgspecError:
        return None
    return RecordedTemplate(recorded.metadata, spec)


def template_keys(revisions: Iterable[ControllerRevision | None]) -> TemplateKeys | None:
    """Return the metadata keys that the templates of these revisions have; None if one of the revisions is unknown."""
    labels: set[str] = set()
    annotations: set[str] = set()
    for revision in revisions:
        metadata = _template_metadata(revision)
        if metadata is None:
            return None
        labels |= (metadata.labels or {}).keys()
        annotations |= (metadata.annotations or {}).keys()
    return TemplateKeys(frozenset(labels), frozenset(annotations))


def reloadable(component: InstanceComponent, instance: Instance, pod: Pod, known: TemplateKeys | None = None) -> bool:
    """Return whether the pod can become what the instance says without being recreated.

    A pod that doesn't tell what it was made from can.

    Args:
        known: the metadata that comes from templates; only that is compared. None: it isn't known, compare all.

    Raises:
        OverlayInvalid: a quantity in the overlay is malformed.
    """
    last = recorded_template(component.template, pod)
    if last is None:
        return True
    own = TemplateMeta(labels=instance.metadata.labels, annotations=instance.metadata.annotations)
    return (
        not _config_restarts(instance.spec, last.spec)
        and _comparable_metadata(own, known) == _comparable_metadata(last.metadata, known)
        and _comparable_spec(component, instance.spec) == _comparable_spec(component, last.spec)
        and _features_reloadable(
            component, instance.spec.features or (), pod.metadata.annotations.get(keys.ANNOTATION_FEATURES, "")
        )
    )


_OPERATORS_LABELS: Final = frozenset(
    {
        keys.LABEL_MANAGED_BY,
        keys.LABEL_COMPONENT,
        keys.LABEL_CLUSTER,
        keys.LABEL_GROUP,
        keys.LABEL_INSTANCE_REVISION,
    }
)
_OPERATORS_ANNOTATIONS: Final = frozenset(
    {
        keys.ANNOTATION_DEFER_DELETE,
        keys.ANNOTATION_INITIAL_CLUSTER_NUM,
        keys.ANNOTATION_TIPROXY_GRACEFUL_DELETE_DELAY,
    }
)
_MAIN_CONTAINERS: Final = frozenset(
    {
        "pd",
        "tikv",
        "tidb",
        "tiflash",
        "ticdc",
        "tso",
        "scheduler",
        "scheduling",
        "tiproxy",
        "tikv-worker",
        "dm-master",
        "dm-worker",
    }
)
"""Containers whose image is the database itself; any other container can get a new image in a running pod."""


def _config_restarts(current: TemplateSpec, last: TemplateSpec) -> bool:
    strategy = current.update_strategy or UpdateStrategy()
    return (strategy.config or "Restart") == "Restart" and (current.config or "") != (last.config or "")


def _features_reloadable(component: InstanceComponent, current: Iterable[str], recorded: str) -> bool:
    last = frozenset(recorded.split(","))
    if Feature.FEATURE_MODIFICATION not in last:
        return True
    return not (frozenset(current) ^ last) & component.restarting_features


def _comparable_metadata(metadata: TemplateMeta | None, known: TemplateKeys | None) -> object:
    labels = (metadata.labels if metadata is not None else None) or {}
    annotations = (metadata.annotations if metadata is not None else None) or {}
    return (
        _selected(labels, _OPERATORS_LABELS, known.labels if known is not None else None),
        _selected(annotations, _OPERATORS_ANNOTATIONS, known.annotations if known is not None else None),
    )


def _selected(mapping: Mapping[str, str], ignored: frozenset[str], known: frozenset[str] | None) -> dict[str, str]:
    return {key: value for key, value in mapping.items() if key not in ignored and (known is None or key in known)}


def _comparable_spec(component: InstanceComponent, spec: TemplateSpec) -> object:
    """Return the parts of a template whose change recreates a pod; empty parts are the same as absent ones."""
    tree = _tree(spec)
    for name in ("config", "updateStrategy", *component.in_place):
        tree.pop(name, None)
    tree["server"] = {"ports": _comparable_ports(component, tree["server"]["ports"])}
    tree["volumes"] = [{"name": volume["name"], "mounts": volume["mounts"]} for volume in tree["volumes"] or ()]
    tree["overlay"] = _comparable_overlay(tree.get("overlay", {}))
    return _without_empty(tree)


def _comparable_ports(component: InstanceComponent, ports: dict[str, Any]) -> dict[str, Any]:
    """A port that is the default is the same said or unsaid."""
    return {name: port for name, port in ports.items() if port["port"] != component.ports.get(name)}


def _comparable_overlay(overlay: dict[str, Any]) -> dict[str, Any]:
    pod = overlay.get("pod", {})
    spec = pod.get("spec", {})
    for container in spec.get("initContainers") or ():
        container.pop("image", None)
    for container in spec.get("containers") or ():
        if container.get("name") not in _MAIN_CONTAINERS:
            container.pop("image", None)
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        for port in container.get("ports") or ():
            if port.get("protocol") == "TCP":
                del port["protocol"]
    return {"spec": spec}


def _tree(spec: TemplateSpec) -> dict[str, Any]:
    try:
        return template_spec_tree(spec)
    except (ValueError, TypeError, AttributeError) as error:
        msg = f"the template cannot be written down: {error}"
        raise OverlayInvalid(msg) from error


class _RevisionTemplate(Model, kw_only=True):
    metadata: TemplateMeta | None = None


class _RevisionSpec(Model, kw_only=True):
    template: _RevisionTemplate


class _RevisionData(Model, kw_only=True):
    spec: _RevisionSpec


def _template_metadata(revision: ControllerRevision | None) -> TemplateMeta | None:
    if revision is None:
        return None
    try:
        template = msgspec.convert(revision.data, _RevisionData).spec.template
    except msgspec.ValidationError:
        return None
    return template.metadata or TemplateMeta()


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _without_empty(value: Any) -> Any:
    """Drop empty containers and nulls at every level of a dict; items of lists stay."""
    if isinstance(value, list):
        return [_without_empty(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: _without_empty(item) for key, item in value.items()}
    return {key: item for key, item in kept.items() if item is not None and item != {} and item != []}
