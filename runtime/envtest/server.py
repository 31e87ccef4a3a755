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
from controller_runtime.envtest import discovery
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
from controller_runtime.envtest.pages import Pages, no_page
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
        self._pages = Pages(self.kinds)
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
        return self._pages.answer(call, segments, _first_values(call.params))

    def _resource_call(
        self, call: Call, user: User, group: str, version: str, rest: list[str]
    ) -> Answer | WatchAnswer | ProxyAnswer:
        params = _first_values(call.params)
        if rest[0] == "watch":
            raise not_implemented("the old watch path prefix (use ?watch=1)")
        if version == "v1" and (group, rest[-1]) in REVIEWS:
            return self._review(call, user, group, rest)
        try:
            target = self._target(group, version, rest)
        except StatusError:
            if group and discovery.group(self.kinds, group) is None:
                return no_page()
            raise
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
