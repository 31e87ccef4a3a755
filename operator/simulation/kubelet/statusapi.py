"""TiKV's HTTP API at its status address, as far as an operator uses it: `POST /config`, which changes items online.

Like TiKV's, it decides by the item whether it can be changed while the process runs, changes all items of a request or none,
and says no with status 500 and a text. A pure state machine.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec

from tikv_operator.simulation.pd.http import Answer

__all__ = ["StatusAPI"]

_AT_START_ONLY: Final = (
    "log.file",
    "pd.",
    "raftdb.",
    "raftstore.raftdb-path",
    "security.",
    "server.addr",
    "server.advertise-",
    "server.labels",
    "server.status-",
    "storage.data-dir",
    "storage.engine",
    "storage.reserve-space",
)
"""Items, or beginnings of items, that a process reads only when it starts. TiKV's own list is longer, and each version's own."""


class StatusAPI:
    """See the module docstring.

    Args:
        read_config: returns the text of the configuration file.
    """

    def __init__(self, read_config: Callable[[], str]) -> None:
        self._read_config = read_config
        self._items: dict[str, Any] | None = None

    @property
    def items(self) -> dict[str, Any]:
        """What the process runs with, by dotted names; empty while it doesn't run."""
        return dict(self._items or {})

    def start(self) -> None:
        """The process starts, and reads its file."""
        try:
            self._items = dict(_flatten(tomllib.loads(self._read_config()), ""))
        except tomllib.TOMLDecodeError:
            self._items = None

    def stop(self) -> None:
        """The process is gone, and answers nobody."""
        self._items = None

    def answer(self, method: str, path: str, params: Sequence[tuple[str, str]], body: bytes) -> Answer:
        """Answer one request. `params` are accepted and ignored: nothing is ever persisted here."""
        del params
        if self._items is None:
            return 503, b"the process does not run"
        if (method, path) != ("POST", "/config"):
            return 404, b"path not found"
        try:
            changes = msgspec.json.decode(body, type=dict[str, str | int | float | bool])
        except msgspec.MsgspecError as error:
            return 500, f"failed to decode, error: {error}".encode()
        for name in changes:
            if name.startswith(_AT_START_ONLY):
                return 500, f"failed to update, error: {name} can not be changed".encode()
        self._items.update(changes)
        return 200, b""


def _flatten(table: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
