"""The real PD keeps the contract that the operator relies on, and that the simulated one is held to."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from helpers.pd_contract import PDContract, PDUnderTest
from helpers.pd_real import REGIONS, RealPDServers
from helpers.pd_server import PDServers
from helpers.pd_stores import HeartbeatStores


class TestRealPD(PDContract):
    @pytest.fixture
    async def pd(self) -> AsyncIterator[PDUnderTest]:
        async with PDServers(count=3) as servers:
            await servers.wait_for_leader()
            async with HeartbeatStores(lambda: servers.client_urls, regions=REGIONS) as stores:
                yield RealPDServers(servers, stores)
