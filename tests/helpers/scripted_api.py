"""An API server made of prepared answers, for tests in virtual time.

Each request takes the next answer; what the code under test asked is in `requests`. Once the answers are used up, a
stream stays open and silent, and any other request fails the test.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from controller_runtime.client.errors import RequestTimeout, TransportError
from controller_runtime.client.transport import Request, Response, Stream

__all__ = ["Reply", "ScriptedApi", "WatchReply", "bookmark", "config_map", "event", "listed", "status"]


@dataclass
class Reply:
    """One complete answer."""

    code: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0

    @property
    def raw(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class WatchReply:
    """An open stream: what has been sent is read, then it waits for more, until it ends or breaks."""

    def __init__(self, *events: Mapping[str, Any] | bytes, end: bool = False) -> None:
        self._queue: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        self.closed = asyncio.Event()
        self.send(*events)
        if end:
            self.end()

    def send(self, *events: Mapping[str, Any] | bytes) -> None:
        for item in events:
            self._queue.put_nowait(item if isinstance(item, bytes) else json.dumps(item).encode())

    def end(self) -> None:
        self._queue.put_nowait(None)

    def break_off(self, text: str = "connection reset by peer") -> None:
        self._queue.put_nowait(TransportError(text))

    async def lines(self, timeout: float) -> AsyncIterator[bytes]:
        while True:
            try:
                async with asyncio.timeout(timeout):
                    item = await self._queue.get()
            except TimeoutError:
                raise RequestTimeout("silent for too long") from None
            if item is None:
                return
            if isinstance(item, Exception):
                raise item
            yield item


@dataclass
class _OpenStream:
    reply: Reply | WatchReply
    timeout: float

    @property
    def status(self) -> int:
        return self.reply.code if isinstance(self.reply, Reply) else 200

    @property
    def headers(self) -> Mapping[str, str]:
        return self.reply.headers if isinstance(self.reply, Reply) else {}

    def lines(self) -> AsyncIterator[bytes]:
        assert isinstance(self.reply, WatchReply), "an error answer is not read line by line"
        return self.reply.lines(self.timeout)

    async def read(self) -> bytes:
        assert isinstance(self.reply, Reply)
        return self.reply.raw


class ScriptedApi:
    """A `Transport`; see the module docstring."""

    def __init__(self, *answers: Reply | WatchReply | TransportError) -> None:
        self.answers: deque[Reply | WatchReply | TransportError] = deque(answers)
        self.requests: list[Request] = []
        self.times: list[float] = []
        self.open_streams = 0

    def then(self, *answers: Reply | WatchReply | TransportError) -> None:
        self.answers.extend(answers)

    @property
    def asked(self) -> list[str]:
        """The requests in short: verb and the parameters that matter."""
        return [_brief(request) for request in self.requests]

    def _next(self, request: Request) -> Reply | WatchReply | TransportError | None:
        self.requests.append(request)
        self.times.append(asyncio.get_running_loop().time())
        return self.answers.popleft() if self.answers else None

    async def request(self, request: Request) -> Response:
        answer = self._next(request)
        assert not isinstance(answer, WatchReply), f"a plain request came where a watch was expected: {request}"
        assert answer is not None, f"no answer is left for {request}"
        if isinstance(answer, TransportError):
            raise answer
        await asyncio.sleep(answer.delay)
        return Response(answer.code, answer.headers, answer.raw)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        answer = self._next(request)
        if isinstance(answer, TransportError):
            raise answer
        self.open_streams += 1
        try:
            yield _OpenStream(answer or WatchReply(), request.timeout)
        finally:
            self.open_streams -= 1
            if isinstance(answer, WatchReply):
                answer.closed.set()

    async def close(self) -> None:
        pass


def _brief(request: Request) -> str:
    params = dict(request.params)
    if "watch" in params:
        verb = "STREAM" if "sendInitialEvents" in params else "WATCH"
    else:
        verb = "LIST" if request.method == "GET" else request.method
    shown = [f"rv={params.get('resourceVersion', '')}"]
    shown += [f"{name}={params[name]}" for name in ("limit", "continue") if name in params]
    return " ".join([verb, *shown])


def config_map(name: str, version: int | str, *, namespace: str = "ns", uid: str = "", **data: str) -> dict[str, Any]:
    """A ConfigMap as the server would send it."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": uid or f"uid-{name}",
            "resourceVersion": str(version),
            "managedFields": [{"manager": "somebody"}],
        },
        "data": data,
    }


def event(kind: str, obj: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": kind, "object": obj}


def bookmark(version: int | str, *, end: bool = False) -> dict[str, Any]:
    """A bookmark, with `null` where the type wants a list, as servers send it."""
    metadata: dict[str, Any] = {"resourceVersion": str(version), "creationTimestamp": None}
    if end:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    return event("BOOKMARK", {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata, "data": None})


def listed(version: int | str, items: Iterable[Mapping[str, Any]] = (), *, token: str = "") -> Reply:
    """One page of a list; its items have no apiVersion and kind, as the server sends them."""
    metadata = {"resourceVersion": str(version), **({"continue": token} if token else {})}
    plain = [{name: value for name, value in item.items() if name not in ("apiVersion", "kind")} for item in items]
    return Reply(body={"kind": "ConfigMapList", "apiVersion": "v1", "metadata": metadata, "items": plain})


def status(
    code: int, reason: str, message: str = "", *, headers: Mapping[str, str] | None = None, **details: Any
) -> Reply:
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message or reason,
        "reason": reason,
        "code": code,
        "details": details,
    }
    return Reply(code, body, headers or {})
