"""What is particular to groups of TiKVs."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from controller_runtime.api import ObjectMeta
from tikv_operator.api import TiKV, TiKVGroup, TiKVSpec, TiKVTemplate
from tikv_operator.common.names import TIKV_COMPONENT, tikv_group_client_port, tikv_group_status_port
from tikv_operator.group.component import GroupComponent

__all__ = ["TIKV_GROUP"]


def _ports(group: TiKVGroup) -> tuple[tuple[str, int], ...]:
    return (("client", tikv_group_client_port(group)), ("status", tikv_group_status_port(group)))


def _make(metadata: ObjectMeta, spec: dict[str, Any]) -> TiKV:
    return TiKV(metadata=metadata, spec=msgspec.convert(spec, TiKVSpec))


TIKV_GROUP: Final = GroupComponent(
    name=TIKV_COMPONENT,
    group=TiKVGroup,
    instance=TiKV,
    template=TiKVTemplate,
    make=_make,
    ports=_ports,
    own_spec={"offline": False},
)
