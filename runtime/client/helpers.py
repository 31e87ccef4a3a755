"""Owner references, finalizers, create-or-update and retries on conflict: what nearly every reconciler needs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, Literal, TypeVar

from controller_runtime.api.meta import Object, OwnerReference
from controller_runtime.client.errors import ClientError, Conflict
from controller_runtime.client.interface import Client

__all__ = [
    "AlreadyOwned",
    "Written",
    "add_finalizer",
    "controller_of",
    "create_or_update",
    "owner_reference",
    "remove_finalizer",
    "remove_owner_reference",
    "retry_on_conflict",
    "set_controller_reference",
    "set_owner_reference",
]

R = TypeVar("R")
T = TypeVar("T", bound=Object)

Written = Literal["created", "updated", "unchanged"]

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
    reference = owner_reference(owner)
    existing = controller_of(obj)
    if existing is not None and not _same_owner(existing, reference):
        msg = f"{obj.kind} {obj.key} is already controlled by {existing.kind} {existing.name}"
        raise AlreadyOwned(msg)
    _put_reference(owner, obj, reference)


def set_owner_reference(owner: Object, obj: Object) -> None:
    """Make `owner` one of the owners of `obj`, which goes with the last of them; an earlier reference to it is replaced.

    Raises:
        ValueError: as `set_controller_reference`.
    """
    _put_reference(owner, obj, owner_reference(owner, controller=False))


def remove_owner_reference(owner: Object, obj: Object) -> bool:
    """Remove the reference to `owner` from `obj`; return whether it was there."""
    references = obj.metadata.owner_references
    wanted = (owner.resource.group, owner.kind, owner.metadata.name)
    obj.metadata.owner_references = [reference for reference in references if _identity(reference) != wanted]
    return len(obj.metadata.owner_references) != len(references)


def controller_of(obj: Object) -> OwnerReference | None:
    """Return the reference to the owner that manages `obj`, or None."""
    return next((reference for reference in obj.metadata.owner_references if reference.controller), None)


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


async def create_or_update(client: Client, obj: T, mutate: Callable[[T], None]) -> tuple[T, Written]:
    """Bring an object into the state that `mutate` makes of it, and return it with what was done.

    For objects of which others own most: what they set stays. `Client.apply` is the better choice where this program can
    say which fields are its own.

    Args:
        obj: says which object, and what a new one is made of.
        mutate: changes the object as it is on the server (or `obj`, if there is none) to what it should be. What it sets
            to something that the server changes again (defaults, normal forms) leads to a write each time.

    Raises:
        AlreadyExists: the client's cache did not know the object yet. Run again.
        Conflict: it has changed since it was read. Run again.
        ValueError: `mutate` changed the name or the namespace; nothing was sent.
    """
    found = await client.find(type(obj), obj.key)
    wanted = obj if found is None else found
    key = wanted.key
    mutate(wanted)
    if wanted.key != key:
        msg = f"{obj.kind} {key}: mutate must not change the name or namespace, to {wanted.key}"
        raise ValueError(msg)
    if found is None:
        return await client.create(wanted), "created"
    written = await client.update(wanted)
    return written, "unchanged" if written is wanted else "updated"


def _put_reference(owner: Object, obj: Object, reference: OwnerReference) -> None:
    namespace = owner.metadata.namespace
    if owner.resource.namespaced and (not obj.resource.namespaced or namespace != obj.metadata.namespace):
        msg = f"{owner.kind} {owner.key} cannot own {obj.kind} {obj.key}: an owner is in the same namespace"
        raise ValueError(msg)
    references = obj.metadata.owner_references
    for position, existing in enumerate(references):
        if _same_owner(existing, reference):
            references[position] = reference
            return
    references.append(reference)


def _identity(reference: OwnerReference) -> tuple[str, str, str]:
    return reference.api_version.rpartition("/")[0], reference.kind, reference.name


def _same_owner(a: OwnerReference, b: OwnerReference) -> bool:
    return _identity(a) == _identity(b)
