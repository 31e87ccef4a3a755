"""What goes into the API server and what comes out: plain values, without any I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from controller_runtime.envtest.status import StatusError
from controller_runtime.envtest.users import User
from controller_runtime.envtest.watching import Watch

__all__ = ["Answer", "Call", "ProxyAnswer", "WatchAnswer", "answer_json", "answer_status"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. The path is as sent (still quoted), the query is decoded, header names are lower case.

    With `as_of` reads see the objects as they were at that version. Without a `user` it is an administrator's.
    """

    method: str
    path: str
    params: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    as_of: int | None = None
    user: User | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer. Header names are lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})


@dataclass(frozen=True, slots=True)
class WatchAnswer:
    """An open watch: to be read for `timeout` seconds, with bookmarks if the client can do with them."""

    watch: Watch
    timeout: float
    bookmarks: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyAnswer:
    """A request that somebody else answers: the endpoint of a service."""

    scheme: str
    host: str
    port: int
    path: str
    call: Call


def answer_json(value: Any, status: int = 200) -> Answer:
    return Answer(status, orjson.dumps(value))


def answer_status(error: StatusError) -> Answer:
    headers = {"content-type": "application/json", **{name.lower(): value for name, value in error.headers.items()}}
    return Answer(error.code, orjson.dumps(error.body()), headers)
