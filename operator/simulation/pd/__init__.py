"""The simulated PD: a pure core (`core`), its HTTP API as a function (`http`), and ways to be reached (`front`)."""

from __future__ import annotations

from tikv_operator.simulation.pd.core import SimulatedPD
from tikv_operator.simulation.pd.members import Member
from tikv_operator.simulation.pd.stores import (
    NodeState,
    PDRefused,
    Registration,
    RegistrationRefused,
    Store,
    StoreGone,
    StoreNotFound,
)

__all__ = [
    "Member",
    "NodeState",
    "PDRefused",
    "Registration",
    "RegistrationRefused",
    "SimulatedPD",
    "Store",
    "StoreGone",
    "StoreNotFound",
]
