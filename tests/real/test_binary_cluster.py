"""`BinaryCluster`: a real control plane that starts, lets in whom it should, cleans up, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from controller_runtime.client import NotFound
from controller_runtime.client.errors import Invalid
from controller_runtime.envtest import BinaryCluster, Cluster, ComponentFailed, binaryplane
from helpers.rest import Answer, Api, connect
from helpers.things import THING_CRD, THINGS, thing, things_path

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which control planes make theirs."""
    folder = tmp_path / "folders"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def processes_of(folder: Path) -> list[str]:
    """Return the command lines of all running processes that speak of a folder."""
    lines = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(folder) in line:
            lines.append(line)
    return lines


def left_in(folder: Path) -> list[Path]:
    """Return the folders of control planes; loading a kubeconfig makes files too, which stay until this process ends."""
    return list(folder.glob("envtest-*"))


@asynccontextmanager
async def using(cluster: Cluster) -> AsyncIterator[Api]:
    api = await connect(cluster, cluster.kubeconfig())
    try:
        yield api
    finally:
        await api.close()
        await api.transport.close()


@pytest.fixture
async def api(cluster: Cluster) -> AsyncIterator[Api]:
    async with using(cluster) as api:
        yield api


# Starting and stopping


async def test_it_starts_serves_and_stops_within_seconds_without_a_trace(folders: Path) -> None:
    async with BinaryCluster(controller_manager=True) as cluster:
        started = processes_of(folders)
        assert len(started) == 4  # etcd, kube-apiserver, kube-controller-manager, and the guard
        async with using(cluster) as api:
            assert (await api.get("/version")).json["gitVersion"].startswith("v1.")
            assert (await api.get("/api/v1/namespaces/default")).status == 200
        before = time.monotonic()
    assert time.monotonic() - before < 5
    assert processes_of(folders) == []
    assert left_in(folders) == []


async def test_cancelling_the_start_leaves_no_trace(folders: Path) -> None:
    async def run() -> None:
        async with BinaryCluster():
            pytest.fail("it was to be cancelled before it is ready")

    task = asyncio.create_task(run())
    async with asyncio.timeout(20):
        while len(processes_of(folders)) < 3:
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert processes_of(folders) == []
    assert left_in(folders) == []


async def test_a_flag_that_the_server_does_not_know_is_in_the_error(folders: Path) -> None:
    with pytest.raises(ComponentFailed, match=r"(?s)^kube-apiserver ended with exit code 1.*unknown flag: --nonsense"):
        async with BinaryCluster(flags=["--nonsense"]):
            pass
    assert processes_of(folders) == []
    assert left_in(folders) == []


async def test_a_crd_that_is_not_valid_leaves_no_trace(folders: Path) -> None:
    with pytest.raises(Invalid, match=r"must be spec\.names\.plural"):
        async with BinaryCluster(crds=[{**THING_CRD, "metadata": {"name": "nothings.conformance.example.com"}}]):
            pass
    assert processes_of(folders) == []
    assert left_in(folders) == []


async def test_a_port_that_somebody_took_is_replaced(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free_ports = binaryplane.free_ports
    asked: list[int] = []

    async with BinaryCluster() as first:
        taken = int(first.url.rpartition(":")[2])

        def ports(count: int) -> list[int]:
            asked.append(count)
            return free_ports(count) if asked.count(count) > 1 else [*free_ports(count - 1), taken]

        monkeypatch.setattr(binaryplane, "free_ports", ports)
        async with BinaryCluster(controller_manager=True) as second:
            assert second.url != first.url
    assert asked == [3, 3, 1, 1]


# Who may do what


async def test_an_administrator_s_kubeconfig_opens_everything(api: Api) -> None:
    assert (await api.get("/api/v1/secrets")).status == 200
    assert (await api.get("/apis/rbac.authorization.k8s.io/v1/clusterroles")).status == 200


async def test_a_user_without_rights_is_known_and_refused(api: Api) -> None:
    jane = await api.as_user("jane", groups=["developers"])
    answer = await jane.get(CONFIG_MAPS)
    assert (answer.status, answer.reason) == (403, "Forbidden")
    assert 'User "jane" cannot list resource "configmaps"' in answer.json["message"]


@pytest.mark.parametrize(
    "subject",
    [{"kind": "User", "name": "jane"}, {"kind": "Group", "name": "developers"}],
    ids=["the user", "one of the user's groups"],
)
async def test_a_role_lets_in(api: Api, namespace: str, subject: dict[str, str]) -> None:
    await grant(api, namespace, {**subject, "apiGroup": "rbac.authorization.k8s.io"}, ["list"])
    jane = await api.as_user("jane", groups=["testers", "developers"])
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    await jane.eventually(path, succeeds)
    assert (await jane.post(path, {"metadata": {"name": "a"}})).status == 403
    assert (await jane.get(CONFIG_MAPS)).status == 403


async def test_a_service_account_s_kubeconfig_opens_what_its_role_allows(api: Api, namespace: str) -> None:
    (await api.post(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "robot"}})).ok()
    await grant(api, namespace, {"kind": "ServiceAccount", "name": "robot", "namespace": namespace}, ["list"])
    robot = await api.as_service_account("robot", namespace)
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    await robot.eventually(path, succeeds)
    refused = await robot.get(CONFIG_MAPS)
    assert f'User "system:serviceaccount:{namespace}:robot" cannot list' in refused.json["message"]


async def test_there_is_no_kubeconfig_for_a_service_account_that_is_not_there(cluster: Cluster) -> None:
    with pytest.raises(NotFound, match='serviceaccounts "nobody" not found'):
        await cluster.service_account_kubeconfig("nobody")


async def test_a_kubeconfig_names_its_namespace(cluster: Cluster) -> None:
    assert "namespace: elsewhere" in cluster.kubeconfig("jane", groups=(), namespace="elsewhere")


async def test_who_asked_for_what_is_logged_on_request(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    async with BinaryCluster(audit_log=log) as cluster, using(cluster) as api:
        jane = await api.as_user("jane")
        assert (await jane.get(CONFIG_MAPS)).status == 403
    lines = [orjson.loads(line) for line in log.read_bytes().splitlines()]
    (mine,) = [line for line in lines if line["user"]["username"] == "jane"]
    assert (mine["verb"], mine["objectRef"]["resource"], mine["responseStatus"]["code"]) == ("list", "configmaps", 403)
    assert "requestObject" not in mine


# CRDs


async def test_crds_are_established_and_served(cluster: Cluster, api: Api, namespace: str) -> None:
    await cluster.install_crds(THING_CRD)
    stored = (
        await api.get(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{THING_CRD['metadata']['name']}")
    ).ok()
    assert {"Established": "True"}.items() <= {
        each["type"]: each["status"] for each in stored["status"]["conditions"]
    }.items()
    assert (await api.post(things_path(namespace), thing("a"))).status == 201
    assert [item["metadata"]["name"] for item in (await api.get(THINGS)).ok()["items"]] == ["a"]


async def test_installing_a_crd_again_changes_it(cluster: Cluster, api: Api) -> None:
    changed: dict[str, Any] = orjson.loads(orjson.dumps(THING_CRD))
    changed["spec"]["names"]["shortNames"] = ["th", "thg"]
    await cluster.install_crds(changed)

    def has_both(answer: Answer) -> bool:
        return any(set(each.get("shortNames", ())) == {"th", "thg"} for each in answer.ok()["resources"])

    await api.eventually(THINGS.removesuffix("/things"), has_both)


# The controllers that clean up


async def test_the_controller_manager_cleans_up() -> None:
    async with BinaryCluster(crds=[THING_CRD], controller_manager=True) as cluster, using(cluster) as api:
        owner = (await api.post(things_path("default"), thing("owner"))).ok()
        reference = {
            "apiVersion": owner["apiVersion"],
            "kind": "Thing",
            "name": "owner",
            "uid": owner["metadata"]["uid"],
        }
        owned = {"metadata": {"name": "owned", "ownerReferences": [reference]}}
        (await api.post(CONFIG_MAPS, owned)).ok()
        (await api.post("/api/v1/namespaces", {"metadata": {"name": "doomed"}})).ok()
        (await api.post(things_path("doomed"), thing("a"))).ok()
        (await api.post("/api/v1/namespaces/doomed/configmaps", {"metadata": {"name": "a"}})).ok()

        (await api.delete(things_path("default", "owner"))).ok()
        (await api.delete("/api/v1/namespaces/doomed")).ok()

        await api.gone(f"{CONFIG_MAPS}/owned")
        await api.gone("/api/v1/namespaces/doomed")
        assert (await api.get(THINGS)).ok()["items"] == []


async def grant(api: Api, namespace: str, subject: dict[str, str], verbs: list[str]) -> None:
    """Let a subject do this with a namespace's config maps."""
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": verbs}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "tester"}
    (await api.post(f"{path}/roles", {"metadata": {"name": "tester"}, "rules": [rule]})).ok()
    (
        await api.post(f"{path}/rolebindings", {"metadata": {"name": "tester"}, "roleRef": role, "subjects": [subject]})
    ).ok()


def succeeds(answer: Answer) -> bool:
    return answer.status == 200
