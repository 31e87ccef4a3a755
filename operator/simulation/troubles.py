"""What goes wrong at the moment: the settings' troubles to begin with, then whatever a test or a person adds.

Pods are named by their name alone, in any namespace. All methods are synchronous; whoever changes something tells the
kubelet to look again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tikv_operator.simulation.settings import SimulationSettings

__all__ = ["Troubles"]


@dataclass(slots=True)
class Troubles:
    """Names of pods, by kind of trouble; `SimulationSettings` explains each."""

    crashing_pods: set[str] = field(default_factory=set)
    unready_pods: set[str] = field(default_factory=set)
    dead_stores: set[str] = field(default_factory=set)
    stubborn_stores: set[str] = field(default_factory=set)
    busy_stores: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, settings: SimulationSettings) -> Troubles:
        return cls(
            set(settings.crashing_pods),
            set(settings.unready_pods),
            set(settings.dead_stores),
            set(settings.stubborn_stores),
            set(settings.busy_stores),
        )
