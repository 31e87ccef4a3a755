"""The list of our kinds, for whatever goes over all of them."""

from __future__ import annotations

from typing import Final

from controller_runtime.api.meta import Object
from tikv_operator.api.cluster import Cluster
from tikv_operator.api.pd import PD
from tikv_operator.api.pdgroup import PDGroup
from tikv_operator.api.tikv import TiKV
from tikv_operator.api.tikvgroup import TiKVGroup

__all__ = ["KINDS"]

KINDS: Final[tuple[type[Object], ...]] = (Cluster, PDGroup, PD, TiKVGroup, TiKV)
