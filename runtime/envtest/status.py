"""Errors as the API server words them: each is an exception that knows its Status object.

The texts, reasons and codes follow `k8s.io/apimachinery/pkg/api/errors`, because clients, scripts and people match on
them. Raising one of these is the only way in which a request fails on purpose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from controller_runtime.api.resource import Resource
from controller_runtime.envtest.attributes import Attributes

__all__ = [
    "Cause",
    "DecodingError",
    "StatusError",
    "already_exists",
    "bad_request",
    "cannot_unmarshal",
    "conflict",
    "expired",
    "forbidden",
    "go_type",
    "invalid",
    "invalid_options",
    "method_not_allowed",
    "not_acceptable",
    "not_allowed",
    "not_found",
    "not_implemented",
    "page_not_found",
    "service_unavailable",
    "success",
    "too_large",
    "too_many_requests",
    "unauthorized",
    "unprocessable_patch",
    "unsupported_media_type",
    "unsupported_patch",
]


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that is wrong with one field. `text` is the sentence of the summary, `field: message`.

    Attributes:
        warning: it was so before, and is only warned of.
    """

    field: str
    message: str
    reason: str = "FieldValueInvalid"
    warning: bool = False

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
        }
        if self.reason:
            body["reason"] = self.reason
        if self.details:
            body["details"] = self.details
        body["code"] = self.code
        return body


class DecodingError(StatusError):
    """A body is not what its kind can hold; `why` is what a decoder says of it.

    Args:
        kind, version: what the body says it is.
        wanted: the kind that was expected.
    """

    def __init__(self, kind: str, version: str, wanted: str, why: str) -> None:
        super().__init__(400, "BadRequest", f'{kind} in version "{version}" cannot be handled as a {wanted}: {why}')
        self.why = why


def unprocessable_patch(patched: Any, why: str) -> StatusError:
    """A patch leaves what its kind cannot hold: what it leaves is shown."""
    shown = orjson.dumps(orjson.dumps(patched, option=orjson.OPT_SORT_KEYS).decode()).decode()
    cause = Cause("patch", f"Invalid value: {shown}: {why}")
    return StatusError(422, "Invalid", f' "" is invalid: {cause.text}', details={"causes": [cause.to_dict()]})


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


def already_exists(resource: Resource, name: str, *, leaving: bool = False) -> StatusError:
    """With `leaving`, what exists is being deleted."""
    message = f'{_plural(resource)} "{name}" already exists'
    message = f"object is being deleted: {message}" if leaving else message
    return StatusError(409, "AlreadyExists", message, details=_details(resource, name))


def conflict(resource: Resource, name: str, why: str = "") -> StatusError:
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {_plural(resource)} "{name}": {why}'
    return StatusError(409, "Conflict", message, details=_details(resource, name))


def invalid(resource: Resource, name: str, causes: Sequence[Cause]) -> StatusError:
    qualified = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    texts = list(dict.fromkeys(cause.text for cause in causes))  # two checks may say the same
    summary = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    details = {
        **({"name": name} if name else {}),
        **({"group": resource.group} if resource.group else {}),
        "kind": resource.kind,
        "causes": [cause.to_dict() for cause in causes],
    }
    return StatusError(422, "Invalid", f'{qualified} "{name}" is invalid: {summary}', details=details)


def invalid_options(kind: str, causes: Sequence[Cause]) -> StatusError:
    """What answers a query that is not allowed; `kind` is that of the options, e.g. `ListOptions`."""
    return invalid(Resource("meta.k8s.io", "v1", kind, ""), "", causes)


def cannot_unmarshal(value: Any, wanted: str) -> str:
    """The words of a JSON decoder for a value of the wrong type."""
    return f"json: cannot unmarshal {go_type(value)} into Go value of type {wanted}"


def go_type(value: Any) -> str:
    """What a JSON decoder calls the type of a value."""
    names = {bool: "bool", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def bad_request(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)


def unauthorized() -> StatusError:
    return StatusError(401, "Unauthorized", "Unauthorized")


def forbidden(resource: Resource, name: str, why: str, causes: Sequence[Cause] = ()) -> StatusError:
    details = _details(resource, name)
    if causes:
        details["causes"] = [cause.to_dict() for cause in causes]
    return StatusError(403, "Forbidden", f'{_plural(resource)} "{name}" is forbidden: {why}', details=details)


def not_allowed(user: str, request: Attributes, reason: str) -> StatusError:
    """What access control answers to who may not do something."""
    if not request.resource:
        message = f'forbidden: User "{user}" cannot {request.verb} path "{request.path}"'
        details: dict[str, Any] = {}
    else:
        whole = f"{request.resource}.{request.group}" if request.group else request.resource
        named = f'{whole} "{request.name}"' if request.name else whole
        what = f"{request.resource}/{request.subresource}" if request.subresource else request.resource
        where = f'in the namespace "{request.namespace}"' if request.namespace else "at the cluster scope"
        message = (
            f'{named} is forbidden: User "{user}" cannot {request.verb} resource "{what}" in API group '
            f'"{request.group}" {where}'
        )
        details = {"name": request.name, "group": request.group, "kind": request.resource}
    if reason:
        message = f"{message}: {reason}"
    return StatusError(403, "Forbidden", message, details={name: text for name, text in details.items() if text})


def method_not_allowed(resource: Resource | None = None) -> StatusError:
    message = "the server does not allow this method on the requested resource"
    details = {} if resource is None else {k: v for k, v in _details(resource, "").items() if k != "name"}
    return StatusError(405, "MethodNotAllowed", message, details=details)


def not_acceptable(*, routed: bool = False) -> StatusError:
    """For a form that nobody writes; `routed` resources have a library in front of them with words of its own."""
    media = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    if routed:
        return StatusError(406, "NotAcceptable", f"406: Not Acceptable\n\nAvailable representations: {media}")
    return StatusError(406, "NotAcceptable", f"only the following media types are accepted: {media}")


def unsupported_media_type(allowed: Sequence[str]) -> StatusError:
    message = f"the body of the request was in an unknown format - accepted media types include: {', '.join(allowed)}"
    return StatusError(415, "UnsupportedMediaType", message)


def unsupported_patch(*, strategic: bool) -> StatusError:
    """For a patch of an unknown kind; resources with strategic merge are routed by a library with words of its own."""
    if strategic:
        return StatusError(415, "UnsupportedMediaType", "415: Unsupported Media Type", details={})
    kinds = ("json-patch+json", "merge-patch+json", "apply-patch+yaml")
    return unsupported_media_type([f"application/{kind}" for kind in kinds])


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
