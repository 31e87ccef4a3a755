"""Scaling and rolling updates of a group, decided in plain functions: from instances and a target to a list of actions."""

from tikv_operator.updater.classify import classify
from tikv_operator.updater.planner import (
    Action,
    CancelOffline,
    Create,
    DeferDelete,
    Delete,
    Plan,
    SetOffline,
    Target,
    Update,
    plan,
)
from tikv_operator.updater.topology import evenly_spread

__all__ = [
    "Action",
    "CancelOffline",
    "Create",
    "DeferDelete",
    "Delete",
    "Plan",
    "SetOffline",
    "Target",
    "Update",
    "classify",
    "evenly_spread",
    "plan",
]
