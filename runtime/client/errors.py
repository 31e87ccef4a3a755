"""What can go wrong when talking to an API server, as types with a meaning.

Every error knows whether trying the same request again can help (`retryable`). `error_from_response` is the one place
where a Status object becomes an exception. Messages never contain credentials: they are the server's words.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

__all__ = [
    "AlreadyExists",
    "ApiError",
    "BadRequest",
    "ClientError",
    "ConfigError",
    "Conflict",
    "DecodeError",
    "Expired",
    "Forbidden",
    "InternalError",
    "Invalid",
    "MethodNotAllowed",
    "NotCached",
    "NotFound",
    "RequestTimeout",
    "ServerTimeout",
    "ServiceUnavailable",
    "StatusCause",
    "TooManyRequests",
    "TransportError",
    "Unauthorized",
    "UnsupportedMediaType",
    "error_from_response",
    "error_from_status",
]


class ClientError(Exception):
    """Base of everything this package raises on purpose."""

    retryable: ClassVar[bool] = False


class ConfigError(ClientError):
    """No usable kubeconfig or in-cluster configuration; the message is one line for a person."""


class NotCached(ClientError):
    """A cached read of a kind (or namespace) that nobody declared; the message names the fix."""


class DecodeError(ClientError):
    """What the server sent does not fit the type it is read into; the message names the kind, the object and the field."""


class TransportError(ClientError):
    """No complete answer came: refused, broken, timed out. Whether the request took effect is unknown."""

    retryable = True


class RequestTimeout(TransportError):
    """No answer within the request's timeout; of a stream: no line within it."""


class StatusCause(msgspec.Struct, frozen=True, omit_defaults=True):
    """One cause in a Status' details: which field, which reason, which message."""

    reason: str = ""
    message: str = ""
    field: str = ""


class ApiError(ClientError):
    """The server answered with a Status that says no.

    Attributes:
        code: the HTTP status code.
        reason: the machine-readable reason, e.g. `"NotFound"`.
        message: the server's own words.
        causes: the fields concerned (of an invalid object, of an apply conflict).
        retry_after: seconds the server asked to wait, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        code: int,
        reason: str = "",
        causes: tuple[StatusCause, ...] = (),
        retry_after: float | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.causes = causes
        self.retry_after = retry_after
        self.details = details or {}


class BadRequest(ApiError):
    """400: the server could not understand the request."""


class Unauthorized(ApiError):
    """401: the credentials were not accepted."""


class Forbidden(ApiError):
    """403: RBAC or an admission policy says no."""


class NotFound(ApiError):
    """404: no such object, kind or path."""


class MethodNotAllowed(ApiError):
    """405: the resource has no such verb."""


class AlreadyExists(ApiError):
    """409 on create: an object of that name exists."""


class Conflict(ApiError):
    """409: the object has changed since it was read, a precondition failed, or another manager owns a field."""

    retryable = True


class Expired(ApiError):
    """410: the resourceVersion or continue token is too old."""


class UnsupportedMediaType(ApiError):
    """415: the server does not take this kind of body."""


class Invalid(ApiError):
    """422: the object breaks the schema or a rule; `causes` name the fields."""


class TooManyRequests(ApiError):
    """429: the server sheds load; wait `retry_after` seconds."""

    retryable = True


class InternalError(ApiError):
    """500: the server failed."""

    retryable = True


class ServiceUnavailable(ApiError):
    """503: nothing there to answer right now."""

    retryable = True


class ServerTimeout(ApiError):
    """504, or a server that gave up: whether the request took effect is unknown."""

    retryable = True


_BY_REASON: dict[str, type[ApiError]] = {
    "BadRequest": BadRequest,
    "Unauthorized": Unauthorized,
    "Forbidden": Forbidden,
    "NotFound": NotFound,
    "MethodNotAllowed": MethodNotAllowed,
    "AlreadyExists": AlreadyExists,
    "Conflict": Conflict,
    "Gone": Expired,
    "Expired": Expired,
    "UnsupportedMediaType": UnsupportedMediaType,
    "Invalid": Invalid,
    "TooManyRequests": TooManyRequests,
    "InternalError": InternalError,
    "ServiceUnavailable": ServiceUnavailable,
    "ServerTimeout": ServerTimeout,
    "Timeout": ServerTimeout,
}

_BY_CODE: dict[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    409: Conflict,
    410: Expired,
    415: UnsupportedMediaType,
    422: Invalid,
    429: TooManyRequests,
    500: InternalError,
    503: ServiceUnavailable,
    504: ServerTimeout,
}

_MAX_TEXT = 1024
_FAIRNESS = (
    ("flowSchemaUID", "x-kubernetes-pf-flowschema-uid"),
    ("priorityLevelUID", "x-kubernetes-pf-prioritylevel-uid"),
)


class _StatusDetails(msgspec.Struct, rename="camel"):
    causes: list[StatusCause] | None = None
    retry_after_seconds: float | None = None
    name: str = ""
    group: str = ""
    kind: str = ""
    uid: str = ""


class _Status(msgspec.Struct, rename="camel"):
    kind: str = ""
    message: str = ""
    reason: str = ""
    code: int = 0
    details: _StatusDetails | None = None


def error_from_response(status: int, headers: dict[str, str] | Any, body: bytes) -> ApiError:
    """Turn a non-2xx answer into the exception that fits; a body that is no Status is quoted, cut to 1 KiB."""
    retry_after = _seconds(headers.get("retry-after"))
    try:
        parsed = msgspec.json.decode(body, type=_Status)
    except msgspec.MsgspecError:
        parsed = _Status()
    if parsed.kind != "Status":
        text = body[:_MAX_TEXT].decode("utf-8", "replace").strip() or f"HTTP status {status}"
        return _BY_CODE.get(status, ApiError)(text, code=status, retry_after=retry_after)
    error = _build(parsed, status, retry_after)
    for name, header in _FAIRNESS:
        if status == 429 and headers.get(header):
            error.details = {**error.details, name: headers[header]}
    return error


def error_from_status(raw: bytes) -> ApiError:
    """Turn a Status object (the payload of a watch's ERROR event) into the exception that fits."""
    try:
        parsed = msgspec.json.decode(raw, type=_Status)
    except msgspec.MsgspecError:
        return InternalError("unreadable Status in a watch", code=500, reason="InternalError")
    return _build(parsed, parsed.code or 500, None)


def _build(parsed: _Status, status: int, retry_after: float | None) -> ApiError:
    details = parsed.details or _StatusDetails()
    kind = _BY_REASON.get(parsed.reason) or _BY_CODE.get(status, ApiError)
    return kind(
        parsed.message or parsed.reason or f"HTTP status {status}",
        code=status,
        reason=parsed.reason,
        causes=tuple(details.causes or ()),
        retry_after=details.retry_after_seconds if retry_after is None else retry_after,
        details={k: v for k, v in (("name", details.name), ("group", details.group), ("kind", details.kind)) if v},
    )


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        return None
