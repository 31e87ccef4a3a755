"""What the API server calls a kind: group, version, kind, plural and scope, and the URLs that follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote

__all__ = ["ObjectKey", "Resource"]


class ObjectKey(NamedTuple):
    """Names one object of a kind. The namespace of a cluster-scoped object is the empty string."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(frozen=True, slots=True)
class Resource:
    """One version of one kind, as the API server serves it.

    Args:
        group: the API group; `""` for the core group.
        version: e.g. `"v1"`.
        kind: e.g. `"Pod"`.
        plural: the name in URLs, e.g. `"pods"`.
        namespaced: False for a cluster-scoped kind.
    """

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """`"v1"` for the core group, else `"group/version"`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def group_kind(self) -> tuple[str, str]:
        return (self.group, self.kind)

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Return the URL path of the collection, of one object, or of an object's subresource.

        An empty `namespace` of a namespaced kind means all namespaces (collections only).
        """
        prefix = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        middle = f"/namespaces/{quote(namespace, safe='')}" if namespace and self.namespaced else ""
        tail = f"/{quote(name, safe='')}" if name else ""
        end = f"/{subresource}" if subresource else ""
        return f"{prefix}{middle}/{self.plural}{tail}{end}"

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}/{self.version}" if self.group else f"{self.plural}/{self.version}"
