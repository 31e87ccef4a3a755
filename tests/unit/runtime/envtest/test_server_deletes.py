"""Deletion and what follows from it: finalizers, grace, preconditions, propagation, namespaces, CRDs."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.apiserver import CONFIG_MAPS, PODS, WIDGETS, Server, config_map, events, names, pod, widget, widget_crd

CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com"


def owner(obj: dict[str, Any], *, block: bool = False, **changes: str) -> dict[str, Any]:
    reference: dict[str, Any] = {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "name": obj["metadata"]["name"],
        "uid": obj["metadata"]["uid"],
        **changes,
    }
    return {**reference, "blockOwnerDeletion": True} if block else reference


def test_a_completed_delete_answers_with_a_status_or_the_object() -> None:
    server = Server()
    uid = server.ok("POST", CONFIG_MAPS, config_map())["metadata"]["uid"]
    assert server.ok("DELETE", f"{CONFIG_MAPS}/c") == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {"name": "c", "kind": "configmaps", "uid": uid},
    }
    server.ok("POST", PODS, pod())
    assert server.ok("DELETE", f"{PODS}/p")["kind"] == "Pod"


def test_deleting_what_is_not_there_is_not_found() -> None:
    assert Server()("DELETE", f"{CONFIG_MAPS}/c").status == 404


class TestFinalizers:
    def test_keep_an_object_until_the_last_is_gone(self) -> None:
        server = Server(widget_crd())
        server.ok("POST", WIDGETS, widget(spec={}, finalizers=["example.com/x"]))
        watch = server.watch(WIDGETS, resourceVersion=str(server.api.storage.version))
        marked = server.ok("DELETE", f"{WIDGETS}/w")
        assert marked["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:00Z"
        assert marked["metadata"]["deletionGracePeriodSeconds"] == 0
        assert marked["metadata"]["generation"] == 2
        assert server.ok("DELETE", f"{WIDGETS}/w") == marked
        server.merge(f"{WIDGETS}/w", {"metadata": {"finalizers": None}})
        assert server("GET", f"{WIDGETS}/w").status == 404
        assert [kind for kind, _ in events(watch)] == ["MODIFIED", "DELETED"]

    def test_may_not_be_added_once_deletion_has_begun(self) -> None:
        server = Server(widget_crd())
        server.ok("POST", WIDGETS, widget(finalizers=["example.com/x"]))
        server.ok("DELETE", f"{WIDGETS}/w")
        reply = server.merge(f"{WIDGETS}/w", {"metadata": {"finalizers": ["example.com/x", "example.com/y"]}})
        assert reply.status == 422
        assert 'found new finalizers []string{"example.com/y"}' in reply.message

    def test_deletion_marks_cannot_be_set_or_lifted_by_an_update(self) -> None:
        server = Server(widget_crd())
        server.ok("POST", WIDGETS, widget(deletionTimestamp="2020-01-01T00:00:00Z", finalizers=["example.com/x"]))
        assert "deletionTimestamp" not in server.ok("GET", f"{WIDGETS}/w")["metadata"]
        server.ok("DELETE", f"{WIDGETS}/w")
        after = server.merge(f"{WIDGETS}/w", {"metadata": {"deletionTimestamp": None, "labels": {"a": "b"}}}).body
        assert after["metadata"]["deletionTimestamp"] == "2026-01-01T00:00:00Z"


class TestPreconditions:
    @pytest.mark.parametrize("field", ["uid", "resourceVersion"])
    def test_that_do_not_hold_are_a_conflict(self, field: str) -> None:
        server = Server()
        created = server.ok("POST", CONFIG_MAPS, config_map())
        reply = server("DELETE", f"{CONFIG_MAPS}/c", {"preconditions": {field: "123456"}})
        assert (reply.status, reply.reason) == (409, "Conflict")
        assert "in the precondition (123456) does not match" in reply.message
        right = {"preconditions": {field: created["metadata"][field]}}
        assert server("DELETE", f"{CONFIG_MAPS}/c", right).status == 200


class TestGrace:
    def test_a_pod_without_a_node_goes_at_once(self) -> None:
        server = Server()
        server.ok("POST", PODS, pod())
        server.ok("DELETE", f"{PODS}/p")
        assert server("GET", f"{PODS}/p").status == 404

    def test_a_pod_on_a_node_stays_until_it_is_deleted_without_grace(self) -> None:
        server = Server()
        server.ok("POST", PODS, pod(nodeName="n1", terminationGracePeriodSeconds=40))
        marked = server.ok("DELETE", f"{PODS}/p")["metadata"]
        assert marked["deletionGracePeriodSeconds"] == 40
        assert marked["deletionTimestamp"] == "2026-01-01T00:00:40Z"
        assert server.ok("DELETE", f"{PODS}/p")["metadata"] == marked
        shorter = server.ok("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 5})["metadata"]
        assert shorter["deletionGracePeriodSeconds"] == 5
        longer = server.ok("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 500})["metadata"]
        assert longer == shorter
        server.ok("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 0})
        assert server("GET", f"{PODS}/p").status == 404

    def test_a_pod_that_has_ended_needs_none(self) -> None:
        server = Server()
        server.ok("POST", PODS, pod(nodeName="n1"))
        server.merge(f"{PODS}/p/status", {"status": {"phase": "Succeeded"}})
        server.ok("DELETE", f"{PODS}/p")
        assert server("GET", f"{PODS}/p").status == 404

    def test_must_be_a_number_of_seconds(self) -> None:
        server = Server()
        server.ok("POST", PODS, pod(nodeName="n1"))
        assert server("DELETE", f"{PODS}/p", {"gracePeriodSeconds": "soon"}).status == 400


def test_a_collection_delete_takes_what_matches() -> None:
    server = Server()
    for name, color in (("a", "red"), ("b", "blue"), ("c", "red")):
        server.ok("POST", CONFIG_MAPS, config_map(name, labels={"color": color}))
    gone = server.ok("DELETE", CONFIG_MAPS, labelSelector="color=red")
    assert names(gone) == ["a", "c"]
    assert names(server.ok("GET", CONFIG_MAPS)) == ["b"]


class TestDependents:
    def test_go_after_their_last_owner(self) -> None:
        server = Server()
        one, two = (server.ok("POST", CONFIG_MAPS, config_map(name)) for name in ("one", "two"))
        server.ok("POST", CONFIG_MAPS, config_map("child", ownerReferences=[owner(one), owner(two)]))
        server.ok("DELETE", f"{CONFIG_MAPS}/one")
        server.settle()
        left = server.ok("GET", f"{CONFIG_MAPS}/child")["metadata"]["ownerReferences"]
        assert [reference["name"] for reference in left] == ["two"]
        server.ok("DELETE", f"{CONFIG_MAPS}/two")
        server.settle()
        assert names(server.ok("GET", CONFIG_MAPS)) == []

    def test_go_down_whole_chains(self) -> None:
        server = Server()
        parent = server.ok("POST", CONFIG_MAPS, config_map("g0"))
        for number in range(1, 4):
            parent = server.ok("POST", CONFIG_MAPS, config_map(f"g{number}", ownerReferences=[owner(parent)]))
        server.ok("DELETE", f"{CONFIG_MAPS}/g0")
        server.settle()
        assert names(server.ok("GET", CONFIG_MAPS)) == []

    def test_whose_owner_was_gone_before_them_go_too(self) -> None:
        server = Server()
        lost = server.ok("POST", CONFIG_MAPS, config_map("lost"))
        server.ok("DELETE", f"{CONFIG_MAPS}/lost")
        server.ok("POST", CONFIG_MAPS, config_map("child", ownerReferences=[owner(lost)]))
        server.settle()
        assert names(server.ok("GET", CONFIG_MAPS)) == []

    def test_of_an_owner_with_the_same_name_but_another_uid_go(self) -> None:
        server = Server()
        old = server.ok("POST", CONFIG_MAPS, config_map("o"))
        server.ok("POST", CONFIG_MAPS, config_map("child", ownerReferences=[owner(old)]))
        server.ok("DELETE", f"{CONFIG_MAPS}/o")
        server.ok("POST", CONFIG_MAPS, config_map("o"))
        server.settle()
        assert names(server.ok("GET", CONFIG_MAPS)) == ["o"]

    def test_of_a_kind_that_is_not_served_stay(self) -> None:
        server = Server()
        stranger = {"apiVersion": "apps/v9", "kind": "Thing", "metadata": {"name": "x", "uid": "u"}}
        server.ok("POST", CONFIG_MAPS, config_map(ownerReferences=[owner(stranger)]))
        server.settle()
        assert names(server.ok("GET", CONFIG_MAPS)) == ["c"]

    def test_are_set_free_by_orphaning(self) -> None:
        server = Server()
        parent = server.ok("POST", CONFIG_MAPS, config_map("parent"))
        server.ok("POST", CONFIG_MAPS, config_map("child", ownerReferences=[owner(parent)]))
        pending = server.ok("DELETE", f"{CONFIG_MAPS}/parent", {"propagationPolicy": "Orphan"})
        assert pending["metadata"]["finalizers"] == ["orphan"]
        server.settle()
        listing = server.ok("GET", CONFIG_MAPS)
        assert names(listing) == ["child"]
        assert "ownerReferences" not in listing["items"][0]["metadata"]

    def test_that_block_go_first_in_a_foreground_deletion(self) -> None:
        server = Server()
        parent = server.ok("POST", CONFIG_MAPS, config_map("parent"))
        references = [owner(parent, block=True)]
        server.ok("POST", CONFIG_MAPS, config_map("child", ownerReferences=references, finalizers=["example.com/x"]))
        server.ok("DELETE", f"{CONFIG_MAPS}/parent", {"propagationPolicy": "Foreground"})
        server.settle()
        assert names(server.ok("GET", CONFIG_MAPS)) == ["child", "parent"]
        server.merge(f"{CONFIG_MAPS}/child", {"metadata": {"finalizers": None}})
        server.settle()
        assert names(server.ok("GET", CONFIG_MAPS)) == []


class TestNamespaces:
    def test_empty_themselves_before_they_go(self) -> None:
        server = Server()
        server.ok("POST", "/api/v1/namespaces", {"metadata": {"name": "n"}})
        there = "/api/v1/namespaces/n/configmaps"
        server.ok("POST", there, config_map("a"))
        server.ok("POST", there, config_map("b", finalizers=["example.com/x"]))
        ending = server.ok("DELETE", "/api/v1/namespaces/n")
        assert ending["status"]["phase"] == "Terminating"
        refused = server("POST", there, config_map("late"))
        assert (refused.status, refused.reason) == (403, "Forbidden")
        assert refused.body["details"]["causes"][0]["reason"] == "NamespaceTerminating"
        server.settle()
        assert names(server.ok("GET", there)) == ["b"]
        server.merge(f"{there}/b", {"metadata": {"finalizers": None}})
        server.settle()
        assert server("GET", "/api/v1/namespaces/n").status == 404

    def test_that_every_cluster_needs_cannot_go(self) -> None:
        reply = Server()("DELETE", "/api/v1/namespaces/default")
        assert reply.status == 403


class TestDefinitions:
    def test_take_their_objects_with_them(self) -> None:
        server = Server(widget_crd())
        server.ok("POST", WIDGETS, widget("free"))
        server.ok("POST", WIDGETS, widget("held", finalizers=["example.com/x"]))
        server.ok("DELETE", CRD)
        server.settle()
        assert names(server.ok("GET", WIDGETS)) == ["held"]
        server.merge(f"{WIDGETS}/held", {"metadata": {"finalizers": None}})
        server.settle()
        assert server("GET", WIDGETS).status == 404
        assert server("GET", CRD).status == 404

    def test_may_come_back_empty(self) -> None:
        server = Server(widget_crd())
        server.ok("POST", WIDGETS, widget())
        server.ok("DELETE", CRD)
        server.settle()
        server.ok("POST", CRD.rpartition("/")[0], widget_crd())
        assert names(server.ok("GET", WIDGETS)) == []
