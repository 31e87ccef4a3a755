"""A current kubectl works against the embedded API server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller_runtime.envtest import EmbeddedCluster
from helpers.apiserver import widget_crd
from helpers.kubectl import PATIENCE, Kubectl

pytestmark = pytest.mark.kubectl

SCHEMA = {
    "type": "object",
    "required": ["replicas"],
    "properties": {
        "replicas": {"type": "integer", "minimum": 0, "description": "How many there should be."},
        "color": {
            "type": "string",
            "default": "green",
            "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "color is immutable"}],
        },
    },
}
CRD = widget_crd(
    SCHEMA,
    subresources={"scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
    additionalPrinterColumns=[
        {"name": "Desired", "type": "integer", "jsonPath": ".spec.replicas"},
        {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
        {"name": "Color", "type": "string", "jsonPath": ".spec.color", "priority": 1},
    ],
)
WIDGET = """\
apiVersion: example.com/v1
kind: Widget
metadata:
  name: w
spec:
  replicas: 3
"""
POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: p
  labels: {app: web}
spec:
  containers:
  - name: main
    image: app:1
    ports: [{containerPort: 80}]
    env: [{name: A, value: "1"}]
"""


@pytest.fixture
async def cluster() -> AsyncIterator[EmbeddedCluster]:
    async with EmbeddedCluster(http=True, crds=[CRD]) as cluster:
        yield cluster


@pytest.fixture
def kubectl(cluster: EmbeddedCluster, tmp_path: Path) -> Kubectl:
    return Kubectl(cluster, tmp_path)


async def spec(kubectl: Kubectl, what: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(await kubectl("get", what, "-o", "json"))["spec"]
    return found


def table(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


@pytest.mark.parametrize("mode", [[], ["--server-side"]])
async def test_apply_creates_changes_and_removes(kubectl: Kubectl, mode: list[str]) -> None:
    done = "serverside-applied" if mode else "created"
    path = kubectl.file("pod.yaml", POD)
    assert await kubectl("apply", *mode, "-f", path) == f"pod/p {done}\n"
    done = "serverside-applied" if mode else "unchanged"
    assert await kubectl("apply", *mode, "-f", path) == f"pod/p {done}\n"
    done = "serverside-applied" if mode else "configured"
    kubectl.file("pod.yaml", POD.replace("app:1", "app:2").replace("{app: web}", "{tier: front}"))
    assert await kubectl("apply", *mode, "-f", path) == f"pod/p {done}\n"
    live = json.loads(await kubectl("get", "pod", "p", "-o", "json"))
    assert live["spec"]["containers"][0]["image"] == "app:2"
    assert live["metadata"]["labels"] == {"tier": "front"}


async def test_client_side_apply_may_be_followed_by_server_side_apply(kubectl: Kubectl) -> None:
    path = kubectl.file("w.yaml", WIDGET)
    await kubectl("apply", "-f", path)
    kubectl.file("w.yaml", WIDGET.replace("3", "4"))
    await kubectl("apply", "--server-side", "-f", path)
    live = json.loads(await kubectl("get", "widget", "w", "-o", "json", "--show-managed-fields"))
    assert live["spec"]["replicas"] == 4
    managers = [(entry["manager"], entry["operation"]) for entry in live["metadata"]["managedFields"]]
    assert ("kubectl", "Apply") in managers
    assert "kubectl-client-side-apply" not in [name for name, _ in managers]


async def test_server_side_apply_reports_conflicts(kubectl: Kubectl) -> None:
    path = kubectl.file("w.yaml", WIDGET)
    await kubectl("apply", "--server-side", "--field-manager=one", "-f", path)
    kubectl.file("w.yaml", WIDGET.replace("3", "4"))
    done = await kubectl.run("apply", "--server-side", "--field-manager=two", "-f", path)
    assert done.code != 0
    assert 'conflict with "one": .spec.replicas' in done.err
    await kubectl("apply", "--server-side", "--field-manager=two", "--force-conflicts", "-f", path)
    assert (await spec(kubectl, "widget/w"))["replicas"] == 4


async def test_diff_shows_what_apply_would_change(kubectl: Kubectl) -> None:
    path = kubectl.file("w.yaml", WIDGET)
    await kubectl("apply", "-f", path)
    assert (await kubectl.run("diff", "-f", path)).code == 0
    kubectl.file("w.yaml", WIDGET.replace("3", "4"))
    done = await kubectl.run("diff", "-f", path)
    assert done.code == 1
    assert "-  replicas: 3\n+  replicas: 4\n" in done.out


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (WIDGET.replace("replicas: 3", "color: red"), ["spec.replicas: Required value"]),
        (WIDGET.replace("3", "-1"), ["spec.replicas", "greater than or equal to 0"]),
        (WIDGET.replace("3", "three"), ["spec.replicas", "must be of type integer"]),
        (WIDGET.replace("replicas", "replicaz"), ['unknown field "spec.replicaz"']),
        (POD.replace("image", "imago"), ['unknown field "spec.containers[0].imago"']),
    ],
)
async def test_a_manifest_that_is_wrong_is_refused_by_field(kubectl: Kubectl, manifest: str, words: list[str]) -> None:
    done = await kubectl.run("apply", "-f", "-", stdin=manifest)
    assert done.code == 1
    for word in words:
        assert word in done.err


async def test_a_rule_speaks_its_own_words(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=WIDGET)
    done = await kubectl.run("patch", "widget", "w", "--type=merge", "-p", '{"spec":{"color":"red"}}')
    assert done.code == 1
    assert done.err.strip() == ('The Widget "w" is invalid: spec.color: Invalid value: "red": color is immutable')


async def test_get_prints_the_columns_of_the_kind(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=WIDGET)
    status = '{"status":{"replicas":2,"conditions":[{"type":"Ready","status":"False"}]}}'
    await kubectl("patch", "widget", "w", "--subresource=status", "--type=merge", "-p", status)
    assert table(await kubectl("get", "wd")) == [["NAME", "DESIRED", "READY"], ["w", "3", "False"]]
    assert table(await kubectl("get", "widgets", "-o", "wide")) == [
        ["NAME", "DESIRED", "READY", "COLOR"],
        ["w", "3", "False", "green"],
    ]
    assert table(await kubectl("get", "widgets", "-A", "--no-headers")) == [["default", "w", "3", "False"]]
    assert await kubectl("get", "widgets", "-o", "name") == "widget.example.com/w\n"
    assert await kubectl("get", "widget", "w", "-o", "jsonpath={.spec.replicas}") == "3"
    assert "replicas: 3" in await kubectl("get", "widget", "w", "-o", "yaml")
    assert table(await kubectl("get", "widgets", "-o", "custom-columns=N:.metadata.name")) == [["N"], ["w"]]


async def test_get_prints_pods_and_their_friends(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=POD)
    await kubectl("expose", "pod", "p", "--port=80")
    assert table(await kubectl("get", "pods"))[0] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert table(await kubectl("get", "pods", "-l", "app=web", "--no-headers"))[0][:4] == ["p", "0/1", "Pending", "0"]
    everything = await kubectl("get", "all")
    assert "pod/p" in everything
    assert "service/p" in everything
    for kind in (
        "nodes",
        "pvc",
        "pv",
        "events",
        "cm",
        "secrets",
        "sa",
        "sc",
        "pdb",
        "leases",
        "endpointslices",
        "roles",
    ):
        await kubectl("get", kind, "-A")


async def test_large_collections_come_in_chunks(kubectl: Kubectl) -> None:
    many = "---\n".join(f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{n:02}}}\n" for n in range(25))
    await kubectl("apply", "--server-side", "-f", "-", stdin=many)
    names = (await kubectl("get", "configmaps", "--chunk-size=10", "-o", "name")).split()
    assert names == [f"configmap/c{n:02}" for n in range(25)]


async def test_edit_changes_what_the_editor_changed(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=WIDGET)
    await kubectl("edit", "widget", "w", editor="sed -i 's/replicas: 3/replicas: 5/'")
    assert (await spec(kubectl, "widget/w"))["replicas"] == 5
    await kubectl("apply", "-f", "-", stdin=POD)
    await kubectl("edit", "pod", "p", editor="sed -i 's/app:1/app:9/'")
    assert "app:9" in await kubectl("get", "pod", "p", "-o", "yaml")


async def test_scale_goes_through_the_scale_subresource(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=WIDGET)
    assert await kubectl("scale", "widget", "w", "--replicas=7") == "widget.example.com/w scaled\n"
    assert (await spec(kubectl, "widget/w"))["replicas"] == 7
    done = await kubectl.run("scale", "widget", "w", "--replicas=9", "--current-replicas=1")
    assert done.code == 1


async def test_small_changes(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=POD)
    await kubectl("label", "pod", "p", "tier=front", "app-")
    await kubectl("annotate", "pod", "p", "note=hello")
    await kubectl("set", "image", "pod/p", "main=app:3")
    await kubectl("patch", "pod", "p", "-p", '{"metadata":{"labels":{"by":"strategic"}}}')
    await kubectl("patch", "pod", "p", "--type=json", "-p", '[{"op":"remove","path":"/metadata/annotations/note"}]')
    live = json.loads(await kubectl("get", "pod", "p", "-o", "json"))
    assert live["metadata"]["labels"] == {"tier": "front", "by": "strategic"}
    assert "note" not in live["metadata"].get("annotations", {})
    assert live["spec"]["containers"][0]["image"] == "app:3"


async def test_replace_needs_the_object_and_create_needs_its_absence(kubectl: Kubectl) -> None:
    path = kubectl.file("w.yaml", WIDGET)
    assert (await kubectl.run("replace", "-f", path)).code == 1
    await kubectl("create", "-f", path)
    done = await kubectl.run("create", "-f", path)
    assert "AlreadyExists" in done.err
    await kubectl("replace", "-f", path)


async def test_create_commands_of_the_typed_clients(kubectl: Kubectl) -> None:
    await kubectl("create", "namespace", "team")
    await kubectl("create", "configmap", "c", "-n", "team", "--from-literal=a=b")
    await kubectl("create", "secret", "generic", "s", "-n", "team", "--from-literal=a=b")
    await kubectl("create", "serviceaccount", "sa", "-n", "team")
    await kubectl("create", "role", "r", "-n", "team", "--verb=get", "--resource=pods")
    await kubectl("create", "rolebinding", "b", "-n", "team", "--role=r", "--serviceaccount=team:sa")
    assert await kubectl("get", "secret", "s", "-n", "team", "-o", "jsonpath={.data.a}") == "Yg=="
    await kubectl("delete", "namespace", "team", "--timeout=10s")
    assert "NotFound" in (await kubectl.run("get", "namespace", "team")).err


async def test_delete_waits_for_the_end(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=WIDGET)
    await kubectl("patch", "widget", "w", "--type=merge", "-p", '{"metadata":{"finalizers":["example.com/x"]}}')
    async with kubectl.started("delete", "widget", "w", "--timeout=20s") as deleting:
        async with asyncio.timeout(PATIENCE):
            while not await kubectl("get", "widget", "w", "-o", "jsonpath={.metadata.deletionTimestamp}"):
                await asyncio.sleep(0)
        assert deleting.returncode is None
        await kubectl("patch", "widget", "w", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        async with asyncio.timeout(PATIENCE):
            assert await deleting.wait() == 0
    await kubectl("apply", "-f", "-", stdin=WIDGET)
    await kubectl("delete", "widgets", "--all")
    assert "No resources found" in (await kubectl.run("get", "widgets")).err


async def test_wait_follows_conditions_fields_and_deletion(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=WIDGET)
    assert (await kubectl.run("wait", "widget/w", "--for=condition=Ready", "--timeout=1s")).code == 1
    async with kubectl.started("wait", "widget/w", "--for=condition=Ready", "--timeout=20s") as waiting:
        status = '{"status":{"conditions":[{"type":"Ready","status":"True"}]}}'
        await kubectl("patch", "widget", "w", "--subresource=status", "--type=merge", "-p", status)
        async with asyncio.timeout(PATIENCE):
            assert await waiting.wait() == 0
    await kubectl("wait", "widget/w", "--for=jsonpath={.spec.replicas}=3", "--timeout=5s")
    await kubectl("delete", "widget", "w")
    await kubectl("wait", "widget/w", "--for=delete", "--timeout=5s")


async def test_get_watch_prints_each_change(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=WIDGET)
    async with kubectl.started("get", "widgets", "-w") as watching, asyncio.timeout(PATIENCE):
        assert watching.stdout is not None
        assert (await watching.stdout.readline()).split() == [b"NAME", b"DESIRED", b"READY"]
        assert (await watching.stdout.readline()).split() == [b"w", b"3"]
        await kubectl("scale", "widget", "w", "--replicas=4")
        assert (await watching.stdout.readline()).split() == [b"w", b"4"]
        await kubectl("delete", "widget", "w")
        assert (await watching.stdout.readline()).split() == [b"w", b"4"]


async def test_describe_shows_the_object_and_its_events(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=WIDGET)
    uid = await kubectl("get", "widget", "w", "-o", "jsonpath={.metadata.uid}")
    event = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "e", "namespace": "default"},
        "regarding": {
            "apiVersion": "example.com/v1",
            "kind": "Widget",
            "name": "w",
            "namespace": "default",
            "uid": uid,
        },
        "type": "Warning",
        "reason": "TooGreen",
        "note": "it could be greener",
        "action": "Paint",
        "reportingController": "painter",
        "reportingInstance": "painter-0",
        "eventTime": "2026-01-01T00:00:00.000000Z",
    }
    await kubectl("create", "-f", "-", stdin=json.dumps(event))
    described = await kubectl("describe", "widget", "w")
    assert "Replicas:  3" in described
    assert "TooGreen" in described
    assert "it could be greener" in described
    assert "TooGreen" in await kubectl("events")
    assert "TooGreen" in await kubectl("get", "events")
    assert "TooGreen" in await kubectl("events", "--for", "widget.example.com/w")
    await kubectl("apply", "-f", "-", stdin=POD)
    assert ["Image:", "app:1"] in table(await kubectl("describe", "pod", "p"))


async def test_explain_knows_custom_and_built_in_kinds(kubectl: Kubectl) -> None:
    explained = await kubectl("explain", "widget.spec.replicas")
    assert "FIELD: replicas <integer>" in explained
    assert "How many there should be." in explained
    assert "replicas\t<integer> -required-" in await kubectl("explain", "widget.spec")
    assert "containerPort\t<integer> -required-" in await kubectl("explain", "pod.spec.containers.ports")


async def test_api_resources_lists_what_is_served(kubectl: Kubectl) -> None:
    resources = table(await kubectl("api-resources"))
    assert ["widgets", "wd", "example.com/v1", "true", "Widget"] in resources
    assert ["pods", "po", "v1", "true", "Pod"] in resources
    versions = (await kubectl("api-versions")).split()
    assert {"v1", "apps/v1", "example.com/v1"} <= set(versions)


async def test_administrative_questions(kubectl: Kubectl) -> None:
    assert await kubectl("auth", "can-i", "delete", "pods") == "yes\n"
    assert "admin" in await kubectl("auth", "whoami")
    assert "Server Version" in await kubectl("version")
    assert await kubectl("get", "--raw", "/readyz") == "ok"


async def test_what_is_not_there_is_said_so(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=POD)
    assert "not implemented" in (await kubectl.run("logs", "p")).err.lower()
    assert "doesn't have a resource type" in (await kubectl.run("get", "deployments")).err
    assert 'pods "nobody" not found' in (await kubectl.run("get", "pod", "nobody")).err


async def test_without_the_right_token_kubectl_stays_outside(kubectl: Kubectl) -> None:
    done = await kubectl.run("get", "pods", "--token=wrong")
    assert done.code == 1
    assert "Unauthorized" in done.err or "provide credentials" in done.err
