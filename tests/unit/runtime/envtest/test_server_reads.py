"""Lists, pages, selectors and watches."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.apiserver import CONFIG_MAPS, PODS, WIDGETS, Server, config_map, events, names, pod, widget, widget_crd


def numbered(count: int, server: Server | None = None) -> Server:
    server = server or Server()
    for number in range(count):
        server.ok(
            "POST", CONFIG_MAPS, config_map(f"c{number}", labels={"n": str(number), "even": str(number % 2 == 0)})
        )
    return server


class TestLists:
    def test_are_sorted_and_carry_the_version_of_the_whole_store(self) -> None:
        server = numbered(3)
        listing = server.ok("GET", CONFIG_MAPS)
        assert names(listing) == ["c0", "c1", "c2"]
        assert listing["kind"] == "ConfigMapList"
        assert listing["metadata"]["resourceVersion"] == str(server.api.storage.version)

    def test_of_all_namespaces_hold_every_object(self) -> None:
        server = numbered(1)
        server.ok("POST", "/api/v1/namespaces/kube-system/configmaps", config_map("z"))
        assert names(server.ok("GET", "/api/v1/configmaps")) == ["c0", "z"]
        assert names(server.ok("GET", CONFIG_MAPS)) == ["c0"]

    @pytest.mark.parametrize(
        ("selector", "expected"),
        [
            ("n=1", ["c1"]),
            ("n==1", ["c1"]),
            ("n!=1", ["c0", "c2"]),
            ("n in (0,2)", ["c0", "c2"]),
            ("n notin (0,2)", ["c1"]),
            ("n>0,n<2", ["c1"]),
            ("missing", []),
            ("!missing,even=True", ["c0", "c2"]),
        ],
    )
    def test_select_by_labels(self, selector: str, expected: list[str]) -> None:
        assert names(numbered(3).ok("GET", CONFIG_MAPS, labelSelector=selector)) == expected

    def test_select_by_the_fields_that_a_kind_offers(self) -> None:
        server = Server(
            widget_crd(selectableFields=[{"jsonPath": ".spec.color"}]),
        )
        server.ok("POST", PODS, pod("a"))
        server.ok("POST", PODS, pod("b", nodeName="n1"))
        server.ok("POST", WIDGETS, widget("red", {"color": "red"}))
        server.ok("POST", WIDGETS, widget("blue", {"color": "blue"}))
        cases: list[tuple[str, str, list[str]]] = [
            (PODS, "metadata.name=a", ["a"]),
            (PODS, "metadata.namespace=default,metadata.name!=a", ["b"]),
            (PODS, "spec.nodeName=n1", ["b"]),
            (PODS, "spec.nodeName=", ["a"]),
            (PODS, "status.phase=Running", []),
            (WIDGETS, "spec.color=red", ["red"]),
        ]
        for path, selector, expected in cases:
            assert names(server.ok("GET", path, fieldSelector=selector)) == expected, selector

    @pytest.mark.parametrize(
        ("params", "code"),
        [
            ({"labelSelector": "a=="}, 200),
            ({"labelSelector": "a in"}, 400),
            ({"fieldSelector": "spec.color=red"}, 400),
            ({"fieldSelector": "name"}, 400),
            ({"limit": "x"}, 400),
            ({"continue": "???"}, 400),
            ({"resourceVersion": "abc"}, 400),
            ({"resourceVersionMatch": "Exact"}, 422),
            ({"resourceVersionMatch": "Sometimes", "resourceVersion": "1"}, 422),
            ({"resourceVersion": "99999"}, 504),
            ({"sendInitialEvents": "true"}, 422),
            ({"timeoutSeconds": "soon"}, 400),
        ],
    )
    def test_refuse_what_they_cannot_understand(self, params: dict[str, str], code: int) -> None:
        assert Server()("GET", CONFIG_MAPS, **params).status == code


class TestPages:
    def test_show_the_collection_as_it_was_when_the_first_was_read(self) -> None:
        server = numbered(5)
        first = server.ok("GET", CONFIG_MAPS, limit="2")
        assert first["metadata"]["remainingItemCount"] == 3
        server.ok("DELETE", f"{CONFIG_MAPS}/c3")
        server.ok("POST", CONFIG_MAPS, config_map("c9"))
        server.merge(f"{CONFIG_MAPS}/c4", {"data": {"a": "changed"}})
        second = server.ok("GET", CONFIG_MAPS, limit="2", **{"continue": first["metadata"]["continue"]})
        third = server.ok("GET", CONFIG_MAPS, limit="2", **{"continue": second["metadata"]["continue"]})
        assert names(first) + names(second) + names(third) == ["c0", "c1", "c2", "c3", "c4"]
        assert third["items"][0]["data"] == {"a": "1"}
        assert "continue" not in third["metadata"]
        assert {page["metadata"]["resourceVersion"] for page in (first, second, third)} == {
            first["metadata"]["resourceVersion"]
        }

    def test_count_matches_not_objects(self) -> None:
        server = numbered(6)
        page = server.ok("GET", CONFIG_MAPS, limit="2", labelSelector="even=True")
        assert names(page) == ["c0", "c2"]
        assert "remainingItemCount" not in page["metadata"]
        rest = server.ok(
            "GET", CONFIG_MAPS, limit="2", labelSelector="even=True", **{"continue": page["metadata"]["continue"]}
        )
        assert names(rest) == ["c4"]

    def test_a_token_older_than_the_history_is_expired_with_a_token_to_go_on(self) -> None:
        server = Server(history=3)
        numbered(4, server)
        first = server.ok("GET", CONFIG_MAPS, limit="2")
        for value in range(4):
            server.merge(f"{CONFIG_MAPS}/c0", {"data": {"a": f"v{value}"}})
        reply = server("GET", CONFIG_MAPS, limit="2", **{"continue": first["metadata"]["continue"]})
        assert (reply.status, reply.reason) == (410, "Expired")
        rest = server.ok("GET", CONFIG_MAPS, limit="2", **{"continue": reply.body["metadata"]["continue"]})
        assert names(rest) == ["c2", "c3"]

    def test_an_exact_version_is_answered_from_the_history(self) -> None:
        server = numbered(2)
        version = server.ok("GET", CONFIG_MAPS)["metadata"]["resourceVersion"]
        numbered(0, server).ok("DELETE", f"{CONFIG_MAPS}/c0")
        old = server.ok("GET", CONFIG_MAPS, resourceVersion=version, resourceVersionMatch="Exact")
        assert names(old) == ["c0", "c1"]
        assert old["metadata"]["resourceVersion"] == version


class TestWatches:
    def test_tell_each_change_after_a_version(self) -> None:
        server = numbered(1)
        start = server.ok("GET", CONFIG_MAPS)["metadata"]["resourceVersion"]
        watch = server.watch(CONFIG_MAPS, resourceVersion=start)
        assert events(watch) == []
        created = server.ok("POST", CONFIG_MAPS, config_map("new"))
        changed = server.merge(f"{CONFIG_MAPS}/new", {"data": {"a": "2"}}).body
        server.ok("DELETE", f"{CONFIG_MAPS}/new")
        told = events(watch)
        assert told[:2] == [("ADDED", created), ("MODIFIED", changed)]
        assert told[2][0] == "DELETED"
        assert told[2][1]["data"] == {"a": "2"}
        assert int(told[2][1]["metadata"]["resourceVersion"]) > int(changed["metadata"]["resourceVersion"])

    @pytest.mark.parametrize("version", ["", "0"])
    def test_without_a_version_begin_with_what_there_is(self, version: str) -> None:
        server = numbered(2)
        watch = server.watch(CONFIG_MAPS, resourceVersion=version)
        assert [(kind, obj["metadata"]["name"]) for kind, obj in events(watch)] == [("ADDED", "c0"), ("ADDED", "c1")]

    def test_of_an_older_version_catch_up(self) -> None:
        server = numbered(3)
        first = server.ok("GET", f"{CONFIG_MAPS}/c0")["metadata"]["resourceVersion"]
        watch = server.watch(CONFIG_MAPS, resourceVersion=first)
        assert [obj["metadata"]["name"] for _, obj in events(watch)] == ["c1", "c2"]

    def test_see_an_object_come_and_go_as_it_begins_and_ceases_to_match(self) -> None:
        server = numbered(1)
        watch = server.watch(CONFIG_MAPS, labelSelector="color=red")
        server.merge(f"{CONFIG_MAPS}/c0", {"metadata": {"labels": {"color": "red"}}})
        server.merge(f"{CONFIG_MAPS}/c0", {"data": {"a": "2"}})
        gone = server.merge(f"{CONFIG_MAPS}/c0", {"metadata": {"labels": {"color": "blue"}}}).body
        server.merge(f"{CONFIG_MAPS}/c0", {"data": {"a": "3"}})
        told = events(watch)
        assert [kind for kind, _ in told] == ["ADDED", "MODIFIED", "DELETED"]
        assert told[2][1]["metadata"]["labels"]["color"] == "red"
        assert told[2][1]["metadata"]["resourceVersion"] == gone["metadata"]["resourceVersion"]

    def test_of_one_namespace_or_name_hear_of_nothing_else(self) -> None:
        server = Server()
        here, one = server.watch(CONFIG_MAPS), server.watch(CONFIG_MAPS, fieldSelector="metadata.name=c")
        server.ok("POST", "/api/v1/namespaces/kube-system/configmaps", config_map())
        server.ok("POST", CONFIG_MAPS, config_map("other"))
        assert [obj["metadata"]["name"] for _, obj in events(here)] == ["other"]
        assert events(one) == []

    def test_of_a_streaming_list_announce_the_end_of_the_initial_events(self) -> None:
        server = numbered(1)
        watch = server.watch(
            CONFIG_MAPS, sendInitialEvents="true", resourceVersionMatch="NotOlderThan", allowWatchBookmarks="true"
        )
        told = events(watch)
        assert [kind for kind, _ in told] == ["ADDED", "BOOKMARK"]
        assert told[1][1]["metadata"] == {
            "resourceVersion": str(server.api.storage.version),
            "annotations": {"k8s.io/initial-events-end": "true"},
        }
        assert (told[1][1]["kind"], told[1][1]["apiVersion"]) == ("ConfigMap", "v1")

    def test_of_a_version_beyond_the_history_are_gone(self) -> None:
        server = Server(history=2)
        numbered(4, server)
        watch = server.watch(CONFIG_MAPS, resourceVersion="3")
        assert [(kind, obj["code"], obj["reason"]) for kind, obj in events(watch)] == [("ERROR", 410, "Expired")]
        assert watch.ended

    def test_of_a_version_that_is_not_reached_wait_for_it(self) -> None:
        server = Server()
        version = int(server.ok("GET", CONFIG_MAPS)["metadata"]["resourceVersion"])
        watch = server.watch(CONFIG_MAPS, resourceVersion=str(version + 2))
        assert events(watch) == []
        numbered(4, server)
        assert [obj["metadata"]["name"] for _, obj in events(watch)] == ["c2", "c3"]

    def test_that_fall_behind_the_history_end_with_an_error(self) -> None:
        server = Server(history=2)
        watch = server.watch(CONFIG_MAPS)
        numbered(3, server)
        told = events(watch)
        assert [(kind, obj["code"]) for kind, obj in told] == [("ERROR", 410)]
        assert watch.ended

    @pytest.mark.parametrize(
        ("params", "code"),
        [
            ({"resourceVersion": "x"}, 500),
            ({"sendInitialEvents": "true"}, 422),
            ({"resourceVersionMatch": "Exact", "resourceVersion": "1"}, 422),
            ({"timeoutSeconds": "soon"}, 400),
        ],
    )
    def test_refuse_what_they_cannot_understand(self, params: dict[str, str], code: int) -> None:
        assert Server()("GET", CONFIG_MAPS, watch="true", **params).status == code

    def test_end_when_the_kind_is_served_no_more(self) -> None:
        server = Server(widget_crd())
        watch = server.watch(WIDGETS)
        server.ok("DELETE", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com")
        server.settle()
        events(watch)
        assert watch.ended


@pytest.mark.parametrize("path", ["/nowhere", "/apis/example.org/v1", "/apis/example.org/v1/things", "/livez/nothing"])
def test_what_leads_nowhere_is_not_even_a_status(path: str) -> None:
    reply = Server()("GET", path)
    assert (reply.status, reply.body) == (404, b"404 page not found\n")


@pytest.mark.parametrize(
    ("method", "path", "code", "reason"),
    [
        ("GET", "/api/v1/nowhere", 404, "NotFound"),
        ("GET", "/api/v2/pods", 404, "NotFound"),
        ("GET", "/api/v1/gadgets", 404, "NotFound"),
        ("GET", "/apis/apps/v9", 404, "NotFound"),
        ("GET", f"{PODS}/p", 404, "NotFound"),
        ("GET", f"{PODS}/p/colour", 404, "NotFound"),
        ("GET", f"{PODS}/p/log", 501, "NotImplemented"),
        ("POST", f"{PODS}/p/exec", 501, "NotImplemented"),
        ("GET", "/metrics", 501, "NotImplemented"),
        ("GET", "/api/v1/namespaces/default/nodes", 404, "NotFound"),
        ("GET", "/api/v1/pods/p", 404, "NotFound"),
        ("POST", "/api/v1/pods", 405, "MethodNotAllowed"),
        ("PUT", PODS, 405, "MethodNotAllowed"),
        ("POST", f"{PODS}/p", 405, "MethodNotAllowed"),
        ("DELETE", "/api/v1/pods", 405, "MethodNotAllowed"),
        ("POST", "/version", 405, "MethodNotAllowed"),
        ("BREW", PODS, 405, "MethodNotAllowed"),
    ],
)
def test_every_other_request_gets_a_status_that_says_so(method: str, path: str, code: int, reason: str) -> None:
    reply = Server()(method, path)
    assert (reply.status, reply.body["kind"], reply.reason) == (code, "Status", reason)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json", "ConfigMapList"),
        ("*/*", "ConfigMapList"),
        ("application/vnd.kubernetes.protobuf, application/json", "ConfigMapList"),
        ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", "Table"),
        ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", "PartialObjectMetadataList"),
    ],
)
def test_the_accept_header_chooses_the_form(accept: str, kind: str) -> None:
    assert numbered(1).ok("GET", CONFIG_MAPS, accept=accept)["kind"] == kind


def test_a_form_that_the_server_has_not_is_not_acceptable() -> None:
    assert Server()("GET", CONFIG_MAPS, accept="application/vnd.kubernetes.protobuf").status == 406


def test_metadata_alone_comes_without_the_rest() -> None:
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    item: dict[str, Any] = numbered(1).ok("GET", CONFIG_MAPS, accept=accept)["items"][0]
    assert item["kind"] == "PartialObjectMetadata"
    assert set(item) == {"kind", "apiVersion", "metadata"}
