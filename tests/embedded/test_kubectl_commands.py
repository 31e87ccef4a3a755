"""kubectl against the embedded API server, where a transcript of the conformance suite cannot show it: what waits for
somebody else, what needs no namespace of its own, and what only this server answers so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller_runtime.envtest import EmbeddedCluster
from helpers.kubectl import PATIENCE, Kubectl
from helpers.things import THING_CRD, thing

pytestmark = pytest.mark.kubectl

THING = json.dumps(thing("a", size=3))
POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: p
  labels: {app: web}
spec:
  containers:
  - {name: main, image: "app:1"}
"""
KINDS = (
    "nodes", "pvc", "pv", "events", "cm", "secrets", "sa", "sc", "pdb", "leases", "endpointslices", "controllerrevisions",
    "roles", "clusterroles", "crds",
)  # fmt: skip


@pytest.fixture
async def cluster() -> AsyncIterator[EmbeddedCluster]:
    async with EmbeddedCluster(http=True, crds=[THING_CRD]) as cluster:
        yield cluster


@pytest.fixture
def kubectl(cluster: EmbeddedCluster, tmp_path: Path) -> Kubectl:
    return Kubectl(cluster, tmp_path)


async def test_every_kind_has_a_table(kubectl: Kubectl) -> None:
    for kind in KINDS:
        done = await kubectl.run("get", kind, "-A")
        assert done.code == 0, done.err
        assert "NAME" in done.out or "No resources found" in done.err


async def test_create_commands_of_the_typed_clients(kubectl: Kubectl) -> None:
    await kubectl("create", "namespace", "team")
    await kubectl("create", "configmap", "c", "-n", "team", "--from-literal=a=b")
    await kubectl("create", "secret", "generic", "s", "-n", "team", "--from-literal=a=b")
    await kubectl("create", "serviceaccount", "sa", "-n", "team")
    await kubectl("create", "role", "r", "-n", "team", "--verb=get", "--resource=pods")
    await kubectl("create", "rolebinding", "b", "-n", "team", "--role=r", "--serviceaccount=team:sa")
    await kubectl("apply", "-n", "team", "-f", "-", stdin=POD)
    await kubectl("expose", "pod", "p", "-n", "team", "--port=80")
    assert await kubectl("get", "secret", "s", "-n", "team", "-o", "jsonpath={.data.a}") == "Yg=="
    assert await kubectl("get", "service", "p", "-n", "team", "-o", "jsonpath={.spec.selector.app}") == "web"
    await kubectl("delete", "pod", "p", "-n", "team", "--now")
    await kubectl("delete", "namespace", "team", "--timeout=10s")
    assert "NotFound" in (await kubectl.run("get", "namespace", "team")).err


async def test_delete_waits_for_the_end(kubectl: Kubectl) -> None:
    await kubectl("create", "-f", "-", stdin=THING)
    await kubectl("patch", "thing", "a", "--type=merge", "-p", '{"metadata":{"finalizers":["example.com/x"]}}')
    async with kubectl.started("delete", "thing", "a", "--timeout=20s") as deleting:
        async with asyncio.timeout(PATIENCE):
            while not await kubectl("get", "thing", "a", "-o", "jsonpath={.metadata.deletionTimestamp}"):
                await asyncio.sleep(0)
        assert deleting.returncode is None
        await kubectl("patch", "thing", "a", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        async with asyncio.timeout(PATIENCE):
            assert await deleting.wait() == 0


async def test_wait_sees_a_condition_come(kubectl: Kubectl) -> None:
    await kubectl("create", "-f", "-", stdin=THING)
    async with kubectl.started("wait", "thing/a", "--for=condition=Ready", "--timeout=20s") as waiting:
        status = '{"status":{"conditions":[{"type":"Ready","status":"True"}]}}'
        await kubectl("patch", "thing", "a", "--subresource=status", "--type=merge", "-p", status)
        async with asyncio.timeout(PATIENCE):
            assert await waiting.wait() == 0


async def test_what_is_not_there_is_said_so(kubectl: Kubectl) -> None:
    await kubectl("create", "-f", "-", stdin=POD)
    assert "not implemented" in (await kubectl.run("logs", "p")).err.lower()
    assert "doesn't have a resource type" in (await kubectl.run("get", "deployments")).err


async def test_without_the_right_token_kubectl_stays_outside(kubectl: Kubectl) -> None:
    done = await kubectl.run("get", "pods", "--token=wrong")
    assert done.code == 1
    assert "Unauthorized" in done.err or "provide credentials" in done.err
