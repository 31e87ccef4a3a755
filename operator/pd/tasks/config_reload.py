"""How a change of PD's configuration reaches the running cluster without a restart, where PD can take it.

The pod remembers in its recorded template which configuration has been dealt with: when it is changed in place, that one is
told to PD first. All servers of a group tell PD the same, so it does not matter which is the first, or whether one repeats it.
What the running process doesn't use yet is remembered in an annotation, for as long as that process runs.
"""

from __future__ import annotations

from typing import Any

import msgspec

from controller_runtime.api.k8s import Pod
from tikv_operator.api import PDTemplateSpec
from tikv_operator.common.keys import ANNOTATION_UNRELOADED_CONFIG
from tikv_operator.common.pods import started_at
from tikv_operator.instance.tasks.pod import is_reloadable
from tikv_operator.instance.template import recorded_template
from tikv_operator.pd.component import PD_SERVER
from tikv_operator.pd.online import ConfigChange, change_of
from tikv_operator.pd.tasks.state import PDContext
from tikv_operator.pdclient import PDError

__all__ = ["only_online", "reload_config"]


class _Unreloaded(msgspec.Struct, frozen=True):
    """What a running process doesn't use yet.

    Attributes:
        process: when it started, in seconds since the epoch.
        notes: for a person.
    """

    process: float = 0.0
    notes: tuple[str, ...] = ()


async def only_online(ctx: PDContext, current: Pod) -> bool:
    """Return whether nothing differs but configuration that PD keeps itself: a restart would change nothing."""
    change = _change(ctx, current)
    if change is None or change.restarts or ctx.handle is None:
        return False
    last = recorded_template(PDTemplateSpec, current)
    with_old_config: Any = msgspec.structs.replace(
        ctx.instance, spec=msgspec.structs.replace(ctx.instance.spec, config=last.spec.config if last else None)
    )
    own, ctx.found = ctx.instance, with_old_config
    try:
        return await is_reloadable(ctx, current)
    finally:
        ctx.found = own


async def reload_config(ctx: PDContext, current: Pod, expected: Pod) -> None:
    """Tell PD of the items that it keeps, and note, on the pod too, what only a restart changes.

    Raises:
        PDError: PD could not be asked: the configuration counts as not dealt with.
    """
    notes = list(_remembered(current))
    change = _change(ctx, current)
    if change is not None:
        await _tell(ctx, change)
        if change.removed:
            names = ", ".join(change.removed)
            notes.append(f"pd keeps the values of {names}, which the configuration sets no longer")
        if change.restarts:
            notes.append("the rest of the configuration is read when pd starts")
    if notes:
        kept = tuple(dict.fromkeys(notes))
        unreloaded = _Unreloaded(process=_process(current), notes=kept)
        expected.metadata.annotations[ANNOTATION_UNRELOADED_CONFIG] = msgspec.json.encode(unreloaded).decode()
        for note in kept:
            ctx.needs_restart("ConfigNeedsRestart", note)


def _change(ctx: PDContext, current: Pod) -> ConfigChange | None:
    last = recorded_template(PDTemplateSpec, current)
    if last is None or (last.spec.config or "") == (ctx.instance.spec.config or ""):
        return None
    return change_of(last.spec.config or "", ctx.instance.spec.config or "")


async def _tell(ctx: PDContext, change: ConfigChange) -> None:
    if not change.online:
        return
    if ctx.handle is None:
        msg = f"configuration items have to be told to pd, but {ctx.trouble}"
        raise PDError(msg)
    try:
        await ctx.handle.client.set_config(change.online)
    except PDError as error:
        if error.retryable:
            raise
        ctx.problem("ConfigRefused", f"pd refuses configuration items: {error.message}")
    else:
        ctx.events.normal(ctx.instance, "ConfigReloaded", f"pd was told of {', '.join(change.online)}")


def _remembered(current: Pod) -> tuple[str, ...]:
    """Return what the process that runs now didn't use when its pod was changed last."""
    text = current.metadata.annotations.get(ANNOTATION_UNRELOADED_CONFIG, "")
    try:
        found = msgspec.json.decode(text, type=_Unreloaded)
    except msgspec.MsgspecError:
        return ()
    return found.notes if found.process == _process(current) else ()


def _process(current: Pod) -> float:
    return started_at(current, PD_SERVER.name) or 0.0
