"""The task about PD's mode. PD as microservices (`ms`) is not supported: the wish is answered, and nothing changes."""

from __future__ import annotations

from typing import Final

from controller_runtime.task import Result, complete, task, wait
from tikv_operator.common.conditions import READY, SYNCED, TRUE, condition_is
from tikv_operator.pdgroup.tasks.state import MS, PDGroupContext, mode_is_unsupported

__all__ = ["MODE_SWITCHING", "mode"]

MODE_SWITCHING: Final = "ModeSwitching"


@task("ModeSwitch")
async def mode(ctx: PDGroupContext) -> Result:
    """Say where the group is on its way from one mode to the other."""
    if mode_is_unsupported(ctx):
        message = "mode ms (PD as microservices) is not supported by this operator: PD instances stay what they are"
        ctx.held = ctx.waiting_for = message
        ctx.say_once(MODE_SWITCHING, "ModeNotSupported", message)
        ctx.observe(MODE_SWITCHING, True, "ModeNotSupported", message)
        return wait(message)
    if _has_arrived(ctx):
        ctx.status.mode = None
        ctx.observe(MODE_SWITCHING, False, "ModeSwitchComplete", "PD mode switch is complete")
        return complete("mode switch is complete")
    under_way = condition_is(ctx.status.conditions, MODE_SWITCHING, TRUE)
    if under_way or ctx.status.mode == MS or any(pd.spec.mode == MS for pd in ctx.instances):
        ctx.observe(MODE_SWITCHING, True, "SwitchingPDInstances", 'switching PD instances to mode ""')
        return complete("switching pd instances")
    ctx.observe(MODE_SWITCHING, False, "ModeSwitchNotNeeded", "PD mode switch is not needed")
    return complete("mode switch is not needed")


def _has_arrived(ctx: PDGroupContext) -> bool:
    """All instances are there, in the wanted mode, ready and synced."""
    update = ctx.revisions.update.revision if ctx.revisions is not None else ""
    return len(ctx.instances) == ctx.group.spec.replicas and all(
        (pd.spec.mode or "") == (ctx.group.spec.template.spec.mode or "")
        and pd.status is not None
        and (pd.status.current_revision or "") == update
        and condition_is(pd.status.conditions, READY, TRUE)
        and condition_is(pd.status.conditions, SYNCED, TRUE)
        for pd in ctx.instances
    )
