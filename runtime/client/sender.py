"""Sends requests and sees them through: waits where a rate limit says so, repeats what the policy allows, raises the rest.

Concurrency: may be shared by any number of tasks of one event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from controller_runtime.client.errors import TransportError, error_from_response
from controller_runtime.client.metrics import ClientMetrics
from controller_runtime.client.ratelimit import RateLimit
from controller_runtime.client.retry import RetryPolicy
from controller_runtime.client.transport import Request, Response, Transport

__all__ = ["Sender"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """See the module docstring; the parameters are those of `LiveClient`."""

    transport: Transport
    metrics: ClientMetrics | None
    retries: RetryPolicy
    rate_limit: RateLimit | None
    timeout: float
    chance: Callable[[], float]
    warned: Callable[[str], None] | None = None

    async def send(self, request: Request) -> bytes:
        """Send a request, again if the policy says so, and return the body of a good answer.

        Raises:
            ApiError: what the server answered in the end.
            TransportError: no answer came.
        """
        request = replace(request, timeout=self.timeout)
        attempt = 0
        while True:
            attempt += 1
            failure: Response | TransportError
            try:
                await self._wait_for_turn(request.method)
                failure = await self.transport.request(request)
                if failure.status < 300:
                    if self.warned is not None and "warning" in failure.headers:
                        self.warned(failure.headers["warning"])
                    return failure.body
            except TransportError as error:
                failure = error
            delay = self.retries.delay(request.method, attempt, failure, self.chance())
            if delay is None:
                if isinstance(failure, TransportError):
                    raise failure
                raise error_from_response(failure.status, failure.headers, failure.body)
            if self.metrics is not None:
                code = failure.status if isinstance(failure, Response) else None
                self.metrics.retried(self._host, request.method, code)
            await asyncio.sleep(delay)

    async def _wait_for_turn(self, method: str) -> None:
        if self.rate_limit is None:
            return
        delay = self.rate_limit.reserve(asyncio.get_running_loop().time())
        if self.metrics is not None:
            self.metrics.limited(self._host, method, delay)
        if delay > 0:
            await asyncio.sleep(delay)

    @property
    def _host(self) -> str:
        return getattr(self.transport, "host", "")
