"""Defaults and rules of the built-in kinds that operators meet."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.apiserver import CONFIG_MAPS, PODS, Server, names, pod

SERVICES = "/api/v1/namespaces/default/services"
CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"
SECRETS = "/api/v1/namespaces/default/secrets"
REVISIONS = "/apis/apps/v1/namespaces/default/controllerrevisions"


def service(name: str = "s", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}


def claim(storage: str = "1Gi", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "v"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": storage}}, **spec},
    }


class TestPods:
    def test_get_the_defaults_of_a_real_cluster(self) -> None:
        body = pod()
        body["spec"]["containers"][0].update(
            ports=[{"containerPort": 80}],
            readinessProbe={"httpGet": {"port": 80}},
            resources={"limits": {"cpu": "1000m", "memory": "1Gi"}},
            env=[{"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        )
        body["spec"]["volumes"] = [{"name": "c", "configMap": {"name": "x"}}, {"name": "e"}]
        created = Server().ok("POST", PODS, body)
        spec = created["spec"]
        [container] = spec["containers"]
        assert spec["restartPolicy"] == "Always"
        assert spec["dnsPolicy"] == "ClusterFirst"
        assert spec["terminationGracePeriodSeconds"] == 30
        assert spec["serviceAccountName"] == "default"
        assert spec["volumes"][0]["configMap"]["defaultMode"] == 420
        assert spec["volumes"][1] == {"name": "e", "emptyDir": {}}
        assert container["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
        assert container["imagePullPolicy"] == "IfNotPresent"
        assert container["resources"]["requests"] == {"cpu": "1", "memory": "1Gi"}
        assert container["readinessProbe"] == {
            "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
            "timeoutSeconds": 1,
            "periodSeconds": 10,
            "successThreshold": 1,
            "failureThreshold": 3,
        }
        assert container["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"
        assert created["status"] == {"phase": "Pending", "qosClass": "Guaranteed"}

    @pytest.mark.parametrize(
        ("image", "policy"), [("a", "Always"), ("a:latest", "Always"), ("a:1", "IfNotPresent"), ("h:5000/a", "Always")]
    )
    def test_pull_images_that_may_change(self, image: str, policy: str) -> None:
        body = pod()
        body["spec"]["containers"][0]["image"] = image
        assert Server().ok("POST", PODS, body)["spec"]["containers"][0]["imagePullPolicy"] == policy

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"containers": [{"name": "main", "image": "app:2"}]}, 200),
            ({"activeDeadlineSeconds": 5}, 200),
            ({"tolerations": [{"operator": "Exists"}]}, 200),
            ({"nodeName": "n1"}, 422),
            ({"restartPolicy": "Never"}, 422),
            ({"containers": [{"name": "main", "image": "app:1", "command": ["x"]}]}, 422),
            ({"containers": [{"name": "main", "image": "app:1"}, {"name": "more", "image": "x"}]}, 422),
        ],
    )
    def test_may_change_little_of_their_spec(self, change: dict[str, Any], code: int) -> None:
        server = Server()
        server.ok("POST", PODS, pod())
        strategic = "application/strategic-merge-patch+json"
        reply = server("PATCH", f"{PODS}/p", {"spec": change}, content_type=strategic)
        assert reply.status == code
        if code == 422:
            assert "Forbidden: pod updates may not" in reply.message

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"containers": []}, "spec.containers"),
            ({"containers": [{"image": "x"}]}, "spec.containers[0].name"),
            ({"containers": [{"name": "a"}]}, "spec.containers[0].image"),
            ({"containers": [{"name": "a", "image": "x"}] * 2}, "spec.containers[1].name"),
            (
                {"containers": [{"name": "a", "image": "x", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]},
                "spec.containers[0].volumeMounts[0].name",
            ),
            (
                {"containers": [{"name": "a", "image": "x", "ports": [{"containerPort": 0}]}]},
                "spec.containers[0].ports[0].containerPort",
            ),
            ({"restartPolicy": "Sometimes"}, "spec.restartPolicy"),
        ],
    )
    def test_are_refused_with_the_field_that_is_wrong(self, change: dict[str, Any], field: str) -> None:
        reply = Server()("POST", PODS, pod(**change))
        assert reply.status == 422
        assert reply.causes[0][0] == field

    def test_with_a_value_of_the_wrong_type_cannot_be_decoded(self) -> None:
        reply = Server()("POST", PODS, pod(priority="high"))
        assert (reply.status, reply.reason) == (400, "BadRequest")
        assert 'Pod in version "v1" cannot be handled as a Pod' in reply.message

    def test_get_their_node_by_binding(self) -> None:
        server = Server()
        server.ok("POST", PODS, pod())
        binding = {"apiVersion": "v1", "kind": "Binding", "target": {"kind": "Node", "name": "n1"}}
        assert server("POST", f"{PODS}/p/binding", binding).status == 201
        bound = server.ok("GET", f"{PODS}/p")
        assert bound["spec"]["nodeName"] == "n1"
        assert bound["status"]["conditions"][0]["type"] == "PodScheduled"
        assert server("POST", f"{PODS}/p/binding", binding).status == 409


class TestEviction:
    def budget(self, server: Server, allowed: int) -> None:
        path = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
        spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "x"}}}
        server.ok("POST", path, {"metadata": {"name": "b"}, "spec": spec})
        server.merge(f"{path}/b/status", {"status": {"disruptionsAllowed": allowed}})

    @pytest.mark.parametrize(
        ("labels", "allowed", "code"), [({"app": "x"}, 0, 429), ({"app": "x"}, 1, 201), ({}, 0, 201)]
    )
    def test_respects_the_disruption_budgets(self, labels: dict[str, str], allowed: int, code: int) -> None:
        server = Server()
        self.budget(server, allowed)
        server.ok("POST", PODS, {**pod(), "metadata": {"name": "p", "labels": labels}})
        reply = server("POST", f"{PODS}/p/eviction", {"apiVersion": "policy/v1", "kind": "Eviction"})
        assert reply.status == code
        assert names(server.ok("GET", PODS)) == (["p"] if code == 429 else [])


class TestServices:
    def test_get_addresses_of_their_own(self) -> None:
        server = Server()
        one = server.ok("POST", SERVICES, service("one"))["spec"]
        two = server.ok("POST", SERVICES, service("two"))["spec"]
        assert one["clusterIP"] != two["clusterIP"]
        assert one["clusterIPs"] == [one["clusterIP"]]
        assert one["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
        assert one["type"] == "ClusterIP"

    def test_without_heads_stay_so(self) -> None:
        server = Server()
        spec = server.ok("POST", SERVICES, service(clusterIP="None"))["spec"]
        assert (spec["clusterIP"], spec["clusterIPs"]) == ("None", ["None"])

    def test_keep_their_address_in_an_update_that_does_not_name_it(self) -> None:
        server = Server()
        before = server.ok("POST", SERVICES, service())["spec"]["clusterIP"]
        after = server.ok("PUT", f"{SERVICES}/s", service(selector={"a": "b"}))["spec"]["clusterIP"]
        assert after == before
        reply = server.merge(f"{SERVICES}/s", {"spec": {"clusterIP": "10.96.1.1"}})
        assert reply.causes[0][0] == "spec.clusterIPs[0]"

    @pytest.mark.parametrize(
        ("spec", "field"),
        [
            ({"ports": []}, "spec.ports"),
            ({"ports": [{"port": 0}]}, "spec.ports[0].port"),
            ({"ports": [{"port": 1, "name": "a"}, {"port": 2}]}, "spec.ports[1].name"),
            ({"ports": [{"port": 1, "name": "a"}, {"port": 2, "name": "a"}]}, "spec.ports[1].name"),
        ],
    )
    def test_are_refused_with_the_field_that_is_wrong(self, spec: dict[str, Any], field: str) -> None:
        assert Server()("POST", SERVICES, service(**spec)).causes[0][0] == field

    def test_have_names_that_begin_with_a_letter(self) -> None:
        assert "DNS-1035" in Server()("POST", SERVICES, service("1s")).message


class TestClaims:
    def test_are_pending_at_first(self) -> None:
        created = Server().ok("POST", CLAIMS, claim())
        assert created["status"] == {"phase": "Pending"}
        assert created["spec"]["volumeMode"] == "Filesystem"

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"resources": {"requests": {"storage": "2Gi"}}}, 200),
            ({"resources": {"requests": {"storage": "1024Mi"}}}, 200),
            ({"resources": {"requests": {"storage": "1Mi"}}}, 422),
            ({"volumeName": "pv"}, 200),
            ({"volumeAttributesClassName": "fast"}, 200),
            ({"accessModes": ["ReadWriteMany"]}, 422),
            ({"volumeMode": "Block"}, 422),
        ],
    )
    def test_may_only_grow_once_bound(self, change: dict[str, Any], code: int) -> None:
        server = Server()
        server.ok("POST", CLAIMS, claim())
        bound = {"status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}}
        server.ok("PATCH", f"{CLAIMS}/v/status", bound, content_type="application/merge-patch+json")
        assert server.merge(f"{CLAIMS}/v", {"spec": change}).status == code

    def test_need_a_mode_and_a_size(self) -> None:
        body = {"metadata": {"name": "v"}, "spec": {}}
        fields = [field for field, _ in Server()("POST", CLAIMS, body).causes]
        assert fields == ["spec.accessModes", "spec.resources[storage]"]

    def test_write_quantities_in_canonical_form(self) -> None:
        stored = Server().ok("POST", CLAIMS, claim("1024Mi"))
        assert stored["spec"]["resources"]["requests"]["storage"] == "1Gi"


def test_secrets_encode_what_is_written_as_text() -> None:
    created = Server().ok("POST", SECRETS, {"metadata": {"name": "s"}, "stringData": {"a": "b"}})
    assert created["data"] == {"a": "Yg=="}
    assert "stringData" not in created
    assert created["type"] == "Opaque"


def test_immutable_config_maps_are() -> None:
    server = Server()
    server.ok("POST", CONFIG_MAPS, {"metadata": {"name": "c"}, "data": {"a": "1"}, "immutable": True})
    assert server.merge(f"{CONFIG_MAPS}/c", {"data": {"a": "2"}}).status == 422
    assert server.merge(f"{CONFIG_MAPS}/c", {"metadata": {"labels": {"a": "b"}}}).status == 200


def test_the_data_of_a_revision_never_changes() -> None:
    server = Server()
    server.ok("POST", REVISIONS, {"metadata": {"name": "r"}, "data": {"a": 1}, "revision": 1})
    assert server.merge(f"{REVISIONS}/r", {"revision": 2}).status == 200
    assert server.merge(f"{REVISIONS}/r", {"data": {"a": 2}}).status == 422


def test_leases_must_be_updated_with_their_version() -> None:
    server = Server()
    path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
    created = server.ok("POST", path, {"metadata": {"name": "l"}, "spec": {"holderIdentity": "a"}})
    assert server("PUT", f"{path}/l", {"metadata": {"name": "l"}, "spec": {"holderIdentity": "b"}}).status == 422
    created["spec"]["holderIdentity"] = "b"
    assert server("PUT", f"{path}/l", created).status == 200
    assert server("PUT", f"{path}/l", {**created, "spec": {"holderIdentity": "c"}}).status == 409


class TestEvents:
    NEW = "/apis/events.k8s.io/v1/namespaces/default/events"
    OLD = "/api/v1/namespaces/default/events"
    SUBJECT = {"kind": "Pod", "name": "p", "namespace": "default"}  # noqa: RUF012

    FULL = {  # noqa: RUF012
        "note": "hello",
        "reason": "Greeting",
        "action": "Greet",
        "type": "Normal",
        "reportingController": "me",
        "reportingInstance": "me-1",
        "eventTime": "2026-01-01T00:00:00.000000Z",
    }

    def test_written_in_the_new_form_are_read_in_the_old(self) -> None:
        server = Server()
        event = {"metadata": {"name": "e"}, "regarding": self.SUBJECT, **self.FULL}
        server.ok("POST", self.NEW, event)
        old = server.ok("GET", f"{self.OLD}/e")
        assert (old["apiVersion"], old["message"], old["involvedObject"]) == ("v1", "hello", self.SUBJECT)
        assert old["reportingComponent"] == "me"

    def test_written_in_the_old_form_are_read_in_the_new(self) -> None:
        server = Server()
        created = server.ok(
            "POST",
            self.OLD,
            {"metadata": {"name": "e"}, "involvedObject": self.SUBJECT, "message": "hello", "count": 2},
        )
        assert created["apiVersion"] == "v1"
        new = server.ok("GET", f"{self.NEW}/e")
        assert (new["apiVersion"], new["note"], new["deprecatedCount"]) == ("events.k8s.io/v1", "hello", 2)

    @pytest.mark.parametrize("path", [NEW, OLD])
    def test_are_found_by_what_they_are_about(self, path: str) -> None:
        server = Server()
        for name in ("p", "q"):
            subject = {**self.SUBJECT, "name": name}
            server.ok("POST", self.NEW, {"metadata": {"name": name}, "regarding": subject, **self.FULL})
        assert names(server.ok("GET", path, fieldSelector="involvedObject.name=q,involvedObject.kind=Pod")) == ["q"]


def test_the_cluster_s_own_components_may_do_everything() -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    review = Server().ok("POST", path, {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}})
    assert review["status"]["allowed"] is True
