"""Items of the configuration that PD keeps itself: which there are, and what PD's API takes for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tikv_operator.simulation.pd.stores import PDRefused

__all__ = ["check_items"]

_REPLICATION: Final = frozenset(
    {
        "enable-placement-rules",
        "enable-placement-rules-cache",
        "isolation-level",
        "location-labels",
        "max-replicas",
        "strictly-match-label",
    }
)
_KEPT: Final = frozenset({"keyspace", "pd-server", "replication", "replication-mode", "schedule"})


def check_items(items: Mapping[str, Any]) -> None:
    """
    Args:
        items: by their dotted names.

    Raises:
        PDRefused: there is no such item, or its value is of the wrong kind.
    """
    for name, value in items.items():
        _check_item(name, value)


def _check_item(name: str, value: Any) -> None:
    """Whether PD's API takes a value: truth values and lists as text, except in the table of keyspaces."""
    table, dot, key = name.partition(".")
    if not dot:
        msg = f"config item {name} not found"
    elif table not in _KEPT:
        msg = f"config prefix {table} not found"
    elif table == "replication" and key not in _REPLICATION:
        msg = f"config item {key} not found"
    elif table != "keyspace" and isinstance(value, bool):
        msg = "json: invalid use of ,string struct tag, trying to unmarshal unquoted value into bool"
    elif table != "keyspace" and isinstance(value, list):
        msg = "invalid syntax"
    elif name == "replication.max-replicas" and not isinstance(value, int):
        msg = "json: cannot unmarshal string into Go struct field ReplicationConfig.max-replicas of type uint64"
    else:
        return
    raise PDRefused(msg)
