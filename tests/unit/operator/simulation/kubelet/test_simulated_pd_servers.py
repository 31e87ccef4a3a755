"""PD servers of the simulated world: founding, joining, coming back, being refused."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from tikv_operator.simulation.kubelet.pdserver import PDServer, parse_pd_config
from tikv_operator.simulation.kubelet.processes import Disk
from tikv_operator.simulation.kubelet.tikvconfig import ConfigUnusable
from tikv_operator.simulation.pd import SimulatedPD
from tikv_operator.simulation.settings import SimulationSettings

SETTINGS = SimulationSettings(pd_join_seconds=1.0, pd_load_seconds=2.0, pd_revive_seconds=0.5, register_retry=1.0)
FOUNDERS = ",".join(f"pd-{letter}=http://pd-{letter}:2380" for letter in "abc")


def config(name: str, start: str) -> str:
    return (
        f"name = '{name}'\nadvertise-client-urls = 'http://{name}:2379'\nadvertise-peer-urls = 'http://{name}:2380'\n"
        f"data-dir = '/var/lib/pd'\n{start}\n"
    )


@dataclass
class World:
    """One cluster's PD, and its servers with their disks."""

    pd: SimulatedPD = field(default_factory=lambda: SimulatedPD("ns/tc", SETTINGS, now=0.0))
    disks: dict[str, Disk] = field(default_factory=dict)
    reachable: bool = True
    now: float = 0.0

    def server(self, name: str, start: str = f"initial-cluster = '{FOUNDERS}'") -> PDServer:
        disk = self.disks.setdefault(name, Disk())
        return PDServer(
            version="v8.5.0",
            read_config=lambda: config(name, start),
            open_disk=lambda _: (disk, 0),
            own_pd=lambda: self.pd if self.reachable else None,
            find_pd=lambda _: self.pd if self.reachable else None,
            settings=SETTINGS,
        )

    def run(self, *servers: PDServer, seconds: float = 0.0) -> None:
        """Let time pass, and every server go on."""
        end = self.now + seconds
        while True:
            for server in servers:
                server.poll(self.now)
            if self.now >= end:
                return
            self.now = min(self.now + 0.5, end)
            self.pd.tick(self.now)

    def start(self, *names: str, start: str = f"initial-cluster = '{FOUNDERS}'") -> list[PDServer]:
        servers = [self.server(name, start) for name in names]
        for server in servers:
            server.start(self.now)
        self.run(*servers)
        return servers

    def founded(self) -> list[PDServer]:
        servers = self.start("pd-a", "pd-b", "pd-c")
        self.run(*servers, seconds=3.0)
        return servers

    def join(self, name: str) -> PDServer:
        (server,) = self.start(name, start="join = 'http://pd:2379'")
        return server


def test_founders_know_each_other_from_the_start_and_serve_with_a_quorum() -> None:
    world = World()
    first = world.start("pd-a")
    assert [member.name for member in world.pd.members.all()] == ["pd-a", "pd-b", "pd-c"]
    world.run(*first, seconds=5.0)
    assert not world.pd.serving(world.now)
    second = world.start("pd-b")
    world.run(*first, *second, seconds=1.0)
    assert world.pd.serving(world.now)


def test_a_server_that_joins_is_admitted_without_a_name_and_gets_it_when_it_starts() -> None:
    world = World()
    founders = world.founded()
    newcomer = world.join("pd-d")
    assert not world.pd.members.is_started("pd-d")
    world.run(*founders, newcomer, seconds=1.5)
    assert world.pd.members.is_started("pd-d")
    assert "pd-d" in world.pd.members.running


def test_nobody_joins_while_another_one_has_not_started() -> None:
    world = World()
    world.founded()
    world.join("pd-d")
    refused = world.join("pd-e")
    assert "has not joined successfully" in refused.failure


def test_nobody_joins_while_a_member_is_down() -> None:
    world = World()
    founders = world.founded()
    founders[0].stop(world.now)
    world.run(*founders[1:], seconds=2.0)
    assert "unhealthy cluster" in world.join("pd-d").failure


def test_a_server_that_was_killed_between_admission_and_start_goes_on_as_that_member() -> None:
    world = World()
    founders = world.founded()
    world.join("pd-d").stop(world.now)
    assert not world.pd.members.is_started("pd-d")
    again = world.join("pd-d")
    world.run(*founders, again, seconds=2.0)
    assert again.failure == ""
    assert world.pd.members.is_started("pd-d")


def test_a_server_with_data_comes_back_whatever_its_configuration_says() -> None:
    world = World()
    founders = world.founded()
    founders[0].stop(world.now)
    before = world.pd.members.get("pd-a")
    (back,) = world.start("pd-a", start="join = 'http://pd:2379'")
    assert back.failure == ""
    assert world.pd.members.get("pd-a") == before


@pytest.mark.parametrize(
    ("start", "failure"),
    [
        ("join = 'http://pd:2379'", "missing data or join a duplicated pd"),
        (f"initial-cluster = '{FOUNDERS}'", "has already been bootstrapped"),
    ],
)
def test_a_server_that_has_lost_its_data_is_refused(start: str, failure: str) -> None:
    world = World()
    founders = world.founded()
    founders[0].stop(world.now)
    world.run(*founders[1:], seconds=1.0)
    world.disks["pd-a"] = Disk()
    (back,) = world.start("pd-a", start=start)
    assert failure in back.failure


def test_a_member_that_was_removed_does_not_come_back() -> None:
    world = World()
    founders = world.founded()
    world.pd.member_left("pd-a", world.now)
    founders[0].stop(world.now)
    (back,) = world.start("pd-a")
    assert "permanently removed" in back.failure


def test_a_server_waits_for_a_pd_that_it_cannot_reach() -> None:
    world = World(reachable=False)
    server = world.join("pd-d")
    assert server.failure == ""
    assert server.poll(5.0) == 6.0


def test_a_server_is_healthy_when_it_has_loaded_its_regions() -> None:
    world = World()
    (server,) = world.start("pd-a")
    assert not server.healthy
    world.run(server, seconds=2.5)
    assert server.healthy


@pytest.mark.parametrize("text", ["name =", "name = 'a'"])
def test_a_configuration_that_is_unusable_ends_the_process(text: str) -> None:
    with pytest.raises(ConfigUnusable, match="invalid configuration file"):
        parse_pd_config(text)
