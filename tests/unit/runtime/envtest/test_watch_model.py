"""Whatever happens, a list and the watch that follows it show the same objects."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.apiserver import CONFIG_MAPS, Server, config_map, events

NAMES = ("a", "b", "c")
COLORS = ("red", "blue")
steps = st.lists(
    st.tuples(st.sampled_from(("create", "paint", "delete")), st.sampled_from(NAMES), st.sampled_from(COLORS)),
    max_size=20,
)


def act(server: Server, step: tuple[str, str, str]) -> None:
    action, name, color = step
    if action == "create":
        server("POST", CONFIG_MAPS, config_map(name, labels={"color": color}))
    elif action == "paint":
        server.merge(f"{CONFIG_MAPS}/{name}", {"metadata": {"labels": {"color": color}}})
    else:
        server("DELETE", f"{CONFIG_MAPS}/{name}")


def state(listing: Any) -> dict[str, Any]:
    return {item["metadata"]["name"]: {"kind": "ConfigMap", "apiVersion": "v1", **item} for item in listing["items"]}


@settings(max_examples=60, deadline=None)
@given(before=steps, between=steps, after=steps, selector=st.sampled_from(("", "color=red", "color!=red", "color")))
def test_replaying_a_watch_on_its_list_gives_the_later_list(
    before: list[Any], between: list[Any], after: list[Any], selector: str
) -> None:
    server = Server()
    for step in before:
        act(server, step)
    listing = server.ok("GET", CONFIG_MAPS, labelSelector=selector)
    seen = state(listing)
    for step in between:
        act(server, step)
    watch = server.watch(CONFIG_MAPS, labelSelector=selector, resourceVersion=listing["metadata"]["resourceVersion"])
    told = events(watch)
    for step in after:
        act(server, step)
        told += events(watch)
    version = int(listing["metadata"]["resourceVersion"])
    for kind, obj in told:
        name = obj["metadata"]["name"]
        assert int(obj["metadata"]["resourceVersion"]) > version
        version = int(obj["metadata"]["resourceVersion"])
        if kind == "DELETED":
            assert name in seen
            del seen[name]
        else:
            assert (kind == "ADDED") == (name not in seen)
            seen[name] = obj
    assert seen == state(server.ok("GET", CONFIG_MAPS, labelSelector=selector))
