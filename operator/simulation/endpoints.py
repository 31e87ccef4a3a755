"""Where PD's services lead to: the endpoints controller of the simulated world, for PD alone.

All servers of a cluster answer under one address, that of their simulated PD; it is a ready endpoint of a service while one of
the service's pods is ready. A PD with all it knows lives as long as its cluster has a PD group.

Concurrency: one event loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from controller_runtime.api import ObjectKey, ObjectMeta, selector
from controller_runtime.api.k8s import Endpoint, EndpointConditions, EndpointPort, EndpointSlice, Pod, Service
from controller_runtime.cache import Cache, CacheEvent, Entry
from controller_runtime.client import Client, owner_reference
from controller_runtime.controller import Controller
from controller_runtime.handler import each_state
from controller_runtime.reconcile import Context, Request, Requeue
from controller_runtime.workqueue import ExponentialBackoff
from tikv_operator.api import PDGroup
from tikv_operator.common import keys
from tikv_operator.common.names import PD_COMPONENT
from tikv_operator.common.pods import is_terminating, ready_since
from tikv_operator.simulation.directory import PDDirectory
from tikv_operator.simulation.pd.front import Address

__all__ = ["PDEndpoints", "slice_name"]

_BACKOFF: Final = (0.05, 2.0)


class PDEndpoints:
    """See the module docstring.

    Args:
        client: reads from `cache`.
        cache: of PD groups, pods, services and endpoint slices.
    """

    def __init__(self, client: Client, cache: Cache, directory: PDDirectory) -> None:
        self._client = client
        self._cache = cache
        self._directory = directory

    def controllers(self) -> Iterable[Controller]:
        """The controllers to give to a manager."""
        yield (
            Controller("simulated-endpoints", self._reconcile_service, rate_limiter=ExponentialBackoff(*_BACKOFF))
            .reconciles(Service, _leads_to_pd)
            .watches(Pod, each_state(self._services_of))
        )
        yield Controller("simulated-pds", self._reconcile_group, rate_limiter=ExponentialBackoff(*_BACKOFF)).reconciles(
            PDGroup
        )

    async def _reconcile_service(self, _: Context, request: Request) -> Requeue | None:
        service = await self._client.find(Service, request.key)
        if service is None or service.metadata.deletion_timestamp is not None or service.spec is None:
            return None
        running = await self._directory.ensure(_cluster_of(service))
        if service.spec.cluster_ip == "None":
            return None  # pods find each other through it, nobody asks PD through it
        pods = await self._client.list(
            Pod, namespace=service.metadata.namespace, labels=selector(service.spec.selector or {})
        )
        ready = any(ready_since(pod) is not None and not is_terminating(pod) for pod in pods)
        await self._client.apply(_endpoint_slice(service, running.address, ready=ready))
        return None

    async def _reconcile_group(self, _: Context, request: Request) -> Requeue | None:
        """Forget the PDs of clusters that have no PD group any more: the data is gone with their volumes."""
        if await self._client.find(PDGroup, request.key) is None:
            for cluster in list(self._directory):
                groups = await self._client.list(PDGroup, namespace=cluster.namespace)
                if not any(group.spec.cluster.name == cluster.name for group in groups):
                    await self._directory.drop(cluster)
        return None

    def _services_of(self, pod: Entry) -> Iterator[ObjectKey]:
        """The PD services of the cluster that a PD pod belongs to."""
        labels = pod.meta.labels
        if labels.get(keys.LABEL_COMPONENT) != PD_COMPONENT or keys.LABEL_CLUSTER not in labels:
            return
        wanted = selector(keys.component_labels(labels[keys.LABEL_CLUSTER], PD_COMPONENT))
        for service in self._cache.list(Service, namespace=pod.key.namespace, labels=wanted):
            yield service.key


def _endpoint_slice(service: Service, address: Address, *, ready: bool) -> EndpointSlice:
    return EndpointSlice(
        metadata=ObjectMeta(
            name=slice_name(service),
            namespace=service.metadata.namespace,
            labels={
                "kubernetes.io/service-name": service.metadata.name,
                "endpointslice.kubernetes.io/managed-by": "simulation",
            },
            owner_references=[owner_reference(service)],
        ),
        address_type="IPv4",
        endpoints=[Endpoint(addresses=[address.host], conditions=EndpointConditions(ready=ready, serving=ready))],
        ports=[EndpointPort(name="client", port=address.port, protocol="TCP")],
    )


def slice_name(service: Service) -> str:
    return f"{service.metadata.name}-simulated"


def _cluster_of(service: Service) -> ObjectKey:
    return ObjectKey(service.metadata.namespace, service.metadata.labels.get(keys.LABEL_CLUSTER, ""))


def _leads_to_pd(event: CacheEvent) -> bool:
    labels = event.entry.meta.labels
    return labels.get(keys.LABEL_COMPONENT) == PD_COMPONENT and keys.LABEL_CLUSTER in labels
