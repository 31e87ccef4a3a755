"""What is particular to a TiKV."""

from __future__ import annotations

from typing import Final

from tikv_operator.api import Feature, TiKVTemplateSpec
from tikv_operator.common import names
from tikv_operator.instance.component import InstanceComponent
from tikv_operator.tikv import paths

__all__ = ["TIKV"]

TIKV: Final = InstanceComponent(
    name=names.TIKV_COMPONENT,
    image="pingcap/tikv",
    config=paths.CONFIG,
    data=paths.DATA,
    tls=paths.TLS,
    template=TiKVTemplateSpec,
    restarting_features=frozenset(
        {Feature.CLUSTER_SUBDOMAIN, Feature.USE_TIKV_READY_API, Feature.INDEPENDENT_KV_ENGINE_WORKER}
    ),
    in_place=("placement", "preStop"),  # of preStop, all is an image
    ports={"client": names.TIKV_CLIENT_PORT, "peer": names.TIKV_STATUS_PORT},
)
