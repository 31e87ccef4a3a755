"""From a pod's spec to what runs in it: a TiKV, a PD server, or something that just runs.

A TiKV is recognised by the label `pingcap.com/component=tikv`, a PD server by `=pd`, as everything that TiDB Operator makes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Final, Protocol

from controller_runtime.api import ObjectKey
from controller_runtime.api.k8s import Container, Node, Pod
from tikv_operator.common import keys
from tikv_operator.common.names import PD_COMPONENT, TIKV_COMPONENT
from tikv_operator.simulation.kubelet.pdserver import PDServer
from tikv_operator.simulation.kubelet.pods import PodPlan
from tikv_operator.simulation.kubelet.prestop import runs_prestop_checker
from tikv_operator.simulation.kubelet.processes import Disk, FindPD, PlainProcess, Process, TiKVServer
from tikv_operator.simulation.kubelet.tikvconfig import version_of_image
from tikv_operator.simulation.pd import SimulatedPD
from tikv_operator.simulation.settings import SimulationSettings
from tikv_operator.simulation.troubles import Troubles

__all__ = ["Launcher", "PDFactory", "TiKVFactory", "World", "main_container", "plan_of"]

_CONFIG: Final = "config.toml"
_PRIVATE_DISK: Final = 100 << 30


class World(Protocol):
    """What a process finds around it; all lookups are synchronous."""

    def config_text(self, config_map: ObjectKey, name: str) -> str:
        """A file of a mounted config map; empty if there is none."""
        ...

    def pd_behind(self, url: str, namespace: str) -> SimulatedPD | None:
        """The PD that a URL leads to from a pod of this namespace."""
        ...

    def pd_of_cluster(self, cluster: ObjectKey) -> SimulatedPD | None: ...

    def disk_of_claim(self, claim: ObjectKey) -> tuple[Disk, int]:
        """The content and the capacity (bytes) of a claim's volume."""
        ...


class TiKVFactory(Protocol):
    """Makes the process of a TiKV; `TiKVServer` is one, and says what the arguments are."""

    def __call__(
        self,
        name: str,
        *,
        version: str,
        read_config: Callable[[], str],
        open_disk: Callable[[str], tuple[Disk, int]],
        find_pd: FindPD,
        settings: SimulationSettings,
        troubles: Troubles,
    ) -> Process: ...


class PDFactory(Protocol):
    """Makes the process of a PD server; `PDServer` is one, and says what the arguments are."""

    def __call__(
        self,
        *,
        version: str,
        read_config: Callable[[], str],
        open_disk: Callable[[str], tuple[Disk, int]],
        own_pd: Callable[[], SimulatedPD | None],
        find_pd: FindPD,
        settings: SimulationSettings,
    ) -> Process: ...


class Launcher:
    """Makes the process of a pod's main container.

    Args:
        tikv: makes TiKVs; by default those that know the simulated PD alone.
        pd: makes PD servers; by default those that make up the simulated PD.
    """

    def __init__(
        self,
        world: World,
        settings: SimulationSettings,
        troubles: Troubles,
        *,
        tikv: TiKVFactory = TiKVServer,
        pd: PDFactory = PDServer,
    ) -> None:
        self._world = world
        self._settings = settings
        self._troubles = troubles
        self._make_tikv = tikv
        self._make_pd = pd

    def process_for(self, pod: Pod) -> Process:
        component = pod.metadata.labels.get(keys.LABEL_COMPONENT)
        if component == TIKV_COMPONENT:
            return self._tikv(pod)
        return self._pd(pod) if component == PD_COMPONENT else PlainProcess()

    def _pd(self, pod: Pod) -> Process:
        cluster = ObjectKey(pod.metadata.namespace, pod.metadata.labels.get(keys.LABEL_CLUSTER, ""))
        read_config, open_disk = self._files(pod)
        return self._make_pd(
            version=version_of_image(main_container(pod).image or ""),
            read_config=read_config,
            open_disk=open_disk,
            own_pd=lambda: self._world.pd_of_cluster(cluster),
            find_pd=lambda url: self._world.pd_behind(url, pod.metadata.namespace),
            settings=self._settings,
        )

    def _tikv(self, pod: Pod) -> Process:
        namespace = pod.metadata.namespace
        read_config, open_disk = self._files(pod)
        return self._make_tikv(
            pod.metadata.name,
            version=version_of_image(main_container(pod).image or ""),
            read_config=read_config,
            open_disk=open_disk,
            find_pd=lambda url: self._world.pd_behind(url, namespace),
            settings=self._settings,
            troubles=self._troubles,
        )

    def _files(self, pod: Pod) -> tuple[Callable[[], str], Callable[[str], tuple[Disk, int]]]:
        """Return how the process reads its configuration, and how it opens its disk."""
        namespace, container, config = pod.metadata.namespace, main_container(pod), _config_map_of(pod)
        private = Disk()

        def read_config() -> str:
            return self._world.config_text(ObjectKey(namespace, config), _CONFIG) if config else ""

        def open_disk(path: str) -> tuple[Disk, int]:
            claim = _claim_at(pod, container, path)
            return (private, _PRIVATE_DISK) if claim is None else self._world.disk_of_claim(ObjectKey(namespace, claim))

        return read_config, open_disk


def main_container(pod: Pod) -> Container:
    """The container that is called like the component, else the first one."""
    containers = pod.spec.containers if pod.spec else []
    component = pod.metadata.labels.get(keys.LABEL_COMPONENT)
    return next((container for container in containers if container.name == component), containers[0])


def plan_of(pod: Pod, node: Node | None, *, number: int) -> PodPlan:
    """What the pod's machine needs to know.

    Args:
        number: of the pod, from 1; becomes its address.
    """
    main = main_container(pod)
    hook = main.lifecycle.pre_stop if main.lifecycle else None
    command = (hook.exec.command if hook and hook.exec else None) or []
    addresses = (node.status.addresses if node is not None and node.status else None) or []
    inits = (pod.spec.init_containers if pod.spec else None) or []
    return PodPlan(
        containers=tuple(container.name for container in (pod.spec.containers if pod.spec else [])),
        init_containers=tuple((container.name, container.image or "") for container in inits),
        main=main.name,
        checked_stop=runs_prestop_checker(command),
        probed=main.readiness_probe is not None and main.readiness_probe.exec is not None,
        node_ip=next((address.address for address in addresses if address.type == "InternalIP"), "10.0.0.1"),
        pod_ip=f"10.{244 + number // 62500}.{number // 250 % 250}.{number % 250 + 1}",
    )


def _config_map_of(pod: Pod) -> str | None:
    """The config map that holds the configuration file: the first that is mounted."""
    volumes = (pod.spec.volumes if pod.spec else None) or []
    return next((volume.config_map.name for volume in volumes if volume.config_map is not None), None)


def _claim_at(pod: Pod, container: Container, path: str) -> str | None:
    """The claim that is mounted at a path, or over it; None if the path is in the container itself."""
    claims = {
        volume.name: volume.persistent_volume_claim.claim_name
        for volume in (pod.spec.volumes if pod.spec else None) or []
        if volume.persistent_volume_claim is not None
    }
    mounts = [
        mount
        for mount in container.volume_mounts or []
        if mount.name in claims and PurePosixPath(path).is_relative_to(mount.mount_path)
    ]
    deepest = max(mounts, key=lambda mount: len(mount.mount_path), default=None)
    return None if deepest is None else claims[deepest.name]
