"""What every run of a pipeline has, whatever its object: how it reaches the cluster, and how it reports.

A context is made for each run and used by that run alone. A run works out the object's status in memory, and says what is
worth an Event; then it reports. What nobody waits for is kept back for a moment (see `tikv_operator.common.pace`): then
neither the status is written nor the Events, and the run that looks again says both anew.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from controller_runtime.api import Object, ObjectKey
from controller_runtime.client import Client, ClientError
from controller_runtime.clock import Clock
from controller_runtime.reconcile import EventRecorder, Logger
from controller_runtime.task import Result
from tikv_operator.common.conditions import SYNCED, find_condition, set_condition
from tikv_operator.common.pace import StatusPace, Urgency, WaitedFor, persisted_status, urgency
from tikv_operator.common.settings import Settings

__all__ = ["RunContext", "Said", "failure"]

O = TypeVar("O", bound=Object)  # noqa: E741 (an object's kind)


class Said(NamedTuple):
    """An Event to be written."""

    reason: str
    message: str
    warning: bool


@dataclass(slots=True, kw_only=True)
class RunContext(Generic[O]):
    """See the module docstring.

    Attributes:
        pace: what of statuses is kept back, shared by all runs of a controller.
        found: the object; None if it is gone. Its status is changed in memory and written at the end.
        said: Events that are to be written along with the status.
        to_persist: a later task may do its work only if the status says so already: this run must not keep it back.
    """

    waited_for: ClassVar[WaitedFor]

    client: Client
    clock: Clock
    log: Logger
    events: EventRecorder
    key: ObjectKey
    settings: Settings
    pace: StatusPace = field(default_factory=StatusPace)
    found: O | None = None
    to_persist: bool = False
    said: list[Said] = field(default_factory=list)

    def present(self) -> O:
        """Return the object, in tasks that run only if there is one."""
        if self.found is None:
            msg = f"a task ran for {self.key} although that is gone: the pipeline must break before it"
            raise AssertionError(msg)
        return self.found

    @property
    def status(self) -> Any:
        """The status that the run has worked out so far, to be changed in place. Each kind of context has its own."""
        raise NotImplementedError

    def observe(self, type: str, status: str | bool, reason: str, message: str) -> None:  # noqa: A002 (the field's name)
        """Set a condition of the object, as of its generation now."""
        generation, now = self.present().metadata.generation, self.clock.now()
        set_condition(self.status.conditions, type, status, reason, message, generation=generation, now=now)

    def say(self, reason: str, message: str, *, warning: bool = False) -> None:
        """Write an Event along with the status."""
        self.said.append(Said(reason, message, warning))

    def say_once(self, type: str, reason: str, message: str, *, event: str = "", warning: bool = True) -> None:  # noqa: A002
        """Write an Event along with the status when something appears or changes, not each time it is seen again.

        Args:
            type: of the condition that is about to get this message.
            event: what the Event says, if it isn't the message.
        """
        known = find_condition(self.status.conditions, type)
        if known is None or known.message != message:
            self.say(reason, event or message, warning=warning)

    async def report(self) -> float:
        """Write the status, if it differs from the persisted one and it is time to.

        Returns:
            After how many seconds it has to be written; 0.0 if nothing is kept back.

        Raises:
            Conflict: the object has changed since it was read.
        """
        obj = self.present()
        how = urgency(persisted_status(obj), obj.status, self.waited_for)  # type: ignore[attr-defined]  # ours have one
        if self.to_persist and how is not Urgency.NOTHING:
            how = Urgency.AT_ONCE
        left = self.pace.left(self.key, how, asyncio.get_running_loop().time())
        if not left:
            await self.write_status()
        return left

    async def write_status(self) -> None:
        """Write the status now if it differs from the persisted one, then the Events about what changed.

        Raises:
            Conflict: the object has changed since it was read.
        """
        self.found = await self.client.update_status(self.present())
        self.pace.settled(self.key)
        for event in self.said:
            tell = self.events.warning if event.warning else self.events.normal
            tell(self.found, event.reason, event.message)
        self.said.clear()


async def failure(ctx: RunContext[Any], failed_task: str, result: Result) -> None:
    """Persist why a run failed, unless it is what passes by itself (an API server that is away, a conflict)."""
    error = result.error
    passes = error is None or (isinstance(error, ClientError) and error.retryable)
    if ctx.found is None or passes:
        return
    message = f"{failed_task}: {result.message}"
    ctx.say_once(SYNCED, "ReconcileFailed", message)
    ctx.observe(SYNCED, False, "ReconcileFailed", message)
    await ctx.write_status()
