"""Errors as the API server words them: each is an exception that knows its Status object.

The texts, reasons and codes follow `k8s.io/apimachinery/pkg/api/errors`, because clients, scripts and people match on
them. Raising one of these is the only way in which a request fails on purpose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controller_runtime.api.resource import Resource

__all__ = [
    "Cause",
    "StatusError",
    "already_exists",
    "bad_request",
    "conflict",
    "expired",
    "forbidden",
    "invalid",
    "method_not_allowed",
    "not_acceptable",
    "not_found",
    "not_implemented",
    "page_not_found",
    "precondition_failed",
    "service_unavailable",
    "success",
    "too_large",
    "too_many_requests",
    "unauthorized",
    "unsupported_media_type",
]


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that is wrong with one field. `text` is the sentence of the summary, by default `field: message`."""

    field: str
    message: str
    reason: str = "FieldValueInvalid"

    @property
    def text(self) -> str:
        return f"{self.field}: {self.message}"

    def to_dict(self) -> dict[str, Any]:
        return {"reason": self.reason, "message": self.message, "field": self.field}


class StatusError(Exception):
    """A request was refused; `body()` is the Status object to answer with."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = dict(details or {})
        self.metadata = dict(metadata or {})
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self.metadata,
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
        }
        if self.details:
            body["details"] = self.details
        body["code"] = self.code
        return body


def success(resource: Resource, name: str, uid: str) -> dict[str, Any]:
    """The Status that answers a completed delete."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {**_details(resource, name), "uid": uid},
    }


def not_found(resource: Resource, name: str) -> StatusError:
    message = f'{_plural(resource)} "{name}" not found'
    return StatusError(404, "NotFound", message, details=_details(resource, name))


def page_not_found() -> StatusError:
    return StatusError(404, "NotFound", "the server could not find the requested resource", details={})


def already_exists(resource: Resource, name: str) -> StatusError:
    message = f'{_plural(resource)} "{name}" already exists'
    return StatusError(409, "AlreadyExists", message, details=_details(resource, name))


def conflict(resource: Resource, name: str, why: str = "") -> StatusError:
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {_plural(resource)} "{name}": {why}'
    return StatusError(409, "Conflict", message, details=_details(resource, name))


def precondition_failed(resource: Resource, name: str, field: str, wanted: str, found: str) -> StatusError:
    noun = {"uid": "UID", "resourceVersion": "ResourceVersion"}[field]
    why = f"Precondition failed: {noun} in precondition: {wanted}, {noun} in object meta: {found}"
    return conflict(resource, name, why)


def invalid(resource: Resource, name: str, causes: Sequence[Cause]) -> StatusError:
    qualified = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    texts = [cause.text for cause in causes]
    summary = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    details = {
        "name": name,
        **({"group": resource.group} if resource.group else {}),
        "kind": resource.kind,
        "causes": [cause.to_dict() for cause in causes],
    }
    return StatusError(422, "Invalid", f'{qualified} "{name}" is invalid: {summary}', details=details)


def bad_request(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)


def unauthorized() -> StatusError:
    return StatusError(401, "Unauthorized", "Unauthorized")


def forbidden(resource: Resource, name: str, why: str, causes: Sequence[Cause] = ()) -> StatusError:
    details = _details(resource, name)
    if causes:
        details["causes"] = [cause.to_dict() for cause in causes]
    return StatusError(403, "Forbidden", f'{_plural(resource)} "{name}" is forbidden: {why}', details=details)


def method_not_allowed(resource: Resource | None = None) -> StatusError:
    message = "the server does not allow this method on the requested resource"
    details = {} if resource is None else {k: v for k, v in _details(resource, "").items() if k != "name"}
    return StatusError(405, "MethodNotAllowed", message, details=details)


def not_acceptable(accept: str) -> StatusError:
    message = f"only the following media types are accepted: application/json (asked for: {accept})"
    return StatusError(406, "NotAcceptable", message)


def unsupported_media_type(content_type: str, allowed: Sequence[str]) -> StatusError:
    given, listed = content_type or "none given", ", ".join(allowed)
    message = f"the body of the request was in an unknown format ({given}) - accepted media types include: {listed}"
    return StatusError(415, "UnsupportedMediaType", message)


def too_large(limit: int) -> StatusError:
    return StatusError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit}")


def expired(message: str, *, continue_token: str = "") -> StatusError:
    metadata = {"continue": continue_token} if continue_token else {}
    return StatusError(410, "Expired", message, metadata=metadata)


def too_many_requests(message: str, retry_after: int, causes: Sequence[Cause] = ()) -> StatusError:
    details: dict[str, Any] = {"retryAfterSeconds": retry_after}
    if causes:
        details["causes"] = [cause.to_dict() for cause in causes]
    return StatusError(429, "TooManyRequests", message, details=details, headers={"Retry-After": str(retry_after)})


def service_unavailable(message: str) -> StatusError:
    return StatusError(503, "ServiceUnavailable", message)


def not_implemented(feature: str) -> StatusError:
    """What the embedded server knows of but does not do: it says so and never pretends."""
    message = f"not implemented by the embedded API server: {feature}"
    return StatusError(501, "NotImplemented", message)


def _plural(resource: Resource) -> str:
    return f"{resource.plural}.{resource.group}" if resource.group else resource.plural


def _details(resource: Resource, name: str) -> dict[str, Any]:
    group = {"group": resource.group} if resource.group else {}
    return {"name": name, **group, "kind": resource.plural}
