"""That the suite's own tools work on both clusters."""

from __future__ import annotations

import pytest

from helpers.rest import Api, WatchRefused
from helpers.things import thing, things_path


async def test_a_namespace_is_there_and_active(api: Api, namespace: str) -> None:
    found = (await api.get(f"/api/v1/namespaces/{namespace}")).ok()
    assert found["status"]["phase"] == "Active"
    assert found["metadata"]["labels"] == {"kubernetes.io/metadata.name": namespace}


async def test_a_config_map_s_life(api: Api, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    made = await api.post(path, {"metadata": {"name": "a"}, "data": {"k": "1"}})
    assert (made.status, made.json["data"]) == (201, {"k": "1"})
    version = made.json["metadata"]["resourceVersion"]
    async with api.watch(path, resourceVersion=version) as events:
        changed = (await api.patch(f"{path}/a", {"data": {"k": "2"}})).ok()
        assert (await api.put(f"{path}/a", {**changed, "data": {"k": "3"}})).status == 200
        assert (await api.delete(f"{path}/a")).status == 200
        seen = [(event["type"], event["object"]["data"]["k"]) for event in await events.take(3)]
    assert seen == [("MODIFIED", "2"), ("MODIFIED", "3"), ("DELETED", "3")]
    await api.gone(f"{path}/a")


async def test_a_thing_has_its_defaults(api: Api, namespace: str) -> None:
    made = await api.post(things_path(namespace), thing("a", parts=[{"name": "p"}]))
    assert made.ok()["spec"] == {"size": 1, "parts": [{"name": "p", "count": 1}]}


async def test_a_watch_of_nothing_is_refused(api: Api) -> None:
    with pytest.raises(WatchRefused) as refused:
        await api.watch("/apis/nothing.example.com/v1/things").open()
    assert refused.value.answer.status == 404
