"""Reading what a request says in its query and headers beside the object.

Every function raises a StatusError for values that are not allowed, with the code of a real server.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

from controller_runtime.envtest.answers import Answer, Call
from controller_runtime.envtest.checks import WriteOptions
from controller_runtime.envtest.patches import PATCHES
from controller_runtime.envtest.status import Cause, StatusError, bad_request, unsupported_media_type

__all__ = [
    "flag",
    "list_options_error",
    "patch_media",
    "refuse_initial_events",
    "write_options",
    "written_answer",
]

_TRUE: Final = frozenset(("1", "t", "true", "True", "TRUE"))
_FALSE: Final = frozenset(("", "0", "f", "false", "False", "FALSE"))


def flag(params: Mapping[str, str], name: str) -> bool:
    """Read a boolean parameter; an absent one is false."""
    text = params.get(name, "")
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise bad_request(f"invalid value for {name}: {text!r}")


def refuse_initial_events(params: Mapping[str, str]) -> None:
    """A list has no initial events."""
    if "sendInitialEvents" in params:
        raise list_options_error("sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list")


def list_options_error(why: str) -> StatusError:
    """What answers options of a list or watch that contradict each other."""
    return StatusError(422, "Invalid", f'ListOptions.meta.k8s.io "" is invalid: {why}')


def patch_media(call: Call) -> str:
    """The kind of patch."""
    content_type = call.headers.get("content-type", "")
    media = content_type.partition(";")[0].strip().lower()
    if media not in PATCHES:
        raise unsupported_media_type(content_type, PATCHES)
    return media


def write_options(call: Call, params: Mapping[str, str], *, apply: bool = False) -> WriteOptions:
    """The options of a create, update or patch."""
    dry_run = params.get("dryRun", "")
    if dry_run not in ("", "All"):
        raise bad_request(f'invalid dryRun: Unsupported value: "{dry_run}": supported values: "All"')
    validation = params.get("fieldValidation", "") or "Warn"
    if validation not in ("Ignore", "Warn", "Strict"):
        raise bad_request(f'invalid fieldValidation: Unsupported value: "{validation}"')
    manager = params.get("fieldManager", "")
    if apply and not manager:
        cause = Cause("fieldManager", "Required value: is required for apply patch", "FieldValueRequired")
        raise _patch_options_error(cause)
    if len(manager) > 128:
        raise _patch_options_error(
            Cause("fieldManager", "Too long: may not be more than 128 bytes", "FieldValueTooLong")
        )
    if params.get("force") and not apply:
        raise _patch_options_error(
            Cause("force", "Forbidden: may not be specified for non-apply patch", "FieldValueForbidden")
        )
    return WriteOptions(
        manager=manager or call.headers.get("user-agent", "").partition("/")[0] or "unknown",
        dry_run=bool(dry_run),
        force=flag(params, "force"),
        validation=validation,
    )


def _patch_options_error(cause: Cause) -> StatusError:
    message = f'PatchOptions.meta.k8s.io "" is invalid: {cause.text}'
    return StatusError(422, "Invalid", message, details={"causes": [cause.to_dict()]})


def written_answer(status: int, body: bytes, options: WriteOptions) -> Answer:
    """The answer to a write, with the warnings that it has collected."""
    headers = {"content-type": "application/json"}
    if options.warnings:
        headers["warning"] = ", ".join(f"299 - {_quoted(text)}" for text in options.warnings)
    return Answer(status, body, headers)


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()
