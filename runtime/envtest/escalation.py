"""Nobody gives away rights that they don't have: the check of written roles and bindings.

Who writes a role must hold all its rules, or be allowed to `escalate` it; who writes a binding must hold all rules of the
role it refers to, or be allowed to `bind` it (Kubernetes documentation, "Privilege escalation prevention").

Concurrency: plain synchronous code for one event loop.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import orjson

from controller_runtime.envtest.attributes import Attributes
from controller_runtime.envtest.kinds import Kind
from controller_runtime.envtest.rbac import RBAC, Authorizer
from controller_runtime.envtest.status import forbidden, not_found
from controller_runtime.envtest.storage import Json
from controller_runtime.envtest.users import MASTERS, User

__all__ = ["EscalationCheck"]

_ROLES: Final = ("Role", "ClusterRole")
_BINDINGS: Final = ("RoleBinding", "ClusterRoleBinding")
_FIELDS: Final = (
    ("APIGroups", "apiGroups"),
    ("Resources", "resources"),
    ("ResourceNames", "resourceNames"),
    ("NonResourceURLs", "nonResourceURLs"),
    ("Verbs", "verbs"),
)


class EscalationCheck:
    """See the module docstring; called for every write with who writes (None: the cluster itself)."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    def __call__(self, kind: Kind, obj: Json, old: Json | None, user: User | None) -> None:
        """Refuse what gives away too much.

        Raises:
            StatusError: 403, with the rules that the user doesn't have; 404, the binding's role is not there.
        """
        resource = kind.resource
        if resource.group != RBAC or user is None or MASTERS in user.groups:
            return
        metadata = obj["metadata"]
        namespace = metadata.get("namespace", "")
        if resource.kind in _ROLES:
            if old is not None and obj.get("rules") == old.get("rules"):
                return
            rules, verb, of, name = obj.get("rules") or [], "escalate", resource.plural, metadata["name"]
        elif resource.kind in _BINDINGS:
            reference: Json = obj["roleRef"]
            of, name, verb = f"{reference['kind'].lower()}s", reference["name"], "bind"
            if self._may(user, verb, of, name, namespace):
                return
            found = self._authorizer.rules_of(reference, namespace)
            if found is None:
                raise not_found(resource, name)
            rules = found
        else:
            return
        if self._may(user, verb, of, name, namespace):
            return
        held = [grant.rule for grant in self._authorizer.grants(user, namespace, [])]
        missing = [rule for wanted in rules for rule in _uncovered(held, wanted)]
        if missing:
            groups = " ".join(f'"{group}"' for group in user.groups)
            shown = "\n".join(map(_shown, missing))
            raise forbidden(
                resource,
                metadata["name"],
                f'user "{user.name}" (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:\n{shown}',
            )

    def _may(self, user: User, verb: str, resource: str, name: str, namespace: str) -> bool:
        request = Attributes(verb=verb, path="", group=RBAC, resource=resource, name=name, namespace=namespace)
        return self._authorizer.decide(user, request).allowed


def _uncovered(held: Sequence[Json], wanted: Json) -> Iterator[Json]:
    """What of a rule no held rule covers: one rule for each resource or URL, with the verbs that are missing."""
    for url in wanted.get("nonResourceURLs") or ():
        verbs = [verb for verb in wanted["verbs"] if not any(_covers_url(rule, url, verb) for rule in held)]
        if verbs:
            yield {"nonResourceURLs": [url], "verbs": verbs}
    names = wanted.get("resourceNames") or [""]
    for group, resource, name in itertools.product(wanted.get("apiGroups") or (), wanted.get("resources") or (), names):
        verbs = [
            verb for verb in wanted["verbs"] if not any(_covers(rule, group, resource, name, verb) for rule in held)
        ]
        if verbs:
            named = {"resourceNames": [name]} if name else {}
            yield {"apiGroups": [group], "resources": [resource], **named, "verbs": verbs}


def _covers(rule: Json, group: str, resource: str, name: str, verb: str) -> bool:
    subresource = resource.partition("/")[2]
    resources = rule.get("resources") or ()
    names = rule.get("resourceNames") or ()
    return (
        _has(rule.get("verbs"), verb)
        and _has(rule.get("apiGroups"), group)
        and (_has(resources, resource) or (bool(subresource) and f"*/{subresource}" in resources))
        and (not names or name in names)
    )


def _covers_url(rule: Json, url: str, verb: str) -> bool:
    return _has(rule.get("verbs"), verb) and any(
        pattern == url or (pattern.endswith("*") and url.startswith(pattern[:-1]))
        for pattern in rule.get("nonResourceURLs") or ()
    )


def _has(values: Iterable[str] | None, value: str) -> bool:
    return values is not None and (value in values or "*" in values)


def _shown(rule: Json) -> str:
    parts = [f"{title}:{orjson.dumps(rule[name]).decode()}" for title, name in _FIELDS if rule.get(name)]
    return "{" + ", ".join(parts) + "}"
