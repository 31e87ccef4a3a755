"""The stand-in for the PDGroup controller.

It makes a group's services and pods, joins and removes members of the simulated PD, and writes the group's status; it takes
everything away when the group is deleted, and the PD with it when that was the cluster's last group. A second controller
leads the PD services to the simulated PD's address: they are ready while a majority of its servers is.

Concurrency: one event loop.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator

from controller_runtime.api import ObjectKey, selector, to_builtins
from controller_runtime.api.k8s import EndpointSlice, Pod, Service
from controller_runtime.cache import Cache, CacheEvent, Entry
from controller_runtime.client import (
    Client,
    NotFound,
    Preconditions,
    add_finalizer,
    merge_patch,
    remove_finalizer,
)
from controller_runtime.clock import Clock
from controller_runtime.controller import Controller
from controller_runtime.handler import each_state
from controller_runtime.reconcile import Context, Logger, Request, Requeue
from controller_runtime.workqueue import ExponentialBackoff
from tikv_operator.api import Cluster, PDGroup
from tikv_operator.common import keys
from tikv_operator.common.names import PD_COMPONENT
from tikv_operator.simulation.directory import PDDirectory
from tikv_operator.simulation.kubelet.launch import pd_member
from tikv_operator.simulation.pd import SimulatedPD
from tikv_operator.simulation.pdgroup import objects
from tikv_operator.simulation.pdgroup.plan import Plan, is_suspended, make_plan, next_status

__all__ = ["PDGroups"]

_MULTI_PD_GROUP = "MultiPDGroup"
_LOOK_AGAIN = 1.0


class PDGroups:
    """See the module docstring.

    Args:
        client: reads from `cache`.
        cache: of groups, clusters, pods, services and endpoint slices.
    """

    def __init__(self, client: Client, cache: Cache, directory: PDDirectory, clock: Clock) -> None:
        self._client = client
        self._cache = cache
        self._directory = directory
        self._clock = clock

    def controllers(self) -> Iterable[Controller]:
        """The controllers to give to a manager."""
        yield (
            Controller("simulated-pdgroup", self._reconcile, rate_limiter=ExponentialBackoff(0.05, 2.0))
            .reconciles(PDGroup)
            .owns(Pod)
            .owns(Service)
            .watches(Cluster, each_state(self._groups_of))
        )
        yield (
            Controller("simulated-endpoints", self._reconcile_service, rate_limiter=ExponentialBackoff(0.05, 2.0))
            .reconciles(Service, _leads_to_pd)
            .watches(Pod, each_state(self._services_of))
        )

    # -- groups

    async def _reconcile(self, ctx: Context, request: Request) -> Requeue | None:
        group = await self._client.find(PDGroup, request.key)
        if group is None:
            return None
        namespace = group.metadata.namespace
        cluster_key = ObjectKey(namespace, group.spec.cluster.name)
        pods = await self._client.list(Pod, namespace=namespace, labels=selector(objects.group_labels(group)))
        if group.metadata.deletion_timestamp is not None:
            return await self._finalize(group, cluster_key, pods)
        cluster = await self._client.find(Cluster, cluster_key)
        if cluster is None or cluster.spec.paused:
            return None  # the cluster's appearance, or its release, is an event
        if add_finalizer(group, keys.FINALIZER):
            group = await self._client.update(group)
        pd = (await self._directory.ensure(cluster_key)).core
        suspended = is_suspended(cluster)
        revision = objects.revision_of(group)
        if self._configure(pd, group, ctx.log):
            for service in objects.services(group, own_client_service=not _has_feature(cluster, _MULTI_PD_GROUP)):
                await self._client.apply(service)
            pods = await self._carry_out(group, pods, revision, pd, suspended=suspended)
        await self._write_status(group, cluster, pods, revision, suspended=suspended)
        if not group.spec.bootstrapped:
            return await self._note_bootstrap(group, pd)
        return None

    def _configure(self, pd: SimulatedPD, group: PDGroup, log: Logger) -> bool:
        """A new PD takes its rules from its servers' configuration file; later it has rules of its own."""
        try:
            config = objects.replication_config(group)
        except tomllib.TOMLDecodeError as error:
            log.warning("PDGroup has a configuration that is not TOML: its servers cannot start", error=str(error))
            return False
        if not pd.members.all():
            pd.configure(max_replicas=config.max_replicas, location_labels=config.location_labels)
        return True

    async def _carry_out(
        self, group: PDGroup, pods: list[Pod], revision: str, pd: SimulatedPD, *, suspended: bool
    ) -> list[Pod]:
        """Take the steps that are due; return the pods as they are then."""
        plan: Plan = make_plan(group, pods, revision, suspended=suspended)
        new = [objects.pod(group, number, revision) for number in plan.create]
        if not pd.members.all():
            for pod in new:  # the first servers know each other from the start; later ones join when they run
                pd.member_joined(pd_member(pod), self._clock.now())
        created = [await self._client.create(pod) for pod in new]
        for pod in plan.remove:
            pd.member_left(pd_member(pod).name, self._clock.now())
        for pod in (*plan.remove, *plan.delete):
            await self._delete(pod)
        return [*pods, *created]

    async def _write_status(
        self, group: PDGroup, cluster: Cluster, pods: list[Pod], revision: str, *, suspended: bool
    ) -> None:
        status = next_status(group, cluster, pods, revision, suspended=suspended, now=self._clock.now())
        if status != group.status:
            patch = {"metadata": {"uid": group.metadata.uid}, "status": to_builtins(status)}
            await self._client.patch(PDGroup, group.key, merge_patch(patch), subresource="status")

    async def _note_bootstrap(self, group: PDGroup, pd: SimulatedPD) -> Requeue | None:
        """Say in the group that its PD answers, which allows the group to be scaled."""
        if pd.members.serving_at() is None:
            return None  # the readiness of a pod will be an event
        if not pd.serving(self._clock.now()):
            return Requeue(after=_LOOK_AGAIN)
        patch = {"metadata": {"uid": group.metadata.uid}, "spec": {"bootstrapped": True}}
        await self._client.patch(PDGroup, group.key, merge_patch(patch))
        return None

    async def _finalize(self, group: PDGroup, cluster: ObjectKey, pods: list[Pod]) -> Requeue | None:
        """Take everything away that the group had; its PD too, if that was the cluster's last group."""
        if keys.FINALIZER not in group.metadata.finalizers:
            return None
        for pod in pods:
            if pod.metadata.deletion_timestamp is None:
                await self._delete(pod)
        if pods:
            return None  # the end of the last one is an event
        for service in await self._client.list(
            Service, namespace=group.metadata.namespace, labels=selector(objects.group_labels(group))
        ):
            await self._delete_service(service)
        pd = self._directory.core(cluster)
        others = [other for other in self._groups_in(cluster) if other != group.key]
        if not others:
            await self._directory.drop(cluster)
        elif pd is not None:
            for member in pd.members.all():
                if member.name.startswith(f"{group.metadata.name}-"):
                    pd.member_left(member.name, self._clock.now())
        remove_finalizer(group, keys.FINALIZER)
        await self._client.update(group)
        return None

    async def _delete(self, pod: Pod) -> None:
        try:
            await self._client.delete(Pod, pod.key, preconditions=Preconditions(uid=pod.metadata.uid))
        except NotFound:
            return

    async def _delete_service(self, service: Service) -> None:
        slice_key = ObjectKey(service.metadata.namespace, objects.slice_name(service))
        if await self._client.find(EndpointSlice, slice_key) is not None:
            await self._client.delete(EndpointSlice, slice_key)
        try:
            await self._client.delete(Service, service.key)
        except NotFound:
            return

    # -- endpoints

    async def _reconcile_service(self, _: Context, request: Request) -> Requeue | None:
        service = await self._client.find(Service, request.key)
        if service is None or service.metadata.deletion_timestamp is not None:
            return None
        if service.spec is None or service.spec.cluster_ip == "None":
            return None  # pods find each other through it, nobody asks PD through it
        cluster = ObjectKey(service.metadata.namespace, service.metadata.labels.get(keys.LABEL_CLUSTER, ""))
        running = self._directory.get(cluster)
        if running is None:
            return Requeue(after=_LOOK_AGAIN)
        ready = running.core.members.serving_at() is not None
        await self._client.apply(objects.endpoint_slice(service, running.address, ready=ready))
        return None

    # -- who is concerned

    def _groups_of(self, cluster: Entry) -> Iterator[ObjectKey]:
        yield from self._groups_in(cluster.key)

    def _groups_in(self, cluster: ObjectKey) -> Iterator[ObjectKey]:
        for group in self._cache.list(PDGroup, namespace=cluster.namespace):
            if group.spec.cluster.name == cluster.name:
                yield group.key

    def _services_of(self, pod: Entry) -> Iterator[ObjectKey]:
        """The PD services of the cluster that a PD pod belongs to."""
        labels = pod.meta.labels
        if labels.get(keys.LABEL_COMPONENT) != PD_COMPONENT or keys.LABEL_CLUSTER not in labels:
            return
        wanted = selector(keys.component_labels(labels[keys.LABEL_CLUSTER], PD_COMPONENT))
        for service in self._cache.list(Service, namespace=pod.key.namespace, labels=wanted):
            yield service.key


def _leads_to_pd(event: CacheEvent) -> bool:
    labels = event.entry.meta.labels
    return labels.get(keys.LABEL_COMPONENT) == PD_COMPONENT and keys.LABEL_CLUSTER in labels


def _has_feature(cluster: Cluster, feature: str) -> bool:
    return any(gate.name == feature for gate in cluster.spec.feature_gates or [])
