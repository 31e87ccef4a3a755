"""One call to PD: sent, sent again where that is safe, judged, decoded, timed and counted.

Guarantees: a call returns what PD said or raises a `PDError` that names the endpoint; it ends within its time, whatever the
requester does; it is counted once, however often it was sent.

Concurrency: a caller may be used by any number of tasks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, TypeVar, final

import msgspec

from controller_runtime.clock import timer
from tikv_operator.pdclient.errors import PDError, PDNotBootstrapped, PDNotFound, PDUnexpectedAnswer, PDUnreachable
from tikv_operator.pdclient.metrics import PDMetrics
from tikv_operator.pdclient.requester import PDRequester, PDResponse

__all__ = ["PDCaller"]

T = TypeVar("T")

_NOT_BOOTSTRAPPED: Final = b"TiKV cluster not bootstrapped"
_OVERLOADED: Final = frozenset({429, 502, 503, 504})
_ATTEMPTS: Final = 3
_FIRST_RETRY: Final = 0.1  # seconds; doubles with each further one
_SHARE: Final = (
    0.8  # of a call's time that one server may be silent; then the requester moves on, and a read is asked there
)
_QUOTED_BODY: Final = 1024  # characters of an error answer that go into the message


@final
class PDCaller:
    """See the module docstring.

    Args:
        requester: how bytes reach PD.
        timeout: seconds of one call, retries included.
        metrics: counts and times every call, if given.
        jitter: returns a number in [0, 1); spreads the retries.
    """

    def __init__(
        self, requester: PDRequester, *, timeout: float, metrics: PDMetrics | None, jitter: Callable[[], float]
    ) -> None:
        self._requester = requester
        self._timeout = timeout
        self._metrics = metrics
        self._jitter = jitter

    async def call(
        self,
        endpoint: str,
        method: str,
        path: str,
        read: Callable[[bytes], T],
        *,
        params: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
        base: str = "",
        only_200: bool = False,
    ) -> T:
        """Carry out one call.

        Args:
            endpoint: names the call in errors and metrics.
            read: decodes the body of a good answer; a `ValueError` or `DecodeError` of its means "unexpected answer".
            params: the query, unquoted.
            base: the URL of one particular PD server.
            only_200: no other status below 400 is a good answer.

        Raises:
            PDError: of the kind that fits.
        """
        now = timer()
        started = now()
        result = "cancelled"
        try:
            response = await self._exchange(method, path, params=params, body=body, base=base)
            _raise_for_status(response, only_200=only_200)
            answer = _decode(response, read)
            result = "ok"
        except PDError as error:
            error.endpoint = endpoint
            result = _result(error)
            raise
        finally:
            if self._metrics is not None:
                self._metrics.observe(endpoint, result, now() - started)
        return answer

    async def _exchange(
        self, method: str, path: str, *, params: Sequence[tuple[str, str]], body: bytes | None, base: str
    ) -> PDResponse:
        """Ask PD, and where that is safe ask again while it is unreachable or overloaded."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        read_only = method == "GET"
        for attempt in range(1, _ATTEMPTS + 1):
            pause = _FIRST_RETRY * 2 ** (attempt - 1) * (0.5 + self._jitter())
            last = attempt == _ATTEMPTS
            try:
                left = deadline - loop.time()
                async with asyncio.timeout(left):
                    response = await self._requester.request(
                        method, path, params=params, body=body, timeout=left * _SHARE, base=base
                    )
                if last or not read_only or response.status not in _OVERLOADED or loop.time() + pause >= deadline:
                    return response
            except TimeoutError:
                msg = f"no answer from PD to {method} {path} within {self._timeout:g} s"
                raise PDUnreachable(msg, timed_out=True) from None
            except PDUnreachable as error:
                if last or (error.sent and not read_only) or loop.time() + pause >= deadline:
                    raise
            await asyncio.sleep(pause)
        raise AssertionError  # the last attempt returns or raises


def _raise_for_status(response: PDResponse, *, only_200: bool) -> None:
    if response.status == 200 or (response.status < 400 and not only_200):
        return
    said = response.body.decode(errors="replace").strip()
    if len(said) > _QUOTED_BODY:
        said = f"{said[:_QUOTED_BODY]}..."
    message = f"status: {response.status}, message: error response to {response.url}: {said}"
    if response.status == 404:
        raise PDNotFound(message, status=404, retryable=False)
    if _NOT_BOOTSTRAPPED in response.body:  # with status 500 as a rule, 400 and 406 in places
        raise PDNotBootstrapped(message, status=response.status)
    raise PDError(message, status=response.status, retryable=response.status >= 500 or response.status == 429)


def _decode(response: PDResponse, read: Callable[[bytes], T]) -> T:
    try:
        return read(response.body)
    except (msgspec.DecodeError, ValueError) as error:
        message = f"cannot understand the answer of {response.url}: {error}"
        raise PDUnexpectedAnswer(message, status=response.status) from error


def _result(error: PDError) -> str:
    """Return the metrics' word for what came of a call."""
    match error:
        case PDUnreachable(timed_out=True):
            return "timeout"
        case PDUnreachable():
            return "unreachable"
        case PDNotFound():
            return "not_found"
        case PDNotBootstrapped():
            return "not_bootstrapped"
        case PDUnexpectedAnswer():
            return "unexpected_answer"
        case _:
            return "error"
