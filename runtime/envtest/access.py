"""May they? Every request passes here: whose it is (or whom it impersonates), and whether roles allow it.

A call without a user comes from inside the cluster's own process and is an administrator's.

Concurrency: plain synchronous code for one event loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import unquote

from controller_runtime.envtest.answers import Call
from controller_runtime.envtest.attributes import Attributes, attributes_of
from controller_runtime.envtest.rbac import Authorizer
from controller_runtime.envtest.status import StatusError, bad_request, not_allowed
from controller_runtime.envtest.users import (
    ADMINISTRATOR,
    AUTHENTICATED,
    MASTERS,
    User,
    service_account_groups,
    service_account_of,
)

__all__ = ["Access"]

_USER: Final = "impersonate-user"
_GROUP: Final = "impersonate-group"
_UID: Final = "impersonate-uid"
_EXTRA: Final = "impersonate-extra-"
_AUTHENTICATION: Final = "authentication.k8s.io"


class Access:
    """See the module docstring."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def admit(self, call: Call) -> User:
        """Return who is to be taken as the author of this call.

        Raises:
            StatusError: 403, they may not do this, or may not impersonate whom they want to be.
        """
        user = call.user or ADMINISTRATOR
        wanted = _impersonated(call.headers)
        if wanted is None and MASTERS in user.groups:
            return user
        request = attributes_of(call.method, call.path, call.params)
        if wanted is not None:
            self._check_impersonation(user, wanted, request)
            user = _completed(wanted)
        self._check(user, request)
        return user

    def _check(self, user: User, request: Attributes) -> None:
        decision = self._authorizer.decide(user, request)
        if not decision.allowed:
            raise not_allowed(user.name, request, decision.reason)

    def _check_impersonation(self, user: User, wanted: User, request: Attributes) -> None:
        """Impersonation may be allowed for certain requests, or (the older way) for all; the first refusal is told."""
        refusal: StatusError | None = None
        for check in (self._check_constrained, self._check_unconstrained):
            try:
                check(user, wanted, request)
            except StatusError as error:
                refusal = refusal or error
            else:
                return
        assert refusal is not None, "both ways were refused"  # noqa: S101 - an invariant, not input
        raise refusal

    def _check_constrained(self, user: User, wanted: User, request: Attributes) -> None:
        mode = "user-info" if service_account_of(wanted.name) is None else "serviceaccount"
        self._check(user, replace(request, verb=f"impersonate-on:{mode}:{request.verb}"))
        for attributes in _wanted_attributes(wanted, f"impersonate:{mode}", _AUTHENTICATION):
            self._check(user, attributes)

    def _check_unconstrained(self, user: User, wanted: User, request: Attributes) -> None:
        for attributes in _wanted_attributes(wanted, "impersonate", ""):
            self._check(user, attributes)


def _wanted_attributes(wanted: User, verb: str, group: str) -> list[Attributes]:
    """What one must be allowed in order to be somebody else, one thing for each of their properties."""

    def of(resource: str, name: str, *, group: str = group, subresource: str = "", namespace: str = "") -> Attributes:
        return Attributes(
            verb=verb,
            path="",
            group=group,
            resource=resource,
            subresource=subresource,
            namespace=namespace,
            name=name,
        )

    account = service_account_of(wanted.name)
    found = [of("users", wanted.name) if account is None else of("serviceaccounts", account[1], namespace=account[0])]
    found += [of("groups", name) for name in wanted.groups]
    if wanted.uid:
        found.append(of("uids", wanted.uid, group=_AUTHENTICATION))
    for key, values in wanted.extra.items():
        found += [of("userextras", value, group=_AUTHENTICATION, subresource=key) for value in values]
    return found


def _impersonated(headers: Mapping[str, str]) -> User | None:
    """Who the headers want to be; several groups come in one header, separated by commas."""
    extra = {
        unquote(name.removeprefix(_EXTRA)).lower(): tuple(_listed(value))
        for name, value in headers.items()
        if name.startswith(_EXTRA)
    }
    user = User(headers.get(_USER, ""), tuple(_listed(headers.get(_GROUP, ""))), headers.get(_UID, ""), extra)
    if not user.name and (user.groups or user.uid or user.extra):
        raise bad_request("requested to impersonate groups, a uid or extra values without impersonating a user name")
    return user if user.name else None


def _listed(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _completed(wanted: User) -> User:
    """Add the groups that come with a name: those of a service account, and that of everybody who is known."""
    groups = wanted.groups
    account = service_account_of(wanted.name)
    if account is not None and not groups:
        groups = service_account_groups(account[0])
    if AUTHENTICATED not in groups:
        groups = (*groups, AUTHENTICATED)
    return replace(wanted, groups=groups)
