"""PD as the operator sees it: a typed client, one pooled handle per cluster, and events when stores change.

In the cluster PD is reached directly, elsewhere through the API server's service proxy. Reconcilers read a snapshot that a
poller keeps fresh, and ask PD itself only to change something.
"""

from tikv_operator.pdclient.client import PDClient, evict_leader_scheduler
from tikv_operator.pdclient.clients import PDClients
from tikv_operator.pdclient.connection import Connect, direct, requester_for, through_api_server
from tikv_operator.pdclient.errors import PDError, PDNotBootstrapped, PDNotFound, PDUnexpectedAnswer, PDUnreachable
from tikv_operator.pdclient.handle import PDHandle
from tikv_operator.pdclient.models import (
    DownPeers,
    Member,
    MemberHealth,
    Members,
    NodeState,
    PDConfig,
    Store,
    StoreState,
    TSOMember,
)
from tikv_operator.pdclient.requester import PDRequester, PDResponse
from tikv_operator.pdclient.snapshot import PDSnapshot, by_address
from tikv_operator.pdclient.tls import SecretTLS, TLSProvider

__all__ = [
    "Connect",
    "DownPeers",
    "Member",
    "MemberHealth",
    "Members",
    "NodeState",
    "PDClient",
    "PDClients",
    "PDConfig",
    "PDError",
    "PDHandle",
    "PDNotBootstrapped",
    "PDNotFound",
    "PDRequester",
    "PDResponse",
    "PDSnapshot",
    "PDUnexpectedAnswer",
    "PDUnreachable",
    "SecretTLS",
    "Store",
    "StoreState",
    "TLSProvider",
    "TSOMember",
    "by_address",
    "direct",
    "evict_leader_scheduler",
    "requester_for",
    "through_api_server",
]
