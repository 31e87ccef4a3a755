"""The options of a list or a watch: read from the query, and refused where they contradict each other.

The rules and the words are those of `ValidateListOptions` in k8s.io/apimachinery. All that is wrong is told at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controller_runtime.envtest.queries import flag, number
from controller_runtime.envtest.status import Cause, StatusError, bad_request, invalid_options

__all__ = ["ListOptions", "read_list_options", "read_version"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOptions:
    """`metav1.ListOptions` without its selectors.

    Attributes:
        version: the resourceVersion as it was given.
        initial: whether a watch first tells what there is; for a list it is None.
        timeout: in seconds; 0 for the server's own.
    """

    watch: bool = False
    version: str = ""
    match: str = ""
    limit: int = 0
    token: str = ""
    bookmarks: bool = False
    initial: bool | None = None
    timeout: int = 0


def read_list_options(params: Mapping[str, str]) -> ListOptions:
    """Read the query of a list, a watch or the deletion of a collection.

    Raises:
        StatusError: 400 for what is no number, 422 for options that contradict each other.
    """
    watch, version, match = (
        flag(params, "watch"),
        params.get("resourceVersion", ""),
        params.get("resourceVersionMatch", ""),
    )
    initial = flag(params, "sendInitialEvents") if "sendInitialEvents" in params else None
    if watch and initial is None and not match and version in ("", "0"):
        initial, match = (
            True,
            "NotOlderThan",
        )  # a watch from nowhere begins with what there is, and says where that ends
    options = ListOptions(
        watch=watch,
        version=version,
        match=match,
        limit=max(0, number(params, "limit")),
        token=params.get("continue", ""),
        bookmarks=flag(params, "allowWatchBookmarks"),
        initial=initial,
        timeout=number(params, "timeoutSeconds"),
    )
    causes = _watch_problems(options) if watch else _list_problems(options)
    if causes:
        raise invalid_options("ListOptions", causes)
    return options


def _list_problems(options: ListOptions) -> list[Cause]:
    causes: list[Cause] = []
    if options.match:
        if not options.version:
            causes.append(_match("resourceVersionMatch is forbidden unless resourceVersion is provided"))
        if options.token:
            causes.append(_match("resourceVersionMatch is forbidden when continue is provided"))
        if options.match not in ("Exact", "NotOlderThan"):
            causes.append(_unsupported(options.match, '"Exact", "NotOlderThan", ""'))
        if options.match == "Exact" and options.version == "0":
            causes.append(_match('resourceVersionMatch "exact" is forbidden for resourceVersion "0"'))
    if options.initial is not None:
        why = "Forbidden: sendInitialEvents is forbidden for list"
        causes.append(Cause("sendInitialEvents", why, "FieldValueForbidden"))
    return causes


def _watch_problems(options: ListOptions) -> list[Cause]:
    causes: list[Cause] = []
    if options.initial is not None and options.match != "NotOlderThan":
        causes.append(_match("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"))
    if options.match:
        if options.initial is None:
            causes.append(_match("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"))
        if options.match != "NotOlderThan":
            causes.append(_unsupported(options.match, '"NotOlderThan"'))
        if options.token:
            causes.append(_match("resourceVersionMatch is forbidden when continue is provided"))
    return causes


def _match(why: str) -> Cause:
    return Cause("resourceVersionMatch", f"Forbidden: {why}", "FieldValueForbidden")


def _unsupported(value: str, supported: str) -> Cause:
    message = f'Unsupported value: "{value}": supported values: {supported}'
    return Cause("resourceVersionMatch", message, "FieldValueNotSupported")


def read_version(text: str) -> int | None:
    """Read a `resourceVersion` parameter; None for an empty one.

    Raises:
        StatusError: 400, it is no version.
    """
    if not text:
        return None
    if not (text.isascii() and text.isdecimal()):
        raise _bad_version(text)
    return int(text)


def _bad_version(text: str) -> StatusError:
    why = f'Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
    return bad_request(f"invalid resource version: resourceVersion: {why}")
