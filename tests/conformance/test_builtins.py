"""Built-in kinds: what a server fills in, what it refuses, and what never changes."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.definitions import causes, refused
from helpers.rest import Api

IMMUTABLE = "Forbidden: field is immutable when `immutable` is set"
KEY = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
PORT = "must be between 1 and 65535, inclusive"
FIXED_CLAIM = (
    "Forbidden: spec is immutable after creation except "
    "resources.requests and volumeAttributesClassName for bound claims"
)
FIXED_POD = "Forbidden: pod updates may not change fields other than"
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
EVENT = {
    "eventTime": "2026-01-01T00:00:00.000000Z",
    "reportingController": "example.com/c",
    "reportingInstance": "i",
    "action": "Act",
    "reason": "Reason",
    "note": "words",
    "type": "Normal",
}


def core(namespace: str, plural: str, name: str = "") -> str:
    path = f"/api/v1/namespaces/{namespace}/{plural}"
    return f"{path}/{name}" if name else path


async def create(api: Api, path: str, name: str = "a", **fields: Any) -> Any:
    return (await api.post(path, {"metadata": {"name": name}, **fields})).ok()


class TestConfigMaps:
    async def test_an_immutable_one_stays(self, api: Api, namespace: str) -> None:
        await create(api, core(namespace, "configmaps"), data={"a": "1"}, immutable=True)
        path = core(namespace, "configmaps", "a")
        data = await api.patch(path, {"data": {"a": "2"}})
        assert refused(data, 422, "Invalid") == f'ConfigMap "a" is invalid: data: {IMMUTABLE}'
        flag = await api.patch(path, {"immutable": False})
        assert refused(flag, 422, "Invalid") == f'ConfigMap "a" is invalid: immutable: {IMMUTABLE}'
        assert (await api.patch(path, {"metadata": {"labels": {"x": "y"}}})).status == 200

    @pytest.mark.parametrize(
        ("fields", "field", "message"),
        [
            ({"data": {"a b": "1"}}, "data[a b]", f'Invalid value: "a b": {KEY}'),
            (
                {"data": {"a": "1"}, "binaryData": {"a": "AA=="}},
                "data[a]",
                'Invalid value: "a": duplicate of key present in binaryData',
            ),
        ],
    )
    async def test_keys(self, api: Api, namespace: str, fields: Any, field: str, message: str) -> None:
        answer = await api.post(core(namespace, "configmaps"), {"metadata": {"name": "a"}, **fields})
        refused(answer, 422, "Invalid")
        assert causes(answer) == [("FieldValueInvalid", field, message)]


class TestSecrets:
    async def test_plain_text_is_encoded(self, api: Api, namespace: str) -> None:
        made = await create(api, core(namespace, "secrets"), stringData={"a": "1"}, data={"b": "Mg=="})
        assert (made["type"], made["data"]) == ("Opaque", {"a": "MQ==", "b": "Mg=="})
        assert "stringData" not in made

    async def test_the_type_is_fixed(self, api: Api, namespace: str) -> None:
        await create(api, core(namespace, "secrets"))
        answer = await api.patch(core(namespace, "secrets", "a"), {"type": "other"})
        assert refused(answer, 422, "Invalid") == (
            'Secret "a" is invalid: type: Invalid value: "other": field is immutable'
        )

    @pytest.mark.parametrize(
        ("fields", "fields_missing"),
        [
            ({"type": "kubernetes.io/tls", "data": {}}, ["data[tls.crt]", "data[tls.key]"]),
            ({"type": "kubernetes.io/basic-auth", "data": {}}, ["data[password]", "data[username]"]),
        ],
    )
    async def test_a_type_has_its_keys(self, api: Api, namespace: str, fields: Any, fields_missing: list[str]) -> None:
        answer = await api.post(core(namespace, "secrets"), {"metadata": {"name": "a"}, **fields})
        refused(answer, 422, "Invalid")
        assert [field for _, field, _ in causes(answer)] == fields_missing

    async def test_data_is_base64(self, api: Api, namespace: str) -> None:
        answer = await api.post(core(namespace, "secrets"), {"metadata": {"name": "a"}, "data": {"b": "***"}})
        assert refused(answer, 400, "BadRequest") == (
            'Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 0'
        )


class TestServices:
    async def test_defaults_and_an_address(self, api: Api, namespace: str) -> None:
        spec = (await create(api, core(namespace, "services"), spec={"ports": [{"port": 80}]}))["spec"]
        address = spec.pop("clusterIP")
        assert address.startswith("10.")
        assert spec == {
            "type": "ClusterIP",
            "sessionAffinity": "None",
            "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "clusterIPs": [address],
            "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
        }

    async def test_addresses_differ(self, api: Api, namespace: str) -> None:
        path = core(namespace, "services")
        made = [await create(api, path, name, spec={"ports": [{"port": 80}]}) for name in ("a", "b", "c")]
        assert len({each["spec"]["clusterIP"] for each in made}) == 3

    async def test_a_headless_one_has_no_address_and_gets_none(self, api: Api, namespace: str) -> None:
        spec = {"clusterIP": "None", "selector": {"a": "b"}, "ports": [{"port": 80}]}
        made = await create(api, core(namespace, "services"), spec=spec)
        assert (made["spec"]["clusterIP"], made["spec"]["clusterIPs"]) == ("None", ["None"])
        answer = await api.patch(core(namespace, "services", "a"), {"spec": {"clusterIP": "10.0.0.77"}})
        assert refused(answer, 422, "Invalid") == (
            'Service "a" is invalid: spec.clusterIPs[0]: Invalid value: ["10.0.0.77"]: may not change once set'
        )

    @pytest.mark.parametrize(
        ("spec", "expected"),
        [
            ({}, [("FieldValueRequired", "spec.ports", "Required value")]),
            (
                {"ports": [{"port": 0}]},
                [
                    ("FieldValueInvalid", "spec.ports[0].port", f"Invalid value: 0: {PORT}"),
                    ("FieldValueInvalid", "spec.ports[0].targetPort", f"Invalid value: 0: {PORT}"),
                ],
            ),
            (
                {"ports": [{"port": 1}, {"port": 2}]},
                [
                    ("FieldValueRequired", "spec.ports[0].name", "Required value"),
                    ("FieldValueRequired", "spec.ports[1].name", "Required value"),
                ],
            ),
            (
                {"ports": [{"port": 1, "name": "a"}, {"port": 2, "name": "a"}]},
                [("FieldValueDuplicate", "spec.ports[1].name", 'Duplicate value: "a"')],
            ),
            (
                {"type": "Foo", "ports": [{"port": 1}]},
                [
                    (
                        "FieldValueNotSupported",
                        "spec.type",
                        'Unsupported value: "Foo": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
                    )
                ],
            ),
            (
                {"ports": [{"port": 1, "protocol": "X"}]},
                [
                    (
                        "FieldValueNotSupported",
                        "spec.ports[0].protocol",
                        'Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"',
                    )
                ],
            ),
            ({"type": "ExternalName"}, [("FieldValueRequired", "spec.externalName", "Required value")]),
        ],
    )
    async def test_what_is_refused(self, api: Api, namespace: str, spec: Any, expected: Any) -> None:
        answer = await api.post(core(namespace, "services"), {"metadata": {"name": "a"}, "spec": spec})
        refused(answer, 422, "Invalid")
        assert causes(answer) == expected


class TestClaims:
    async def test_defaults(self, api: Api, namespace: str) -> None:
        made = await create(api, core(namespace, "persistentvolumeclaims"), spec=CLAIM)
        assert made["spec"] == {**CLAIM, "volumeMode": "Filesystem"}
        assert made["status"] == {"phase": "Pending"}

    @pytest.mark.parametrize(
        ("change", "reason", "field", "message"),
        [
            (
                {"accessModes": []},
                "FieldValueRequired",
                "spec.accessModes",
                "Required value: at least 1 access mode is required",
            ),
            (
                {"accessModes": ["X"]},
                "FieldValueNotSupported",
                "spec.accessModes",
                'Unsupported value: "X": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"',
            ),
            ({"resources": {}}, "FieldValueRequired", "spec.resources[storage]", "Required value"),
            (
                {"resources": {"requests": {"storage": "0"}}},
                "FieldValueInvalid",
                "spec.resources[storage]",
                'Invalid value: "0": must be greater than zero',
            ),
        ],
    )
    async def test_what_is_refused(
        self, api: Api, namespace: str, change: Any, reason: str, field: str, message: str
    ) -> None:
        body = {"metadata": {"name": "a"}, "spec": {**CLAIM, **change}}
        answer = await api.post(core(namespace, "persistentvolumeclaims"), body)
        refused(answer, 422, "Invalid")
        assert causes(answer) == [(reason, field, message)]

    @pytest.mark.parametrize(
        "change",
        [
            {"accessModes": ["ReadOnlyMany"]},
            {"resources": {"requests": {"storage": "2Gi"}}},
            {"resources": {"requests": {"storage": "500Mi"}}},
            {"resources": {"limits": {"storage": "9Gi"}}},
            {"volumeMode": "Block"},
        ],
    )
    async def test_what_never_changes_of_a_pending_one(self, api: Api, namespace: str, change: Any) -> None:
        await create(api, core(namespace, "persistentvolumeclaims"), spec=CLAIM)
        answer = await api.patch(core(namespace, "persistentvolumeclaims", "a"), {"spec": change})
        refused(answer, 422, "Invalid")
        assert ("FieldValueForbidden", "spec", FIXED_CLAIM) in [
            (reason, field, message.partition("\n")[0]) for reason, field, message in causes(answer)
        ]

    async def test_the_class_and_the_volume_can_be_set_once(self, api: Api, namespace: str) -> None:
        await create(api, core(namespace, "persistentvolumeclaims"), spec=CLAIM)
        path = core(namespace, "persistentvolumeclaims", "a")
        (await api.patch(path, {"spec": {"storageClassName": "fast"}})).ok()
        (await api.patch(path, {"spec": {"volumeName": "v1"}})).ok()
        assert FIXED_CLAIM in refused(await api.patch(path, {"spec": {"volumeName": "v2"}}), 422, "Invalid")
        assert FIXED_CLAIM in refused(await api.patch(path, {"spec": {"storageClassName": "slow"}}), 422, "Invalid")

    async def test_a_bound_one_cannot_shrink_below_what_it_has(self, api: Api, namespace: str) -> None:
        await create(api, core(namespace, "persistentvolumeclaims"), spec=CLAIM)
        path = core(namespace, "persistentvolumeclaims", "a")
        bound = {"status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}}
        (await api.patch(f"{path}/status", bound)).ok()
        answer = await api.patch(path, {"spec": {"resources": {"requests": {"storage": "500Mi"}}}})
        assert refused(answer, 422, "Invalid") == (
            'PersistentVolumeClaim "a" is invalid: spec.resources.requests.storage: Forbidden: field can not be less than '
            "status.capacity"
        )

    async def test_quantities_are_written_in_one_way(self, api: Api, namespace: str) -> None:
        spec = {**CLAIM, "resources": {"requests": {"storage": "1024Mi"}}}
        made = await create(api, core(namespace, "persistentvolumeclaims"), spec=spec)
        assert made["spec"]["resources"] == {"requests": {"storage": "1Gi"}}


class TestPods:
    async def test_defaults(self, api: Api, namespace: str) -> None:
        made = await create(api, core(namespace, "pods"), spec={"containers": [{"name": "c", "image": "i:1"}]})
        assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
        spec = made["spec"]
        for given in ("serviceAccount", "serviceAccountName"):
            spec.pop(given, None)  # of the admission of service accounts, which not every server has
        assert [each["key"] for each in spec.pop("tolerations")] == [
            "node.kubernetes.io/not-ready",
            "node.kubernetes.io/unreachable",
        ]
        assert spec == {
            "containers": [
                {
                    "name": "c",
                    "image": "i:1",
                    "imagePullPolicy": "IfNotPresent",
                    "resources": {},
                    "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "File",
                }
            ],
            "dnsPolicy": "ClusterFirst",
            "enableServiceLinks": True,
            "preemptionPolicy": "PreemptLowerPriority",
            "priority": 0,
            "restartPolicy": "Always",
            "schedulerName": "default-scheduler",
            "securityContext": {},
            "terminationGracePeriodSeconds": 30,
        }

    async def test_only_images_and_a_few_others_change(self, api: Api, namespace: str) -> None:
        await create(api, core(namespace, "pods"), spec={"containers": [{"name": "c", "image": "i:1"}]})
        path = core(namespace, "pods", "a")
        image = [{"op": "replace", "path": "/spec/containers/0/image", "value": "i:2"}]
        changed = await api.patch(path, image, content_type="application/json-patch+json")
        assert changed.ok()["spec"]["containers"][0]["image"] == "i:2"
        answer = await api.patch(path, {"spec": {"hostname": "h"}})
        assert FIXED_POD in refused(answer, 422, "Invalid")
        command = [{"op": "add", "path": "/spec/containers/0/command", "value": ["x"]}]
        answer = await api.patch(path, command, content_type="application/json-patch+json")
        assert FIXED_POD in refused(answer, 422, "Invalid")
        more = [{"op": "add", "path": "/spec/containers/-", "value": {"name": "d", "image": "i:1"}}]
        answer = await api.patch(path, more, content_type="application/json-patch+json")
        assert refused(answer, 422, "Invalid") == (
            'Pod "a" is invalid: spec.containers: Forbidden: pod updates may not add or remove containers'
        )

    async def test_it_gets_its_node_by_a_binding(self, api: Api, namespace: str) -> None:
        await create(api, core(namespace, "pods"), spec={"containers": [{"name": "c", "image": "i:1"}]})
        path = core(namespace, "pods", "a")
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": "a"},
            "target": {"kind": "Node", "name": "n1"},
        }
        bound = await api.post(f"{path}/binding", binding)
        assert (bound.status, bound.json["status"]) == (201, "Success")
        pod = (await api.get(path)).ok()
        assert pod["spec"]["nodeName"] == "n1"
        [condition] = pod["status"]["conditions"]
        assert (condition["type"], condition["status"]) == ("PodScheduled", "True")
        again = await api.post(f"{path}/binding", binding)
        assert 'pod a is already assigned to node "n1"' in refused(again, 409, "Conflict")
        (await api.delete(path, gracePeriodSeconds=0)).ok()

    async def test_an_eviction_deletes_it(self, api: Api, namespace: str) -> None:
        await create(api, core(namespace, "pods"), spec={"containers": [{"name": "c", "image": "i:1"}]})
        path = core(namespace, "pods", "a")
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a", "namespace": namespace}}
        evicted = await api.post(f"{path}/eviction", eviction)
        assert (evicted.status, evicted.json["status"]) == (201, "Success")
        await api.gone(path)


class TestOthers:
    async def test_a_controller_revision_s_data_is_fixed(self, api: Api, namespace: str) -> None:
        path = f"/apis/apps/v1/namespaces/{namespace}/controllerrevisions"
        await create(api, path, data={"a": 1}, revision=1)
        answer = await api.patch(f"{path}/a", {"data": {"a": 2}})
        assert refused(answer, 422, "Invalid") == (
            'ControllerRevision.apps "a" is invalid: data: Invalid value: {"a":2}: field is immutable'
        )
        missing = await api.post(path, {"metadata": {"name": "b"}, "revision": 1})
        assert "data: Required value: data is mandatory" in refused(missing, 422, "Invalid")

    async def test_a_lease_has_positive_numbers(self, api: Api, namespace: str) -> None:
        path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        spec = {"leaseDurationSeconds": 0, "leaseTransitions": -1}
        answer = await api.post(path, {"metadata": {"name": "a"}, "spec": spec})
        refused(answer, 422, "Invalid")
        assert causes(answer) == [
            ("FieldValueInvalid", "spec.leaseDurationSeconds", "Invalid value: 0: must be greater than 0"),
            ("FieldValueInvalid", "spec.leaseTransitions", "Invalid value: -1: must be greater than or equal to 0"),
        ]

    async def test_a_storage_class_is_fixed(self, api: Api, namespace: str) -> None:
        path = "/apis/storage.k8s.io/v1/storageclasses"
        made = await create(api, path, namespace, provisioner="example.com/p")
        assert (made["reclaimPolicy"], made["volumeBindingMode"]) == ("Delete", "Immediate")
        for change, shown in (({"provisioner": "x"}, '"x"'), ({"parameters": {"a": "b"}}, '{"a":"b"}')):
            [name] = change
            answer = await api.patch(f"{path}/{namespace}", change)
            assert refused(answer, 422, "Invalid") == (
                f'StorageClass.storage.k8s.io "{namespace}" is invalid: {name}: Invalid value: {shown}: field is immutable'
            )
        (await api.delete(f"{path}/{namespace}")).ok()

    async def test_an_event_is_the_same_in_both_groups(self, api: Api, namespace: str) -> None:
        regarding = {"kind": "Pod", "namespace": namespace, "name": "p", "apiVersion": "v1"}
        path = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
        await create(api, path, regarding=regarding, **EVENT)
        old = (await api.get(core(namespace, "events", "a"))).ok()
        assert (old["involvedObject"], old["message"], old["reportingComponent"]) == (
            regarding,
            "words",
            "example.com/c",
        )

    @pytest.mark.parametrize("missing", ["eventTime", "reportingInstance", "action", "reason"])
    async def test_an_event_says_who_did_what(self, api: Api, namespace: str, missing: str) -> None:
        regarding = {"kind": "Pod", "namespace": namespace, "name": "p", "apiVersion": "v1"}
        event = {name: value for name, value in EVENT.items() if name != missing}
        path = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
        answer = await api.post(path, {"metadata": {"name": "a"}, "regarding": regarding, **event})
        assert refused(answer, 422, "Invalid").endswith(f'"a" is invalid: {missing}: Required value')

    async def test_an_event_lives_with_what_it_is_about(self, api: Api, namespace: str) -> None:
        body = {"metadata": {"name": "a"}, "involvedObject": {"kind": "Pod", "namespace": "other", "name": "p"}}
        answer = await api.post(core(namespace, "events"), {**body, "reason": "R", "type": "Normal"})
        assert refused(answer, 422, "Invalid") == (
            'Event "a" is invalid: involvedObject.namespace: Invalid value: "other": does not match event.namespace'
        )

    async def test_a_role_names_verbs_and_resources(self, api: Api, namespace: str) -> None:
        path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles"
        rules = [{"apiGroups": [""], "resources": ["pods"]}]
        answer = await api.post(path, {"metadata": {"name": "a"}, "rules": rules})
        assert "rules[0].verbs: Required value: verbs must contain at least one value" in refused(
            answer, 422, "Invalid"
        )

    async def test_a_binding_keeps_its_role(self, api: Api, namespace: str) -> None:
        path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings"
        group = "rbac.authorization.k8s.io"
        await create(api, path, roleRef={"apiGroup": group, "kind": "Role", "name": "r"}, subjects=[])
        answer = await api.patch(f"{path}/a", {"roleRef": {"name": "other"}})
        assert "cannot change roleRef" in refused(answer, 422, "Invalid")

    async def test_a_node_s_provider_is_set_once(self, api: Api, namespace: str) -> None:
        await create(api, "/api/v1/nodes", namespace)
        path = f"/api/v1/nodes/{namespace}"
        (await api.patch(path, {"spec": {"providerID": "a"}})).ok()
        answer = await api.patch(path, {"spec": {"providerID": "b"}})
        (await api.delete(path)).ok()
        assert 'spec.providerID: Forbidden: node updates may not change providerID except from "" to valid' in (
            refused(answer, 422, "Invalid")
        )
