"""Watches: where they begin, what they tell, how they end, and that nothing is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from helpers.compaction import forget_the_past
from helpers.rest import Api, WatchRefused
from helpers.things import thing, things_path

AHEAD = 1_000_000
END = {"k8s.io/initial-events-end": "true"}
INITIAL = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

Event = dict[str, Any]


def config_maps(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


async def create(api: Api, path: str, name: str, **labels: str) -> int:
    made = await api.post(path, {"metadata": {"name": name, "labels": labels}, "data": {"k": "1"}})
    return version_of(made.ok())


def version_of(obj: dict[str, Any]) -> int:
    return int(obj["metadata"]["resourceVersion"])


def told(events: list[Event]) -> list[tuple[str, str]]:
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]


class TestTheBeginning:
    async def test_from_a_version_is_what_came_after_it(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        first = await create(api, path, "a")
        await create(api, path, "b")
        (await api.patch(f"{path}/a", {"data": {"k": "2"}})).ok()
        (await api.delete(f"{path}/b")).ok()
        async with api.watch(path, resourceVersion=str(first)) as watch:
            events = await watch.take(3)
        assert told(events) == [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]
        assert events[1]["object"]["data"] == {"k": "2"}
        versions = [version_of(event["object"]) for event in events]
        assert versions == sorted(set(versions))
        assert versions[0] > first

    @pytest.mark.parametrize("version", [None, "0"])
    async def test_from_nowhere_is_what_there_is_and_then_what_comes(
        self, api: Api, namespace: str, version: str | None
    ) -> None:
        path = config_maps(namespace)
        for name in ("a", "b"):
            await create(api, path, name)
        (await api.patch(f"{path}/a", {"data": {"k": "2"}})).ok()
        query = {} if version is None else {"resourceVersion": version}
        await api.eventually(path, lambda answer: len(answer.ok()["items"]) == 2, resourceVersion="0")
        async with api.watch(path, **query) as watch:
            assert sorted(told(await watch.take(2))) == [("ADDED", "a"), ("ADDED", "b")]
            await create(api, path, "c")
            assert told(await watch.take(1)) == [("ADDED", "c")]

    async def test_from_the_latest_version_is_nothing_yet(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        latest = await create(api, path, "a")
        assert await api.watch(path, resourceVersion=str(latest), timeoutSeconds=1).rest() == []

    async def test_from_a_version_in_the_future_waits_for_it(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        latest = await create(api, path, "a")
        async with api.watch(path, resourceVersion=str(latest + AHEAD), timeoutSeconds=1) as watch:
            await create(api, path, "b")
            assert await watch.rest() == []

    async def test_of_one_object_is_a_collection_s_with_a_field_selector(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        for name in ("a", "b"):
            await create(api, path, name)
        async with api.watch(path, fieldSelector="metadata.name=b") as watch:
            assert told(await watch.take(1)) == [("ADDED", "b")]
        assert (await api.get(f"{path}/a", watch="true")).ok()["kind"] == "ConfigMap"


class TestInitialEvents:
    @pytest.mark.parametrize("version", [None, "0", "known"])
    async def test_end_with_a_bookmark_that_says_so(self, api: Api, namespace: str, version: str | None) -> None:
        path = config_maps(namespace)
        first = await create(api, path, "a")
        latest = await create(api, path, "b")
        query = {} if version is None else {"resourceVersion": "0" if version == "0" else str(first)}
        await api.eventually(path, lambda answer: len(answer.ok()["items"]) == 2, resourceVersion="0")
        async with api.watch(path, allowWatchBookmarks=True, **INITIAL, **query) as watch:
            events = await watch.until(lambda event: event["type"] == "BOOKMARK")
            assert sorted(told(events[:-1])) == [("ADDED", "a"), ("ADDED", "b")]
            end = events[-1]["object"]
            assert (end["kind"], end["apiVersion"], end["metadata"]["annotations"]) == ("ConfigMap", "v1", END)
            assert version_of(end) >= latest
            (await api.delete(f"{path}/a")).ok()
            assert told(await watch.take(1)) == [("DELETED", "a")]

    async def test_of_an_empty_collection_are_the_bookmark_alone(self, api: Api, namespace: str) -> None:
        async with api.watch(config_maps(namespace), allowWatchBookmarks=True, **INITIAL) as watch:
            (event,) = await watch.take(1)
        assert (event["type"], event["object"]["metadata"]["annotations"]) == ("BOOKMARK", END)

    async def test_of_a_selection_are_what_matches(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        await create(api, path, "a", colour="red")
        await create(api, path, "b", colour="blue")
        query = {**INITIAL, "allowWatchBookmarks": True, "labelSelector": "colour=red"}
        async with api.watch(path, **query) as watch:
            assert told(await watch.take(2)) == [("ADDED", "a"), ("BOOKMARK", "")]

    async def test_come_without_the_bookmark_if_none_is_wanted(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        await create(api, path, "a")
        assert told(await api.watch(path, timeoutSeconds=1, **INITIAL).rest()) == [("ADDED", "a")]

    async def test_end_with_the_bookmark_too_where_a_watch_begins_from_nowhere(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        await create(api, path, "a")
        async with api.watch(path, allowWatchBookmarks=True) as watch:
            events = await watch.take(2)
        assert told(events) == [("ADDED", "a"), ("BOOKMARK", "")]
        assert events[1]["object"]["metadata"]["annotations"] == END

    async def test_can_be_declined(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        first = await create(api, path, "a")
        await create(api, path, "b")
        decline = {"sendInitialEvents": "false", "resourceVersionMatch": "NotOlderThan"}
        now = api.watch(path, timeoutSeconds=1, **decline)
        since = api.watch(path, timeoutSeconds=1, resourceVersion=str(first), **decline)
        assert [told(events) for events in await asyncio.gather(now.rest(), since.rest())] == [[], [("ADDED", "b")]]

    async def test_of_a_version_in_the_future_are_an_error_in_the_stream(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        wanted = await create(api, path, "a") + AHEAD
        async with api.watch(path, allowWatchBookmarks=True, resourceVersion=str(wanted), **INITIAL) as watch:
            (event,) = await watch.rest()
        assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 504, "Timeout")
        assert event["object"]["message"].startswith(f"Timeout: Too large resource version: {wanted}, current: ")

    async def test_can_be_metadata_alone(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        await create(api, path, "a")
        async with api.watch(path, accept=METADATA, allowWatchBookmarks=True, **INITIAL) as watch:
            added, end = await watch.take(2)
        assert set(added["object"]) == {"kind", "apiVersion", "metadata"}
        assert added["object"]["metadata"]["name"] == "a"
        assert {event["object"]["kind"] for event in (added, end)} == {"PartialObjectMetadata"}
        assert end["object"]["metadata"]["annotations"] == END


MATCH = "resourceVersionMatch"
NEEDS_MATCH = ("FieldValueForbidden", f"Forbidden: sendInitialEvents requires setting {MATCH} to NotOlderThan")
NEEDS_INITIAL = (
    "FieldValueForbidden",
    f"Forbidden: {MATCH} is forbidden for watch unless sendInitialEvents is provided",
)


def unsupported(value: str) -> tuple[str, str]:
    return ("FieldValueNotSupported", f'Unsupported value: "{value}": supported values: "NotOlderThan"')


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"sendInitialEvents": "true"}, [NEEDS_MATCH]),
        ({"sendInitialEvents": "false"}, [NEEDS_MATCH]),
        ({"sendInitialEvents": "true", MATCH: "Exact", "resourceVersion": "1"}, [NEEDS_MATCH, unsupported("Exact")]),
        ({MATCH: "NotOlderThan"}, [NEEDS_INITIAL]),
        ({MATCH: "NotOlderThan", "resourceVersion": "1"}, [NEEDS_INITIAL]),
        ({MATCH: "Exact", "resourceVersion": "1"}, [NEEDS_INITIAL, unsupported("Exact")]),
        ({MATCH: "Sometimes"}, [NEEDS_INITIAL, unsupported("Sometimes")]),
    ],
)
async def test_options_that_contradict_each_other_are_all_told(
    api: Api, namespace: str, query: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    with pytest.raises(WatchRefused) as refused:
        await api.watch(config_maps(namespace), **query).open()
    answer = refused.value.answer
    assert (answer.status, answer.reason) == (422, "Invalid")
    details = answer.json["details"]
    assert (details["group"], details["kind"]) == ("meta.k8s.io", "ListOptions")
    assert [(cause["reason"], cause["message"]) for cause in details["causes"]] == expected
    texts = [f"{MATCH}: {message}" for _, message in expected]
    summary = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    assert answer.json["message"] == f'ListOptions.meta.k8s.io "" is invalid: {summary}'


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        (
            {"resourceVersion": "abc"},
            500,
            'resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax',
        ),
        ({"timeoutSeconds": "x"}, 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        (
            {"labelSelector": "a b"},
            400,
            "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
        ),
        (
            {"fieldSelector": "foo=1"},
            400,
            '"foo" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
    ],
)
async def test_what_cannot_be_read_is_refused(
    api: Api, namespace: str, query: dict[str, str], status: int, message: str
) -> None:
    with pytest.raises(WatchRefused) as refused:
        await api.watch(config_maps(namespace), **query).open()
    assert (refused.value.answer.status, refused.value.answer.json["message"]) == (status, message)


class TestTheEnd:
    async def test_is_clean_after_the_time_that_was_asked_for(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        started = asyncio.get_running_loop().time()
        async with api.watch(path, timeoutSeconds=1) as watch:
            await create(api, path, "a")
            assert told(await watch.rest()) == [("ADDED", "a")]
        assert 0.9 <= asyncio.get_running_loop().time() - started < 5

    async def test_is_an_error_at_once_where_the_version_is_too_old(self, api: Api, namespace: str) -> None:
        path = things_path(namespace)
        made = (await api.post(path, thing("a"))).ok()
        await forget_the_past(api.cluster, version_of(made))
        async with api.watch(path, resourceVersion="1") as watch:  # there were no things then
            assert watch.headers["content-type"].startswith("application/json")
            (event,) = await watch.rest()
        assert event["type"] == "ERROR"
        status = event["object"]
        assert (status["kind"], status["code"], status["reason"]) == ("Status", 410, "Expired")
        assert status["message"].startswith("too old resource version: 1 (")


class TestBookmarks:
    async def test_come_before_the_end_and_carry_a_version_to_go_on_from(self, api: Api, namespace: str) -> None:
        path = config_maps(namespace)
        first = await create(api, path, "a")
        query = {"resourceVersion": str(first), "allowWatchBookmarks": True, "labelSelector": "none=here"}
        async with api.watch(path, timeoutSeconds=3, **query) as watch:
            latest = await create(api, path, "b")
            events = await watch.rest()
        assert {event["type"] for event in events} == {"BOOKMARK"}
        mark = events[-1]["object"]
        assert (mark["kind"], mark["apiVersion"]) == ("ConfigMap", "v1")
        assert version_of(mark) >= latest
        assert "annotations" not in mark["metadata"]


class TestSelectors:
    async def test_an_object_that_stops_matching_is_deleted_and_one_that_begins_is_added(
        self, api: Api, namespace: str
    ) -> None:
        path = config_maps(namespace)
        start = await create(api, path, "a", on="no")

        async def change(patch: dict[str, Any]) -> None:
            (await api.patch(f"{path}/a", patch)).ok()

        await change({"metadata": {"labels": {"on": "yes"}}})
        await change({"data": {"k": "2"}})
        await change({"metadata": {"labels": {"on": "no"}}})
        await change({"data": {"k": "3"}})
        await change({"metadata": {"labels": {"on": "yes"}}})
        (await api.delete(f"{path}/a")).ok()
        async with api.watch(path, resourceVersion=str(start), labelSelector="on=yes") as watch:
            events = await watch.take(5)
        seen = [
            (event["type"], event["object"]["metadata"]["labels"]["on"], event["object"]["data"]["k"])
            for event in events
        ]
        assert seen == [
            ("ADDED", "yes", "1"),
            ("MODIFIED", "yes", "2"),
            ("DELETED", "yes", "2"),  # as it was when it still matched
            ("ADDED", "yes", "3"),
            ("DELETED", "yes", "3"),
        ]
        versions = [version_of(event["object"]) for event in events]
        assert versions == sorted(set(versions))  # but with the version of the change

    async def test_by_fields_of_a_custom_resource_follow_them(self, api: Api, namespace: str) -> None:
        path = things_path(namespace)
        start = version_of((await api.post(path, thing("a", colour="red"))).ok())
        async with api.watch(path, resourceVersion=str(start), fieldSelector="spec.colour=blue") as watch:
            for colour in ("blue", "red"):
                (await api.patch(f"{path}/a", {"spec": {"colour": colour}})).ok()
            assert told(await watch.take(2)) == [("ADDED", "a"), ("DELETED", "a")]

    async def test_by_status_of_pods_follow_them(self, api: Api, namespace: str) -> None:
        path = f"/api/v1/namespaces/{namespace}/pods"
        body = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}], "nodeName": "n"}}
        await api.post(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "default"}})
        start = version_of((await api.post(path, body)).ok())
        async with api.watch(path, resourceVersion=str(start), fieldSelector="status.phase=Running") as watch:
            for phase in ("Running", "Failed"):
                (await api.patch(f"{path}/p/status", {"status": {"phase": phase}})).ok()
            assert told(await watch.take(2)) == [("ADDED", "p"), ("DELETED", "p")]


class TestTables:
    async def test_name_their_columns_once(self, api: Api, namespace: str) -> None:
        path = things_path(namespace)
        start = version_of((await api.post(path, thing("a"))).ok())
        for name in ("b", "c"):
            (await api.post(path, thing(name, size=7, colour="red"))).ok()
        async with api.watch(path, accept=TABLE, resourceVersion=str(start)) as watch:
            first, second = await watch.take(2)
        assert {event["object"]["kind"] for event in (first, second)} == {"Table"}
        names = [column["name"] for column in first["object"]["columnDefinitions"]]
        assert names == ["Name", "Size", "Colour", "Phase"]
        assert second["object"]["columnDefinitions"] is None
        assert [event["object"]["rows"][0]["cells"] for event in (first, second)] == [
            ["b", 7, "red", None],
            ["c", 7, "red", None],
        ]
        row = first["object"]["rows"][0]["object"]
        assert (row["kind"], row["metadata"]["name"]) == ("PartialObjectMetadata", "b")

    async def test_have_bookmarks_that_are_tables(self, api: Api, namespace: str) -> None:
        async with api.watch(things_path(namespace), accept=TABLE, allowWatchBookmarks=True, **INITIAL) as watch:
            (mark,) = await watch.take(1)
        assert (mark["type"], mark["object"]["kind"]) == ("BOOKMARK", "Table")
        assert mark["object"]["rows"][0]["object"]["metadata"]["annotations"] == END


async def test_nothing_is_lost_and_nothing_told_twice_under_load(api: Api, namespace: str) -> None:
    path, writers, rounds = config_maps(namespace), 6, 15
    start = version_of((await api.get(path)).ok())

    async def write(writer: int) -> None:
        for number in range(rounds):
            name = f"w{writer}-{number}"
            await create(api, path, name, writer=str(writer))
            (await api.patch(f"{path}/{name}", {"data": {"k": "2"}})).ok()
            if number % 3 == 0:
                (await api.delete(f"{path}/{name}")).ok()

    expected = writers * (2 * rounds + rounds // 3)
    async with (
        api.watch(path, resourceVersion=str(start)) as one,
        api.watch(path, resourceVersion=str(start)) as two,
        api.watch(path, resourceVersion=str(start), labelSelector="writer=3") as third,
        asyncio.TaskGroup() as group,
    ):
        for writer in range(writers):
            group.create_task(write(writer))
        reads = [group.create_task(watch.take(expected)) for watch in (one, two)]
        part = group.create_task(third.take(expected // writers))
    streams = [read.result() for read in reads]
    assert streams[0] == streams[1]
    versions = [version_of(event["object"]) for event in streams[0]]
    assert versions == sorted(set(versions))
    assert part.result() == [event for event in streams[0] if event["object"]["metadata"]["labels"]["writer"] == "3"]
    there: dict[str, Event] = {}
    for event in streams[0]:
        name = event["object"]["metadata"]["name"]
        if event["type"] == "DELETED":
            del there[name]
        else:
            assert (event["type"] == "ADDED") == (name not in there)
            there[name] = event["object"]
    listed = {item["metadata"]["name"]: version_of(item) for item in (await api.get(path)).ok()["items"]}
    assert {name: version_of(obj) for name, obj in there.items()} == listed
