"""The way into the API server that both fronts share: faults strike, then the call is carried out.

Concurrency: one `answer` for each request, any number at once. It waits only where a fault wants it, or somebody else (a
service's endpoint) answers; cancelling it leaves nothing behind.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import final

from controller_runtime.envtest.answers import Answer, Call, ProxyAnswer, answer_status
from controller_runtime.envtest.attributes import attributes_of
from controller_runtime.envtest.faults import Drop, Faults, Hang, Lag, Refuse
from controller_runtime.envtest.proxy import ServiceProxy
from controller_runtime.envtest.server import ApiServer
from controller_runtime.envtest.streams import ConnectionDropped, OpenWatch, OpenWatches

__all__ = ["Gate"]


@final
class Gate:
    """See the module docstring.

    Attributes:
        closed: the server is away: every connection is refused.
    """

    def __init__(self, api: ApiServer, proxy: ServiceProxy, watches: OpenWatches, faults: Faults) -> None:
        self._api = api
        self._proxy = proxy
        self._watches = watches
        self._faults = faults
        self.closed = False

    async def answer(self, call: Call) -> Answer | OpenWatch:
        """Answer one call. An open watch is to be read, and closed with `close`.

        Raises:
            ConnectionDropped: the client is to find its connection reset.
        """
        if self.closed:
            raise ConnectionDropped
        request = attributes_of(call.method, call.path, call.params)
        plan = self._faults.strike(request)
        if plan.delay:
            await asyncio.sleep(plan.delay)
        match plan.outcome:
            case Refuse(error):
                return answer_status(error)
            case Drop(after=False):
                raise ConnectionDropped
            case Hang() if plan.fault is not None and request.verb != "watch":
                await plan.fault.over()
                raise ConnectionDropped
            case Lag(version):
                call = replace(call, as_of=version)
        answer = self._api.handle(call)
        if isinstance(answer, ProxyAnswer):
            answer = await self._proxy.answer(answer)
        if isinstance(plan.outcome, Drop):
            raise ConnectionDropped
        if isinstance(answer, Answer):
            return answer
        watch = self._watches.open(answer, request)
        if plan.fault is not None:
            plan.fault.at_the_end(watch.hold(silent=isinstance(plan.outcome, Hang)))
        return watch

    def close(self, watch: OpenWatch) -> None:
        """Forget a watch that is read no more. Idempotent."""
        self._watches.close(watch)
