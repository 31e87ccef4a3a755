"""What one reconcile of a TiKVGroup works with beside what every group does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from controller_runtime.api import ObjectKey
from tikv_operator.api import TiKV, TiKVGroup
from tikv_operator.common.keys import ANNOTATION_PAUSED
from tikv_operator.group.tasks.state import GroupContext
from tikv_operator.pdclient import PDError, PDSnapshot
from tikv_operator.tikvgroup.rollouts import Rollouts
from tikv_operator.updater.budget import Budget, budget_of

__all__ = ["PDView", "PDs", "TiKVGroupContext", "group_is_paused", "is_paused"]


class PDView(Protocol):
    """The part of a `PDHandle` that this controller uses: it reads, and never asks PD anything."""

    @property
    def snapshot(self) -> PDSnapshot | None: ...

    @property
    def error(self) -> PDError | None: ...

    def fresh(self, now: float | None = None) -> bool: ...


class PDs(Protocol):
    """Where the PD of a cluster is found."""

    def get(self, cluster: ObjectKey) -> PDView | None: ...


@dataclass(slots=True, kw_only=True)
class TiKVGroupContext(GroupContext[TiKVGroup, TiKV]):
    """The state of one run.

    Attributes:
        pds: None if nothing is known of any PD.
        rollouts: shared by all runs.
    """

    pds: PDs | None = None
    rollouts: Rollouts = field(default_factory=Rollouts)

    @property
    def budget(self) -> Budget:
        """How many stores may be down together."""
        return budget_of(self.cluster.metadata.annotations if self.cluster is not None else {}, self.annotations)

    @property
    def most_unavailable(self) -> int:
        return self.budget.group

    @property
    def annotations(self) -> Mapping[str, str]:
        return self.group.metadata.annotations

    def pd_snapshot(self) -> PDSnapshot | None:
        """What PD has said lately; None if it can't be trusted."""
        pd = self.pds.get(self.cluster.key) if self.pds is not None and self.cluster is not None else None
        return pd.snapshot if pd is not None and pd.fresh(self.clock.now()) else None


def is_paused(group: TiKVGroup | None) -> bool:
    return group is not None and group.metadata.annotations.get(ANNOTATION_PAUSED) == "true"


def group_is_paused(ctx: TiKVGroupContext) -> bool:
    """Nobody may change the group; what is broken is repaired all the same."""
    return is_paused(ctx.found)
