"""Deletion: finalizers, grace periods, preconditions, propagation policies as far as the API server goes, collections."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.rest import Answer, Api
from helpers.things import GROUP, thing, things_path

FINALIZER = "example.com/hold"


def config_maps(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


async def create(api: Api, path: str, name: str = "a", **metadata: Any) -> dict[str, Any]:
    made = await api.post(path, {"metadata": {"name": name, **metadata}, "data": {"k": "1"}})
    return dict(made.ok())


async def release(api: Api, path: str) -> None:
    (await api.patch(path, {"metadata": {"finalizers": None}})).ok()


def refusal(answer: Answer) -> tuple[int, str, str]:
    return answer.status, answer.reason, answer.json["message"]


class TestAnswers:
    async def test_a_completed_delete_is_a_status_that_names_what_went(self, api: Api, namespace: str) -> None:
        made = await create(api, config_maps(namespace))
        assert (await api.delete(f"{config_maps(namespace)}/a")).ok() == {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]},
        }

    async def test_of_a_custom_resource_it_has_the_group_too(self, api: Api, namespace: str) -> None:
        made = (await api.post(things_path(namespace), thing("a"))).ok()
        answer = (await api.delete(things_path(namespace, "a"))).ok()
        details = {"name": "a", "group": GROUP, "kind": "things", "uid": made["metadata"]["uid"]}
        assert (answer["status"], answer["details"]) == ("Success", details)

    async def test_of_some_kinds_it_is_the_object(self, api: Api, namespace: str) -> None:
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        (await api.post(path, {"metadata": {"name": "a"}})).ok()
        answer = (await api.delete(f"{path}/a")).ok()
        assert (answer["kind"], answer["metadata"]["name"]) == ("ServiceAccount", "a")
        assert "deletionTimestamp" not in answer["metadata"]

    async def test_says_of_what_something_keeps_that_it_is_to_go(self, api: Api, namespace: str) -> None:
        """Which tells a client apart what is gone and what is not: one has a deletionTimestamp, or is none but a Status."""
        (await api.post(things_path(namespace), thing("a", metadata={"finalizers": [FINALIZER]}))).ok()
        pod = await make_pod(api, namespace)
        for path, kind in ((things_path(namespace, "a"), "Thing"), (pod, "Pod")):
            answer = (await api.delete(path)).ok()
            assert answer["kind"] == kind
            assert "deletionTimestamp" in answer["metadata"]
            assert (await api.get(path)).ok()["metadata"]["uid"] == answer["metadata"]["uid"]
        await release(api, things_path(namespace, "a"))
        gone = (await api.delete(pod, {"gracePeriodSeconds": 0})).ok()
        assert (gone["kind"], "deletionTimestamp" in gone["metadata"]) == ("Pod", True)
        assert (await api.get(pod)).status == 404

    @pytest.mark.parametrize("kind", ["services", "serviceaccounts", "persistentvolumeclaims"])
    async def test_has_no_mark_only_of_what_is_gone(self, api: Api, namespace: str, kind: str) -> None:
        path = f"/api/v1/namespaces/{namespace}/{kind}"
        spec: dict[str, Any] = {
            "services": {"ports": [{"port": 80}]},
            "persistentvolumeclaims": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
            },
        }.get(kind, {})
        body = {"metadata": {"name": "a"}, **({"spec": spec} if spec else {})}
        (await api.post(path, body)).ok()
        answer = (await api.delete(f"{path}/a")).ok()
        is_gone = (await api.get(f"{path}/a")).status == 404
        assert answer["kind"] != "Status"
        assert ("deletionTimestamp" not in answer["metadata"]) == is_gone

    async def test_what_is_not_there_is_not_found(self, api: Api, namespace: str) -> None:
        answer = await api.delete(f"{config_maps(namespace)}/a")
        assert refusal(answer) == (404, "NotFound", 'configmaps "a" not found')
        assert answer.json["details"] == {"name": "a", "kind": "configmaps"}

    async def test_a_watcher_sees_the_last_state_with_the_version_of_the_deletion(
        self, api: Api, namespace: str
    ) -> None:
        path = config_maps(namespace)
        made = await create(api, path)
        async with api.watch(path, resourceVersion=made["metadata"]["resourceVersion"]) as watch:
            (await api.delete(f"{path}/a")).ok()
            (event,) = await watch.take(1)
        assert (event["type"], event["object"]["data"]) == ("DELETED", {"k": "1"})
        assert int(event["object"]["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])


class TestFinalizers:
    async def test_hold_an_object_until_the_last_is_gone(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        await create(api, path, finalizers=[FINALIZER, "example.com/other"])
        marked = (await api.delete(f"{path}/a")).ok()
        assert marked["kind"] == "ConfigMap"
        assert (await api.get(f"{path}/a")).ok() == marked
        metadata = marked["metadata"]
        assert metadata["deletionTimestamp"] >= metadata["creationTimestamp"]
        assert metadata["deletionGracePeriodSeconds"] == 0
        one = (await api.patch(f"{path}/a", {"metadata": {"finalizers": [FINALIZER]}})).ok()
        assert one["metadata"]["deletionTimestamp"] == metadata["deletionTimestamp"]
        last = (await api.patch(f"{path}/a", {"metadata": {"finalizers": None}})).ok()
        assert "finalizers" not in last["metadata"]
        assert (await api.get(f"{path}/a")).status == 404

    async def test_a_second_delete_changes_nothing(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        await create(api, path, finalizers=[FINALIZER])
        first = (await api.delete(f"{path}/a")).ok()
        assert (await api.delete(f"{path}/a")).ok() == first
        await release(api, f"{path}/a")

    async def test_nobody_takes_a_deletion_back(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        await create(api, path, finalizers=[FINALIZER])
        marked = (await api.delete(f"{path}/a")).ok()["metadata"]
        unmarked = {"metadata": {"deletionTimestamp": None, "deletionGracePeriodSeconds": None}}
        after = (await api.patch(f"{path}/a", unmarked)).ok()["metadata"]
        assert after["deletionTimestamp"] == marked["deletionTimestamp"]
        assert after["deletionGracePeriodSeconds"] == 0
        await release(api, f"{path}/a")

    async def test_what_is_being_deleted_can_still_be_changed(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        await create(api, path, finalizers=[FINALIZER])
        (await api.delete(f"{path}/a")).ok()
        assert (await api.patch(f"{path}/a", {"data": {"k": "2"}})).ok()["data"] == {"k": "2"}
        await release(api, f"{path}/a")

    async def test_what_is_being_deleted_gets_no_new_ones(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        await create(api, path, finalizers=[FINALIZER])
        (await api.delete(f"{path}/a")).ok()
        answer = await api.patch(f"{path}/a", {"metadata": {"finalizers": [FINALIZER, "example.com/new"]}})
        why = (
            "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new "
            'finalizers []string{"example.com/new"}'
        )
        assert refusal(answer) == (422, "Invalid", f'ConfigMap "a" is invalid: {why}')
        assert {cause["field"] for cause in answer.json["details"]["causes"]} == {"metadata.finalizers"}
        await release(api, f"{path}/a")

    async def test_its_name_is_taken_until_it_is_gone(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        await create(api, path, finalizers=[FINALIZER])
        (await api.delete(f"{path}/a")).ok()
        answer = await api.post(path, {"metadata": {"name": "a"}})
        message = 'object is being deleted: configmaps "a" already exists'
        assert refusal(answer) == (409, "AlreadyExists", message)
        await release(api, f"{path}/a")

    async def test_a_watcher_sees_the_mark_as_a_change(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        made = await create(api, path, finalizers=[FINALIZER])
        async with api.watch(path, resourceVersion=made["metadata"]["resourceVersion"]) as watch:
            (await api.delete(f"{path}/a")).ok()
            await release(api, f"{path}/a")
            events = await watch.take(2)
        assert [event["type"] for event in events] == ["MODIFIED", "DELETED"]
        assert all("deletionTimestamp" in event["object"]["metadata"] for event in events)


class TestPreconditions:
    async def test_that_hold_are_no_hindrance(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        metadata = (await create(api, path))["metadata"]
        wanted = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
        assert (await api.delete(f"{path}/a", {"preconditions": wanted})).ok()["status"] == "Success"

    async def test_on_the_uid_protect_a_successor(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        uid = (await create(api, path))["metadata"]["uid"]
        answer = await api.delete(f"{path}/a", {"preconditions": {"uid": "1"}})
        why = (
            f"the UID in the precondition (1) does not match the UID in record ({uid}). The object might have been deleted "
            "and then recreated"
        )
        assert refusal(answer) == (409, "Conflict", f'Operation cannot be fulfilled on ConfigMap "a": {why}')
        assert answer.json["details"] == {"name": "a", "kind": "ConfigMap"}

    async def test_on_the_version_protect_a_change(self, api: Api, namespace: str) -> None:
        path = things_path(namespace)
        version = (await api.post(path, thing("a"))).ok()["metadata"]["resourceVersion"]
        answer = await api.delete(f"{path}/a", {"preconditions": {"resourceVersion": "1"}})
        why = (
            f"the ResourceVersion in the precondition (1) does not match the ResourceVersion in record ({version}). The "
            "object might have been modified"
        )
        assert refusal(answer) == (409, "Conflict", f'Operation cannot be fulfilled on Thing.{GROUP} "a": {why}')
        assert answer.json["details"] == {"name": "a", "group": GROUP, "kind": "Thing"}


async def make_pod(api: Api, namespace: str, name: str = "p", *, node: str = "n", **metadata: Any) -> str:
    await api.post(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "default"}})
    path = f"/api/v1/namespaces/{namespace}/pods"
    spec = {"containers": [{"name": "c", "image": "i"}], "terminationGracePeriodSeconds": 20}
    if node:
        spec["nodeName"] = node
    (await api.post(path, {"metadata": {"name": name, **metadata}, "spec": spec})).ok()
    return f"{path}/{name}"


class TestGracePeriods:
    """Of pods: nobody runs them here, so that a pod stays until it is deleted without grace."""

    async def test_are_the_pod_s_own_unless_the_request_says_otherwise(self, api: Api, namespace: str) -> None:
        pod = await make_pod(api, namespace)
        metadata = (await api.delete(pod)).ok()["metadata"]
        assert (metadata["deletionGracePeriodSeconds"], metadata["generation"]) == (20, 2)
        other = await make_pod(api, namespace, "q")
        metadata = (await api.delete(other, {"gracePeriodSeconds": 7})).ok()["metadata"]
        assert metadata["deletionGracePeriodSeconds"] == 7
        assert metadata["deletionTimestamp"] > metadata["creationTimestamp"]  # when it should be gone
        for path in (pod, other):
            (await api.delete(path, gracePeriodSeconds=0)).ok()

    async def test_can_be_shortened_and_not_prolonged(self, api: Api, namespace: str) -> None:
        pod = await make_pod(api, namespace)
        first = (await api.delete(pod)).ok()["metadata"]
        assert (await api.delete(pod)).ok()["metadata"] == first
        longer = (await api.delete(pod, {"gracePeriodSeconds": 60})).ok()["metadata"]
        assert longer == first
        shorter = (await api.delete(pod, {"gracePeriodSeconds": 5})).ok()["metadata"]
        assert (shorter["deletionGracePeriodSeconds"], shorter["generation"]) == (5, 2)
        assert shorter["deletionTimestamp"] < first["deletionTimestamp"]
        gone = (await api.delete(pod, {"gracePeriodSeconds": 0})).ok()
        assert (gone["kind"], gone["metadata"]["deletionGracePeriodSeconds"]) == ("Pod", 0)
        assert (await api.get(pod)).status == 404

    async def test_a_pod_without_a_node_needs_none(self, api: Api, namespace: str) -> None:
        pod = await make_pod(api, namespace, node="")
        metadata = (await api.delete(pod)).ok()["metadata"]
        assert (metadata["deletionGracePeriodSeconds"], metadata["generation"]) == (0, 2)
        assert "deletionTimestamp" in metadata
        assert (await api.get(pod)).status == 404

    @pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
    async def test_a_pod_that_has_ended_needs_none(self, api: Api, namespace: str, phase: str) -> None:
        pod = await make_pod(api, namespace)
        (await api.patch(f"{pod}/status", {"status": {"phase": phase}})).ok()
        assert (await api.delete(pod)).ok()["metadata"]["deletionGracePeriodSeconds"] == 0
        assert (await api.get(pod)).status == 404

    async def test_that_are_negative_are_one_second(self, api: Api, namespace: str) -> None:
        pod = await make_pod(api, namespace)
        assert (await api.delete(pod, {"gracePeriodSeconds": -5})).ok()["metadata"]["deletionGracePeriodSeconds"] == 1
        (await api.delete(pod, gracePeriodSeconds=0)).ok()

    async def test_end_before_finalizers_do(self, api: Api, namespace: str) -> None:
        pod = await make_pod(api, namespace, finalizers=[FINALIZER])
        assert (await api.delete(pod)).ok()["metadata"]["deletionGracePeriodSeconds"] == 20
        ended = (await api.delete(pod, {"gracePeriodSeconds": 0})).ok()["metadata"]
        assert (ended["deletionGracePeriodSeconds"], ended["finalizers"]) == (0, [FINALIZER])
        await release(api, pod)
        assert (await api.get(pod)).status == 404

    async def test_outlast_finalizers(self, api: Api, namespace: str) -> None:
        pod = await make_pod(api, namespace, finalizers=[FINALIZER])
        (await api.delete(pod)).ok()
        await release(api, pod)
        assert (await api.get(pod)).ok()["metadata"]["deletionGracePeriodSeconds"] == 20
        (await api.delete(pod, gracePeriodSeconds=0)).ok()

    async def test_mean_nothing_to_other_kinds(self, api: Api, namespace: str) -> None:
        for name, grace in (("a", 30), ("b", -1)):
            await create(api, config_maps(namespace), name)
            answer = await api.delete(f"{config_maps(namespace)}/{name}", {"gracePeriodSeconds": grace})
            assert answer.ok()["status"] == "Success"


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "field", "why"),
        [
            (
                {"propagationPolicy": "Later"},
                "propagationPolicy",
                'Unsupported value: "Later": supported values: "Foreground", "Background", "Orphan", "nil"',
            ),
            (
                {"propagationPolicy": "Foreground", "orphanDependents": True},
                "propagationPolicy",
                'Invalid value: "Foreground": orphanDependents and deletionPropagation cannot be both set',
            ),
            ({"dryRun": ["Some"]}, "dryRun", 'Unsupported value: ["Some"]: supported values: "All"'),
        ],
    )
    async def test_that_are_not_allowed_are_refused(
        self, api: Api, namespace: str, options: dict[str, Any], field: str, why: str
    ) -> None:
        path = config_maps(namespace)
        await create(api, path)
        answer = await api.delete(f"{path}/a", options)
        message = f'DeleteOptions.meta.k8s.io "" is invalid: {field}: {why}'
        assert refusal(answer) == (422, "Invalid", message)
        details = answer.json["details"]
        assert (details["group"], details["kind"]) == ("meta.k8s.io", "DeleteOptions")
        assert [(cause["field"], cause["message"]) for cause in details["causes"]] == [(field, why)]
        assert (await api.get(f"{path}/a")).status == 200

    @pytest.mark.parametrize("query", [{"propagationPolicy": "Later"}, {"dryRun": "Some"}])
    async def test_are_read_from_the_query_too(self, api: Api, namespace: str, query: dict[str, str]) -> None:
        path = config_maps(namespace)
        await create(api, path)
        assert refusal(await api.delete(f"{path}/a", **query))[:2] == (422, "Invalid")
        assert (await api.get(f"{path}/a")).status == 200

    async def test_in_a_body_hide_those_of_the_query(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        await create(api, path)
        answer = await api.delete(f"{path}/a", {"propagationPolicy": "Background"}, propagationPolicy="Later")
        assert answer.ok()["status"] == "Success"

    @pytest.mark.parametrize(
        ("body", "query", "message"),
        [
            (
                {"gracePeriodSeconds": "x"},
                {},
                "json: cannot unmarshal string into Go struct field DeleteOptions.gracePeriodSeconds of type int64",
            ),
            (None, {"gracePeriodSeconds": "x"}, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ],
    )
    async def test_need_numbers(self, api: Api, namespace: str, body: Any, query: dict[str, str], message: str) -> None:
        path = config_maps(namespace)
        await create(api, path)
        assert refusal(await api.delete(f"{path}/a", body, **query)) == (400, "BadRequest", message)

    @pytest.mark.parametrize("in_body", [True, False])
    async def test_for_a_dry_run_leave_everything(self, api: Api, namespace: str, in_body: bool) -> None:
        path = config_maps(namespace)
        made = await create(api, path)
        answer = await (
            api.delete(f"{path}/a", {"dryRun": ["All"]}) if in_body else api.delete(f"{path}/a", dryRun="All")
        )
        assert answer.ok()["status"] == "Success"
        assert (await api.get(f"{path}/a")).ok() == made
        pod = await make_pod(api, namespace)
        assert (await api.delete(pod, dryRun="All")).ok()["metadata"]["deletionGracePeriodSeconds"] == 20
        assert "deletionTimestamp" not in (await api.get(pod)).ok()["metadata"]
        (await api.delete(pod, gracePeriodSeconds=0)).ok()

    @pytest.mark.parametrize(
        ("options", "finalizer"),
        [
            ({"propagationPolicy": "Foreground"}, "foregroundDeletion"),
            ({"propagationPolicy": "Orphan"}, "orphan"),
            ({"orphanDependents": True}, "orphan"),
        ],
    )
    async def test_for_propagation_are_finalizers_of_the_server(
        self, api: Api, namespace: str, options: dict[str, Any], finalizer: str
    ) -> None:
        path = config_maps(namespace)
        await create(api, path, finalizers=[FINALIZER])
        marked = (await api.delete(f"{path}/a", options)).ok()["metadata"]
        assert marked["finalizers"] == [FINALIZER, finalizer]
        later = (await api.delete(f"{path}/a", {"propagationPolicy": "Background"})).ok()["metadata"]
        assert later["finalizers"] == [FINALIZER]
        await release(api, f"{path}/a")


class TestCollections:
    async def fill(self, api: Api, namespace: str) -> str:
        path = config_maps(namespace)
        for number in range(5):
            await create(api, path, f"c{number}", labels={"even": str(number % 2 == 0).lower()})
        return path

    async def left(self, api: Api, path: str) -> list[str]:
        return [item["metadata"]["name"] for item in (await api.get(path)).ok()["items"]]

    @pytest.mark.parametrize(
        ("query", "gone"),
        [
            ({"labelSelector": "even=true"}, ["c0", "c2", "c4"]),
            ({"labelSelector": "even notin (true)"}, ["c1", "c3"]),
            ({"fieldSelector": "metadata.name=c1"}, ["c1"]),
            ({"fieldSelector": "metadata.name!=c1", "labelSelector": "even=false"}, ["c3"]),
            ({"labelSelector": "none"}, []),
            ({"limit": "2"}, ["c0", "c1"]),
            ({}, ["c0", "c1", "c2", "c3", "c4"]),
        ],
    )
    async def test_lose_what_is_selected(
        self, api: Api, namespace: str, query: dict[str, str], gone: list[str]
    ) -> None:
        path = await self.fill(api, namespace)
        answer = (await api.delete(path, **query)).ok()
        assert (answer["kind"], [item["metadata"]["name"] for item in answer["items"]]) == ("ConfigMapList", gone)
        assert await self.left(api, path) == [f"c{n}" for n in range(5) if f"c{n}" not in gone]

    async def test_go_on_after_a_limit(self, api: Api, namespace: str) -> None:
        path = await self.fill(api, namespace)
        metadata = (await api.delete(path, limit=3)).ok()["metadata"]
        assert metadata["remainingItemCount"] == 2
        (await api.delete(path, limit=3, **{"continue": metadata["continue"]})).ok()
        assert await self.left(api, path) == []

    @pytest.mark.parametrize("query", [{"labelSelector": "a b"}, {"fieldSelector": "data=1"}, {"limit": "x"}])
    async def test_lose_nothing_by_a_selector_that_makes_no_sense(
        self, api: Api, namespace: str, query: dict[str, str]
    ) -> None:
        path = await self.fill(api, namespace)
        assert refusal(await api.delete(path, **query))[:2] == (400, "BadRequest")
        assert len(await self.left(api, path)) == 5

    async def test_lose_nothing_in_a_dry_run(self, api: Api, namespace: str) -> None:
        path = await self.fill(api, namespace)
        assert len((await api.delete(path, dryRun="All")).ok()["items"]) == 5
        assert len(await self.left(api, path)) == 5

    async def test_keep_what_has_finalizers_and_mark_it(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        await create(api, path, finalizers=[FINALIZER])
        (item,) = (await api.delete(path)).ok()["items"]
        assert "deletionTimestamp" not in item["metadata"]  # as it was found
        assert "deletionTimestamp" in (await api.get(f"{path}/a")).ok()["metadata"]
        await release(api, f"{path}/a")

    async def test_stop_at_a_precondition_that_does_not_hold(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        await create(api, path)
        answer = await api.delete(path, {"preconditions": {"uid": "1"}})
        assert refusal(answer)[:2] == (409, "Conflict")
        assert await self.left(api, path) == ["a"]

    async def test_cannot_be_deleted_across_namespaces(self, api: Api) -> None:
        answer = await api.delete("/api/v1/configmaps")
        message = "the server does not allow this method on the requested resource"
        assert refusal(answer) == (405, "MethodNotAllowed", message)

    async def test_of_namespaces_cannot_be_deleted(self, api: Api) -> None:
        assert refusal(await api.delete("/api/v1/namespaces", labelSelector="none"))[:2] == (405, "MethodNotAllowed")
