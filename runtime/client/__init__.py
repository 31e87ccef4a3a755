"""Talking to a Kubernetes API server: configuration, transport, typed errors, the live client and the cached client."""

from __future__ import annotations

from controller_runtime.client.cached import CachedClient
from controller_runtime.client.config import ClientConfig, load_config
from controller_runtime.client.discovery import discover
from controller_runtime.client.errors import (
    AlreadyExists,
    ApiError,
    BadRequest,
    ClientError,
    ConfigError,
    Conflict,
    DecodeError,
    Expired,
    Forbidden,
    InternalError,
    Invalid,
    MethodNotAllowed,
    NotCached,
    NotFound,
    RequestTimeout,
    ServerTimeout,
    ServiceUnavailable,
    StatusCause,
    TooManyRequests,
    TransportError,
    Unauthorized,
    UnsupportedMediaType,
)
from controller_runtime.client.helpers import (
    AlreadyOwned,
    add_finalizer,
    owner_reference,
    remove_finalizer,
    retry_on_conflict,
    set_controller_reference,
)
from controller_runtime.client.http import HttpTransport
from controller_runtime.client.interface import Client, Kind, Preconditions, Propagation, Reader, WatchEvent, Writer
from controller_runtime.client.live import LiveClient
from controller_runtime.client.metrics import ClientMetrics
from controller_runtime.client.patch import Patch, json_patch, merge_diff, merge_patch
from controller_runtime.client.retry import RetryPolicy
from controller_runtime.client.transport import Request, Response, Stream, Transport

__all__ = [
    "AlreadyExists",
    "AlreadyOwned",
    "ApiError",
    "BadRequest",
    "CachedClient",
    "Client",
    "ClientConfig",
    "ClientError",
    "ClientMetrics",
    "ConfigError",
    "Conflict",
    "DecodeError",
    "Expired",
    "Forbidden",
    "HttpTransport",
    "InternalError",
    "Invalid",
    "Kind",
    "LiveClient",
    "MethodNotAllowed",
    "NotCached",
    "NotFound",
    "Patch",
    "Preconditions",
    "Propagation",
    "Reader",
    "Request",
    "RequestTimeout",
    "Response",
    "RetryPolicy",
    "ServerTimeout",
    "ServiceUnavailable",
    "StatusCause",
    "Stream",
    "TooManyRequests",
    "Transport",
    "TransportError",
    "Unauthorized",
    "UnsupportedMediaType",
    "WatchEvent",
    "Writer",
    "add_finalizer",
    "discover",
    "json_patch",
    "load_config",
    "merge_diff",
    "merge_patch",
    "owner_reference",
    "remove_finalizer",
    "retry_on_conflict",
    "set_controller_reference",
]
