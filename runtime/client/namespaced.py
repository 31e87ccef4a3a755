"""A client that stays in one namespace: it fills the namespace in where it is missing, and refuses any other.

Cluster-scoped kinds pass unchanged. A mistake is an error before any request is made.
"""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import TypeVar, overload

from controller_runtime.api.meta import Object
from controller_runtime.api.resource import ObjectKey, Resource
from controller_runtime.api.selectors import Selector
from controller_runtime.client.interface import (
    Client,
    FieldValidation,
    Kind,
    Preconditions,
    Propagation,
    Untyped,
    WatchEvent,
)
from controller_runtime.client.objects import resource_of
from controller_runtime.client.patch import Patch

__all__ = ["NamespacedClient"]

T = TypeVar("T", bound=Object)


class NamespacedClient:
    """See the module docstring; it satisfies `controller_runtime.client.interface.Client`.

    All calls raise `ValueError` for a key or an object in another namespace. Objects without a namespace are given it.

    Untyped manifests are taken for namespaced ones: apply those of cluster-scoped kinds with the inner client.
    """

    def __init__(self, client: Client, namespace: str) -> None:
        if not namespace:
            msg = "a namespaced client needs a namespace"
            raise ValueError(msg)
        self._client = client
        self.namespace = namespace

    @property
    def live(self) -> NamespacedClient:
        return NamespacedClient(self._client.live, self.namespace)

    @property
    def field_manager(self) -> str:
        return self._client.field_manager

    def with_options(
        self,
        *,
        field_manager: str | None = None,
        dry_run: bool = False,
        field_validation: FieldValidation | None = None,
    ) -> NamespacedClient:
        inner = self._client.with_options(
            field_manager=field_manager, dry_run=dry_run, field_validation=field_validation
        )
        return NamespacedClient(inner, self.namespace)

    # Reads

    @overload
    async def get(self, kind: type[T], key: ObjectKey) -> T: ...
    @overload
    async def get(self, kind: Resource, key: ObjectKey) -> Untyped: ...
    async def get(self, kind: type[T] | Resource, key: ObjectKey) -> T | Untyped:
        key = self._key(kind, key)
        if isinstance(kind, Resource):
            return await self._client.get(kind, key)
        return await self._client.get(kind, key)

    @overload
    async def find(self, kind: type[T], key: ObjectKey) -> T | None: ...
    @overload
    async def find(self, kind: Resource, key: ObjectKey) -> Untyped | None: ...
    async def find(self, kind: type[T] | Resource, key: ObjectKey) -> T | Untyped | None:
        key = self._key(kind, key)
        if isinstance(kind, Resource):
            return await self._client.find(kind, key)
        return await self._client.find(kind, key)

    @overload
    async def list(
        self,
        kind: type[T],
        *,
        namespace: str = "",
        labels: Selector | None = None,
        index: tuple[str, str] | None = None,
    ) -> builtins.list[T]: ...
    @overload
    async def list(
        self,
        kind: Resource,
        *,
        namespace: str = "",
        labels: Selector | None = None,
        index: tuple[str, str] | None = None,
    ) -> builtins.list[Untyped]: ...
    async def list(
        self,
        kind: type[T] | Resource,
        *,
        namespace: str = "",
        labels: Selector | None = None,
        index: tuple[str, str] | None = None,
    ) -> builtins.list[T] | builtins.list[Untyped]:
        namespace = self._in(kind, namespace)
        if isinstance(kind, Resource):
            return await self._client.list(kind, namespace=namespace, labels=labels, index=index)
        return await self._client.list(kind, namespace=namespace, labels=labels, index=index)

    # Writes

    async def create(self, obj: T) -> T:
        return await self._client.create(self._placed(obj))

    async def update(self, obj: T, *, subresource: str = "") -> T:
        return await self._client.update(self._placed(obj), subresource=subresource)

    async def update_status(self, obj: T) -> T:
        return await self._client.update_status(self._placed(obj))

    @overload
    async def patch(self, kind: type[T], key: ObjectKey, patch: Patch, *, subresource: str = "") -> T: ...
    @overload
    async def patch(self, kind: Resource, key: ObjectKey, patch: Patch, *, subresource: str = "") -> Untyped: ...
    async def patch(
        self, kind: type[T] | Resource, key: ObjectKey, patch: Patch, *, subresource: str = ""
    ) -> T | Untyped:
        key = self._key(kind, key)
        if isinstance(kind, Resource):
            return await self._client.patch(kind, key, patch, subresource=subresource)
        return await self._client.patch(kind, key, patch, subresource=subresource)

    @overload
    async def apply(self, obj: T, *, force: bool = True, subresource: str = "") -> T: ...
    @overload
    async def apply(self, obj: Untyped, *, force: bool = True, subresource: str = "") -> Untyped: ...
    async def apply(self, obj: T | Untyped, *, force: bool = True, subresource: str = "") -> T | Untyped:
        if isinstance(obj, Object):
            return await self._client.apply(self._placed(obj), force=force, subresource=subresource)
        metadata = dict(obj.get("metadata") or {})
        metadata["namespace"] = self._checked(metadata.get("namespace") or "", f"{obj.get('kind')}")
        return await self._client.apply({**obj, "metadata": metadata}, force=force, subresource=subresource)

    async def delete(
        self,
        kind: Kind,
        key: ObjectKey,
        *,
        grace_period: int | None = None,
        preconditions: Preconditions | None = None,
        propagation: Propagation | None = None,
    ) -> None:
        await self._client.delete(
            kind,
            self._key(kind, key),
            grace_period=grace_period,
            preconditions=preconditions,
            propagation=propagation,
        )

    async def delete_all_of(
        self,
        kind: Kind,
        *,
        namespace: str = "",
        labels: Selector | None = None,
        grace_period: int | None = None,
        propagation: Propagation | None = None,
    ) -> None:
        await self._client.delete_all_of(
            kind,
            namespace=self._in(kind, namespace),
            labels=labels,
            grace_period=grace_period,
            propagation=propagation,
        )

    # Subresources

    @overload
    async def get_subresource(self, kind: Kind, key: ObjectKey, subresource: str, body: type[T]) -> T: ...
    @overload
    async def get_subresource(self, kind: Kind, key: ObjectKey, subresource: str, body: Resource) -> Untyped: ...
    async def get_subresource(
        self, kind: Kind, key: ObjectKey, subresource: str, body: type[T] | Resource
    ) -> T | Untyped:
        key = self._key(kind, key)
        if isinstance(body, Resource):
            return await self._client.get_subresource(kind, key, subresource, body)
        return await self._client.get_subresource(kind, key, subresource, body)

    @overload
    async def create_subresource(self, kind: Kind, key: ObjectKey, subresource: str, body: T) -> T: ...
    @overload
    async def create_subresource(self, kind: Kind, key: ObjectKey, subresource: str, body: Untyped) -> Untyped: ...
    async def create_subresource(self, kind: Kind, key: ObjectKey, subresource: str, body: T | Untyped) -> T | Untyped:
        key = self._key(kind, key)
        if isinstance(body, Object):
            return await self._client.create_subresource(kind, key, subresource, body)
        return await self._client.create_subresource(kind, key, subresource, body)

    # Watches

    @overload
    def watch(
        self, kind: type[T], *, namespace: str = "", labels: Selector | None = None, resource_version: str = ""
    ) -> AbstractAsyncContextManager[AsyncIterator[WatchEvent[T]]]: ...
    @overload
    def watch(
        self, kind: Resource, *, namespace: str = "", labels: Selector | None = None, resource_version: str = ""
    ) -> AbstractAsyncContextManager[AsyncIterator[WatchEvent[Untyped]]]: ...
    def watch(
        self,
        kind: type[T] | Resource,
        *,
        namespace: str = "",
        labels: Selector | None = None,
        resource_version: str = "",
    ) -> (
        AbstractAsyncContextManager[AsyncIterator[WatchEvent[T]]]
        | AbstractAsyncContextManager[AsyncIterator[WatchEvent[Untyped]]]
    ):
        namespace = self._in(kind, namespace)
        if isinstance(kind, Resource):
            return self._client.watch(kind, namespace=namespace, labels=labels, resource_version=resource_version)
        return self._client.watch(kind, namespace=namespace, labels=labels, resource_version=resource_version)

    def _checked(self, namespace: str, what: str) -> str:
        if namespace and namespace != self.namespace:
            msg = f"{what} in namespace {namespace!r}: this client stays in {self.namespace!r}"
            raise ValueError(msg)
        return self.namespace

    def _in(self, kind: Kind, namespace: str) -> str:
        resource = resource_of(kind)
        return self._checked(namespace, str(resource)) if resource.namespaced else namespace

    def _key(self, kind: Kind, key: ObjectKey) -> ObjectKey:
        return ObjectKey(self._in(kind, key.namespace), key.name)

    def _placed(self, obj: T) -> T:
        obj.metadata.namespace = self._in(type(obj), obj.metadata.namespace)
        return obj
