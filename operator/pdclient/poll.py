"""One look at PD: the few requests that make a snapshot."""

from __future__ import annotations

import msgspec

from controller_runtime.clock import Clock
from tikv_operator.pdclient.client import PDClient
from tikv_operator.pdclient.errors import PDNotBootstrapped
from tikv_operator.pdclient.models import Evictions, PDConfig, Store
from tikv_operator.pdclient.snapshot import PDSnapshot, by_address

__all__ = ["take_snapshot"]


async def take_snapshot(
    client: PDClient, clock: Clock, *, known: PDSnapshot | None = None, evicting: frozenset[str] = frozenset()
) -> PDSnapshot:
    """Read PD's stores and evictions, and, unless `known` is given, its configuration and members.

    The requests are sent one after the other, so that a PD which is down costs one failed request, not five.

    Args:
        known: an earlier snapshot, whose configuration and members are good enough.
        evicting: ids of the stores whose leaders PD moved away when it was last looked at.

    Raises:
        PDError: PD could not be read. A PD that no TiKV has registered with yet simply has no stores.
    """
    taken_at = clock.now()
    stores = await _stores(client)
    evictions = await _evictions(client, evicting)
    config = known.config if known else await _config(client)
    members = known.members if known else await client.members()
    healthy = known.healthy if known else frozenset(member.id for member in await client.health() if member.healthy)
    return PDSnapshot(
        stores=by_address(stores),
        evicting=evictions.stores,
        prepared=evictions.prepared,
        config=config,
        members=members,
        healthy=healthy,
        taken_at=taken_at,
    )


async def _config(client: PDClient) -> PDConfig:
    """Read the configuration. Where it promises that replicas are kept apart, the rules must not say otherwise."""
    config = await client.config()
    if not config.isolation_level:
        return config
    try:
        rules = await client.placement_rules()
    except PDNotBootstrapped:  # PD makes its own rule of the configuration when the first store registers
        rules = ()
    voters = [rule for rule in rules if rule.role != "learner"]
    plain = all(rule.is_default and rule.isolation_level == config.isolation_level for rule in voters)
    return config if plain else msgspec.structs.replace(config, isolation_level="")


async def _stores(client: PDClient) -> tuple[Store, ...]:
    try:
        return await client.stores()
    except PDNotBootstrapped:
        return ()


async def _evictions(client: PDClient, before: frozenset[str]) -> Evictions:
    try:
        return await client.evictions(before=before)
    except PDNotBootstrapped:
        return Evictions()
