"""A component's configuration file: the user's TOML with what only the operator knows written over it.

The text is TiDB Operator's byte for byte (see `common.toml`). A table that only the operator fills keeps the order in which its
fields are listed; a table that the user has, too, is sorted. Pure functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tikv_operator.common.errors import ConfigInvalid
from tikv_operator.common.instances import Instance
from tikv_operator.common.toml import Declared, dump_toml, parse_toml
from tikv_operator.instance.component import DATA_MOUNT, InstanceComponent

__all__ = ["Field", "ManagedConfig", "Value", "data_directory"]

Field = tuple[str, str]
"""A table and a key in it; an empty table stands for the top level."""

Value = str | list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedConfig:
    """The fields of a component's configuration that the operator knows.

    Attributes:
        component: its name, for messages.
        managed: what a user must not set, in the order in which a complaint lists them.
        overridable: what a user may set where the operator doesn't.
        lists: those of them that are lists of strings; the others are strings.
    """

    component: str
    managed: Sequence[Field]
    overridable: Sequence[Field] = ()
    lists: frozenset[Field] = frozenset()

    def render(self, text: str, values: Mapping[Field, Value]) -> str:
        """Return the text of the configuration file.

        Args:
            text: the user's.
            values: the operator's; empty ones are not written.

        Raises:
            ConfigInvalid: the user's text isn't TOML, has a value of a wrong type, or sets a managed field.
        """
        try:
            tree = parse_toml(text)
        except ValueError as error:
            msg = f"{self.component} config cannot be decoded: {error}"
            raise ConfigInvalid(msg) from error
        known = self._read_known(tree)
        taken = [_name(field) for field in self.managed if known.get(field)]
        if taken:
            msg = (
                f"cannot generate {self.component} config: [{' '.join(taken)}]: "
                "field is managed by operator, cannot be set in config file"
            )
            raise ConfigInvalid(msg)
        for (table, key), value in {**known, **values}.items():
            if value:
                (tree.setdefault(table, Declared()) if table else tree)[key] = value
        return dump_toml(tree)

    def _read_known(self, tree: Mapping[str, Any]) -> dict[Field, Value]:
        """Return the user's values of the fields that the operator knows, checked for their types."""
        known: dict[Field, Value] = {}
        for field in (*self.managed, *self.overridable):
            table_name, key = field
            table = _lookup(tree, table_name) if table_name else tree
            if table is None:
                continue
            if not isinstance(table, dict):
                raise self._wrong_type(table_name, "a table", table)
            value = _lookup(table, key)
            if value is None:
                continue
            if field in self.lists:
                if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                    raise self._wrong_type(_name(field), "a list of strings", value)
            elif not isinstance(value, str):
                raise self._wrong_type(_name(field), "a string", value)
            known[field] = value
        return known

    def _wrong_type(self, name: str, wanted: str, value: Any) -> ConfigInvalid:
        return ConfigInvalid(f"{self.component} config cannot be decoded: {name} must be {wanted}, not {value!r}")


def data_directory(component: InstanceComponent, instance: Instance) -> str:
    """Return where a component keeps its data: the path of the last mount of type `data`."""
    mounts = [mount for volume in instance.spec.volumes for mount in volume.mounts if mount.type == DATA_MOUNT]
    return (mounts[-1].mount_path if mounts else None) or component.data


def _name(field: Field) -> str:
    return ".".join(part for part in field if part)


def _lookup(table: Mapping[str, Any], name: str) -> Any:
    """Find a key as it is, or written in other letters' case: the component would not take it, so better to complain here."""
    if name in table:
        return table[name]
    return next((value for key, value in table.items() if key.casefold() == name), None)
