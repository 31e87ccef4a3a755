"""Owner references, finalizers and retries on conflict: what nearly every reconciler needs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from controller_runtime.api.meta import Object, OwnerReference
from controller_runtime.client.errors import ClientError, Conflict

__all__ = [
    "AlreadyOwned",
    "add_finalizer",
    "owner_reference",
    "remove_finalizer",
    "retry_on_conflict",
    "set_controller_reference",
]

R = TypeVar("R")

_ATTEMPTS: Final = 5
_PAUSE: Final = 0.01


class AlreadyOwned(ClientError):
    """The object is controlled by another owner; an object has at most one controller."""


def owner_reference(owner: Object, controller: bool = True) -> OwnerReference:
    """Return a reference to `owner`.

    Args:
        controller: whether the owner manages the object; then the object also blocks the owner's foreground deletion.

    Raises:
        ValueError: `owner` has no uid: it was not read from a server.
    """
    if not owner.metadata.uid:
        msg = f"{owner.kind} {owner.key} cannot own anything: it has no uid, so it was not read from a server"
        raise ValueError(msg)
    return OwnerReference(
        api_version=owner.api_version,
        kind=owner.kind,
        name=owner.metadata.name,
        uid=owner.metadata.uid,
        controller=True if controller else None,
        block_owner_deletion=True if controller else None,
    )


def set_controller_reference(owner: Object, obj: Object) -> None:
    """Make `owner` the controller of `obj`, in place of an earlier reference to the same owner.

    The same owner means the same group, kind and name: another version, or an object that was created anew, replaces the
    old reference.

    Raises:
        AlreadyOwned: another object controls `obj`.
        ValueError: the owner is in another namespace, or `obj` is cluster-scoped and its owner is not; the garbage
            collector would delete `obj`. Or `owner` has no uid.
    """
    namespace = owner.metadata.namespace
    if owner.resource.namespaced and (not obj.resource.namespaced or namespace != obj.metadata.namespace):
        msg = f"{owner.kind} {owner.key} cannot own {obj.kind} {obj.key}: an owner is in the same namespace"
        raise ValueError(msg)
    reference = owner_reference(owner)
    references = obj.metadata.owner_references
    for position, existing in enumerate(references):
        if _same_owner(existing, reference):
            references[position] = reference
            return
        if existing.controller:
            msg = f"{obj.kind} {obj.key} is already controlled by {existing.kind} {existing.name}"
            raise AlreadyOwned(msg)
    references.append(reference)


def add_finalizer(obj: Object, name: str) -> bool:
    """Add a finalizer; return whether it was missing."""
    if name in obj.metadata.finalizers:
        return False
    obj.metadata.finalizers.append(name)
    return True


def remove_finalizer(obj: Object, name: str) -> bool:
    """Remove a finalizer; return whether it was there."""
    kept = [finalizer for finalizer in obj.metadata.finalizers if finalizer != name]
    changed = len(kept) != len(obj.metadata.finalizers)
    obj.metadata.finalizers = kept
    return changed


async def retry_on_conflict(fn: Callable[[], Awaitable[R]], *, attempts: int = _ATTEMPTS) -> R:
    """Call `fn` again while it raises `Conflict`, some ten milliseconds apart; `fn` must read the object anew.

    Raises:
        Conflict: the last attempt's.
    """
    for _ in range(attempts - 1):
        try:
            return await fn()
        except Conflict:
            await asyncio.sleep(_PAUSE * (1 + random.random()))  # noqa: S311 - jitter
    return await fn()


def _same_owner(a: OwnerReference, b: OwnerReference) -> bool:
    return (a.api_version.rpartition("/")[0], a.kind, a.name) == (b.api_version.rpartition("/")[0], b.kind, b.name)
