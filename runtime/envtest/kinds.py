"""What the server knows of each kind it serves, and the table of all of them.

A `Kind` is one version of one resource: its names and scope, which subresources it has, how it is defaulted, validated,
merged, selected and printed. Built-in kinds come from `builtins`; installed CRDs add and remove theirs at run time. All
versions of a resource share one table of the storage, in which objects are kept in the *storage form*; `to_storage` and
`from_storage` lead from and to a version's own form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from controller_runtime.api.resource import Resource
from controller_runtime.envtest.mergetypes import DEDUCED, MergeType
from controller_runtime.envtest.selection import NAME_FIELDS, FieldValue
from controller_runtime.envtest.status import Cause
from controller_runtime.envtest.storage import Json, ResourceId

__all__ = ["ALL_VERBS", "Column", "Kind", "Kinds", "PlainStrategy", "ScalePaths", "Strategy", "version_order"]


ALL_VERBS: Final = frozenset(("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"))


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a Table; `cell` computes its value from an object and the current time."""

    name: str
    type: str
    cell: Callable[[Json, float], Any]
    description: str = ""
    format: str = ""
    priority: int = 0

    def definition(self) -> Json:
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        }


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where the scale subresource finds its numbers, as name sequences."""

    spec: tuple[str, ...]
    status: tuple[str, ...]
    selector: tuple[str, ...] = ()


class Strategy(Protocol):
    """How objects of one kind are brought into shape and checked. Only the object that is passed first may change."""

    def prune(self, obj: Json) -> list[str]:
        """Drop the fields that the kind does not know, and return their paths."""
        ...

    def prepare(self, obj: Json, old: Json | None) -> None:
        """Set defaults, and what else the server decides."""
        ...

    def validate(self, obj: Json, old: Json | None, subresource: str) -> list[Cause]:
        """Return what is wrong with `obj`, as the successor of `old` on an update."""
        ...


class PlainStrategy:
    """Takes everything as it comes."""

    def prune(self, obj: Json) -> list[str]:
        return []

    def prepare(self, obj: Json, old: Json | None) -> None:
        return None

    def validate(self, obj: Json, old: Json | None, subresource: str) -> list[Cause]:
        return []


def _same(obj: Json) -> Json:
    return obj


@dataclass(slots=True, kw_only=True, eq=False)
class Kind:
    """See the module docstring.

    Attributes:
        generation: whether `metadata.generation` is kept (rises when anything but metadata and status changes).
        unconditional_update: whether an update may come without a resourceVersion.
        graceful: whether deletion has a grace period (pods).
        returns_deleted: whether a completed delete answers with the object instead of a Status.
        fields: what field selectors may name beside the object's name and namespace.
        strategic: whether strategic merge patches are accepted (built-in kinds).
        create_on_update: whether an update of what is not there creates it.
        read_schema: reads the OpenAPI schema when it is needed first.
    """

    resource: Resource
    singular: str = ""
    list_kind: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: frozenset[str] = frozenset()
    verbs: frozenset[str] = ALL_VERBS
    generation: bool = False
    unconditional_update: bool = True
    graceful: bool = False
    returns_deleted: bool = False
    strategic: bool = False
    create_on_update: bool = False
    strategy: Strategy = field(default_factory=PlainStrategy)
    scale: ScalePaths | None = None
    fields: Mapping[str, FieldValue] = field(default_factory=dict)
    columns: tuple[Column, ...] = ()
    read_schema: Callable[[], Json] | None = None
    storage: ResourceId = ("", "")
    to_storage: Callable[[Json], Json] = _same
    from_storage: Callable[[Json], Json] = _same
    _schema: Json | None = field(default=None, init=False)
    _merge: MergeType | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.singular = self.singular or self.resource.kind.lower()
        self.list_kind = self.list_kind or f"{self.resource.kind}List"
        if self.storage == ("", ""):
            self.storage = (self.resource.group, self.resource.plural)

    @property
    def schema(self) -> Json:
        """The OpenAPI schema; empty for a kind without one."""
        if self._schema is None:
            self._schema = {} if self.read_schema is None else self.read_schema()
        return self._schema

    @property
    def merge(self) -> MergeType:
        """The shape by which apply and managedFields know lists and maps."""
        if self._merge is None:
            self._merge = MergeType(self.schema) if self.schema else DEDUCED
        return self._merge

    @property
    def stored_as_served(self) -> bool:
        """Whether the storage form is this version's own form."""
        return self.from_storage is _same

    @property
    def custom(self) -> bool:
        """Whether the kind comes from a CustomResourceDefinition."""
        return not self.strategic

    @property
    def selectable(self) -> Mapping[str, FieldValue]:
        """All that field selectors may name. Kinds with fields of their own drop the namespace if they have none."""
        own = self.custom or bool(self.fields)
        names = (name for name in NAME_FIELDS if name == "metadata.name" or self.resource.namespaced or not own)
        return {**{name: NAME_FIELDS[name] for name in names}, **self.fields}

    def unknown_field(self, path: str) -> str:
        """What answers a field selector that names something else."""
        if self.custom or self.fields:
            return f"field label not supported: {path}"
        return f'"{path}" is not a known field selector: only "metadata.name", "metadata.namespace"'

    @property
    def has_status(self) -> bool:
        return "status" in self.subresources

    def __repr__(self) -> str:
        return f"<Kind {self.resource}>"


class Kinds:
    """All kinds served right now. `generation` rises with every change: caches of discovery compare it."""

    def __init__(self) -> None:
        self.generation = 0
        self._by_path: dict[tuple[str, str, str], Kind] = {}

    def add(self, kind: Kind) -> None:
        resource = kind.resource
        self._by_path[resource.group, resource.version, resource.plural] = kind
        self.generation += 1

    def remove(self, group: str, plural: str) -> None:
        """Stop serving all versions of a resource."""
        for path in [path for path in self._by_path if path[0] == group and path[2] == plural]:
            del self._by_path[path]
        self.generation += 1

    def find(self, group: str, version: str, plural: str) -> Kind | None:
        return self._by_path.get((group, version, plural))

    def by_kind(self, api_version: str, kind: str) -> Kind | None:
        """Find by what an object says of itself."""
        for candidate in self._by_path.values():
            if candidate.resource.kind == kind and candidate.resource.api_version == api_version:
                return candidate
        return None

    def by_storage(self, resource: ResourceId) -> Kind | None:
        """Any version of what is stored under `resource`."""
        for candidate in self._by_path.values():
            if candidate.storage == resource:
                return candidate
        return None

    def groups(self) -> dict[str, list[str]]:
        """The served versions of each group, most stable first; the core group is `""`."""
        groups: dict[str, set[str]] = {}
        for group, version, _ in self._by_path:
            groups.setdefault(group, set()).add(version)
        return {group: sorted(versions, key=version_order) for group, versions in sorted(groups.items())}

    def in_version(self, group: str, version: str) -> list[Kind]:
        found = [kind for path, kind in self._by_path.items() if path[:2] == (group, version)]
        return sorted(found, key=lambda kind: kind.resource.plural)

    def __iter__(self) -> Iterator[Kind]:
        return iter(list(self._by_path.values()))


def version_order(version: str) -> tuple[int, int, int, str]:
    """Sort key by which `v2` < `v1` < `v1beta2` < `v1beta1` < `v1alpha1` < anything else."""
    head, _, rest = version.removeprefix("v").partition("beta")
    stage = 1
    if not rest:
        head, _, rest = version.removeprefix("v").partition("alpha")
        stage = 2 if rest else 0
    if not version.startswith("v") or not head.isdigit() or (rest and not rest.isdigit()):
        return (3, 0, 0, version)
    return (stage, -int(head), -int(rest or 0), version)
