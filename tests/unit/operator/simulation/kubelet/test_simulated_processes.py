"""TiKV and PD processes in simulated pods: how they find PD, who they are, and why they crash."""

from __future__ import annotations

import pytest

from controller_runtime.api import ObjectKey
from helpers.simulated_pd import PDWorld
from tikv_operator.simulation.kubelet.processes import Disk, TiKVServer
from tikv_operator.simulation.kubelet.tikvconfig import (
    ConfigUnusable,
    parse_tikv_config,
    service_of_url,
    version_of_image,
)
from tikv_operator.simulation.pd import NodeState, SimulatedPD
from tikv_operator.simulation.settings import SimulationSettings
from tikv_operator.simulation.troubles import Troubles

SETTINGS = SimulationSettings()
CONFIG = """
[pd]
endpoints = ['http://basic-pd.ns1:2379']
[server]
addr = '[::]:20160'
advertise-addr = 'basic-tikv-a.basic-tikv-peer.ns1:20160'
advertise-status-addr = 'basic-tikv-a.basic-tikv-peer.ns1:20180'
[server.labels]
disk = 'ssd'
[storage]
data-dir = '/data'
"""


class TestConfiguration:
    def test_says_how_the_store_presents_itself(self) -> None:
        config = parse_tikv_config(CONFIG)
        assert config.address == "basic-tikv-a.basic-tikv-peer.ns1:20160"
        assert config.status_address == "basic-tikv-a.basic-tikv-peer.ns1:20180"
        assert config.pd_endpoints == ("http://basic-pd.ns1:2379",)
        assert config.data_dir == "/data"
        assert config.labels == (("disk", "ssd"),)

    @pytest.mark.parametrize(
        "text", ["", "no toml", "[server]\naddr = 'a:1'", "[pd]\nendpoints = ['x']", "server = 1\npd = 2"]
    )
    def test_that_lacks_an_address_is_unusable(self, text: str) -> None:
        with pytest.raises(ConfigUnusable):
            parse_tikv_config(text)

    @pytest.mark.parametrize(
        ("url", "service"),
        [
            ("http://basic-pd.ns1:2379", ObjectKey("ns1", "basic-pd")),
            ("https://basic-pd.ns1.svc.cluster.local:2379", ObjectKey("ns1", "basic-pd")),
            ("basic-pd:2379", ObjectKey("home", "basic-pd")),
            ("http://", None),
        ],
    )
    def test_urls_lead_to_services(self, url: str, service: ObjectKey | None) -> None:
        assert service_of_url(url, "home") == service

    @pytest.mark.parametrize(
        ("image", "version"),
        [
            ("pingcap/tikv:v8.5.0", "v8.5.0"),
            ("registry:5000/pingcap/tikv", ""),
            ("registry:5000/pingcap/tikv:v1", "v1"),
            ("tikv:v2@sha256:" + "0" * 64, "v2"),
        ],
    )
    def test_the_tag_is_the_version(self, image: str, version: str) -> None:
        assert version_of_image(image) == version


class Store:
    """A TiKV process with a PD and a disk."""

    def __init__(self, world: PDWorld, config: str = CONFIG) -> None:
        self.world = world
        self.disk = Disk()
        self.troubles = Troubles()
        self.asked: list[str] = []
        self.process = TiKVServer(
            "basic-tikv-a",
            version="v8.5.0",
            read_config=lambda: config,
            open_disk=lambda path: (self.disk, 5 << 30),
            find_pd=self.find_pd,
            settings=SETTINGS,
            troubles=self.troubles,
        )

    def find_pd(self, url: str) -> SimulatedPD:
        self.asked.append(url)
        return self.world.pd

    def start(self) -> float | None:
        self.process.start(self.world.now)
        return self.process.poll(self.world.now)


class TestTiKV:
    def test_registers_and_remembers_who_it_is(self) -> None:
        world = PDWorld()
        store = Store(world)
        assert store.start() is None
        assert store.asked == ["http://basic-pd.ns1:2379"]
        registered = world.pd.store(store.disk.store_id)
        assert registered.address == "basic-tikv-a.basic-tikv-peer.ns1:20160"
        assert (registered.version, registered.capacity) == ("v8.5.0", 5 << 30)
        assert registered.labels == {"disk": "ssd"}
        assert store.disk.cluster_id == world.pd.cluster_id
        store.process.stop(world.now)
        assert not registered.alive
        world.after(10)
        store.start()
        assert world.pd.stores() == [registered]
        assert registered.alive

    def test_waits_for_pd(self) -> None:
        world = PDWorld()
        world.pd.silence(world.now + 5, world.now)
        store = Store(world)
        assert store.start() == world.now + SETTINGS.register_retry
        assert not store.process.healthy
        world.after(5)
        assert store.process.poll(world.now) is None
        assert store.process.healthy

    def test_fails_on_a_config_that_is_no_toml(self) -> None:
        store = Store(PDWorld(), config="= nonsense")
        assert store.start() is None
        assert "invalid configuration file" in store.process.failure

    def test_fails_when_its_disk_belongs_to_another_cluster(self) -> None:
        store = Store(PDWorld())
        store.disk.store_id, store.disk.cluster_id = 1, 42
        store.start()
        assert "cluster ID mismatch" in store.process.failure

    def test_fails_when_its_store_was_buried(self) -> None:
        world = PDWorld()
        store = Store(world)
        world.start_all(3)
        store.start()
        world.after(60)
        world.pd.remove_store(store.disk.store_id, world.now)
        world.after(60)
        assert world.pd.store(store.disk.store_id).state is NodeState.REMOVED
        store.process.stop(world.now)
        store.start()
        assert "tombstone" in store.process.failure

    def test_counts_its_leaders(self) -> None:
        world = PDWorld()
        store = Store(world)
        assert store.process.leaders(world.now) is None
        store.start()
        assert store.process.leaders(world.now) == SETTINGS.regions
        assert store.process.known_to_pd(world.now)
        world.pd.silence(world.now + 5, world.now)
        assert not store.process.known_to_pd(world.now)
        assert store.process.leaders(world.now) == SETTINGS.regions

    def test_hangs_while_it_is_dead(self) -> None:
        world = PDWorld()
        store = Store(world)
        store.start()
        registered = world.pd.store(store.disk.store_id)
        store.troubles.dead_stores.add("basic-tikv-a")
        store.process.poll(world.now)
        assert not registered.alive
        assert store.process.failure == ""
        store.troubles.dead_stores.clear()
        store.process.poll(world.now)
        assert registered.alive

    def test_can_be_busy_and_stubborn(self) -> None:
        world = PDWorld()
        store = Store(world)
        store.troubles.busy_stores.add("basic-tikv-a")
        store.troubles.stubborn_stores.add("basic-tikv-a")
        store.start()
        registered = world.pd.store(store.disk.store_id)
        assert (registered.busy, registered.stubborn) == (True, True)
