"""An API server that knows some tokens and what their users may read; all else goes to the server behind it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from controller_runtime.client.transport import Request, Response, Stream, Transport

TOKENS = "/apis/authentication.k8s.io/v1/tokenreviews"
ACCESS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


class ReviewingApi:
    """Answers TokenReviews and SubjectAccessReviews.

    Attributes:
        users: the user of each token.
        readers: who may get which paths.
        asked: the specs of all reviews, in order, each with its path.
        trouble: called before each review; may return another answer, raise, or wait.
    """

    def __init__(self, inner: Transport | None = None) -> None:
        self._inner = inner
        self.users: dict[str, dict[str, Any]] = {}
        self.readers: dict[str, set[str]] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.trouble: Callable[[], Response | None] = lambda: None

    def count(self, path: str) -> int:
        return sum(asked == path for asked, _ in self.asked)

    async def request(self, request: Request) -> Response:
        if request.path not in (TOKENS, ACCESS):
            assert self._inner is not None, f"{request.method} {request.path}"
            return await self._inner.request(request)
        assert request.method == "POST"
        review = json.loads(request.body or b"")
        spec = review["spec"]
        self.asked.append((request.path, spec))
        trouble = self.trouble()
        if trouble is not None:
            return trouble
        review["status"] = self._token(spec) if request.path == TOKENS else self._access(spec)
        return Response(201, {}, json.dumps(review).encode())

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        assert self._inner is not None
        return self._inner.stream(request)

    async def close(self) -> None:
        """The inner transport is its owner's to close."""

    def _token(self, spec: dict[str, Any]) -> dict[str, Any]:
        user = self.users.get(spec["token"])
        return {"authenticated": True, "user": user} if user else {"error": "[invalid bearer token]"}

    def _access(self, spec: dict[str, Any]) -> dict[str, Any]:
        asked = spec["nonResourceAttributes"]
        return {"allowed": asked["verb"] == "get" and asked["path"] in self.readers.get(spec["user"], ())}
