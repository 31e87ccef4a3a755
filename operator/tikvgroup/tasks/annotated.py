"""The task that says what the annotations of a group, which no schema checks, have done."""

from __future__ import annotations

from controller_runtime.task import Result, complete, task
from tikv_operator.common.conditions import find_condition, remove_condition
from tikv_operator.tikvgroup.tasks.state import TiKVGroupContext, group_is_paused
from tikv_operator.updater.budget import invalid_budgets

__all__ = ["annotated"]

PAUSED = "Paused"
BUDGET_INVALID = "BudgetInvalid"


@task("Annotations")
async def annotated(ctx: TiKVGroupContext) -> Result:
    """Keep the conditions Paused and BudgetInvalid, which are there only while they are true."""
    paused = "the group is paused: no instance is created, changed or removed" if group_is_paused(ctx) else ""
    invalid = invalid_budgets(ctx.annotations)
    _keep(ctx, PAUSED, "Paused", paused, warning=False)
    _keep(ctx, BUDGET_INVALID, "AnnotationInvalid", invalid, warning=True)
    return complete("; ".join(filter(None, (paused, invalid))) or "nothing to say")


def _keep(ctx: TiKVGroupContext, type: str, reason: str, message: str, *, warning: bool) -> None:  # noqa: A002
    conditions = ctx.status.conditions
    known = find_condition(conditions, type)
    if not message:
        if remove_condition(conditions, type):
            ctx.say(f"{type}Ended", f"no longer: {known.message}" if known is not None else "")
        return
    ctx.say_once(type, reason, message, warning=warning)
    ctx.observe(type, True, reason, message)
