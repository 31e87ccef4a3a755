"""CustomResourceDefinitions: checked when they are written, and served from the same moment on.

`CrdStrategy` is how a definition itself is defaulted and validated; `CustomKinds` follows the storage and keeps the table
of kinds in step; `CustomStrategy` is how the objects of a defined kind are pruned, defaulted and validated.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from controller_runtime.api.k8s import CustomResourceDefinition
from controller_runtime.api.resource import Resource
from controller_runtime.api.time import format_time
from controller_runtime.clock import Clock
from controller_runtime.envtest.builtinschema import metadata_schema
from controller_runtime.envtest.builtinstrategy import BuiltinStrategy
from controller_runtime.envtest.celrules import check_rules
from controller_runtime.envtest.collector import CRD_FINALIZER, CRDS
from controller_runtime.envtest.jsonpath import JsonPathError
from controller_runtime.envtest.kinds import Kind, Kinds, ScalePaths
from controller_runtime.envtest.parts import copied
from controller_runtime.envtest.schema import Node, SchemaProblem, compile_schema, prune, set_defaults
from controller_runtime.envtest.selection import field_at
from controller_runtime.envtest.status import Cause, not_implemented
from controller_runtime.envtest.storage import Change, Json, ResourceId, Storage
from controller_runtime.envtest.structural import structural_problems
from controller_runtime.envtest.table import custom_columns
from controller_runtime.envtest.validation import MISSING, validate

__all__ = ["CrdStrategy", "CustomKinds", "CustomStrategy"]


_COLUMN_TYPES: Final = ("boolean", "date", "integer", "number", "string")
# After one of these, CEL rules are not evaluated: they might see values of types that they were not written for.
_BLOCKING: Final = frozenset(
    ("FieldValueRequired", "FieldValueNotSupported", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid")
)
_GO_TYPES: Final = {str: "string", float: "float64"}


class CrdStrategy:
    """See the module docstring."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._decoder = BuiltinStrategy(CustomResourceDefinition)

    def prune(self, obj: Json) -> list[str]:
        return self._decoder.prune(obj)

    def prepare(self, obj: Json, old: Json | None) -> None:
        spec = obj.get("spec")
        if not isinstance(spec, dict) or not isinstance(spec.get("names"), dict):
            return
        names: Json = spec["names"]
        kind = str(names.get("kind", ""))
        names.setdefault("singular", kind.lower())
        names.setdefault("listKind", f"{kind}List")
        spec.setdefault("conversion", {"strategy": "None"})
        if old is None:
            finalizers: list[str] = obj["metadata"].setdefault("finalizers", [])
            if CRD_FINALIZER not in finalizers:
                finalizers.append(CRD_FINALIZER)
        status: Json = obj.setdefault("status", {})
        status["acceptedNames"] = dict(names)
        stored: list[str] = status.setdefault("storedVersions", [])
        for version in spec.get("versions") or []:
            if version.get("storage") and version.get("name") not in stored:
                stored.append(version["name"])
        if not status.get("conditions"):
            now = format_time(self._clock.now())
            status["conditions"] = [
                _condition("NamesAccepted", "NoConflicts", "no conflicts found", now),
                _condition("Established", "InitialNamesAccepted", "the initial names have been accepted", now),
            ]

    def validate(self, obj: Json, old: Json | None, subresource: str) -> list[Cause]:
        spec = obj.get("spec")
        if not isinstance(spec, dict):
            return [Cause("spec", "Required value", "FieldValueRequired")]
        causes = _check_names(obj, spec)
        versions = spec.get("versions") or []
        if sum(1 for version in versions if version.get("storage")) != 1:
            message = "Invalid value: must have exactly one version marked as storage version"
            causes.append(Cause("spec.versions", message))
        if old is not None and spec.get("scope") != old["spec"].get("scope"):
            causes.append(Cause("spec.scope", f'Invalid value: "{spec.get("scope")}": field is immutable'))
        schemas = [version.get("schema") for version in versions]
        for index, version in enumerate(versions):
            path = f"spec.versions[{index}]"
            # A schema that all versions share is named as the one that older definitions had.
            shared = all(schema == schemas[0] for schema in schemas)
            schema_path = "spec.validation.openAPIV3Schema" if shared else f"{path}.schema.openAPIV3Schema"
            if not shared or index == 0:
                causes += _check_version(version, path if len(versions) > 1 else "spec", schema_path)
        strategy = spec.get("conversion", {}).get("strategy")
        if strategy != "None":
            message = f'Unsupported value: "{strategy}": supported values: "None" (the embedded server has no webhooks)'
            causes.append(Cause("spec.conversion.strategy", message, "FieldValueNotSupported"))
        return causes


def _condition(name: str, reason: str, message: str, now: str) -> Json:
    return {"type": name, "status": "True", "lastTransitionTime": now, "reason": reason, "message": message}


def _check_names(obj: Json, spec: Json) -> list[Cause]:
    causes: list[Cause] = []
    names = spec.get("names") or {}
    required = {
        "group": spec.get("group"),
        "scope": spec.get("scope"),
        "names.plural": names.get("plural"),
        "names.kind": names.get("kind"),
    }
    causes += [Cause(f"spec.{path}", "Required value", "FieldValueRequired") for path in required if not required[path]]
    if names.get("kind") and names.get("listKind") == names["kind"]:
        message = f'Invalid value: "{names["kind"]}": kind and listKind may not be the same'
        causes.append(Cause("spec.names.listKind", message))
    if spec.get("scope") not in ("Namespaced", "Cluster", None, ""):
        message = f'Unsupported value: "{spec["scope"]}": supported values: "Cluster", "Namespaced"'
        causes.append(Cause("spec.scope", message, "FieldValueNotSupported"))
    wanted = f"{names.get('plural')}.{spec.get('group')}"
    if not causes and obj["metadata"]["name"] != wanted:
        message = f'Invalid value: "{obj["metadata"]["name"]}": must be spec.names.plural+"."+spec.group'
        causes.append(Cause("metadata.name", message))
    return causes


def _check_version(version: Json, path: str, schema_path: str) -> list[Cause]:
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    if not isinstance(schema, dict):
        return [Cause("spec.versions[0].schema.openAPIV3Schema", "Required value", "FieldValueRequired")]
    causes = structural_problems(schema, schema_path)
    try:
        node = compile_schema(schema)
    except SchemaProblem as problem:
        field, _, message = str(problem).partition(": ")
        return [*causes, Cause(field.replace("openAPIV3Schema", schema_path, 1), message)]
    unknown = node.unknown_functions()
    if unknown:
        raise not_implemented(f"the CEL functions {', '.join(unknown)}")
    for index, column in enumerate(version.get("additionalPrinterColumns") or []):
        causes += _check_column(column, f"{path}.additionalPrinterColumns[{index}]")
    scale = (version.get("subresources") or {}).get("scale")
    if isinstance(scale, dict):
        causes += _check_scale(scale, f"{path}.subresources.scale")
    return causes


def _check_column(column: Json, path: str) -> list[Cause]:
    kind, json_path = column.get("type", ""), column.get("jsonPath") or ""
    if kind not in _COLUMN_TYPES:
        return [Cause(f"{path}.type", f'Invalid value: "{kind}": must be one of {",".join(_COLUMN_TYPES)}')]
    if not json_path:
        return [Cause(f"{path}.JSONPath", "Required value", "FieldValueRequired")]
    try:
        custom_columns([column])
    except JsonPathError as problem:
        return [Cause(f"{path}.jsonPath", f'Invalid value: "{json_path}": {problem}')]
    return []


def _check_scale(scale: Json, path: str) -> list[Cause]:
    causes: list[Cause] = []
    for name in ("specReplicasPath", "statusReplicasPath"):
        where = scale.get(name) or ""
        if not where:
            causes.append(Cause(f"{path}.{name}", "Required value", "FieldValueRequired"))
        elif not where.startswith("."):
            message = f'Invalid value: "{where}": must be a simple json path starting with .'
            causes.append(Cause(f"{path}.{name}", message))
    return causes


class CustomKinds:
    """Keeps the served kinds in step with the stored definitions."""

    def __init__(self, storage: Storage, kinds: Kinds) -> None:
        self._storage = storage
        self._kinds = kinds
        storage.observers.append(self._observe)

    def _observe(self, resource: ResourceId, change: Change) -> None:
        if resource != CRDS:
            return
        before, after = change.old, change.new
        if after is not None and before is not None and after.obj["spec"] == before.obj["spec"]:
            return
        if before is not None:
            names = before.obj["spec"]["names"]
            self._kinds.remove(before.obj["spec"]["group"], names["plural"])
            if after is None:
                self._storage.drop((before.obj["spec"]["group"], names["plural"]))
        if after is not None:
            spec = after.obj["spec"]
            in_use = bool(self._storage.table((spec["group"], spec["names"]["plural"])).objects)
            for kind in custom_kinds(after.obj, in_use=in_use):
                self._kinds.add(kind)
                self._storage.table(kind.storage)  # its history begins now


def custom_kinds(crd: Json, *, in_use: bool = False) -> list[Kind]:
    """The kinds that a definition defines, one for each served version.

    Args:
        in_use: there are objects from before, which are read with the defaults of today.
    """
    spec: Json = crd["spec"]
    stored_version = next(version["name"] for version in spec["versions"] if version.get("storage"))
    return [
        _custom_kind(spec, version, stored_version, in_use=in_use)
        for version in spec["versions"]
        if version.get("served")
    ]


def _custom_kind(spec: Json, version: Json, stored_version: str, *, in_use: bool) -> Kind:
    names, group = spec["names"], spec["group"]
    resource = Resource(
        group, version["name"], names["kind"], names["plural"], namespaced=spec["scope"] == "Namespaced"
    )
    schema: Json = version["schema"]["openAPIV3Schema"]
    subresources: Json = version.get("subresources") or {}

    node, scale = compile_schema(schema), _scale(subresources.get("scale"))

    # What was stored before is read with the defaults that the stored version has today.
    of_storage = next(each for each in spec["versions"] if each["name"] == stored_version)
    defaults = compile_schema(of_storage["schema"]["openAPIV3Schema"]) if in_use else None
    if defaults is not None and not defaults.has_defaults:
        defaults = None

    def in_version(name: str, defaults: Node | None = None) -> Any:
        def convert(obj: Json) -> Json:
            if defaults is None:
                return {**obj, "apiVersion": f"{group}/{name}"}
            converted = {**copied(obj), "apiVersion": f"{group}/{name}"}
            set_defaults(defaults, converted)
            return converted

        return convert

    conversions: Json = {}
    if version["name"] != stored_version:
        conversions["to_storage"] = in_version(stored_version)
    if len(spec["versions"]) > 1 or defaults is not None:
        conversions["from_storage"] = in_version(version["name"], defaults)
    return Kind(
        resource=resource,
        singular=names["singular"],
        list_kind=names["listKind"],
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        subresources=frozenset(name for name in ("status", "scale") if name in subresources),
        generation=True,
        unconditional_update=False,
        strategy=CustomStrategy(node, scale),
        scale=scale,
        fields={path: field_at(path) for path in _selectable(version)},
        columns=custom_columns(version.get("additionalPrinterColumns") or []),
        read_schema=lambda: _published(schema),
        **conversions,
    )


def _selectable(version: Json) -> list[str]:
    return [field["jsonPath"].lstrip(".") for field in version.get("selectableFields") or []]


def _scale(scale: Json | None) -> ScalePaths | None:
    if scale is None:
        return None

    def names(path: str) -> tuple[str, ...]:
        return tuple(name for name in path.split(".") if name)

    return ScalePaths(
        spec=names(scale["specReplicasPath"]),
        status=names(scale["statusReplicasPath"]),
        selector=names(scale.get("labelSelectorPath") or ""),
    )


def _published(schema: Json) -> Json:
    """The schema with the parts that every object has."""
    text = {"type": "string"}
    properties = {"apiVersion": text, "kind": text, **schema.get("properties", {}), "metadata": metadata_schema()}
    return {**schema, "properties": properties}


class CustomStrategy:
    """How the objects of a custom kind are brought into shape and checked, by their schema alone."""

    def __init__(self, node: Node, scale: ScalePaths | None = None) -> None:
        self._node = node
        self._scale = scale

    def prune(self, obj: Json) -> list[str]:
        unknown: list[str] = []
        prune(self._node, obj, "", unknown, root=True)
        return unknown

    def prepare(self, obj: Json, old: Json | None) -> None:
        set_defaults(self._node, obj)

    def validate(self, obj: Json, old: Json | None, subresource: str) -> list[Cause]:
        causes: list[Cause] = []
        validate(self._node, obj, MISSING if old is None else old, "", causes, root=True)
        blocked = any(cause.reason in _BLOCKING for cause in causes)
        causes += _check_replicas(self._scale, obj)
        if blocked:
            if self._node.has_rules:
                message = (
                    "Invalid value: null: some validation rules were not checked because the object was invalid; "
                    "correct the existing errors to complete validation"
                )
                causes.append(Cause("<nil>", message))
            return causes
        check_rules(self._node, _visible(obj), None if old is None else _visible(old), "", causes)
        return causes


def _check_replicas(scale: ScalePaths | None, obj: Json) -> Iterator[Cause]:
    """The numbers of a scale are numbers and not negative, whatever the schema allows."""
    for path in () if scale is None else (scale.spec, scale.status):
        value: Any = obj
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        field = "." + ".".join(path)
        if type(value) in _GO_TYPES:
            wrong = f"{field} accessor error: {value} is of the type {_GO_TYPES[type(value)]}, expected int64"
            yield Cause(field, f"Invalid value: 0: {wrong}")
        elif isinstance(value, int) and value < 0:
            yield Cause(field, f"Invalid value: {value}: should be a non-negative integer")


def _visible(obj: Json) -> Json:
    """Of the metadata rules see nothing but the name."""
    metadata = obj["metadata"]
    return {**obj, "metadata": {name: metadata[name] for name in ("name", "generateName") if name in metadata}}
