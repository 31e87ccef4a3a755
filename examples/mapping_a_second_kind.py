"""An operator whose objects follow another kind: log `Agent`s that take their configuration from a shared `LogProfile`.

    python examples/mapping_a_second_kind.py --kubeconfig ~/.kube/config

    apiVersion: example.com/v1
    kind: LogProfile
    metadata: {name: quiet}
    spec: {level: warning, collector: "logs.example.com:4317"}
    ---
    apiVersion: example.com/v1
    kind: Agent
    metadata: {name: web, namespace: default}
    spec: {profile: quiet, files: [/var/log/nginx/access.log]}

An Agent names its profile, but nothing in a profile names its Agents: an *index* answers "who follows this profile?" without
looking at every Agent, and a *map function* turns an event of the profile into the Agents' keys with it.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterable

from controller_runtime import (
    CacheEvent,
    Context,
    Controller,
    Manager,
    Model,
    Object,
    ObjectKey,
    ObjectMeta,
    Request,
    Resource,
    configure_logging,
    set_controller_reference,
)
from controller_runtime.api.crd import custom_resource_definition
from controller_runtime.api.k8s import ConfigMap
from controller_runtime.cache import Entry
from controller_runtime.predicate import spec_or_lifecycle_changed

BY_PROFILE = "profile"


class LogProfileSpec(Model):
    level: str
    collector: str


class LogProfile(Object, kw_only=True):
    """What many Agents, of any namespace, have in common."""

    resource = Resource("example.com", "v1", kind="LogProfile", plural="logprofiles", namespaced=False)
    spec: LogProfileSpec


class AgentSpec(Model):
    profile: str
    files: list[str]


class AgentStatus(Model, kw_only=True):
    profile_generation: int | None = None
    """The generation of the profile that the configuration was made from."""
    message: str | None = None


class Agent(Object, kw_only=True):
    resource = Resource(group="example.com", version="v1", kind="Agent", plural="agents")
    spec: AgentSpec
    status: AgentStatus | None = None


def profile_of(entry: Entry) -> Iterable[str]:
    """The index: under which values an Agent is found."""
    return (entry.decode(Agent).spec.profile,)


async def reconcile(ctx: Context, request: Request) -> None:
    agent = await ctx.client.find(Agent, request.key)
    if agent is None or agent.metadata.deletion_timestamp:
        return
    profile = await ctx.client.find(LogProfile, ObjectKey("", agent.spec.profile))
    if profile is None:  # what the Agent has by now stays; no need to ask again, the profile's first event wakes us
        agent.status = AgentStatus(message=f"there is no LogProfile {agent.spec.profile}")
    else:
        await ctx.client.apply(configuration_of(agent, profile))
        agent.status = AgentStatus(profile_generation=profile.metadata.generation)
    await ctx.client.update_status(agent)


def configuration_of(agent: Agent, profile: LogProfile) -> ConfigMap:
    text = f"level = {profile.spec.level}\nsend to {profile.spec.collector}\nread {' '.join(agent.spec.files)}\n"
    meta = ObjectMeta(name=f"agent-{agent.metadata.name}", namespace=agent.metadata.namespace)
    configuration = ConfigMap(metadata=meta, data={"agent.conf": text})
    set_controller_reference(agent, configuration)
    return configuration


def assemble(manager: Manager) -> None:
    agents = manager.cache.declare(Agent, indexes={BY_PROFILE: profile_of})

    def followers(event: CacheEvent) -> Iterable[ObjectKey]:
        """The map function: which Agents does an event of a LogProfile concern?"""
        return agents.store.index(BY_PROFILE).keys(event.key.name)

    controller = Controller("agent", reconcile).reconciles(Agent, spec_or_lifecycle_changed).owns(ConfigMap)
    manager.add(controller.watches(LogProfile, followers, spec_or_lifecycle_changed))


async def main(kubeconfig: str | None = None) -> None:
    async with Manager.from_environment(
        field_manager="agent-operator", kubeconfig=kubeconfig, health_address="0", metrics_address="0"
    ) as manager:
        for kind in (LogProfile, Agent):
            await manager.client.live.apply(custom_resource_definition(kind))
        assemble(manager)
        await manager.run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Configure log Agents by their profiles.")
    parser.add_argument("--kubeconfig", help="default: $KUBECONFIG, the pod's own, ~/.kube/config")
    configure_logging()
    asyncio.run(main(parser.parse_args().kubeconfig))
