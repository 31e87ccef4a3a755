"""What is particular to a PD server."""

from __future__ import annotations

from typing import Final

from tikv_operator.api import Feature, PDTemplateSpec
from tikv_operator.common import names
from tikv_operator.instance.component import InstanceComponent

__all__ = ["PD_SERVER"]

PD_SERVER: Final = InstanceComponent(
    name=names.PD_COMPONENT,
    image="pingcap/pd",
    config="/etc/pd",
    data="/var/lib/pd",
    tls="/var/lib/pd-tls",
    template=PDTemplateSpec,
    restarting_features=frozenset(
        {
            Feature.CLUSTER_SUBDOMAIN,
            Feature.DISABLE_PD_DEFAULT_READINESS_PROBE,
            Feature.USE_PD_READY_API,
            Feature.USE_PD_READY_API_V2,
        }
    ),
    ports={"client": names.PD_CLIENT_PORT, "peer": names.PD_PEER_PORT},
)
