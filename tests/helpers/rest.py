"""A thin way to talk to an API server in tests, about bytes and status codes: nothing is retried, cached or typed.

    answer = await api.post("/api/v1/namespaces/ns/configmaps", {"metadata": {"name": "a"}, ...})
    assert (answer.status, answer.json["data"]) == (201, {...})

    async with api.watch("/api/v1/namespaces/ns/configmaps", resourceVersion="0") as events:
        event = await anext(events)

Whatever is opened through an `Api` ends with its `close`, so that a test may drop a watch half-way.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from controller_runtime.client import HttpTransport, load_config
from controller_runtime.client.transport import Request, Stream, Transport
from controller_runtime.envtest import Cluster

__all__ = ["APPLY", "JSON", "JSON_PATCH", "MERGE", "STRATEGIC", "Answer", "Api", "Watch", "WatchRefused", "connect"]

JSON = "application/json"
JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"

PATIENCE = 60.0
"""Seconds until a test gives up to wait: kube-controller-manager looks for new kinds every 30 seconds."""

SILENCE = 15.0
"""Seconds that a watch may be silent while a test reads it."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    """Their names are lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def reason(self) -> str:
        """The reason of a Status."""
        return str(self.json.get("reason", ""))

    def ok(self) -> Any:
        """Return the object of a successful answer; anything else fails the test with the server's words."""
        assert self.status < 300, f"{self.status}: {self.text[:2000]}"
        return self.json


class WatchRefused(Exception):
    """A watch was answered with something other than 200."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.status}: {answer.text[:500]}")
        self.answer = answer


class Watch:
    """The events of one watch, as `{"type": ..., "object": ...}`; it opens with the first read, or with its block.

    Raises (where it opens):
        WatchRefused: the status is not 200.
    """

    def __init__(self, transport: Transport, request: Request) -> None:
        self._transport = transport
        self._request = request
        self._stack = AsyncExitStack()
        self._stream: Stream | None = None
        self._lines: Any = None

    async def open(self) -> Self:
        if self._stream is None:
            self._stream = await self._stack.enter_async_context(self._transport.stream(self._request))
            if self._stream.status != 200:
                raise WatchRefused(Answer(self._stream.status, self._stream.headers, await self._stream.read()))
            self._lines = self._stream.lines()
        return self

    @property
    def headers(self) -> Mapping[str, str]:
        assert self._stream is not None, "the watch is not open"
        return self._stream.headers

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> dict[str, Any]:
        await self.open()
        event: dict[str, Any] = orjson.loads(await anext(self._lines))
        return event

    async def take(self, count: int) -> list[dict[str, Any]]:
        """Read so many events."""
        return [await anext(self) for _ in range(count)]

    async def until(self, wanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """Read up to the first event that is `wanted`, and return all that were read."""
        events = []
        async for event in self:
            events.append(event)
            if wanted(event):
                return events
        msg = f"the watch ended first: {events}"
        raise AssertionError(msg)

    async def rest(self) -> list[dict[str, Any]]:
        """Read to the end, which the server sets (`timeoutSeconds`)."""
        return [event async for event in self]

    async def close(self) -> None:
        await self._stack.aclose()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


class Api:
    """One user's way in; `connect` makes one. Query parameters are keyword arguments: `limit=5`, `watch=True`."""

    def __init__(self, cluster: Cluster, transport: Transport) -> None:
        self.cluster = cluster
        self.transport = transport
        self._opened = AsyncExitStack()

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "",
        accept: str = JSON,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | Sequence[tuple[str, str]] = (),
    ) -> Answer:
        """Send anything: a body of bytes as it is, anything else as JSON, with the content type given or none."""
        data = body if body is None or isinstance(body, bytes) else orjson.dumps(body)
        request = Request(
            method=method,
            path=path,
            params=_params(query),
            body=data,
            content_type=content_type,
            accept=accept,
            headers=headers or {},
            timeout=PATIENCE,
        )
        response = await self.transport.request(request)
        return Answer(response.status, response.headers, response.body)

    async def get(self, path: str, *, accept: str = JSON, **query: Any) -> Answer:
        return await self.request("GET", path, accept=accept, query=query)

    async def post(self, path: str, body: Any, *, content_type: str = JSON, **query: Any) -> Answer:
        return await self.request("POST", path, body, content_type=content_type, query=query)

    async def put(self, path: str, body: Any, *, content_type: str = JSON, **query: Any) -> Answer:
        return await self.request("PUT", path, body, content_type=content_type, query=query)

    async def patch(self, path: str, body: Any, *, content_type: str = MERGE, **query: Any) -> Answer:
        return await self.request("PATCH", path, body, content_type=content_type, query=query)

    async def apply(self, path: str, body: Any, *, manager: str = "tester", **query: Any) -> Answer:
        return await self.patch(path, body, content_type=APPLY, fieldManager=manager, **query)

    async def delete(self, path: str, body: Any = None, **query: Any) -> Answer:
        return await self.request("DELETE", path, body, content_type=JSON if body is not None else "", query=query)

    def watch(self, path: str, *, accept: str = JSON, silence: float = SILENCE, **query: Any) -> Watch:
        """Watch a collection; a silence of so many seconds is an error."""
        params = _params({"watch": True, **query})
        watch = Watch(self.transport, Request(method="GET", path=path, params=params, accept=accept, timeout=silence))
        self._opened.push_async_callback(watch.close)
        return watch

    async def eventually(self, path: str, wanted: Callable[[Answer], bool], **query: Any) -> Answer:
        """Ask until the answer is `wanted`; fail the test with the last one if it never is."""
        answer = await self.get(path, **query)
        try:
            async with asyncio.timeout(PATIENCE):
                while not wanted(answer):
                    await asyncio.sleep(0.05)
                    answer = await self.get(path, **query)
        except TimeoutError:
            msg = f"{path} is not what it should become: {answer.status} {answer.text[:2000]}"
            raise AssertionError(msg) from None
        return answer

    async def gone(self, path: str) -> None:
        """Wait until there is nothing at this path."""
        await self.eventually(path, lambda answer: answer.status == 404)

    async def as_user(self, name: str, groups: Sequence[str] = ()) -> Api:
        """Return the way in of another user, who is in these groups (and in `system:authenticated`)."""
        return await self.with_kubeconfig(self.cluster.kubeconfig(name, groups=groups))

    async def as_service_account(self, name: str, namespace: str) -> Api:
        """Return the way in of a service account."""
        return await self.with_kubeconfig(await self.cluster.service_account_kubeconfig(name, namespace=namespace))

    async def with_kubeconfig(self, text: str) -> Api:
        other = await connect(self.cluster, text)
        self._opened.push_async_callback(other.transport.close)
        self._opened.push_async_callback(other.close)
        return other

    async def close(self) -> None:
        """End the watches and other users' connections that were opened through this one; its own stays open."""
        await self._opened.aclose()


async def connect(cluster: Cluster, kubeconfig: str) -> Api:
    """Return the way in of a kubeconfig's user."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "kubeconfig")
        path.write_text(kubeconfig)
        return Api(cluster, HttpTransport(await load_config(str(path)), user_agent="conformance"))


def _params(query: Mapping[str, Any] | Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    pairs = query.items() if isinstance(query, Mapping) else query
    return [(name, str(value).lower() if isinstance(value, bool) else str(value)) for name, value in pairs]
