"""The API server as a function: one call in, one answer out, no I/O.

`ApiServer` owns the storage, the kinds and everything that works on them, and routes each call to where it is answered.
Whatever is wrong with a call comes back as a Status; what the server knows of but does not do is answered with 501 and a
Status that names it.

Concurrency: plain synchronous code for one event loop; a call is atomic.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import unquote

from controller_runtime.clock import Clock
from controller_runtime.envtest import discovery, openapi
from controller_runtime.envtest.access import Access
from controller_runtime.envtest.answers import Answer, Call, ProxyAnswer, WatchAnswer, answer_json, answer_status
from controller_runtime.envtest.bootstrap import cluster_role_bindings, cluster_roles
from controller_runtime.envtest.builtins import builtin_kinds
from controller_runtime.envtest.checks import WriteOptions
from controller_runtime.envtest.collector import Collector
from controller_runtime.envtest.crds import CrdStrategy, CustomKinds
from controller_runtime.envtest.deletes import Deleter
from controller_runtime.envtest.escalation import EscalationCheck
from controller_runtime.envtest.kinds import Kind, Kinds
from controller_runtime.envtest.negotiation import accepted
from controller_runtime.envtest.patches import read_body
from controller_runtime.envtest.rbac import RBAC, Authorizer
from controller_runtime.envtest.resources import Resources, Target
from controller_runtime.envtest.reviews import REVIEWS, Reviews
from controller_runtime.envtest.status import (
    StatusError,
    bad_request,
    method_not_allowed,
    not_implemented,
    page_not_found,
    too_large,
)
from controller_runtime.envtest.storage import HISTORY, Json, Storage
from controller_runtime.envtest.users import Accounts, User
from controller_runtime.envtest.writes import Writer

__all__ = ["BODY_LIMIT", "ApiServer"]

BODY_LIMIT: Final = 3 * 1024 * 1024
_NAMESPACES: Final = ("default", "kube-system", "kube-node-lease", "kube-public")
_HEALTH: Final = ("/healthz", "/livez", "/readyz")
_UNSUPPORTED: Final = {
    "metrics": "the server's own metrics",
    "logs": "the server's log files",
    "debug": "profiling",
    ".well-known": "OpenID discovery",
}


class ApiServer:
    """See the module docstring.

    Args:
        clock: the time that objects and ages show.
        seed: of everything random (uids, generated names): equal seeds and calls give equal answers.
        history: changes that are kept of each resource, for watches and consistent pages.
    """

    def __init__(self, clock: Clock, *, seed: int = 0, history: int = HISTORY) -> None:
        self.clock = clock
        self.storage = Storage(history=history)
        self.kinds = Kinds()
        rng = random.Random(seed)  # noqa: S311 - names, not secrets
        self.writer = Writer(self.storage, clock, rng)
        self.deleter = Deleter(self.storage, clock)
        self._resources = Resources(self.storage, self.kinds, self.writer, self.deleter, clock, rng)
        for kind in builtin_kinds(self.storage, CrdStrategy(clock)):
            self.kinds.add(kind)
            self.storage.table(kind.storage)
        self.custom_kinds = CustomKinds(self.storage, self.kinds)
        self.collector = Collector(self.storage, self.kinds, self.deleter)
        self.accounts = Accounts(self.storage, clock, random.Random(f"accounts {seed}"))  # noqa: S311 - a test's cluster
        authorizer = Authorizer(self.storage)
        self._access = Access(authorizer)
        self.writer.guards.append(EscalationCheck(authorizer))
        self._reviews = Reviews(self.storage, self.accounts, authorizer, clock)
        self._documents: dict[str, tuple[int, Any]] = {}
        for name in _NAMESPACES:
            self.create("v1", "Namespace", {"metadata": {"name": name}})
        for role in cluster_roles():
            self.create(f"{RBAC}/v1", "ClusterRole", role)
        for binding in cluster_role_bindings():
            self.create(f"{RBAC}/v1", "ClusterRoleBinding", binding)

    def create(self, api_version: str, kind: str, obj: Json, namespace: str = "") -> Json:
        """Create an object, as the cluster's own components do, and return it.

        Raises:
            StatusError: it was refused.
            LookupError: there is no such kind.
        """
        found = self.kinds.by_kind(api_version, kind)
        if found is None:
            msg = f"no kind {kind} in {api_version}"
            raise LookupError(msg)
        return self.writer.create(found, namespace, obj, WriteOptions(manager="kube-apiserver")).copy()

    def handle(self, call: Call) -> Answer | WatchAnswer | ProxyAnswer:
        """Answer one call."""
        try:
            if len(call.body) > BODY_LIMIT:
                raise too_large(BODY_LIMIT)
            user = self._access.admit(call)
            return self._route(replace(call, user=user), user)
        except StatusError as error:
            return answer_status(error)

    def _route(self, call: Call, user: User) -> Answer | WatchAnswer | ProxyAnswer:
        segments = [unquote(segment) for segment in call.path.strip("/").split("/")]
        if segments[0] == "api" and len(segments) > 2:
            return self._resource_call(call, user, "", segments[1], segments[2:])
        if segments[0] == "apis" and len(segments) > 3:
            return self._resource_call(call, user, segments[1], segments[2], segments[3:])
        if call.method not in ("GET", "HEAD"):
            raise method_not_allowed() if self._has_page(call, segments) else page_not_found()
        return self._page(call, segments)

    def _has_page(self, call: Call, segments: list[str]) -> bool:
        try:
            self._page(call, segments)
        except StatusError:
            return False
        return True

    def _page(self, call: Call, segments: list[str]) -> Answer:
        """The pages beside the resources: health, version, discovery, OpenAPI."""
        path = "/" + "/".join(segments)
        if any(path == health or path.startswith(f"{health}/") for health in _HEALTH):
            return Answer(200, b"ok", {"content-type": "text/plain; charset=utf-8"})
        if path == "/version":
            return answer_json(discovery.VERSION)
        if path == "/":
            return answer_json({"paths": self._paths()})
        if segments[0] in ("api", "apis"):
            return self._discovery(call, segments)
        if path == "/openapi/v2":
            return self._openapi_v2(call)
        if segments[:2] == ["openapi", "v3"]:
            return self._openapi_v3(segments[2:])
        if segments[0] in _UNSUPPORTED:
            raise not_implemented(_UNSUPPORTED[segments[0]])
        raise page_not_found()

    def _discovery(self, call: Call, segments: list[str]) -> Answer:
        match segments:
            case ["api" | "apis"]:
                core = segments[0] == "api"
                for media, parameters in accepted(call.headers.get("accept", "")):
                    if media == "application/json" and parameters.get("as") == "APIGroupDiscoveryList":
                        if parameters.get("v") == "v2":
                            body = discovery.aggregated(self.kinds, core=core)
                            content = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
                            return Answer(200, answer_json(body).body, {"content-type": content})
                    elif media == "application/json":
                        break
                return answer_json(discovery.api_versions() if core else discovery.groups(self.kinds))
            case ["apis", group]:
                found = discovery.group(self.kinds, group) if group else None
            case ["api", version]:
                found = discovery.resources(self.kinds, "", version)
            case ["apis", group, version]:
                found = discovery.resources(self.kinds, group, version)
            case _:
                found = None
        if found is None:
            raise page_not_found()
        return answer_json(found)

    def _openapi_v2(self, call: Call) -> Answer:
        wanted = [media for media, _ in accepted(call.headers.get("accept", "application/json"))]
        if "application/json" not in wanted and "*/*" not in wanted:
            raise StatusError(406, "NotAcceptable", "the OpenAPI v2 document is only served as application/json")
        return answer_json(openapi.minimal_v2())

    def _openapi_v3(self, segments: list[str]) -> Answer:
        match segments:
            case []:
                return answer_json(openapi.index(self.kinds))
            case ["api", version]:
                return self._document("", version)
            case ["apis", group, version]:
                return self._document(group, version)
        raise page_not_found()

    def _document(self, group: str, version: str) -> Answer:
        key = f"{group}/{version}"
        known = self._documents.get(key)
        if known is None or known[0] != self.kinds.generation:
            document = openapi.document(self.kinds, group, version)
            if document is None:
                raise page_not_found()
            known = self._documents[key] = (self.kinds.generation, answer_json(document))
        answer: Answer = known[1]
        return answer

    def _paths(self) -> list[str]:
        paths = ["/api", "/api/v1", "/apis"]
        for group, versions in self.kinds.groups().items():
            if group:
                paths += [f"/apis/{group}", *(f"/apis/{group}/{version}" for version in versions)]
        return sorted([*paths, *_HEALTH, "/openapi/v2", "/openapi/v3", "/version"])

    def _resource_call(
        self, call: Call, user: User, group: str, version: str, rest: list[str]
    ) -> Answer | WatchAnswer | ProxyAnswer:
        params = _first_values(call.params)
        if rest[0] == "watch":
            raise not_implemented("the old watch path prefix (use ?watch=1)")
        if version == "v1" and (group, rest[-1]) in REVIEWS:
            return self._review(call, user, group, rest)
        target = self._target(group, version, rest)
        if target.subresource == "token":
            return self._token(call, target)
        return self._resources.handle(call, target, params)

    def _review(self, call: Call, user: User, group: str, rest: list[str]) -> Answer:
        _, namespaced = REVIEWS[group, rest[-1]]
        if rest[:-1] and (not namespaced or rest[0] != "namespaces" or len(rest) != 3):
            raise page_not_found()
        if call.method != "POST" or namespaced != (len(rest) == 3):
            raise method_not_allowed()
        body = read_body(call.body, call.headers.get("content-type", ""))
        return answer_json(self._reviews.answer(group, rest[-1], rest[1] if namespaced else "", body, user), 201)

    def _token(self, call: Call, target: Target) -> Answer:
        if call.method != "POST":
            raise method_not_allowed()
        body = read_body(call.body, call.headers.get("content-type", ""))
        return answer_json(self._reviews.token(target.key, body), 201)

    def _target(self, group: str, version: str, rest: list[str]) -> Target:
        """Find what `namespaces/<ns>/<plural>/<name>/<subresource>` or `<plural>/<name>/<subresource>` names."""
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2 and not (group == "" and rest[2] in ("status", "finalize")):
            namespace, rest = rest[1], rest[2:]
        kind = self._kind(group, version, rest[0])
        if bool(namespace) and not kind.resource.namespaced:
            raise page_not_found()
        if kind.resource.namespaced and not namespace and len(rest) > 1:
            raise page_not_found()
        name = rest[1] if len(rest) > 1 else ""
        if len(rest) > 1 and not name:
            raise bad_request("resource name may not be empty")
        subresource = rest[2] if len(rest) > 2 else ""
        if subresource and subresource not in kind.subresources:
            raise page_not_found()
        tail = rest[3:]
        if tail and subresource != "proxy":
            raise page_not_found()
        return Target(kind, namespace, name, subresource, "/".join(tail))

    def _kind(self, group: str, version: str, plural: str) -> Kind:
        kind = self.kinds.find(group, version, plural)
        if kind is None:
            raise page_not_found()
        return kind


def _first_values(params: Any) -> Mapping[str, str]:
    values: dict[str, str] = {}
    for name, value in params:
        values.setdefault(name, value)
    return values
