"""Reading what a write says in its query and headers beside the object, and writing its warnings.

Every function raises a StatusError for values that are not allowed, with the code of a real server.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from controller_runtime.envtest.answers import Answer, Call
from controller_runtime.envtest.checks import WriteOptions
from controller_runtime.envtest.duplicates import duplicate_fields
from controller_runtime.envtest.patches import JSON_PATCH, PATCHES
from controller_runtime.envtest.queries import flag
from controller_runtime.envtest.status import Cause, StatusError, invalid_options, unsupported_patch

__all__ = ["check_dry_run", "patch_media", "warning", "write_options", "written_answer"]

_OPTIONS: Final = {"POST": "CreateOptions", "PUT": "UpdateOptions", "PATCH": "PatchOptions"}
_VALIDATION: Final = ("", "Ignore", "Strict", "Warn")


def patch_media(call: Call, *, strategic: bool) -> str:
    """The kind of patch; `strategic` says whether the resource knows strategic merge patches."""
    media = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in PATCHES:
        raise unsupported_patch(strategic=strategic)
    return media


def write_options(call: Call, params: Mapping[str, str], *, apply: bool = False) -> WriteOptions:
    """The options of a create, update or patch."""
    manager = params.get("fieldManager", "")
    causes: list[Cause] = []
    if apply and not manager:
        causes.append(Cause("fieldManager", "Required value: is required for apply patch", "FieldValueRequired"))
    if "force" in params and call.method == "PATCH" and not apply:
        causes.append(Cause("force", "Forbidden: may not be specified for non-apply patch", "FieldValueForbidden"))
    if len(manager) > 128:
        causes.append(Cause("fieldManager", "Too long: may not be more than 128 bytes", "FieldValueTooLong"))
    dry_run = [params["dryRun"]] if "dryRun" in params else []
    causes += check_dry_run(dry_run)
    validation = params.get("fieldValidation", "")
    if validation not in _VALIDATION:
        supported = ", ".join(f'"{name}"' for name in _VALIDATION)
        message = f'Unsupported value: "{validation}": supported values: {supported}'
        causes.append(Cause("fieldValidation", message, "FieldValueNotSupported"))
    if causes:
        raise invalid_options(_OPTIONS.get(call.method, "UpdateOptions"), causes)
    return WriteOptions(
        manager=manager or call.headers.get("user-agent", "").partition("/")[0] or "unknown",
        dry_run=bool(dry_run),
        force=flag(params, "force"),
        validation=validation or "Warn",
        user=call.user,
        duplicates=[] if apply or validation == "Ignore" else _duplicates(call),
    )


def _duplicates(call: Call) -> list[str]:
    """What is to be said of fields that come twice in a body of JSON."""
    media = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media and not media.endswith("json"):
        return []
    start = "json patch duplicate field" if media == JSON_PATCH else "duplicate field"
    return [f'{start} "{path}"' for path in duplicate_fields(call.body)]


def check_dry_run(values: Any) -> list[Cause]:
    """A dry run is of all stages; there are no others."""
    if isinstance(values, list) and all(value == "All" for value in values):
        return []
    given = orjson.dumps(values).decode()
    return [Cause("dryRun", f'Unsupported value: {given}: supported values: "All"', "FieldValueNotSupported")]


def written_answer(status: int, body: bytes, options: WriteOptions) -> Answer:
    """The answer to a write, with the warnings that it has collected."""
    return Answer(status, body, {"content-type": "application/json", **_warnings(options)})


@contextlib.contextmanager
def warning(options: WriteOptions) -> Iterator[None]:
    """Let a refusal carry the warnings that were collected before it."""
    try:
        yield
    except StatusError as error:
        error.headers.update(_warnings(options))
        raise


def _warnings(options: WriteOptions) -> dict[str, str]:
    return {"warning": ", ".join(f"299 - {_quoted(text)}" for text in options.warnings)} if options.warnings else {}


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()
