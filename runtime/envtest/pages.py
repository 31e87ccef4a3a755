"""The pages beside the resources: health, version, discovery and OpenAPI, and what is answered where there is none.

Documents that change with the kinds alone carry an ETag, so that a client that has one gets 304 instead of it again.

Concurrency: plain synchronous code for one event loop.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Final, final

import orjson

from controller_runtime.envtest import discovery, openapi
from controller_runtime.envtest.answers import Answer, Call, answer_json
from controller_runtime.envtest.kinds import Kinds
from controller_runtime.envtest.negotiation import accepted
from controller_runtime.envtest.status import (
    StatusError,
    method_not_allowed,
    not_acceptable,
    not_implemented,
    page_not_found,
)
from controller_runtime.envtest.storage import Json

__all__ = ["Pages", "no_page"]

_HEALTH: Final = ("healthz", "livez", "readyz")
_CHECKS: Final = ("ping", "log", "etcd")
_PLAIN: Final = {"content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff"}
_AGGREGATED: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_UNSUPPORTED: Final = {
    "metrics": "the server's own metrics",
    "logs": "the server's log files",
    "debug": "profiling",
    ".well-known": "OpenID discovery",
}


def no_page() -> Answer:
    """What a path gets that leads nowhere: not even a Status."""
    return Answer(404, b"404 page not found\n", _PLAIN)


@final
class Pages:
    """See the module docstring."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self._made: dict[str, tuple[int, bytes, str]] = {}  # path -> generation of the kinds, document, digest

    def answer(self, call: Call, segments: list[str], params: Mapping[str, str]) -> Answer:
        """Answer a call on a path without a resource.

        Raises:
            StatusError: it was refused.
        """
        if segments[0] in _HEALTH:
            return _health(segments, params)
        page = self._page(call, segments, params)
        if page.status < 400 and call.method not in ("GET", "HEAD"):
            raise method_not_allowed()
        return page

    def _page(self, call: Call, segments: list[str], params: Mapping[str, str]) -> Answer:
        match segments:
            case [""]:
                return answer_json({"paths": self._paths()})
            case ["version"]:
                return answer_json(discovery.VERSION)
            case ["api" | "apis", *rest]:
                return self._discovery(call, segments[0], rest)
            case ["openapi", "v2"]:
                return _openapi_v2(call)
            case ["openapi", "v3", *rest]:
                return self._openapi_v3(call, rest, params)
        if segments[0] in _UNSUPPORTED:
            raise not_implemented(_UNSUPPORTED[segments[0]])
        return no_page()

    def _discovery(self, call: Call, root: str, rest: list[str]) -> Answer:
        if not rest:
            return self._groups(call, core=root == "api")
        if root == "api":
            found = discovery.resources(self._kinds, "", rest[0]) if len(rest) == 1 else None
        elif len(rest) == 1:
            found = discovery.group(self._kinds, rest[0])
            if found is None:
                return no_page()
        else:
            if discovery.group(self._kinds, rest[0]) is None:
                return no_page()
            found = discovery.resources(self._kinds, rest[0], rest[1]) if len(rest) == 2 else None
        if found is None:
            raise page_not_found()
        return answer_json(found)

    def _groups(self, call: Call, *, core: bool) -> Answer:
        """All groups: in the aggregated form for who asks for that, in the old one for all others."""
        accept = call.headers.get("accept", "") or "application/json"
        for media, parameters in accepted(accept):
            if media not in ("application/json", "application/*", "*/*"):
                continue
            if parameters.get("as") == "APIGroupDiscoveryList":
                if (parameters.get("g"), parameters.get("v")) == ("apidiscovery.k8s.io", "v2"):
                    body, digest = self._document(call.path, lambda: discovery.aggregated(self._kinds, core=core))
                    headers = {"content-type": _AGGREGATED, "vary": "Accept", "etag": f'"{digest}"'}
                    return _unless_known(call, digest, Answer(200, body, headers))
            elif "as" not in parameters:
                return answer_json(discovery.api_versions() if core else discovery.groups(self._kinds))
        raise not_acceptable()

    def _openapi_v3(self, call: Call, rest: list[str], params: Mapping[str, str]) -> Answer:
        match rest:
            case []:
                digests = {
                    path: self._schemas(group, version)[1]
                    for path, group, version in openapi.group_versions(self._kinds)
                }
                return answer_json(openapi.index(digests))
            case ["api", version]:
                group = ""
            case ["apis", group, version]:
                pass
            case _:
                return Answer(404, b"", _PLAIN)
        if not self._kinds.in_version(group, version):
            return Answer(404, b"", _PLAIN)
        body, digest = self._schemas(group, version)
        if params.get("hash", digest) != digest:
            return Answer(301, b"", {"location": f"/{'/'.join(['openapi', 'v3', *rest])}?hash={digest}"})
        headers = {"content-type": "application/json", "etag": f'"{digest}"', "vary": "Accept"}
        if "hash" in params:
            headers["cache-control"] = "public, immutable"
        return _unless_known(call, digest, Answer(200, body, headers))

    def _schemas(self, group: str, version: str) -> tuple[bytes, str]:
        return self._document(f"{group}/{version}", lambda: openapi.document(self._kinds, group, version))

    def _document(self, name: str, make: Callable[[], Json]) -> tuple[bytes, str]:
        """A document and its digest, made again when the kinds have changed."""
        known = self._made.get(name)
        if known is None or known[0] != self._kinds.generation:
            body = orjson.dumps(make())
            known = self._made[name] = (self._kinds.generation, body, hashlib.sha512(body).hexdigest().upper())
        return known[1], known[2]

    def _paths(self) -> list[str]:
        paths = ["/api", "/api/v1", "/apis"]
        for group, versions in self._kinds.groups().items():
            if group:
                paths += [f"/apis/{group}", *(f"/apis/{group}/{version}" for version in versions)]
        return sorted([*paths, *(f"/{name}" for name in _HEALTH), "/openapi/v2", "/openapi/v3", "/version"])


def _unless_known(call: Call, digest: str, answer: Answer) -> Answer:
    if digest in call.headers.get("if-none-match", ""):
        return Answer(304, b"", answer.headers)
    return answer


def _health(segments: list[str], params: Mapping[str, str]) -> Answer:
    """This server is always well; it says so check by check for who wants to know."""
    name, check = segments[0], "/".join(segments[1:])
    if check:
        return Answer(200, b"ok", _PLAIN) if check in _CHECKS else no_page()
    if "verbose" not in params:
        return Answer(200, b"ok", _PLAIN)
    excluded = params.get("exclude", "")
    lines = [f"[+]{one} excluded: ok" if one == excluded else f"[+]{one} ok" for one in _CHECKS]
    if excluded and excluded not in _CHECKS:
        lines.append(f'warn: some health checks cannot be excluded: no matches for "{excluded}"')
    return Answer(200, "\n".join([*lines, f"{name} check passed", ""]).encode(), _PLAIN)


def _openapi_v2(call: Call) -> Answer:
    wanted = [media for media, _ in accepted(call.headers.get("accept", "application/json"))]
    if "application/json" not in wanted and "*/*" not in wanted:
        raise StatusError(406, "NotAcceptable", "the OpenAPI v2 document is only served as application/json")
    return answer_json(openapi.minimal_v2())
