"""PD's gRPC interface, as far as the tests' stores need it: calls to whichever server leads.

Concurrency: for one event loop. A call that fails forgets who leads, so that the next one asks again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar, final
from urllib.parse import urlsplit

import grpc
import grpc.aio

from helpers import pd_rpc_pb2 as rpc

__all__ = ["NOT_BOOTSTRAPPED", "TOMBSTONE", "PDCallFailed", "PDConnection"]

NOT_BOOTSTRAPPED = 2
TOMBSTONE = 3
"""Kinds of errors in the headers of PD's answers."""

_TIMEOUT = 3.0
_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.enable_http_proxy", 0),
)


class _Answer(Protocol):
    @property
    def header(self) -> rpc.ResponseHeader: ...


AnswerT = TypeVar("AnswerT", bound=_Answer)
RegionStream = grpc.aio.StreamStreamCall[Any, rpc.RegionHeartbeatResponse]


class PDCallFailed(Exception):
    """PD didn't answer (`kind` is None), or said no.

    Attributes:
        kind: the number of PD's error type.
    """

    def __init__(self, message: str, kind: int | None = None) -> None:
        super().__init__(message)
        self.kind = kind


@final
class PDConnection:
    """See the module docstring. An async context manager.

    Args:
        urls: returns client URLs of some of the servers.
        credentials: for https.
    """

    def __init__(
        self, urls: Callable[[], Sequence[str]], *, credentials: grpc.ChannelCredentials | None = None
    ) -> None:
        self._given = urls
        self._learned: list[str] = []
        self._credentials = credentials
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._leader = ""
        self.cluster_id = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for channel in self._channels.values():
            await channel.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_TIMEOUT):
                while any(map(_is_of_grpc, asyncio.all_tasks())):
                    await asyncio.sleep(
                        0.01
                    )  # its tasks end soon after their channel, and it offers nothing to wait for
            return
        # But for calls, now and then, that were under way when their server was killed: nobody tells those of their end.
        left = list(filter(_is_of_grpc, asyncio.all_tasks()))
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    @property
    def header(self) -> rpc.RequestHeader:
        return rpc.RequestHeader(cluster_id=self.cluster_id)

    async def call(self, method: str, request: Any, answer: type[AnswerT]) -> AnswerT:
        """Ask the leader.

        Raises:
            PDCallFailed: it refuses, or there is none.
        """
        request.header.CopyFrom(rpc.RequestHeader(cluster_id=await self._find()))
        return await self._ask(self._leader, method, request, answer)

    async def region_stream(self) -> RegionStream:
        """Open a stream of region heartbeats to the leader.

        Raises:
            PDCallFailed: there is none.
        """
        await self._find()
        stream: RegionStream = self._channel(self._leader).stream_stream(
            "/pdpb.PD/RegionHeartbeat",
            request_serializer=rpc.RegionHeartbeatRequest.SerializeToString,
            response_deserializer=rpc.RegionHeartbeatResponse.FromString,
        )()
        return stream

    def forget(self) -> None:
        """Look for the leader anew before the next call."""
        self._leader = ""

    async def _find(self) -> int:
        """Know the leader; return the cluster's id."""
        if self._leader:
            return self.cluster_id
        failure = PDCallFailed("no PD server is known")
        for url in dict.fromkeys((*self._learned, *self._given())):
            try:
                members = await self._ask(url, "GetMembers", rpc.GetMembersRequest(), rpc.GetMembersResponse)
            except PDCallFailed as error:
                failure = error
                continue
            if not members.leader.client_urls:
                failure = PDCallFailed(f"{url} knows no leader")
                continue
            self.cluster_id = members.header.cluster_id
            self._leader = members.leader.client_urls[0]
            self._learned = [member.client_urls[0] for member in members.members if member.client_urls]
            return self.cluster_id
        raise failure

    async def _ask(self, url: str, method: str, request: Any, answer: type[AnswerT]) -> AnswerT:
        ask = self._channel(url).unary_unary(
            f"/pdpb.PD/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString,  # type: ignore[attr-defined]
        )
        try:
            found: AnswerT = await ask(request, timeout=_TIMEOUT)
        except grpc.aio.AioRpcError as error:
            self.forget()
            raise PDCallFailed(f"{method} at {url}: {error.code().name}: {error.details()}") from None
        if found.header.error.type:
            raise PDCallFailed(f"{method}: {found.header.error.message}", found.header.error.type)
        return found

    def _channel(self, url: str) -> grpc.aio.Channel:
        address = urlsplit(url).netloc
        if address not in self._channels:
            self._channels[address] = (
                grpc.aio.insecure_channel(address, options=_OPTIONS)
                if self._credentials is None
                else grpc.aio.secure_channel(address, self._credentials, options=_OPTIONS)
            )
        return self._channels[address]


def _is_of_grpc(task: asyncio.Task[Any]) -> bool:
    return getattr(task.get_coro(), "__qualname__", "").startswith("_AioCall.")
