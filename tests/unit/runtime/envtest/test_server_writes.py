"""Creates, updates and patches, as the API server answers them."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from helpers.apiserver import CONFIG_MAPS, PODS, WIDGETS, Server, config_map, pod, widget, widget_crd


def test_a_new_object_gets_its_identity_from_the_server() -> None:
    server = Server()
    created = server.ok("POST", CONFIG_MAPS, config_map(uid="mine", creationTimestamp="1999-01-01T00:00:00Z"))
    metadata = created["metadata"]
    assert metadata["namespace"] == "default"
    assert metadata["uid"] not in ("", "mine")
    assert metadata["creationTimestamp"] == "2026-01-01T00:00:00Z"
    assert metadata["resourceVersion"].isdecimal()
    assert (created["apiVersion"], created["kind"]) == ("v1", "ConfigMap")


def test_the_same_seed_gives_the_same_identities() -> None:
    one, two = (Server().ok("POST", CONFIG_MAPS, {"metadata": {"generateName": "g-"}}) for _ in range(2))
    assert one == two


def test_every_write_raises_the_resource_version_across_resources() -> None:
    server = Server()
    versions = [
        int(server.ok("POST", CONFIG_MAPS, config_map())["metadata"]["resourceVersion"]),
        int(server.ok("POST", PODS, pod())["metadata"]["resourceVersion"]),
        int(server.merge(f"{CONFIG_MAPS}/c", {"data": {"a": "2"}}).body["metadata"]["resourceVersion"]),
    ]
    assert versions == sorted(set(versions))


def test_generate_name_adds_five_characters_and_stays_within_63() -> None:
    server = Server()
    short = server.ok("POST", CONFIG_MAPS, {"metadata": {"generateName": "job-"}})["metadata"]["name"]
    long = server.ok("POST", CONFIG_MAPS, {"metadata": {"generateName": "x" * 80}})["metadata"]["name"]
    assert short.startswith("job-")
    assert len(short) == len("job-") + 5
    assert len(long) == 63


def test_a_generated_name_that_is_taken_is_made_again() -> None:
    generated = {"metadata": {"generateName": "c-"}}
    twin, server = Server(), Server()  # of one seed: they generate the same names
    twin.ok("POST", CONFIG_MAPS, config_map("other"))
    taken = twin.ok("POST", CONFIG_MAPS, generated)["metadata"]["name"]
    server.ok("POST", CONFIG_MAPS, config_map(taken))
    made = server.ok("POST", CONFIG_MAPS, generated)["metadata"]["name"]
    assert made.startswith("c-")
    assert made != taken


@pytest.mark.parametrize(
    ("body", "code", "reason", "message"),
    [
        (b"{", 400, "BadRequest", "unexpected end of JSON input"),
        ([], 400, "BadRequest", "cannot unmarshal array"),
        ({"metadata": {}}, 422, "Invalid", "name or generateName is required"),
        ({"metadata": {"name": "A_b"}}, 422, "Invalid", "lowercase RFC 1123 subdomain"),
        ({"metadata": {"name": "x" * 254}}, 422, "Invalid", "must be no more than 253 characters"),
        ({"metadata": {"name": "c", "namespace": "other"}}, 400, "BadRequest", "does not match the namespace sent"),
        (
            {"metadata": {"name": "c", "resourceVersion": "5"}},
            500,
            "",
            "should not be set on objects to be created",
        ),
        ({"kind": "Secret", "metadata": {"name": "c"}}, 400, "BadRequest", 'no kind "Secret" is registered'),
        ({"apiVersion": "v2", "metadata": {"name": "c"}}, 400, "BadRequest", 'registered for version "v2"'),
        ({"metadata": {"name": "c", "labels": {"a": 1}}}, 400, "BadRequest", "metadata.labels of type string"),
        ({"metadata": {"name": "c", "labels": {"a": "no spaces"}}}, 422, "Invalid", "a valid label must be"),
        ({"metadata": {"name": "c", "labels": {"-": "x"}}}, 422, "Invalid", "metadata.labels"),
        ({"metadata": {"name": "c", "ownerReferences": [{"kind": "Pod"}]}}, 422, "Invalid", "ownerReferences.uid"),
        ({"metadata": {"name": "c", "finalizers": ["a b"]}}, 422, "Invalid", "metadata.finalizers"),
        ({"metadata": {"name": "c"}, "data": {"a": 1}}, 400, "BadRequest", "ConfigMap.data of type string"),
    ],
)
def test_a_bad_object_is_refused_with_its_reason(body: Any, code: int, reason: str, message: str) -> None:
    reply = Server()("POST", CONFIG_MAPS, body)
    assert (reply.status, reply.reason) == (code, reason)
    assert message in reply.message


def test_creating_twice_is_already_exists() -> None:
    server = Server()
    server.ok("POST", CONFIG_MAPS, config_map())
    reply = server("POST", CONFIG_MAPS, config_map())
    assert (reply.status, reply.reason) == (409, "AlreadyExists")
    assert reply.message == 'configmaps "c" already exists'


def test_a_namespace_must_exist() -> None:
    reply = Server()("POST", "/api/v1/namespaces/nowhere/configmaps", config_map())
    assert (reply.status, reply.message) == (404, 'namespaces "nowhere" not found')


class TestUpdates:
    def test_a_stale_resource_version_is_a_conflict(self) -> None:
        server = Server()
        first = server.ok("POST", CONFIG_MAPS, config_map())
        server.ok("PUT", f"{CONFIG_MAPS}/c", {**first, "data": {"a": "2"}})
        reply = server("PUT", f"{CONFIG_MAPS}/c", {**first, "data": {"a": "3"}})
        assert (reply.status, reply.reason) == (409, "Conflict")
        assert reply.message == (
            'Operation cannot be fulfilled on configmaps "c": the object has been modified; please apply your changes '
            "to the latest version and try again"
        )

    def test_a_built_in_kind_may_be_updated_without_a_version_and_a_custom_one_may_not(self) -> None:
        server = Server(widget_crd())
        server.ok("POST", CONFIG_MAPS, config_map())
        server.ok("POST", WIDGETS, widget())
        assert server("PUT", f"{CONFIG_MAPS}/c", config_map(data={"a": "2"})).status == 200
        reply = server("PUT", f"{WIDGETS}/w", widget(spec={"a": 1}))
        assert (reply.status, reply.causes[0][0]) == (422, "metadata.resourceVersion")

    def test_of_a_missing_object_is_not_found(self) -> None:
        reply = Server()("PUT", f"{CONFIG_MAPS}/c", config_map())
        assert (reply.status, reply.message) == (404, 'configmaps "c" not found')

    def test_another_uid_is_a_conflict(self) -> None:
        server = Server()
        server.ok("POST", CONFIG_MAPS, config_map())
        reply = server("PUT", f"{CONFIG_MAPS}/c", config_map(uid="other"))
        assert (reply.status, reply.reason) == (409, "Conflict")
        assert "UID in precondition: other" in reply.message

    def test_the_name_must_be_that_of_the_url(self) -> None:
        server = Server()
        server.ok("POST", CONFIG_MAPS, config_map())
        reply = server("PUT", f"{CONFIG_MAPS}/c", config_map("d"))
        assert reply.message == "the name of the object (d) does not match the name on the URL (c)"

    def test_that_change_nothing_store_nothing(self) -> None:
        server = Server()
        created = server.ok("POST", CONFIG_MAPS, config_map())
        server.clock.time += 100
        assert server.ok("PUT", f"{CONFIG_MAPS}/c", config_map()) == created

    @pytest.mark.parametrize(("before", "after"), [(1, True), (0, False), (1, 1.5), ([1], [True])])
    def test_of_a_value_into_one_that_python_takes_for_the_same_is_a_change(self, before: Any, after: Any) -> None:
        server = Server(widget_crd())
        server.ok("POST", WIDGETS, widget(spec={"a": before}))
        changed = server.merge(f"{WIDGETS}/w", {"spec": {"a": after}}).body
        assert repr(changed["spec"]["a"]) == repr(after)
        assert changed["metadata"]["generation"] == 2

    def test_cannot_rewrite_what_the_server_keeps(self) -> None:
        server = Server()
        created = server.ok("POST", CONFIG_MAPS, config_map())
        sent = {**created, "metadata": {**created["metadata"], "creationTimestamp": None, "uid": None}}
        kept = server.ok("PUT", f"{CONFIG_MAPS}/c", sent)["metadata"]
        assert (kept["uid"], kept["creationTimestamp"]) == (
            created["metadata"]["uid"],
            created["metadata"]["creationTimestamp"],
        )
        sent["metadata"]["creationTimestamp"] = "2020-01-01T00:00:00Z"
        assert server.ok("PUT", f"{CONFIG_MAPS}/c", sent)["metadata"]["creationTimestamp"] == kept["creationTimestamp"]


class TestGeneration:
    @pytest.mark.parametrize(
        ("change", "generation"),
        [
            ({"spec": {"a": 2}}, 2),
            ({"other": 1}, 1),
            ({"metadata": {"labels": {"x": "y"}}}, 1),
            ({"metadata": {"annotations": {"x": "y"}}, "spec": {"a": 1}}, 1),
            ({"status": {"a": 2}}, 1),
        ],
    )
    def test_rises_with_the_spec_alone(self, change: dict[str, Any], generation: int) -> None:
        server = Server(widget_crd())
        server.ok("POST", WIDGETS, widget(spec={"a": 1}))
        assert server.merge(f"{WIDGETS}/w", change).body["metadata"]["generation"] == generation

    def test_without_a_status_subresource_rises_with_the_status_too(self) -> None:
        server = Server(widget_crd(status=False))
        server.ok("POST", WIDGETS, widget(spec={"a": 1}))
        assert server.merge(f"{WIDGETS}/w", {"status": {"a": 2}}).body["metadata"]["generation"] == 2

    def test_is_kept_for_pods_and_not_for_config_maps(self) -> None:
        server = Server()
        assert server.ok("POST", PODS, pod())["metadata"]["generation"] == 1
        assert "generation" not in server.ok("POST", CONFIG_MAPS, config_map())["metadata"]


class TestStatus:
    def test_is_dropped_at_creation_and_untouched_by_updates(self) -> None:
        server = Server(widget_crd())
        created = server.ok("POST", WIDGETS, {**widget(spec={}), "status": {"x": 1}})
        assert "status" not in created
        server.ok("PUT", f"{WIDGETS}/w/status", {**created, "status": {"x": 2}})
        after = server.merge(f"{WIDGETS}/w", {"status": {"x": 3}, "spec": {"a": 1}}).body
        assert after["status"] == {"x": 2}
        assert after["spec"] == {"a": 1}

    def test_is_all_that_its_subresource_changes(self) -> None:
        server = Server(widget_crd())
        created = server.ok("POST", WIDGETS, widget(spec={"a": 1}))
        changed = {"spec": {"a": 9}, "status": {"x": 1}, "metadata": {"labels": {"l": "v"}}}
        after = server.merge(f"{WIDGETS}/w/status", changed).body
        assert after["spec"] == {"a": 1}
        assert after["status"] == {"x": 1}
        assert "labels" not in after["metadata"]
        assert after["metadata"]["generation"] == created["metadata"]["generation"]

    def test_subresource_is_missing_where_it_is_not_declared(self) -> None:
        server = Server(widget_crd(status=False))
        server.ok("POST", WIDGETS, widget())
        assert server("GET", f"{WIDGETS}/w/status").status == 404


class TestDryRun:
    def test_answers_as_if_and_stores_nothing(self) -> None:
        server = Server()
        assert server("POST", CONFIG_MAPS, config_map(), dryRun="All").status == 201
        assert server("GET", f"{CONFIG_MAPS}/c").status == 404
        server.ok("POST", CONFIG_MAPS, config_map())
        assert server.merge(f"{CONFIG_MAPS}/c", {"data": {"a": "9"}}, dryRun="All").body["data"] == {"a": "9"}
        assert server("DELETE", f"{CONFIG_MAPS}/c", dryRun="All").status == 200
        assert server.ok("GET", f"{CONFIG_MAPS}/c")["data"] == {"a": "1"}

    def test_knows_no_other_value_than_all(self) -> None:
        assert Server()("POST", CONFIG_MAPS, config_map(), dryRun="Some").status == 422


class TestFieldValidation:
    SCHEMA: ClassVar = {"type": "object", "properties": {"size": {"type": "integer"}}}

    @pytest.mark.parametrize("mode", ["Ignore", "Warn", "Strict"])
    def test_of_unknown_fields_depends_on_the_request(self, mode: str) -> None:
        server = Server(widget_crd(self.SCHEMA))
        reply = server("POST", WIDGETS, widget(spec={"size": 1, "sise": 2}), fieldValidation=mode)
        if mode == "Strict":
            assert reply.status == 400
            assert reply.message == (
                'Widget in version "v1" cannot be handled as a Widget: strict decoding error: unknown field "spec.sise"'
            )
            return
        assert reply.body["spec"] == {"size": 1}
        warning = '299 - "unknown field \\"spec.sise\\""'
        assert reply.headers.get("warning") == (warning if mode == "Warn" else None)

    def test_holds_for_built_in_kinds(self) -> None:
        reply = Server()("POST", PODS, pod(hostname="h", hostnam="x"), fieldValidation="Strict")
        assert reply.status == 400
        assert 'unknown field "spec.hostnam"' in reply.message


class TestPatches:
    @pytest.mark.parametrize(
        ("media", "patch", "data"),
        [
            ("merge-patch+json", {"data": {"a": None, "b": "2"}}, {"b": "2"}),
            ("json-patch+json", [{"op": "replace", "path": "/data/a", "value": "9"}], {"a": "9"}),
            (
                "json-patch+json",
                [{"op": "test", "path": "/data/a", "value": "1"}, {"op": "remove", "path": "/data/a"}],
                {},
            ),
            ("strategic-merge-patch+json", {"data": {"b": "2"}}, {"a": "1", "b": "2"}),
        ],
    )
    def test_change_what_they_say(self, media: str, patch: Any, data: dict[str, str]) -> None:
        server = Server()
        server.ok("POST", CONFIG_MAPS, config_map())
        reply = server("PATCH", f"{CONFIG_MAPS}/c", patch, content_type=f"application/{media}")
        assert (reply.status, reply.body["data"]) == (200, data)

    @pytest.mark.parametrize(
        ("media", "patch", "code"),
        [
            ("application/json", {}, 415),
            ("", {}, 415),
            ("application/merge-patch+json", b"{", 400),
            ("application/merge-patch+json", [], 400),
            ("application/json-patch+json", {}, 400),
            ("application/json-patch+json", [{"op": "boil", "path": "/data"}], 422),
            ("application/json-patch+json", [{"op": "test", "path": "/data/a", "value": "2"}], 422),
            ("application/json-patch+json", [{"op": "remove", "path": "/data/zzz"}], 422),
            ("application/apply-patch+yaml", {"metadata": {"name": "c"}}, 422),
        ],
    )
    def test_that_cannot_be_carried_out_say_why(self, media: str, patch: Any, code: int) -> None:
        server = Server()
        server.ok("POST", CONFIG_MAPS, config_map())
        reply = server("PATCH", f"{CONFIG_MAPS}/c", patch, content_type=media)
        assert reply.status == code
        assert reply.body["kind"] == "Status"
        assert server.ok("GET", f"{CONFIG_MAPS}/c")["data"] == {"a": "1"}

    def test_with_a_stale_resource_version_conflict(self) -> None:
        server = Server()
        server.ok("POST", CONFIG_MAPS, config_map())
        reply = server.merge(f"{CONFIG_MAPS}/c", {"metadata": {"resourceVersion": "1"}, "data": {"a": "2"}})
        assert (reply.status, reply.reason) == (409, "Conflict")

    def test_strategic_merge_is_for_built_in_kinds(self) -> None:
        server = Server(widget_crd())
        server.ok("POST", WIDGETS, widget())
        reply = server("PATCH", f"{WIDGETS}/w", {}, content_type="application/strategic-merge-patch+json")
        assert reply.status == 415


def test_a_body_above_three_mebibytes_is_too_large() -> None:
    reply = Server()("POST", CONFIG_MAPS, config_map(data={"a": "x" * (3 * 1024 * 1024)}))
    assert (reply.status, reply.reason) == (413, "RequestEntityTooLarge")


def test_yaml_bodies_are_understood() -> None:
    body = b"metadata: {name: c}\ndata: {day: '2026-01-01'}\n"
    created = Server().ok("POST", CONFIG_MAPS, body, content_type="application/yaml")
    assert created["data"] == {"day": "2026-01-01"}
