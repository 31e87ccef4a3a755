"""Server-side apply and the ownership of fields, as the API server answers them."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.apiserver import CONFIG_MAPS, PODS, WIDGETS, Server, config_map, pod, widget, widget_crd

SCHEMA = {
    "type": "object",
    "properties": {
        "replicas": {"type": "integer"},
        "color": {"type": "string", "default": "green"},
        "nested": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "whole": {
            "type": "object",
            "x-kubernetes-map-type": "atomic",
            "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        },
        "list": {"type": "array", "items": {"type": "string"}},
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "ports": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["port", "protocol"],
            "items": {
                "type": "object",
                "required": ["port"],
                "properties": {
                    "port": {"type": "integer"},
                    "protocol": {"type": "string", "default": "TCP"},
                    "name": {"type": "string"},
                },
            },
        },
    },
}


@pytest.fixture
def server() -> Server:
    return Server(widget_crd(SCHEMA))


def owned(obj: dict[str, Any], manager: str, operation: str = "Apply", subresource: str = "") -> Any:
    for entry in obj["metadata"].get("managedFields", []):
        if (entry["manager"], entry["operation"], entry.get("subresource", "")) == (manager, operation, subresource):
            return entry["fieldsV1"]
    return None


def apply(server: Server, spec: Any, manager: str = "a", *, force: bool = False) -> Any:
    reply = server.apply(f"{WIDGETS}/w", widget(spec=spec), manager, force=force)
    assert reply.status in (200, 201), reply
    return reply.body


def test_applying_creates_what_is_not_there(server: Server) -> None:
    reply = server.apply(f"{WIDGETS}/w", widget(spec={"replicas": 1}), "a")
    assert reply.status == 201
    assert reply.body["spec"] == {"replicas": 1, "color": "green"}
    assert owned(reply.body, "a") == {"f:spec": {"f:replicas": {}}}


def test_applying_the_same_again_changes_nothing(server: Server) -> None:
    first = apply(server, {"replicas": 1})
    server.clock.time += 60
    assert apply(server, {"replicas": 1}) == first


def test_a_field_that_is_no_longer_applied_goes(server: Server) -> None:
    apply(server, {"replicas": 1, "nested": {"a": "x"}})
    assert apply(server, {"nested": {"a": "x"}})["spec"] == {"nested": {"a": "x"}, "color": "green"}
    assert apply(server, {})["spec"] == {"color": "green"}


def test_a_field_that_another_manager_owns_too_stays(server: Server) -> None:
    apply(server, {"replicas": 1, "nested": {"a": "x"}})
    both = apply(server, {"nested": {"a": "x"}}, "b")
    assert owned(both, "b") == {"f:spec": {"f:nested": {"f:a": {}}}}
    after = apply(server, {"replicas": 1})
    assert after["spec"]["nested"] == {"a": "x"}
    assert owned(after, "a") == {"f:spec": {"f:replicas": {}}}


def test_changing_another_managers_field_is_a_conflict_that_names_it(server: Server) -> None:
    apply(server, {"replicas": 1, "nested": {"a": "x"}})
    reply = server.apply(f"{WIDGETS}/w", widget(spec={"replicas": 2}), "b")
    assert (reply.status, reply.reason) == (409, "Conflict")
    assert reply.message == 'Apply failed with 1 conflict: conflict with "a": .spec.replicas'
    assert reply.body["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "a"', "field": ".spec.replicas"}
    ]


def test_several_conflicts_are_listed_by_manager(server: Server) -> None:
    apply(server, {"replicas": 1, "nested": {"a": "x"}})
    server.merge(f"{WIDGETS}/w", {"spec": {"nested": {"b": "y"}}}, fieldManager="c")
    reply = server.apply(f"{WIDGETS}/w", widget(spec={"replicas": 2, "nested": {"a": "z", "b": "z"}}), "b")
    assert reply.message == (
        'Apply failed with 3 conflicts: conflicts with "a":\n- .spec.replicas\n- .spec.nested.a\n'
        'conflicts with "c" using example.com/v1:\n- .spec.nested.b'
    )


def test_force_takes_the_field_over(server: Server) -> None:
    apply(server, {"replicas": 1, "nested": {"a": "x"}})
    after = apply(server, {"replicas": 2}, "b", force=True)
    assert after["spec"]["replicas"] == 2
    assert owned(after, "a") == {"f:spec": {"f:nested": {"f:a": {}}}}
    assert owned(after, "b") == {"f:spec": {"f:replicas": {}}}


def test_a_plain_update_takes_what_it_changes_without_asking(server: Server) -> None:
    apply(server, {"replicas": 1, "nested": {"a": "x"}})
    after = server.merge(f"{WIDGETS}/w", {"spec": {"replicas": 5}}, fieldManager="hand").body
    assert owned(after, "a") == {"f:spec": {"f:nested": {"f:a": {}}}}
    assert owned(after, "hand", "Update") == {"f:spec": {"f:replicas": {}}}


def test_removing_a_field_takes_it_from_all_its_owners(server: Server) -> None:
    apply(server, {"replicas": 1, "nested": {"a": "x"}})
    after = server.merge(f"{WIDGETS}/w", {"spec": {"replicas": None}}, fieldManager="hand").body
    assert owned(after, "a") == {"f:spec": {"f:nested": {"f:a": {}}}}
    assert owned(after, "hand", "Update") is None


def test_the_manager_of_a_plain_write_is_by_default_the_user_agent(server: Server) -> None:
    created = server.ok("POST", WIDGETS, widget(spec={"replicas": 1}))
    assert owned(created, "tester", "Update") == {"f:spec": {".": {}, "f:replicas": {}, "f:color": {}}}


class TestLists:
    def test_that_are_maps_merge_item_by_item_and_default_their_keys(self, server: Server) -> None:
        apply(server, {"ports": [{"port": 80}]})
        after = apply(server, {"ports": [{"port": 443, "protocol": "TCP", "name": "https"}]}, "b")
        assert after["spec"]["ports"] == [
            {"port": 80, "protocol": "TCP"},
            {"port": 443, "protocol": "TCP", "name": "https"},
        ]
        assert owned(after, "a") == {"f:spec": {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}}}}}
        assert apply(server, {})["spec"]["ports"] == [{"port": 443, "protocol": "TCP", "name": "https"}]

    def test_of_both_managers_keep_the_foreign_items_in_their_place(self, server: Server) -> None:
        apply(server, {"ports": [{"port": 1}, {"port": 2}, {"port": 3}]})
        after = apply(server, {"ports": [{"port": 9}, {"port": 2, "protocol": "TCP"}]}, "b")
        assert [item["port"] for item in after["spec"]["ports"]] == [1, 9, 2, 3]

    def test_that_are_sets_merge_by_value(self, server: Server) -> None:
        apply(server, {"set": ["x", "y"]})
        after = apply(server, {"set": ["y", "z"]}, "b")
        assert after["spec"]["set"] == ["x", "y", "z"]
        assert owned(after, "b") == {"f:spec": {"f:set": {'v:"y"': {}, 'v:"z"': {}}}}
        assert apply(server, {"set": ["x"]})["spec"]["set"] == ["x", "y", "z"]
        assert apply(server, {"set": ["z"]}, "b")["spec"]["set"] == ["x", "z"]

    def test_that_are_atomic_are_replaced_and_owned_whole(self, server: Server) -> None:
        apply(server, {"list": ["x", "y"]})
        reply = server.apply(f"{WIDGETS}/w", widget(spec={"list": ["z"]}), "b")
        assert reply.causes == [(".spec.list", 'conflict with "a"')]
        assert apply(server, {"list": ["z"]}, "b", force=True)["spec"]["list"] == ["z"]

    def test_of_an_item_another_manager_changed_name_the_item_in_the_conflict(self, server: Server) -> None:
        apply(server, {"ports": [{"port": 80, "name": "http"}]})
        reply = server.apply(f"{WIDGETS}/w", widget(spec={"ports": [{"port": 80, "name": "web"}]}), "b")
        assert reply.causes == [('.spec.ports[port=80,protocol="TCP"].name', 'conflict with "a"')]


def test_atomic_structures_are_replaced_whole(server: Server) -> None:
    apply(server, {"whole": {"a": "1", "b": "2"}})
    assert apply(server, {"whole": {"a": "3"}})["spec"]["whole"] == {"a": "3"}


def test_maps_merge_key_by_key(server: Server) -> None:
    apply(server, {"labels": {"x": "1"}})
    after = apply(server, {"labels": {"y": "2"}}, "b")
    assert after["spec"]["labels"] == {"x": "1", "y": "2"}
    assert apply(server, {})["spec"]["labels"] == {"y": "2"}


class TestStatus:
    def test_applied_through_its_subresource_is_owned_apart(self, server: Server) -> None:
        apply(server, {"replicas": 1})
        config = {**widget(spec={"replicas": 7}), "status": {"ready": True}}
        after = server.apply(f"{WIDGETS}/w/status", config, "a").body
        assert after["spec"]["replicas"] == 1
        assert after["status"] == {"ready": True}
        assert owned(after, "a", "Apply", "status") == {"f:status": {"f:ready": {}}}
        assert owned(after, "a") == {"f:spec": {"f:replicas": {}}}
        assert apply(server, {"replicas": 2})["status"] == {"ready": True}

    def test_in_an_apply_of_the_whole_is_ignored(self, server: Server) -> None:
        reply = server.apply(f"{WIDGETS}/w", {**widget(spec={}), "status": {"ready": True}}, "a")
        assert "status" not in reply.body

    def test_of_a_missing_object_is_not_found(self, server: Server) -> None:
        assert server.apply(f"{WIDGETS}/w/status", {**widget(), "status": {}}, "a").status == 404


class TestRefusals:
    @pytest.mark.parametrize(
        ("config", "code", "message"),
        [
            (widget("other"), 400, "does not match the name on the URL"),
            (widget(managedFields=[{"manager": "x"}]), 400, "metadata.managedFields must be nil"),
            (widget(uid="abc"), 409, "uid mismatch"),
            (widget(spec={"replicaz": 1}), 500, ".spec.replicaz: field not declared in schema"),
            (b"a: [", 400, "error decoding YAML"),
            (b"just text", 400, "cannot unmarshal string"),
        ],
    )
    def test_of_a_configuration(self, server: Server, config: Any, code: int, message: str) -> None:
        reply = server.apply(f"{WIDGETS}/w", config, "a")
        assert reply.status == code
        assert message in reply.message

    def test_without_a_manager(self, server: Server) -> None:
        reply = server("PATCH", f"{WIDGETS}/w", widget(), content_type="application/apply-patch+yaml")
        assert reply.status == 422
        assert "fieldManager: Required value: is required for apply patch" in reply.message

    def test_of_a_stale_resource_version(self, server: Server) -> None:
        apply(server, {"replicas": 1})
        reply = server.apply(f"{WIDGETS}/w", widget(spec={"replicas": 2}, resourceVersion="1"), "a")
        assert (reply.status, reply.reason) == (409, "Conflict")


TYPE = {"apiVersion": "v1", "kind": "ConfigMap"}


class TestBuiltInKinds:
    def test_containers_merge_by_name_and_defaults_belong_to_nobody(self) -> None:
        server = Server()
        config = {**pod(), "apiVersion": "v1", "kind": "Pod"}
        config["spec"]["containers"][0]["ports"] = [{"containerPort": 80}]
        created = server.apply(f"{PODS}/p", config, "a").body
        assert created["spec"]["restartPolicy"] == "Always"
        assert owned(created, "a") == {
            "f:spec": {
                "f:containers": {
                    'k:{"name":"main"}': {
                        ".": {},
                        "f:name": {},
                        "f:image": {},
                        "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}},
                    }
                }
            }
        }
        server.clock.time += 5
        assert server.apply(f"{PODS}/p", config, "a").body == created

    def test_labels_and_finalizers_of_several_managers_live_side_by_side(self) -> None:
        server = Server()
        server.apply(f"{CONFIG_MAPS}/c", {**TYPE, **config_map(labels={"x": "1"}, finalizers=["example.com/a"])}, "a")
        after = server.apply(
            f"{CONFIG_MAPS}/c", {**TYPE, **config_map(labels={"y": "2"}, finalizers=["example.com/b"])}, "b"
        ).body
        assert after["metadata"]["labels"] == {"x": "1", "y": "2"}
        assert after["metadata"]["finalizers"] == ["example.com/a", "example.com/b"]
        after = server.apply(f"{CONFIG_MAPS}/c", {**TYPE, "metadata": {"name": "c"}}, "a").body
        assert after["metadata"]["labels"] == {"y": "2"}
        assert after["metadata"]["finalizers"] == ["example.com/b"]
        assert after["data"] == {"a": "1"}

    def test_a_client_may_rewrite_managed_fields_itself(self) -> None:
        server = Server()
        created = server.ok("POST", CONFIG_MAPS, config_map(), fieldManager="old")
        entry = {**created["metadata"]["managedFields"][0], "manager": "new", "operation": "Apply"}
        patch = [{"op": "replace", "path": "/metadata/managedFields", "value": [entry]}]
        after = server("PATCH", f"{CONFIG_MAPS}/c", patch, content_type="application/json-patch+json").body
        assert owned(after, "new") == {"f:data": {".": {}, "f:a": {}}}
        assert owned(after, "old", "Update") is None
