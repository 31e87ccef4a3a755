"""Which configuration items a running TiKV has to be told of, and which of them wait for its restart. Pure functions.

TiKV reads its configuration file when it starts. Some items can be changed while it runs, over its HTTP API; which, only TiKV
itself knows (it depends on its version), so it is asked, item by item. What it refuses takes effect with its next start.

The pod remembers both: its recorded template has the configuration that was dealt with last, and one annotation has the
items that the running process doesn't use yet, with the values it started with. A process that has been started since has
read the new file; then the annotation says nothing any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from tikv_operator.common.errors import ConfigInvalid
from tikv_operator.common.toml import parse_toml

__all__ = ["Unreloaded", "changed_items", "flat_items", "read_unreloaded", "sendable"]


class Unreloaded(msgspec.Struct, frozen=True, omit_defaults=True):
    """The items that a running process doesn't use yet.

    Attributes:
        process: when the process started, in seconds since the epoch: these are its items and no other's.
        refused: items that take effect when TiKV starts next, with the values that it runs with now.
        unasked: items that TiKV could not be told of so far, likewise.
    """

    process: float = 0.0
    refused: Mapping[str, Any] = {}
    unasked: Mapping[str, Any] = {}

    @property
    def empty(self) -> bool:
        return not self.refused and not self.unasked

    def text(self) -> str:
        """Return the text of the annotation; empty if there is nothing to remember."""
        return "" if self.empty else msgspec.json.encode(self, order="sorted").decode()


def read_unreloaded(text: str, process: float) -> Unreloaded:
    """Return what the annotation says of the process that was started at `process`; nothing if it is about an earlier one."""
    try:
        found = msgspec.json.decode(text or "{}", type=Unreloaded)
    except msgspec.MsgspecError:
        found = Unreloaded()
    return found if found.process == process else Unreloaded(process)


def flat_items(config: str) -> dict[str, Any]:
    """Return a configuration's items by their dotted names. Lists, and tables of tables, are one item.

    Raises:
        ConfigInvalid: it isn't TOML.
    """
    try:
        tree = parse_toml(config)
    except ValueError as error:
        msg = f"tikv config cannot be decoded: {error}"
        raise ConfigInvalid(msg) from error
    return dict(_flatten(tree, ""))


def changed_items(before: Mapping[str, Any], after: Mapping[str, Any], known: Unreloaded) -> dict[str, Any]:
    """Return the items that TiKV has to be told of, with the values that it runs with.

    Args:
        before: the items that were dealt with last.
        after: the items as they should be.
        known: what the process doesn't use yet. An item that is wanted again as the process started with it needs nothing.
    """
    running = {**before, **known.refused, **known.unasked}
    suspects = {
        name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
    } | known.unasked.keys()
    return {name: running.get(name) for name in sorted(suspects) if running.get(name) != after.get(name)}


_SENDABLE: Final = (str, int, float, bool)


def sendable(value: Any) -> bool:
    """Return whether TiKV takes such a value over HTTP: no lists, tables or dates, and nothing to say "as by default"."""
    return isinstance(value, _SENDABLE)


def _flatten(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        name = f"{prefix}.{key}" if prefix else key
        if isinstance(value, dict):
            yield from _flatten(value, name)
        else:
            yield name, value
