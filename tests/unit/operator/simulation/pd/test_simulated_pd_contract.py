"""The simulated PD keeps PD's contract; tests/real/pd shows that the real one does."""

from __future__ import annotations

import pytest

from controller_runtime.clock import LoopClock
from helpers.pd_contract import PDContract, PDUnderTest
from helpers.pd_simulated import SimulatedPDServers


class TestSimulatedPD(PDContract):
    @pytest.fixture
    async def pd(self) -> PDUnderTest:
        pd = SimulatedPDServers(LoopClock())
        await pd.until(pd.leader)
        return pd
