"""Asking for the end of objects, each by the identity that was read: a newer one of the same name is not touched.

What is being deleted already is not asked again. Nothing here waits: that an object is gone comes back as an event.
"""

from __future__ import annotations

from collections.abc import Iterable

from controller_runtime.api import Object
from controller_runtime.client import Client, ClientError, Conflict, NotFound, Preconditions

__all__ = ["belongs_to_another", "delete", "delete_all"]


async def delete(client: Client, obj: Object, grace_period: int | None = None) -> bool:
    """Ask for the deletion of an object; return False if it is gone already.

    Args:
        grace_period: seconds a pod gets to stop; None for its own.

    Raises:
        ClientError: it can't be deleted; a Conflict if another object has its name by now.
    """
    if obj.metadata.deletion_timestamp is not None:
        return True
    try:
        await client.delete(
            type(obj), obj.key, grace_period=grace_period, preconditions=Preconditions(uid=obj.metadata.uid)
        )
    except NotFound:
        return False
    return True


async def delete_all(client: Client, objects: Iterable[Object]) -> None:
    """Ask for the deletion of each; one that can't be deleted doesn't keep the others from it.

    Raises:
        ClientError: the first one that can't be deleted.
    """
    errors: list[ClientError] = []
    for obj in objects:
        try:
            await delete(client, obj)
        except ClientError as error:
            errors.append(error)
    # A conflict means a new object under the old name: the next run sees it. Anything worse goes first.
    errors.sort(key=lambda error: isinstance(error, Conflict))
    if errors:
        raise errors[0]


def belongs_to_another(obj: Object, owner: Object) -> bool:
    """Whether something else controls it. Labels can be anybody's: they alone make nobody an owner."""
    controller = next((found for found in obj.metadata.owner_references if found.controller), None)
    return controller is not None and controller.uid != owner.metadata.uid
