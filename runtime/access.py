"""Who may read a page of this process: the API server decides, by TokenReview and SubjectAccessReview.

A caller sends a bearer token; a TokenReview says whose it is, a SubjectAccessReview whether that user may do `get` (the
HTTP method) on the non-resource URL (the path). Whoever runs this needs the permission to create both, such as the ClusterRole
`system:auth-delegator` gives.

Guarantees: in doubt nobody gets in. Answers are remembered (a token's for a minute, "allowed" for five, "denied" for half
a minute), at most so many of them, and tokens only as keyed digests. At most a few reviews are under way at a time, so that
a flood of made-up tokens does not become a flood at the API server. No token appears in a log or an error.

Concurrency: for one event loop; any number of callers at the same time.
"""

from __future__ import annotations

import asyncio
import enum
import hashlib
import random
import secrets
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar, final

from controller_runtime.api.meta import Model, Object
from controller_runtime.api.resource import Resource
from controller_runtime.client.errors import ClientError
from controller_runtime.client.interface import Client
from controller_runtime.reconcile import Logger

__all__ = ["AccessReviews", "Verdict"]

V = TypeVar("V")
O = TypeVar("O", bound=Object)  # noqa: E741 - an object's type

_TOKEN_SECONDS: Final = 60.0
_ALLOWED_SECONDS: Final = 300.0
_DENIED_SECONDS: Final = 30.0
_REVIEW_SECONDS: Final = 10.0
_ATTEMPTS: Final = 5
_FIRST_PAUSE: Final = 0.5
_AT_ONCE: Final = 8


class Verdict(enum.IntEnum):
    """What a caller is told; the values are HTTP statuses."""

    ALLOWED = 200
    UNAUTHENTICATED = 401
    FORBIDDEN = 403
    UNDECIDED = 500


@final
class AccessReviews:
    """See the module docstring.

    Args:
        client: asks the API server; never a cache.
        remember: how many tokens, and how many decisions, are remembered.
        uniform: a source of numbers in [0, 1), for the jitter between attempts.
    """

    def __init__(
        self, client: Client, log: Logger, *, remember: int = 1024, uniform: Callable[[], float] = random.random
    ) -> None:
        self._client = client.live
        self._log = log
        self._uniform = uniform
        self._secret = secrets.token_bytes(32)
        self._users: _Memory[_User | None] = _Memory(remember)
        self._decisions: _Memory[bool] = _Memory(remember)
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def judge(self, authorization: str, method: str, path: str) -> Verdict:
        """Decide about one request.

        Args:
            authorization: the header of that name, empty if there is none.
            method: the HTTP method.
            path: without the query.
        """
        token = _bearer(authorization)
        if token is None:
            return Verdict.UNAUTHENTICATED
        what = "Authentication"
        try:
            user = await self._user(token)
            if user is None:
                return Verdict.UNAUTHENTICATED
            what = "Authorization"
            allowed = await self._may(user, method.lower(), path)
        except (ClientError, TimeoutError) as error:
            text = f"{type(error).__name__}: {error}"
            self._log.error(f"{what} of a request failed", path=path, error=text)
            return Verdict.UNDECIDED
        return Verdict.ALLOWED if allowed else Verdict.FORBIDDEN

    async def _user(self, token: str) -> _User | None:
        digest = hashlib.blake2b(token.encode(), key=self._secret).digest()
        known = self._users.get(digest)
        if known is not None:
            return known.value
        review = await self._review(TokenReview(spec=TokenReviewSpec(token=token)))
        status = review.status or TokenReviewStatus()
        user = _User.of(status.user) if status.authenticated else None
        if user is None:
            self._log.info("Token not accepted", reason=status.error or "not authenticated")
        self._users.put(digest, user, _TOKEN_SECONDS)
        return user

    async def _may(self, user: _User, verb: str, path: str) -> bool:
        asked = (user, verb, path)
        known = self._decisions.get(asked)
        if known is not None:
            return known.value
        spec = SubjectAccessReviewSpec(
            user=user.name,
            uid=user.uid,
            groups=list(user.groups),
            extra={key: list(values) for key, values in user.extra},
            non_resource_attributes=NonResourceAttributes(path=path, verb=verb),
        )
        review = await self._review(SubjectAccessReview(spec=spec))
        status = review.status or SubjectAccessReviewStatus()
        if not status.allowed:
            reason = status.reason or status.evaluation_error or "no rule allows it"
            self._log.info("Request denied", user=user.name, verb=verb, path=path, reason=reason)
        self._decisions.put(asked, status.allowed, _ALLOWED_SECONDS if status.allowed else _DENIED_SECONDS)
        return status.allowed

    async def _review(self, review: O) -> O:
        """Let the API server fill in the status. A review changes nothing, so what failed may be asked again."""
        async with asyncio.timeout(_REVIEW_SECONDS), self._slots:
            pause = _FIRST_PAUSE
            for _ in range(_ATTEMPTS - 1):
                try:
                    return await self._client.create(review)
                except ClientError as error:
                    if not error.retryable:
                        raise
                await asyncio.sleep(pause * (1.0 + 0.2 * self._uniform()))
                pause *= 1.5
            return await self._client.create(review)


def _bearer(authorization: str) -> str | None:
    scheme, _, token = authorization.strip().partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token else None


@dataclass(frozen=True, slots=True)
class _User:
    """Who a token belongs to, hashable."""

    name: str
    uid: str
    groups: tuple[str, ...]
    extra: tuple[tuple[str, tuple[str, ...]], ...]

    @classmethod
    def of(cls, info: UserInfo | None) -> _User:
        info = info or UserInfo()
        extra = tuple(sorted((key, tuple(values)) for key, values in (info.extra or {}).items()))
        return cls(info.username, info.uid, tuple(info.groups or ()), extra)


@dataclass(frozen=True, slots=True)
class _Known(Generic[V]):
    value: V
    until: float


class _Memory(Generic[V]):
    """Answers with an end. When there are too many, the one that was written first goes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: OrderedDict[Hashable, _Known[V]] = OrderedDict()

    def get(self, key: Hashable) -> _Known[V] | None:
        known = self._known.get(key)
        if known is not None and asyncio.get_running_loop().time() >= known.until:
            del self._known[key]
            return None
        return known

    def put(self, key: Hashable, value: V, seconds: float) -> None:
        self._known[key] = _Known(value, asyncio.get_running_loop().time() + seconds)
        self._known.move_to_end(key)
        if len(self._known) > self._limit:
            self._known.popitem(last=False)


# The two kinds. They are never stored: creating one asks a question, the answer comes back as its status.


class TokenReviewSpec(Model):
    token: str = ""

    def __repr__(self) -> str:
        return "<TokenReviewSpec>"


class UserInfo(Model):
    username: str = ""
    uid: str = ""
    groups: list[str] | None = None
    extra: dict[str, list[str]] | None = None


class TokenReviewStatus(Model):
    authenticated: bool = False
    user: UserInfo | None = None
    error: str = ""


class TokenReview(Object):
    resource = Resource("authentication.k8s.io", "v1", "TokenReview", "tokenreviews", namespaced=False)
    spec: TokenReviewSpec
    status: TokenReviewStatus | None = None


class NonResourceAttributes(Model):
    path: str = ""
    verb: str = ""


class SubjectAccessReviewSpec(Model):
    user: str = ""
    uid: str = ""
    groups: list[str] | None = None
    extra: dict[str, list[str]] | None = None
    non_resource_attributes: NonResourceAttributes | None = None


class SubjectAccessReviewStatus(Model):
    allowed: bool = False
    denied: bool = False
    reason: str = ""
    evaluation_error: str = ""


class SubjectAccessReview(Object):
    resource = Resource("authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews", namespaced=False)
    spec: SubjectAccessReviewSpec
    status: SubjectAccessReviewStatus | None = None
