"""Kinds that are questions: who am I, may I, may they, whose token is this; and tokens for service accounts.

Each is created and answered in the same breath; nothing is stored.

Concurrency: plain synchronous code for one event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from controller_runtime.api.resource import ObjectKey, Resource
from controller_runtime.api.time import format_time
from controller_runtime.clock import Clock
from controller_runtime.envtest.attributes import Attributes
from controller_runtime.envtest.rbac import Authorizer
from controller_runtime.envtest.status import Cause, StatusError, bad_request, invalid, not_found, not_implemented
from controller_runtime.envtest.storage import Json, Storage
from controller_runtime.envtest.users import AUDIENCE, Accounts, User

__all__ = ["REVIEWS", "Reviews"]

_AUTHENTICATION: Final = "authentication.k8s.io"
_AUTHORIZATION: Final = "authorization.k8s.io"
_ACCOUNTS: Final = Resource("", "v1", "ServiceAccount", "serviceaccounts")
_TOKEN_REQUEST: Final = Resource(_AUTHENTICATION, "v1", "TokenRequest", "tokenrequests")
_SHORTEST, _LONGEST = 600, 1 << 32

REVIEWS: Final[Mapping[tuple[str, str], tuple[str, bool]]] = {
    (_AUTHENTICATION, "selfsubjectreviews"): ("SelfSubjectReview", False),
    (_AUTHENTICATION, "tokenreviews"): ("TokenReview", False),
    (_AUTHORIZATION, "localsubjectaccessreviews"): ("LocalSubjectAccessReview", True),
    (_AUTHORIZATION, "selfsubjectaccessreviews"): ("SelfSubjectAccessReview", False),
    (_AUTHORIZATION, "selfsubjectrulesreviews"): ("SelfSubjectRulesReview", False),
    (_AUTHORIZATION, "subjectaccessreviews"): ("SubjectAccessReview", False),
}
"""The kinds of the reviews by group and plural, and whether they are namespaced."""


class Reviews:
    """Answers them."""

    def __init__(self, storage: Storage, accounts: Accounts, authorizer: Authorizer, clock: Clock) -> None:
        self._storage = storage
        self._accounts = accounts
        self._authorizer = authorizer
        self._clock = clock
        self._answers: dict[str, Callable[[Json, User, str], Json]] = {
            "SelfSubjectReview": self._who_am_i,
            "TokenReview": self._whose_token,
            "LocalSubjectAccessReview": self._may_they_here,
            "SelfSubjectAccessReview": self._may_i,
            "SelfSubjectRulesReview": self._what_may_i,
            "SubjectAccessReview": self._may_they,
        }

    def answer(self, group: str, plural: str, namespace: str, body: Any, user: User) -> Json:
        """Answer a review that `user` has created.

        Raises:
            StatusError: it doesn't say what it must.
        """
        if not isinstance(body, dict) or not isinstance(body.get("spec", {}), dict):
            raise bad_request("the body must be an object with a spec")
        kind, _ = REVIEWS[group, plural]
        if body.get("kind", kind) != kind:
            raise bad_request(f"the kind in the data ({body['kind']}) does not match the expected kind ({kind})")
        spec: Json = body.get("spec") or {}
        metadata = dict(body.get("metadata") or {})
        answered = self._answers[kind](spec, user, namespace)
        return {"kind": kind, "apiVersion": f"{group}/v1", "metadata": metadata, **answered}

    def _who_am_i(self, spec: Json, user: User, namespace: str) -> Json:
        metadata = {"creationTimestamp": format_time(self._clock.now())}
        return {"metadata": metadata, "status": {"userInfo": user.info()}}

    def _whose_token(self, spec: Json, user: User, namespace: str) -> Json:
        token = spec.get("token")
        if not token:
            raise bad_request("token is required for TokenReview in authentication")
        audiences = spec.get("audiences") or [AUDIENCE]
        for audience in audiences:
            found = self._accounts.user_of(token, audience)
            if found is not None:
                status = {"authenticated": True, "user": found.info(), "audiences": [audience]}
                return {"spec": spec, "status": status}
        return {"spec": spec, "status": {"user": {}, "error": "invalid bearer token"}}

    def _may_i(self, spec: Json, user: User, namespace: str) -> Json:
        return {"spec": spec, "status": self._decided(spec, user)}

    def _may_they(self, spec: Json, user: User, namespace: str) -> Json:
        name, groups = spec.get("user") or "", tuple(spec.get("groups") or ())
        if not name and not groups:
            raise _invalid("spec.user", 'Invalid value: "": at least one of user or group must be specified')
        return {"spec": spec, "status": self._decided(spec, User(name, groups))}

    def _may_they_here(self, spec: Json, user: User, namespace: str) -> Json:
        attributes = spec.get("resourceAttributes") or {}
        if attributes.get("namespace", "") != namespace:
            wrong = f'Invalid value: "{attributes.get("namespace", "")}": must match metadata.namespace'
            raise _invalid("spec.resourceAttributes.namespace", wrong)
        return self._may_they(spec, user, namespace)

    def _decided(self, spec: Json, user: User) -> Json:
        decision = self._authorizer.decide(user, _attributes(spec))
        status: Json = {"allowed": decision.allowed}
        if decision.reason:
            status["reason"] = decision.reason
        return status

    def _what_may_i(self, spec: Json, user: User, namespace: str) -> Json:
        wanted = spec.get("namespace") or ""
        if not wanted:
            raise bad_request("no namespace on request")
        problems: list[str] = []
        rules = [grant.rule for grant in self._authorizer.grants(user, wanted, problems)]
        fields = ("verbs", "apiGroups", "resources", "resourceNames")
        status: Json = {
            "resourceRules": [
                {name: rule[name] for name in fields if rule.get(name)} for rule in rules if rule.get("resources")
            ],
            "nonResourceRules": [
                {"verbs": rule["verbs"], "nonResourceURLs": rule["nonResourceURLs"]}
                for rule in rules
                if rule.get("nonResourceURLs")
            ],
            "incomplete": bool(problems),
        }
        if problems:
            status["evaluationError"] = ", ".join(problems)
        return {"spec": {}, "status": status}

    def token(self, key: ObjectKey, body: Any) -> Json:
        """Issue a token for a service account.

        Raises:
            StatusError: there is no such account, or the lifetime is not allowed.
        """
        spec: Json = dict((body.get("spec") if isinstance(body, dict) else None) or {})
        if spec.get("boundObjectRef"):
            raise not_implemented("tokens that are bound to an object")
        seconds = spec.get("expirationSeconds") or 3600
        if not isinstance(seconds, int) or not _SHORTEST <= seconds <= _LONGEST:
            limit = (
                "less than 10 minutes"
                if not isinstance(seconds, int) or seconds < _SHORTEST
                else "larger than 2^32 seconds"
            )
            message = f"Invalid value: {seconds}: may not specify a duration {limit}"
            raise invalid(_TOKEN_REQUEST, "", [Cause("spec.expirationSeconds", message)])
        stored = self._storage.get(("", "serviceaccounts"), key)
        if stored is None:
            raise not_found(_ACCOUNTS, key.name)
        audiences = spec.get("audiences") or [AUDIENCE]
        now = self._clock.now()
        return {
            "kind": "TokenRequest",
            "apiVersion": f"{_AUTHENTICATION}/v1",
            "metadata": {
                "name": key.name,
                "namespace": key.namespace,
                "uid": stored.uid,
                "creationTimestamp": format_time(now),
            },
            "spec": {
                "audiences": audiences,
                "expirationSeconds": seconds,
                "boundObjectRef": None,
            },
            "status": {
                "token": self._accounts.issue(stored.obj, audiences, seconds),
                "expirationTimestamp": format_time(now + seconds),
            },
        }


def _attributes(spec: Json) -> Attributes:
    of_resource, of_path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if of_path is not None and of_resource is None:
        return Attributes(verb=of_path.get("verb", ""), path=of_path.get("path", ""))
    if of_path is not None or of_resource is None:
        message = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        shown = "null" if of_resource is None else "{...}"
        raise _invalid("spec.resourceAttributes", f"Invalid value: {shown}: {message}")
    names = ("verb", "group", "version", "resource", "subresource", "namespace", "name")
    return Attributes(path="", **{name: of_resource.get(name, "") for name in names})


def _invalid(field: str, message: str) -> StatusError:
    """As a real server words it: it doesn't say of which kind."""
    cause = Cause(field, message)
    details = {"group": _AUTHORIZATION, "causes": [cause.to_dict()]}
    return StatusError(422, "Invalid", f'.{_AUTHORIZATION} "" is invalid: {cause.text}', details=details)
