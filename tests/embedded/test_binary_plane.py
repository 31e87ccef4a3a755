"""A control plane that does not come up says why and leaves nothing behind: tried with programs that only pretend."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from controller_runtime.envtest import BinaryCluster, ComponentFailed
from controller_runtime.envtest.binaryplane import ControlPlane

RUNS = "exec sleep 1000"
Pretend = Callable[..., Path]


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which control planes make theirs."""
    folder = tmp_path / "folders"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def pretend(tmp_path: Path) -> Pretend:
    def make(**scripts: str) -> Path:
        folder = tmp_path / "assets"
        folder.mkdir()
        for name, script in scripts.items():
            path = folder / name.replace("_", "-")
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o755)
        return folder

    return make


async def test_a_component_that_ends_is_named_and_quoted(pretend: Pretend, folders: Path) -> None:
    assets = pretend(etcd=RUNS, kube_apiserver="echo first; echo unknown flag: --nonsense >&2; exit 1")
    with pytest.raises(ComponentFailed) as failed:
        async with BinaryCluster(assets=assets):
            pass
    assert str(failed.value) == (
        "kube-apiserver ended with exit code 1; its last lines:\nfirst\nunknown flag: --nonsense"
    )
    assert not list(folders.iterdir())


async def test_the_store_s_end_is_noticed_while_the_server_waits_for_it(pretend: Pretend, folders: Path) -> None:
    assets = pretend(etcd="echo disk full; exit 2", kube_apiserver=RUNS)
    with pytest.raises(ComponentFailed, match=r"(?s)^etcd ended with exit code 2.*disk full$"):
        await ControlPlane.start(assets=assets)
    assert not list(folders.iterdir())


async def test_patience_has_an_end(pretend: Pretend, folders: Path) -> None:
    assets = pretend(etcd=RUNS, kube_apiserver=f"echo still starting; {RUNS}")
    with pytest.raises(ComponentFailed, match=r"(?s)^kube-apiserver was not ready within 0.5 s.*still starting$"):
        await ControlPlane.start(assets=assets, patience=0.5)
    assert not list(folders.iterdir())


async def test_a_cancelled_start_leaves_nothing_behind(pretend: Pretend, folders: Path) -> None:
    assets = pretend(etcd=RUNS, kube_apiserver=RUNS)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await ControlPlane.start(assets=assets)
    assert not list(folders.iterdir())


async def test_a_port_that_somebody_took_is_replaced(pretend: Pretend, folders: Path, tmp_path: Path) -> None:
    flags = f'echo "$@" >> {tmp_path}/flags'
    assets = pretend(etcd=f"{flags}; echo bind: address already in use; exit 1", kube_apiserver=RUNS)
    with pytest.raises(ComponentFailed, match="address already in use"):
        await ControlPlane.start(assets=assets)
    attempts = (tmp_path / "flags").read_text().splitlines()
    assert len(attempts) == 3
    assert len(set(attempts)) == 3
    assert not list(folders.iterdir())


async def test_a_missing_binary_is_named(pretend: Pretend, folders: Path) -> None:
    with pytest.raises(FileNotFoundError, match="kube-apiserver is not in"):
        await ControlPlane.start(assets=pretend(etcd=RUNS))
    assert not list(folders.iterdir())


async def test_a_cluster_that_does_not_run_says_so() -> None:
    cluster = BinaryCluster()
    for ask in (lambda: cluster.url, lambda: cluster.etcd_url, lambda: cluster.transport, cluster.kubeconfig):
        with pytest.raises(RuntimeError, match="not running"):
            ask()
