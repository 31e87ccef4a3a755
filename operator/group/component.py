"""What is particular to one kind of group: its types, its ports, and what its instances have beyond their template."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from controller_runtime.api import ObjectMeta
from tikv_operator.api import PDTemplate, TiKVTemplate
from tikv_operator.common.instances import Group, Instance

__all__ = ["GroupComponent", "Template"]

G = TypeVar("G", bound=Group)
I = TypeVar("I", bound=Instance)  # noqa: E741 (an instance kind)

Template = TiKVTemplate | PDTemplate


def _no_annotations(_: Any) -> dict[str, str]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupComponent(Generic[G, I]):
    """See the module docstring.

    Attributes:
        name: the component as names and labels call it, e.g. `tikv`.
        template: the type of the group's template.
        make: makes an instance from its metadata and its spec.
        ports: returns name and number of each port of the group's services, in order.
        own_spec: fields of an instance's spec that are not its template's.
        annotations: returns what a new instance's annotations have beyond the template's.
    """

    name: str
    group: type[G]
    instance: type[I]
    template: type[Template]
    make: Callable[[ObjectMeta, dict[str, Any]], I]
    ports: Callable[[G], tuple[tuple[str, int], ...]]
    own_spec: Mapping[str, Any] = field(default_factory=dict)
    annotations: Callable[[G], dict[str, str]] = _no_annotations
