"""Which parts of PD's configuration PD keeps itself, and what of a change it has to be told.

PD writes the items of some tables to etcd when it starts for the first time; what its configuration file says of them later
has no effect, with or without a restart. They can be changed over its API, for all servers at once. Everything else a server
reads from its file when it starts.

Pure functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tikv_operator.common.errors import ConfigInvalid
from tikv_operator.common.toml import dump_toml, parse_toml

__all__ = ["PERSISTED", "ConfigChange", "change_of"]

PERSISTED: Final = ("keyspace", "pd-server", "replication", "replication-mode", "schedule")
"""The tables of PD's configuration that PD keeps in etcd."""


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """What a change of the configuration amounts to.

    Attributes:
        online: items to tell PD, by their dotted names.
        removed: items that PD keeps and that nobody sets any more: they stay what they are.
        restarts: something else has changed, too, which a server reads when it starts.
    """

    online: Mapping[str, Any]
    removed: tuple[str, ...]
    restarts: bool


def change_of(last: str, current: str) -> ConfigChange:
    """Compare two configurations.

    Args:
        last: what the running servers were told last.

    Raises:
        ConfigInvalid: one of them is not TOML.
    """
    try:
        old, new = parse_toml(last), parse_toml(current)
    except ValueError as error:
        msg = f"pd config cannot be decoded: {error}"
        raise ConfigInvalid(msg) from error
    before, after = _flat(old), _flat(new)
    online = {name: value for name, value in after.items() if before.get(name) != value}
    return ConfigChange(
        online=online,
        removed=tuple(sorted(before.keys() - after.keys())),
        restarts=_rest(old) != _rest(new),
    )


def _flat(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return the items of the persisted tables by their dotted names, as PD's API takes them.

    It wants lists as comma-separated text and truth values as text, unlike its configuration file; of keyspaces alone it takes
    both as they are.
    """
    found: dict[str, Any] = {}
    for table in PERSISTED:
        _flatten(tree.get(table), table, found)
    return {name: value if name.startswith("keyspace.") else _text(value) for name, value in found.items()}


def _flatten(value: Any, name: str, found: dict[str, Any]) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            _flatten(item, f"{name}.{key}", found)
    elif value is not None:
        found[name] = value


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    return value


def _rest(tree: Mapping[str, Any]) -> str:
    return dump_toml({key: value for key, value in tree.items() if key not in PERSISTED})
