"""A simulated cluster around an API server: nodes that run pods, disks, and PD. For the demo and for tests.

`Simulation` bundles it all; `SimulationSettings` says how fast it is and what goes wrong in it.
"""

from __future__ import annotations

from tikv_operator.simulation.pd.front import InProcessFront, LoopbackFront, PDFront
from tikv_operator.simulation.settings import PDOutage, SimulationSettings
from tikv_operator.simulation.simulation import Simulation, StoreView

__all__ = ["InProcessFront", "LoopbackFront", "PDFront", "PDOutage", "Simulation", "SimulationSettings", "StoreView"]
