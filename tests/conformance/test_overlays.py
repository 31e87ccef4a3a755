"""Overlays of pods and volume claims: what the CRDs of the operator refuse, keep and set, for each kind that has one."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator
from typing import Any, Final, NamedTuple

import pytest
import pytest_asyncio

from controller_runtime.api import QUANTITY_PATTERN, Object
from controller_runtime.api.crd import custom_resource_definition
from controller_runtime.envtest import Cluster
from helpers.definitions import CRDS, causes, refused
from helpers.rest import PATIENCE, Api
from tikv_operator.api import API_VERSION, PD, PDGroup, TiKV, TiKVGroup

Json = dict[str, Any]
Found = tuple[str, str, str]

KINDS: Final[tuple[type[Object], ...]] = (TiKV, TiKVGroup, PD, PDGroup)
NOT_CHECKED: Final = "some validation rules were not checked"


@pytest_asyncio.fixture(autouse=True, scope="module", loop_scope="session")
async def definitions(cluster: Cluster) -> AsyncIterator[None]:
    """The CRDs of the operator: that the server takes them shows that it finds their rules cheap enough."""
    await cluster.install_crds(*(custom_resource_definition(kind) for kind in KINDS))
    yield


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> type[Object]:
    found: type[Object] = request.param
    return found


def is_group(kind: type[Object]) -> bool:
    return kind in (TiKVGroup, PDGroup)


def made(kind: type[Object], overlay: Any, name: str = "a-1", **changes: Any) -> Json:
    """Return an object of a kind with this overlay."""
    data = {"name": "data", "mounts": [{"type": "data"}], "storage": "1Gi"}
    template: Json = {"version": "v8.1.0", "volumes": [data], "overlay": overlay, **changes}
    spec: Json = {"cluster": {"name": "c"}}
    if is_group(kind):
        spec |= {"replicas": 1, "template": {"spec": template}}
    else:
        spec |= {"subdomain": "s", **template}
    return {"apiVersion": API_VERSION, "kind": kind.__name__, "metadata": {"name": name}, "spec": spec}


def template_of(kind: type[Object], obj: Json) -> Json:
    found: Json = obj["spec"]["template"]["spec"] if is_group(kind) else obj["spec"]
    return found


def path_to(kind: type[Object]) -> str:
    return "spec.template.spec.overlay" if is_group(kind) else "spec.overlay"


def collection(kind: type[Object], namespace: str, name: str = "") -> str:
    return kind.resource.path(namespace, name) if name else kind.resource.path(namespace)


def pod(**spec: Any) -> Json:
    return {"pod": {"spec": spec}}


def container(**fields: Any) -> Json:
    return pod(containers=[{"name": "tikv", **fields}])


def volume(**source: Any) -> Json:
    return pod(volumes=[{"name": "v", **source}])


def claim(**spec: Any) -> Json:
    return {"volumeClaims": [{"name": "data", "volumeClaim": {"spec": spec}}]}


# --- What is refused. Fields are below `overlay`; `{}` in a message is the path of the field.


class Complaint(NamedTuple):
    reason: str
    field: str
    message: str

    def at(self, overlay: str) -> Found:
        where = f"{overlay}.{self.field}" if self.field else "<nil>"
        return self.reason, where, self.message.replace("{}", where).replace("{overlay}", overlay)


def typed(field: str, wanted: str, found: str) -> Complaint:
    message = f'Invalid value: "{found}": {{}} in body must be of type {wanted}: "{found}"'
    return Complaint("FieldValueTypeInvalid", field, message)


def missing(field: str) -> Complaint:
    return Complaint("FieldValueRequired", field, "Required value")


def twice(field: str, key: str) -> Complaint:
    return Complaint("FieldValueDuplicate", field, f"Duplicate value: {key}")


def no_quantity(field: str, value: str) -> Complaint:
    message = f"Invalid value: {value}: {{}} in body should match '{QUANTITY_PATTERN}'"
    return Complaint("FieldValueInvalid", field, message)


def of_nothing(text: str) -> Complaint:
    """What the server says of a value without naming its field."""
    return Complaint("FieldValueInvalid", "", f'Invalid value: "": {text}')


def unfit(field: str, wanted: str) -> Complaint:
    """A number that is too large, or no whole one."""
    return of_nothing(f"Checked value must be of type {wanted} in {{overlay}}.{field}")


def fraction(field: str) -> list[Complaint]:
    """A fraction where a number of 64 bits is wanted."""
    message = 'Invalid value: "float64": {} in body must be of type int64: "float64"'
    return [Complaint("FieldValueTypeInvalid", field, message), unfit(field, "integer with format int64")]


def neither(field: str, found: str) -> list[Complaint]:
    """What is neither a whole number nor text, where either would do."""
    return [
        typed(field, "integer,string", found),
        of_nothing(f'"{{overlay}}.{field}" must validate at least one schema (anyOf)'),
        typed(field, "integer", found),
        *([unfit(field, "integer (default format)")] if found == "number" else []),
    ]


def no_item(field: str, shown: str) -> list[Complaint]:
    """Text where a list has items with keys."""
    message = f"Invalid value: {shown}: must be an object for an array of list-type map"
    return [typed(field, "object", "string"), Complaint("FieldValueInvalid", field, message)]


POD, CONTAINER, VOLUME = "pod.spec", "pod.spec.containers[0]", "pod.spec.volumes[0]"
CLAIM = "volumeClaims[0].volumeClaim.spec"

WRONG: Final[list[tuple[str, Json, list[Complaint]]]] = [
    ("a spec that is a list", {"pod": {"spec": []}}, [typed(POD, "object", "array")]),
    ("a grace period that is text", pod(terminationGracePeriodSeconds="x"),
     [typed(f"{POD}.terminationGracePeriodSeconds", "integer", "string")]),
    ("a grace period that is a fraction", pod(terminationGracePeriodSeconds=1.5),
     fraction(f"{POD}.terminationGracePeriodSeconds")),
    ("a flag that is text", pod(hostNetwork="true"), [typed(f"{POD}.hostNetwork", "boolean", "string")]),
    ("a node selector's value that is a number", pod(nodeSelector={"gen": 3}),
     [typed(f"{POD}.nodeSelector.gen", "string", "integer")]),
    ("tolerations that are an object", pod(tolerations={}), [typed(f"{POD}.tolerations", "array", "object")]),
    ("a toleration that is text", pod(tolerations=["a"]), [typed(f"{POD}.tolerations[0]", "object", "string")]),
    ("a toleration's seconds that are text", pod(tolerations=[{"tolerationSeconds": "5"}]),
     [typed(f"{POD}.tolerations[0].tolerationSeconds", "integer", "string")]),
    ("a pull secret that is text", pod(imagePullSecrets=["a"]),
     no_item(f"{POD}.imagePullSecrets[0]", '"a"')),
    ("a host alias without address", pod(hostAliases=[{"hostnames": ["a"]}]), [missing(f"{POD}.hostAliases[0].ip")]),
    ("a user that is a name", pod(securityContext={"runAsUser": "root"}),
     [typed(f"{POD}.securityContext.runAsUser", "integer", "string")]),
    ("a name server that isn't in a list", pod(dnsConfig={"nameservers": "1.1.1.1"}),
     [typed(f"{POD}.dnsConfig.nameservers", "array", "string")]),
    ("a spread constraint that doesn't say what else", pod(topologySpreadConstraints=[{"maxSkew": 1, "topologyKey": "z"}]),
     [missing(f"{POD}.topologySpreadConstraints[0].whenUnsatisfiable")]),
    ("a node affinity without terms",
     pod(affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}),
     [missing(f"{POD}.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms")]),
    ("an anti-affinity without topology",
     pod(affinity={"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"namespaces": ["a"]}]}}),
     [missing(f"{POD}.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey")]),
    ("containers that are an object", pod(containers={"tikv": {}}), [typed(f"{POD}.containers", "array", "object")]),
    ("a container that is text", pod(containers=["tikv"]), no_item(CONTAINER, '"tikv"')),
    ("a container that is null", pod(containers=[None]), [typed(CONTAINER, "object", "null")]),
    ("a container without a name", pod(containers=[{"image": "a"}]), [missing(f"{CONTAINER}.name")]),
    ("an init container without a name", pod(initContainers=[{"image": "a"}]),
     [missing(f"{POD}.initContainers[0].name")]),
    ("an ephemeral container without a name", pod(ephemeralContainers=[{"image": "a"}]),
     [missing(f"{POD}.ephemeralContainers[0].name")]),
    ("two containers of one name", pod(containers=[{"name": "a"}, {"name": "a"}]),
     [twice(f"{POD}.containers[1]", '{"name":"a"}')]),
    ("an image that is a number", container(image=5), [typed(f"{CONTAINER}.image", "string", "integer")]),
    ("a command that isn't in a list", container(command="sh"), [typed(f"{CONTAINER}.command", "array", "string")]),
    ("an argument that is a number", container(args=["-n", 1]), [typed(f"{CONTAINER}.args[1]", "string", "integer")]),
    ("a variable without a name", container(env=[{"value": "a"}]), [missing(f"{CONTAINER}.env[0].name")]),
    ("a variable's value that is a number", container(env=[{"name": "A", "value": 1}]),
     [typed(f"{CONTAINER}.env[0].value", "string", "integer")]),
    ("a variable's value that is a flag", container(env=[{"name": "A", "value": True}]),
     [typed(f"{CONTAINER}.env[0].value", "string", "boolean")]),
    ("two variables of one name", container(env=[{"name": "A"}, {"name": "A"}]),
     [twice(f"{CONTAINER}.env[1]", '{"name":"A"}')]),
    ("a variable from a field that isn't named", container(env=[{"name": "A", "valueFrom": {"fieldRef": {}}}]),
     [missing(f"{CONTAINER}.env[0].valueFrom.fieldRef.fieldPath")]),
    ("a variable from a secret whose key isn't named",
     container(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s"}}}]),
     [missing(f"{CONTAINER}.env[0].valueFrom.secretKeyRef.key")]),
    ("a port without a number", container(ports=[{"name": "a"}]), [missing(f"{CONTAINER}.ports[0].containerPort")]),
    ("a port that is a name", container(ports=[{"containerPort": "http"}]),
     [typed(f"{CONTAINER}.ports[0].containerPort", "integer", "string")]),
    ("a port beyond 32 bits", container(ports=[{"containerPort": 3_000_000_000}]),
     [unfit(f"{CONTAINER}.ports[0].containerPort", "integer with format int32")]),
    ("a port twice, once with its protocol unsaid",
     container(ports=[{"containerPort": 9}, {"containerPort": 9, "protocol": "TCP"}]),
     [twice(f"{CONTAINER}.ports[1]", '{"containerPort":9,"protocol":"TCP"}')]),
    ("resources that are text", container(resources="1"), [typed(f"{CONTAINER}.resources", "object", "string")]),
    ("a limit that is no quantity", container(resources={"limits": {"cpu": "much"}}),
     [no_quantity(f"{CONTAINER}.resources.limits.cpu", '"much"')]),
    ("a limit that is a fraction", container(resources={"limits": {"cpu": 0.5}}),
     neither(f"{CONTAINER}.resources.limits.cpu", "number")),
    ("a request that is an object", container(resources={"requests": {"memory": {}}}),
     neither(f"{CONTAINER}.resources.requests.memory", "object")),
    ("a mount without a path", container(volumeMounts=[{"name": "v"}]),
     [missing(f"{CONTAINER}.volumeMounts[0].mountPath")]),
    ("a mount without a volume", container(volumeMounts=[{"mountPath": "/v"}]),
     [missing(f"{CONTAINER}.volumeMounts[0].name")]),
    ("two mounts at one path", container(volumeMounts=[{"name": "v", "mountPath": "/v"}, {"name": "w", "mountPath": "/v"}]),
     [twice(f"{CONTAINER}.volumeMounts[1]", '{"mountPath":"/v"}')]),
    ("a probe without a port", container(readinessProbe={"httpGet": {"path": "/"}}),
     [missing(f"{CONTAINER}.readinessProbe.httpGet.port")]),
    ("a probe of a port that is a fraction", container(readinessProbe={"httpGet": {"port": 1.5}}),
     neither(f"{CONTAINER}.readinessProbe.httpGet.port", "number")),
    ("a probe of a port that is a flag", container(livenessProbe={"tcpSocket": {"port": True}}),
     neither(f"{CONTAINER}.livenessProbe.tcpSocket.port", "boolean")),
    ("a hook that isn't in a list", container(lifecycle={"preStop": {"exec": {"command": "sleep 1"}}}),
     [typed(f"{CONTAINER}.lifecycle.preStop.exec.command", "array", "string")]),
    ("capabilities that are text", container(securityContext={"capabilities": {"add": "NET_ADMIN"}}),
     [typed(f"{CONTAINER}.securityContext.capabilities.add", "array", "string")]),
    ("a volume without a name", pod(volumes=[{"emptyDir": {}}]), [missing(f"{VOLUME}.name")]),
    ("two volumes of one name", pod(volumes=[{"name": "v"}, {"name": "v"}]),
     [twice(f"{POD}.volumes[1]", '{"name":"v"}')]),
    ("a volume that is empty text", volume(emptyDir=""), [typed(f"{VOLUME}.emptyDir", "object", "string")]),
    ("a volume's limit that is no quantity", volume(emptyDir={"sizeLimit": "large"}),
     [no_quantity(f"{VOLUME}.emptyDir.sizeLimit", '"large"')]),
    ("a volume on the host without a path", volume(hostPath={"type": "Directory"}), [missing(f"{VOLUME}.hostPath.path")]),
    ("a volume of a claim that isn't named", volume(persistentVolumeClaim={"readOnly": True}),
     [missing(f"{VOLUME}.persistentVolumeClaim.claimName")]),
    ("a file's mode that is text", volume(configMap={"name": "c", "defaultMode": "0644"}),
     [typed(f"{VOLUME}.configMap.defaultMode", "integer", "string")]),
    ("a key that goes nowhere", volume(secret={"secretName": "s", "items": [{"key": "k"}]}),
     [missing(f"{VOLUME}.secret.items[0].path")]),
    ("a projected token without a path", volume(projected={"sources": [{"serviceAccountToken": {}}]}),
     [missing(f"{VOLUME}.projected.sources[0].serviceAccountToken.path")]),
    ("an ephemeral volume without a spec", volume(ephemeral={"volumeClaimTemplate": {}}),
     [missing(f"{VOLUME}.ephemeral.volumeClaimTemplate.spec")]),
    ("two things at once", pod(hostPID=1, containers=[{"name": "a", "image": 5, "tty": "no"}]),
     [typed(f"{POD}.hostPID", "boolean", "integer"), typed(f"{CONTAINER}.image", "string", "integer"),
      typed(f"{CONTAINER}.tty", "boolean", "string")]),
    ("a claim's spec that is text", {"volumeClaims": [{"name": "data", "volumeClaim": {"spec": "big"}}]},
     [typed(CLAIM, "object", "string")]),
    ("an access mode that isn't in a list", claim(accessModes="ReadWriteOnce"),
     [typed(f"{CLAIM}.accessModes", "array", "string")]),
    ("a storage class that is a number", claim(storageClassName=5),
     [typed(f"{CLAIM}.storageClassName", "string", "integer")]),
    ("a claim's request that is no quantity", claim(resources={"requests": {"storage": "big"}}),
     [no_quantity(f"{CLAIM}.resources.requests.storage", '"big"')]),
    ("a data source without a kind", claim(dataSource={"name": "a"}), [missing(f"{CLAIM}.dataSource.kind")]),
    ("a selector that doesn't say how", claim(selector={"matchExpressions": [{"key": "a"}]}),
     [missing(f"{CLAIM}.selector.matchExpressions[0].operator")]),
]  # fmt: skip


def cases(table: list[Any]) -> list[Any]:
    return [pytest.param(*rest, id=name) for name, *rest in table]


def told(found: list[Found]) -> list[Found]:
    return [each for each in found if NOT_CHECKED not in each[2]]


@pytest.mark.parametrize(("overlay", "expected"), cases(WRONG))
async def test_a_wrong_overlay_is_refused_by_its_field(
    api: Api, namespace: str, kind: type[Object], overlay: Json, expected: list[Complaint]
) -> None:
    answer = await api.post(collection(kind, namespace), made(kind, overlay), dryRun="All")
    refused(answer, 422, "Invalid")
    assert told(causes(answer)) == sorted(each.at(path_to(kind)) for each in expected)


async def test_the_summary_names_the_object_and_the_field(api: Api, namespace: str, kind: type[Object]) -> None:
    answer = await api.post(collection(kind, namespace), made(kind, container(image=5)), dryRun="All")
    assert refused(answer, 422, "Invalid") == (
        f'{kind.__name__}.core.pingcap.com "a-1" is invalid: [{path_to(kind)}.pod.spec.containers[0].image: Invalid value: '
        f'"integer": {path_to(kind)}.pod.spec.containers[0].image in body must be of type string: "integer", <nil>: Invalid '
        "value: null: some validation rules were not checked because the object was invalid; correct the existing errors to "
        "complete validation]"
    )


async def test_the_rules_beside_an_overlay_are_still_checked(api: Api, namespace: str, kind: type[Object]) -> None:
    overlay = {
        "pod": {"metadata": {"labels": {"pingcap.com/x": "y"}}, "spec": {"hostNetwork": True}},
        "volumeClaims": [{"name": "other", "volumeClaim": {"spec": {"storageClassName": "fast"}}}],
    }
    answer = await api.post(collection(kind, namespace), made(kind, overlay), dryRun="All")
    refused(answer, 422, "Invalid")
    assert [(field, message) for _, field, message in causes(answer)] == [
        (
            path_to(kind).removesuffix(".overlay"),
            "Invalid value: overlay volumeClaims names must exist in volumes",
        ),
        (
            f"{path_to(kind)}.pod.metadata",
            "Invalid value: cannot overlay pod labels starting with 'pingcap.com/'",
        ),
    ]


# --- What is kept. Nothing is lost that a newer Kubernetes might know.

NEW: Final = {"of": "tomorrow", "list": [{"deep": 1}, None], "flag": False}
"""What the schema doesn't know."""

KEPT: Final[list[tuple[str, Json]]] = [
    ("nothing", {}),
    ("an empty spec", pod()),
    ("a spec without containers", pod(terminationGracePeriodSeconds=60, nodeSelector={"disk": "ssd"})),
    ("a container that says one thing", container(env=[{"name": "A", "value": "1"}])),
    ("quantities as they were written",
     container(resources={"limits": {"cpu": "1000m", "memory": 1024, "example.com/gpu": "1"}, "requests": {"cpu": 1}})),
    ("a probe of a port by its number", container(readinessProbe={"tcpSocket": {"port": 20160}})),
    ("a probe of a port by its name", container(readinessProbe={"tcpSocket": {"port": "client"}})),
    ("one port for two protocols",
     container(ports=[{"containerPort": 9, "protocol": "TCP"}, {"containerPort": 9, "protocol": "UDP"}])),
    ("a choice that today's server doesn't have", pod(restartPolicy="Tomorrow", tolerations=[{"operator": "Near"}])),
    ("two pull secrets", pod(imagePullSecrets=[{"name": "a"}, {"name": "b"}])),
    ("a claim's spec", claim(accessModes=["ReadWriteOnce"], resources={"requests": {"storage": "1Gi"}})),
    ("something new of a spec", pod(new=NEW)),
    ("something new of a container", container(new=NEW)),
    ("something new of an init container", pod(initContainers=[{"name": "a", "new": NEW}])),
    ("something new of a variable", container(env=[{"name": "A", "new": NEW}])),
    ("a new origin of a variable", container(env=[{"name": "A", "valueFrom": {"new": NEW}}])),
    ("something new of a port", container(ports=[{"containerPort": 9, "protocol": "TCP", "new": NEW}])),
    ("something new of resources", container(resources={"new": NEW})),
    ("a new action of a probe", container(livenessProbe={"new": NEW})),
    ("a new action of a hook", container(lifecycle={"preStop": {"new": NEW}})),
    ("a new kind of hook", container(lifecycle={"new": NEW})),
    ("something new of a security context", container(securityContext={"new": NEW})),
    ("something new of a pod's security context", pod(securityContext={"seLinuxOptions": {"new": NEW}})),
    ("a new kind of volume", volume(new=NEW)),
    ("something new of an old kind of volume", volume(emptyDir={"new": NEW})),
    ("a new projection", volume(projected={"sources": [{"new": NEW}]})),
    ("something new of a claim in a volume",
     volume(ephemeral={"volumeClaimTemplate": {"metadata": {"new": NEW}, "spec": {"new": NEW}}})),
    ("a new affinity", pod(affinity={"new": NEW, "nodeAffinity": {"new": NEW}})),
    ("something new of a term", pod(affinity={"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 1, "podAffinityTerm": {"topologyKey": "z", "labelSelector": {"new": NEW}, "new": NEW}}]}})),
    ("something new of a spread constraint", pod(topologySpreadConstraints=[
        {"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule", "new": NEW}])),
    ("something new of a toleration", pod(tolerations=[{"key": "a", "new": NEW}])),
    ("something new of a claim", claim(new=NEW, resources={"new": NEW}, dataSourceRef={"kind": "a", "name": "b", "new": NEW})),
]  # fmt: skip


@pytest.mark.parametrize("overlay", cases(KEPT))
async def test_an_overlay_is_stored_as_it_is(api: Api, namespace: str, kind: type[Object], overlay: Json) -> None:
    answer = await api.post(collection(kind, namespace), made(kind, overlay), dryRun="All", fieldValidation="Strict")
    assert template_of(kind, answer.ok())["overlay"] == overlay


DEFAULTED: Final[list[tuple[str, Json, Json]]] = [
    ("a port is TCP's", container(ports=[{"containerPort": 9}]), container(ports=[{"containerPort": 9, "protocol": "TCP"}])),
    ("a reference has a name, if an empty one", volume(configMap={"items": []}), volume(configMap={"items": [], "name": ""})),
    ("a null is nothing",
     pod(containers=None, nodeSelector={"a": None}, volumes=[{"name": "v", "emptyDir": None}]),
     pod(nodeSelector={}, volumes=[{"name": "v"}])),
]  # fmt: skip


@pytest.mark.parametrize(("overlay", "stored"), cases(DEFAULTED))
async def test_an_overlay_gets_the_defaults_that_its_keys_need(
    api: Api, namespace: str, kind: type[Object], overlay: Json, stored: Json
) -> None:
    answer = await api.post(collection(kind, namespace), made(kind, overlay), dryRun="All")
    assert template_of(kind, answer.ok())["overlay"] == stored


async def test_appliers_share_the_lists_whose_items_have_names(api: Api, namespace: str, kind: type[Object]) -> None:
    path = collection(kind, namespace, "a-1")

    def sidecar(name: str) -> Json:
        return made(kind, pod(containers=[{"name": name, "image": "i", "new": NEW}]))

    def names(obj: Json) -> list[str]:
        return [each["name"] for each in template_of(kind, obj)["overlay"]["pod"]["spec"]["containers"]]

    (await api.apply(path, sidecar("a"), manager="one")).ok()
    assert names((await api.apply(path, sidecar("b"), manager="two")).ok()) == ["a", "b"]
    assert names((await api.apply(path, made(kind, pod()), manager="one")).ok()) == ["b"]


# --- What was stored before there was a schema.

BEFORE: Final = "before.example.com"
LAX: Final = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


STATUS: Final = {
    "observedGeneration": 1,
    "id": "",
    "isLeader": False,
    "selector": "",
    "replicas": 0,
    "readyReplicas": 0,
    "currentReplicas": 0,
    "updatedReplicas": 0,
}
"""A status with all that one of the kinds requires."""


def of_before(kind: type[Object], *, lax: bool) -> Json:
    """The CRD of a kind under a group of its own; `lax` is how it was when overlays had no schema."""
    crd = custom_resource_definition(kind)
    crd["metadata"]["name"] = f"{kind.resource.plural}.{BEFORE}"
    crd["spec"]["group"] = BEFORE
    if lax:
        fields = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
        for name in ("spec.template.spec" if is_group(kind) else "spec").split("."):
            fields = fields[name]["properties"]
        fields["overlay"]["properties"]["pod"]["properties"]["spec"] = LAX
    return crd


@pytest_asyncio.fixture(loop_scope="session")
async def stored(api: Api, namespace: str, kind: type[Object]) -> AsyncIterator[str]:
    """The path of an object with a wrong overlay, from before: an image that is a number, and a port without protocol."""
    await api.cluster.install_crds(of_before(kind, lax=True))
    resource = kind.resource
    folder = f"/apis/{BEFORE}/{resource.version}/namespaces/{namespace}/{resource.plural}"
    wrong = container(image=5, ports=[{"containerPort": 9}])
    obj = {**made(kind, wrong), "apiVersion": f"{BEFORE}/{resource.version}"}
    (await api.post(folder, obj)).ok()
    definition = f"{CRDS}/{resource.plural}.{BEFORE}"
    lax = (await api.get(definition)).ok()
    (await api.put(definition, {**lax, "spec": of_before(kind, lax=False)["spec"]})).ok()
    # A real server serves the new schema a moment later, and then answers 429 to reads for another one.
    async with asyncio.timeout(PATIENCE):
        while (await api.post(folder, {**obj, "metadata": {"name": "b"}}, dryRun="All")).status != 422:
            await asyncio.sleep(0.05)
    await api.eventually(f"{folder}/a-1", lambda answer: answer.status == 200)
    yield f"{folder}/a-1"
    (await api.delete(definition)).ok()


def with_container(kind: type[Object], obj: Json, **fields: Any) -> Json:
    changed = copy.deepcopy(obj)
    template_of(kind, changed)["overlay"]["pod"]["spec"]["containers"][0].update(fields)
    return changed


async def test_what_was_wrong_before_may_stay_but_not_change(api: Api, stored: str, kind: type[Object]) -> None:
    found = (await api.get(stored)).ok()
    kept = {"name": "tikv", "image": 5, "ports": [{"containerPort": 9, "protocol": "TCP"}]}
    assert template_of(kind, found)["overlay"] == pod(containers=[kept])

    found = (await api.put(f"{stored}/status", {**found, "status": STATUS})).ok()
    assert found["status"]["observedGeneration"] == 1

    found = (await api.put(stored, with_container(kind, found, command=["sh"]))).ok()
    answer = await api.put(stored, with_container(kind, found, image=6))
    refused(answer, 422, "Invalid")
    assert [field for _, field, _ in told(causes(answer))] == [f"{path_to(kind)}.pod.spec.containers[0].image"]
    mended = (await api.put(stored, with_container(kind, found, image="i"))).ok()
    answer = await api.put(stored, with_container(kind, mended, image=5))
    refused(answer, 422, "Invalid")
