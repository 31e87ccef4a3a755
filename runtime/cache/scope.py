"""What an informer mirrors of its kind, and how much of each object it keeps. Pure values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from controller_runtime.api.resource import Resource
from controller_runtime.api.selectors import Selector
from controller_runtime.cache.fields import NAME, NAMESPACE, FieldSelector
from controller_runtime.cache.meta import Meta
from controller_runtime.cache.transform import Transform

__all__ = ["Scope"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """See the module docstring. An option that is None is left to whoever else declares the kind.

    Attributes:
        namespaces: sorted; one empty name for all of them.
        fields: selects on the server, beyond the namespace.
    """

    namespaces: tuple[str, ...] | None = None
    labels: Selector | None = None
    fields: FieldSelector | None = None
    metadata_only: bool | None = None
    transform: Transform | None = None

    @classmethod
    def of(
        cls,
        resource: Resource,
        *,
        namespace: str | Iterable[str] | None = None,
        labels: Selector | None = None,
        fields: str | None = None,
        metadata_only: bool | None = None,
        transform: Transform | None = None,
    ) -> Scope:
        """Build a scope from what a user writes. `metadata.namespace=x` among the fields is the namespace.

        Raises:
            ValueError: `fields` cannot be parsed, contradicts `namespace`, or a cluster-scoped kind is given a namespace.
        """
        namespaces = _namespaces(namespace)
        selector = FieldSelector.parse(fields) if fields is not None else None
        if selector is not None and (only := selector.required(NAMESPACE)) is not None:
            if namespaces is not None and namespaces != ("",) and only not in namespaces:
                msg = f"{resource}: the fields want namespace {only!r}, which is not in {namespaces}"
                raise ValueError(msg)
            namespaces = (only,)
            selector = selector.without(NAMESPACE)
        if namespaces is not None and namespaces != ("",) and not resource.namespaced:
            msg = f"{resource} is cluster-scoped: it cannot be cached by namespace"
            raise ValueError(msg)
        return cls(
            namespaces=namespaces, labels=labels, fields=selector, metadata_only=metadata_only, transform=transform
        )

    def complete(self) -> Scope:
        """Return the scope in which what was left open means everything."""
        return Scope(
            namespaces=self.namespaces or ("",),
            labels=self.labels,
            fields=self.fields,
            metadata_only=bool(self.metadata_only),
            transform=self.transform,
        )

    def contradicts(self, given: Scope) -> str | None:
        """Return how this scope differs from one that is in force, or None if it doesn't."""
        options: tuple[tuple[str, object, object], ...] = (
            ("namespace", self.namespaces, given.namespaces),
            ("labels", self.labels, given.labels),
            ("fields", self.fields, given.fields or FieldSelector()),
            ("metadata_only", self.metadata_only, given.metadata_only),
            ("transform", self.transform, given.transform),
        )
        for option, wanted, present in options:
            if wanted is not None and wanted != present:
                return f"has been declared with {option}={present!r}; it cannot also have {wanted!r}"
        return None

    @property
    def selective(self) -> bool:
        """Whether an object can leave the scope without being deleted."""
        return bool((self.labels and self.labels.requirements) or self.fields)

    def covers(self, namespace: str) -> bool:
        """Return whether the objects of a namespace are in the scope (the empty name stands for all of them)."""
        return self.namespaces is None or "" in self.namespaces or namespace in self.namespaces

    def excludes(self, name: str) -> bool:
        """Return whether no object of this name can be in the scope."""
        only = self.fields.required(NAME) if self.fields is not None else None
        return only is not None and only != name

    def selects(self, meta: Meta) -> bool | None:
        """Return whether an object of a covered namespace is in the scope; None if only the server knows."""
        if self.labels is not None and not self.labels.matches(meta.labels):
            return False
        return True if self.fields is None else self.fields.selects(meta)


def _namespaces(namespace: str | Iterable[str] | None) -> tuple[str, ...] | None:
    if namespace is None:
        return None
    names = (namespace,) if isinstance(namespace, str) else tuple(sorted(set(namespace)))
    return ("",) if "" in names or not names else names
