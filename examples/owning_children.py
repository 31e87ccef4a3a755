"""An operator that owns children: a `Site` becomes a ConfigMap with its pages and a Service in front of the web servers.

    python examples/owning_children.py --kubeconfig ~/.kube/config

    apiVersion: example.com/v1
    kind: Site
    metadata: {name: blog, namespace: default}
    spec:
      publishAt: "2030-01-01T00:00:00Z"
      pages: {index.html: "<h1>Hello</h1>"}

Until `publishAt` visitors see that the site is coming soon. Whatever happens to the ConfigMap or the Service is put right at
once. Deleting a Site needs no code: both carry an owner reference, so the cluster's garbage collector removes them.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Annotated

from controller_runtime import (
    Context,
    Controller,
    Manager,
    Model,
    Object,
    ObjectMeta,
    Request,
    Requeue,
    Resource,
    Schema,
    configure_logging,
    set_controller_reference,
)
from controller_runtime.api import parse_time
from controller_runtime.api.crd import custom_resource_definition
from controller_runtime.api.k8s import ConfigMap, Service, ServicePort, ServiceSpec
from controller_runtime.predicate import spec_or_lifecycle_changed

COMING_SOON = {"index.html": "Coming soon."}


class SiteSpec(Model, kw_only=True):
    pages: Annotated[dict[str, str], Schema(min_properties=1)]
    """File names and what is in the files."""
    publish_at: Annotated[str | None, Schema(format="date-time")] = None
    """Until then visitors see that the site is coming soon."""


class SiteStatus(Model, kw_only=True):
    published: bool = False
    """Whether visitors see the pages."""
    address: str | None = None
    """Where the site is served inside the cluster."""
    observed_generation: Annotated[int | None, Schema(format="int64")] = None
    """The generation of the spec that this status is about."""


class Site(Object, kw_only=True):
    """A few pages, served by the cluster's web servers."""

    resource = Resource(group="example.com", version="v1", kind="Site", plural="sites")
    spec: SiteSpec
    status: SiteStatus | None = None


async def reconcile(ctx: Context, request: Request) -> Requeue | None:
    site = await ctx.client.find(Site, request.key)  # from the cache: no request, no waiting
    if site is None or site.metadata.deletion_timestamp:
        return None
    opens_in = parse_time(site.spec.publish_at) - ctx.clock.now() if site.spec.publish_at else 0.0
    published = opens_in <= 0
    await ctx.client.apply(pages_of(site, published))  # no request either, if nothing would change
    service = await ctx.client.apply(service_of(site))
    address = service.spec.cluster_ip if service.spec else None
    if published and not (site.status and site.status.published):
        ctx.events.normal(site, "Published", "The pages can be seen now")
    site.status = SiteStatus(published=published, address=address, observed_generation=site.metadata.generation)
    await ctx.client.update_status(site)  # sends what changed, or nothing
    return None if published else Requeue(after=opens_in)


def pages_of(site: Site, published: bool) -> ConfigMap:
    pages = ConfigMap(metadata=child_meta(site), data=site.spec.pages if published else COMING_SOON)
    set_controller_reference(site, pages)
    return pages


def service_of(site: Site) -> Service:
    ports = [ServicePort(name="http", port=80)]
    service = Service(metadata=child_meta(site), spec=ServiceSpec(selector={"app": "web-server"}, ports=ports))
    set_controller_reference(site, service)
    return service


def child_meta(site: Site) -> ObjectMeta:
    return ObjectMeta(name=f"site-{site.metadata.name}", namespace=site.metadata.namespace)


def assemble(manager: Manager) -> None:
    controller = Controller("site", reconcile, workers=4)
    manager.add(controller.reconciles(Site, spec_or_lifecycle_changed).owns(ConfigMap).owns(Service))


async def main(kubeconfig: str | None = None) -> None:
    async with Manager.from_environment(
        field_manager="site-operator", kubeconfig=kubeconfig, health_address="0", metrics_address="0"
    ) as manager:
        await manager.client.live.apply(custom_resource_definition(Site))
        assemble(manager)
        await manager.run()  # until Ctrl-C or SIGTERM


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Serve Sites.")
    parser.add_argument("--kubeconfig", help="default: $KUBECONFIG, the pod's own, ~/.kube/config")
    configure_logging()
    asyncio.run(main(parser.parse_args().kubeconfig))
