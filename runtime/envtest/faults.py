"""Trouble on demand: what a test can do to a cluster's API server, and to the network before it.

    with cluster.faults.refuse(429, retry_after=2, verb="create", resource="pods", times=3):
        ...
    cluster.faults.drop(after=True, verb="update")        # carried out, but the answer is lost
    with cluster.faults.lag(resource="pods"):             # a replica that is behind: old lists, silent watches
        ...

A fault is in force from the call that makes it until it is lifted or its block ends; with `times` it strikes so many
requests and no more. Faults strike in the order in which they were made: delays add up, the first outcome decides.

Concurrency: plain synchronous code for one event loop; the fronts ask `strike` once for each request and act on the plan.
Chance comes from the cluster's seed, so that equal runs meet equal trouble.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self, TypedDict, Unpack, final

from controller_runtime.envtest.attributes import Attributes
from controller_runtime.envtest.status import StatusError
from controller_runtime.envtest.storage import Storage
from controller_runtime.envtest.streams import OpenWatch, OpenWatches

__all__ = ["Drop", "Fault", "Faults", "Hang", "Lag", "Outcome", "Plan", "Refuse", "Where"]

_REASONS: Final = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


class Where(TypedDict, total=False):
    """Which requests a fault strikes; what is left out, or empty, fits everything.

    Keys:
        verb: get, list, watch, create, update, patch, delete, deletecollection; one or several.
        resource: plural, `pods`; with its group, `tikvs.core.pingcap.com`; one or several.
        namespace, name, subresource: exactly that one.
        times: so many requests, then no more.
        share: of the requests that fit, this part by chance, 0.0 to 1.0.
    """

    verb: str | Collection[str]
    resource: str | Collection[str]
    namespace: str
    name: str
    subresource: str
    times: int
    share: float


@dataclass(frozen=True, slots=True)
class Refuse:
    """The request is answered with this Status and not carried out."""

    error: StatusError


@dataclass(frozen=True, slots=True)
class Drop:
    """The connection is reset: before the request is carried out, or after it (`after`), with its answer lost."""

    after: bool


@dataclass(frozen=True, slots=True)
class Hang:
    """No answer comes until the fault is lifted, then the connection is reset. A watch is open, and silent for so long."""


@dataclass(frozen=True, slots=True)
class Lag:
    """Reads are answered as of `version`; watches tell nothing newer until the fault is lifted."""

    version: int


Outcome = Refuse | Drop | Hang | Lag


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens to one request: `delay` seconds, then the outcome of `fault`; without one it is carried out."""

    delay: float = 0.0
    outcome: Outcome | None = None
    fault: Fault | None = None


@final
class Fault:
    """One trouble in force; a context manager that lifts it.

    Attributes:
        hits: how many requests it has struck, open watches included.
    """

    def __init__(self, where: Where, outcome: Outcome | None, delay: float = 0.0) -> None:
        self._verbs = _words(where.get("verb", ()))
        self._resources = _words(where.get("resource", ()))
        self._exact = {field: value for field in ("namespace", "name", "subresource") if (value := where.get(field))}
        self._left = where.get("times")
        self._share = where.get("share", 1.0)
        self._at_the_end: list[Callable[[], None]] = []
        self.outcome = outcome
        self.delay = delay
        self.hits = 0
        self.lifted = False

    def fits(self, request: Attributes) -> bool:
        """Whether the fault is about such requests; chance and `times` aside."""
        named = (request.resource, f"{request.resource}.{request.group}")
        return (
            bool(request.resource)
            and (not self._verbs or request.verb in self._verbs)
            and (not self._resources or not self._resources.isdisjoint(named))
            and all(getattr(request, field) == value for field, value in self._exact.items())
        )

    def strikes(self, request: Attributes, chance: random.Random) -> bool:
        """Decide about one request, and count it if it is struck."""
        if self.lifted or self._left == 0 or not self.fits(request):
            return False
        if self._share < 1.0 and chance.random() >= self._share:
            return False
        if self._left is not None:
            self._left -= 1
        self.hits += 1
        return True

    def at_the_end(self, act: Callable[[], None]) -> None:
        """Call `act` once the fault is lifted; at once if it is."""
        if self.lifted:
            act()
        else:
            self._at_the_end.append(act)

    async def over(self) -> None:
        """Wait until the fault is lifted."""
        ended = asyncio.Event()
        self.at_the_end(ended.set)
        await ended.wait()

    def lift(self) -> None:
        """End it. Idempotent."""
        self.lifted = True
        acts, self._at_the_end = self._at_the_end, []
        for act in acts:
            act()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.lift()


@final
class Faults:
    """See the module docstring. Every method takes the keywords of `Where` to say which requests it is about.

    Args:
        storage: whose versions `lag` and `forget_history` are about.
        watches: those that are open.
        seed: of `share`.
    """

    def __init__(self, storage: Storage, watches: OpenWatches, *, seed: int = 0) -> None:
        self._storage = storage
        self._watches = watches
        self._chance = random.Random(f"faults {seed}")  # noqa: S311 - trouble, not secrets
        self._faults: list[Fault] = []

    def delay(self, seconds: float, **where: Unpack[Where]) -> Fault:
        """Let requests wait so long before they are carried out."""
        return self._add(Fault(where, None, seconds))

    def refuse(
        self,
        code: int,
        *,
        reason: str = "",
        message: str = "",
        retry_after: int | None = None,
        **where: Unpack[Where],
    ) -> Fault:
        """Answer requests with an error, without carrying them out.

        Args:
            code: the HTTP status, from 400 to 599.
            reason: of the Status; by default the one that goes with the code.
            retry_after: seconds, for the header Retry-After.

        Raises:
            ValueError: the code is no error's.
        """
        if not 400 <= code <= 599:
            msg = f"{code} is no error: give a code from 400 to 599"
            raise ValueError(msg)
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        details = {} if retry_after is None else {"retryAfterSeconds": retry_after}
        text = message or f"{HTTPStatus(code).phrase}, because a test wants it"
        error = StatusError(code, reason or _REASONS.get(code, "Unknown"), text, details=details, headers=headers)
        return self._add(Fault(where, Refuse(error)))

    def drop(self, *, after: bool = False, **where: Unpack[Where]) -> Fault:
        """Reset the connections of requests; with `after` once they are carried out, so that only the answer is lost."""
        return self._add(Fault(where, Drop(after)))

    def hang(self, **where: Unpack[Where]) -> Fault:
        """Leave requests without an answer, as over a half-open connection; open watches fall silent and do not end."""
        return self._hold(Fault(where, Hang()), silent=True)

    def lag(self, **where: Unpack[Where]) -> Fault:
        """Answer reads with what there is now, whatever is written, and let watches tell nothing new.

        That is how an API server looks whose cache has fallen behind: a newer resourceVersion than its own is answered
        504, and when the fault is lifted the watches go on without a gap.
        """
        return self._hold(Fault(where, Lag(self._storage.version)), silent=False)

    def end_watches(self, **where: Unpack[Where]) -> int:
        """End open watches cleanly, as a server's timeout does; return how many."""
        return self._strike_open(where, OpenWatch.stop)

    def expire_watches(self, **where: Unpack[Where]) -> int:
        """End open watches with the error 410; return how many."""
        return self._strike_open(where, OpenWatch.expire)

    def reset_watches(self, **where: Unpack[Where]) -> int:
        """Reset the connections of open watches; return how many."""
        return self._strike_open(where, OpenWatch.reset)

    def forget_history(self) -> None:
        """Compact everything: who goes on from a version before this one, with a watch or a page, is answered 410."""
        for _, table in self._storage.tables():
            table.forget_history(self._storage.version)

    def clear(self) -> None:
        """Lift every fault."""
        for fault in self._faults:
            fault.lift()
        self._faults.clear()

    def strike(self, request: Attributes) -> Plan:
        """Decide what happens to a request. For the fronts."""
        self._faults = [fault for fault in self._faults if not fault.lifted]
        delay = 0.0
        for fault in self._faults:
            if fault.strikes(request, self._chance):
                delay += fault.delay
                if fault.outcome is not None:
                    return Plan(delay, fault.outcome, fault)
        return Plan(delay)

    def _add(self, fault: Fault) -> Fault:
        self._faults.append(fault)
        return fault

    def _hold(self, fault: Fault, *, silent: bool) -> Fault:
        for watch in self._watches:
            if fault.strikes(watch.request, self._chance):
                fault.at_the_end(watch.hold(silent=silent))
        return self._add(fault)

    def _strike_open(self, where: Where, act: Callable[[OpenWatch], None]) -> int:
        fault = Fault({**where, "verb": where.get("verb", "watch")}, None)
        for watch in self._watches:
            if fault.strikes(watch.request, self._chance):
                act(watch)
        return fault.hits


def _words(words: str | Collection[str]) -> frozenset[str]:
    return frozenset([words] if isinstance(words, str) else words) - {""}
