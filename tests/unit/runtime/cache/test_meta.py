"""What an entry keeps of an object."""

from __future__ import annotations

import gc
import json
from typing import Any

import msgspec
import pytest

from controller_runtime.api.k8s import ConfigMap, Pod
from controller_runtime.api.meta import source_of
from controller_runtime.api.resource import ObjectKey
from controller_runtime.cache.meta import EntryDecoder, Meta, Owner
from controller_runtime.client.errors import DecodeError

OBJECT: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {
        "name": "a",
        "namespace": "ns",
        "uid": "u1",
        "resourceVersion": "12",
        "generation": 3,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "deletionTimestamp": "2026-01-02T00:00:00Z",
        "labels": {"app": "web"},
        "annotations": {"note": "hello"},
        "ownerReferences": [
            {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u0"},
            {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": "u2", "controller": True},
        ],
        "finalizers": ["example.com/x"],
        "managedFields": [{"manager": "somebody", "fieldsV1": {"f:data": {}}}],
    },
    "data": {"key": "value"},
    "somethingNew": {"x": [1, 2.5, None]},
}


def raw(obj: Any = OBJECT) -> bytes:
    return json.dumps(obj, separators=(",", ":")).encode()


@pytest.fixture
def decoder() -> EntryDecoder:
    return EntryDecoder(ConfigMap.resource)


def test_metadata_is_decoded_once_and_frozen(decoder: EntryDecoder) -> None:
    entry = decoder.entry(raw())
    deployment = Owner("apps/v1", "Deployment", "d", "u2", controller=True)
    assert entry.key == ObjectKey("ns", "a")
    assert entry.meta == Meta(
        name="a",
        namespace="ns",
        uid="u1",
        resource_version="12",
        generation=3,
        creation_timestamp="2026-01-01T00:00:00Z",
        deletion_timestamp="2026-01-02T00:00:00Z",
        labels={"app": "web"},
        owner_references=(Owner("v1", "Node", "n", "u0"), deployment),
        finalizers=("example.com/x",),
    )
    assert entry.annotations == {"note": "hello"}
    assert entry.meta.controller == deployment
    assert deployment.group == "apps"
    with pytest.raises(AttributeError):
        entry.meta.name = "b"  # type: ignore[misc]


def test_managed_fields_are_dropped_and_nothing_else(decoder: EntryDecoder) -> None:
    kept = json.loads(decoder.entry(raw()).raw)
    expected = json.loads(raw())
    del expected["metadata"]["managedFields"]
    assert kept == expected


def test_an_object_without_managed_fields_is_kept_byte_by_byte(decoder: EntryDecoder) -> None:
    source = b'{ "kind":"ConfigMap", "metadata": {"name":"a", "resourceVersion":"1"}, "data":{"x": "1.50"} }'
    assert decoder.entry(source).raw == source


def test_an_entry_does_not_keep_the_received_buffer_alive(decoder: EntryDecoder) -> None:
    line = b'{"type":"ADDED","object":' + raw({**OBJECT, "metadata": {"name": "a"}}) + b"}"
    view = msgspec.json.decode(line, type=dict[str, msgspec.Raw])["object"]
    assert isinstance(decoder.entry(view).raw, bytes)


def test_every_read_is_a_private_object_that_knows_its_source(decoder: EntryDecoder) -> None:
    entry = decoder.entry(raw())
    one, other = entry.decode(ConfigMap), entry.decode(ConfigMap)
    one.metadata.labels["app"] = "changed"
    assert other.metadata.labels == {"app": "web"}
    assert entry.decode(ConfigMap).metadata.labels == {"app": "web"}
    assert source_of(one) is entry.raw


def test_an_untyped_read_gets_back_the_kind_that_items_of_a_list_lack(decoder: EntryDecoder) -> None:
    item = {name: value for name, value in OBJECT.items() if name not in ("apiVersion", "kind")}
    read = decoder.entry(raw(item)).decode(ConfigMap.resource)
    assert (read["apiVersion"], read["kind"], read["data"]) == ("v1", "ConfigMap", {"key": "value"})


def test_a_metadata_only_entry_holds_nothing_else() -> None:
    entry = EntryDecoder(ConfigMap.resource, metadata_only=True).entry(raw())
    assert set(json.loads(entry.raw)) == {"apiVersion", "kind", "metadata"}
    assert "managedFields" not in json.loads(entry.raw)["metadata"]


def test_partial_object_metadata_is_an_object_of_any_kind() -> None:
    partial = {**OBJECT, "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata"}
    assert EntryDecoder(Pod.resource, metadata_only=True).entry(raw(partial)).key.name == "a"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (b"", "cannot be read"),
        (b"[]", "cannot be read"),
        (b"{}", "no metadata"),
        (b'{"metadata":{}}', "required field `name`"),
        (b'{"metadata":{"name":"a","labels":{"x":1}}}', r"Expected `str`, got `int`"),
        (b'{"kind":"Table","metadata":{"name":"a"}}', 'the server sent a "Table"'),
        (b'{"kind":"Secret","metadata":{"name":"a"}}', r"an object of configmaps/v1 is expected"),
    ],
)
def test_anything_else_is_an_error_that_says_what_is_wrong(decoder: EntryDecoder, wrong: bytes, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        decoder.entry(wrong)


def test_an_object_that_does_not_fit_the_readers_type_is_an_error_that_names_the_field(decoder: EntryDecoder) -> None:
    entry = decoder.entry(raw({**OBJECT, "data": 7}))
    with pytest.raises(DecodeError, match=r"configmaps/v1 cannot be read as ConfigMap: .*\$\.data"):
        entry.decode(ConfigMap)


def test_the_collector_has_nothing_to_walk(decoder: EntryDecoder) -> None:
    entry = decoder.entry(raw())
    assert not gc.is_tracked(entry)
    assert not gc.is_tracked(entry.meta)


@pytest.mark.parametrize(
    ("annotations", "end"),
    [
        ({"k8s.io/initial-events-end": "true"}, True),
        ({"k8s.io/initial-events-end": "false"}, False),
        ({"k8s.io/initial-events-end": "yes"}, False),
        ({}, False),
        (None, False),
    ],
)
def test_only_the_exact_annotation_ends_the_initial_events(
    decoder: EntryDecoder, annotations: dict[str, str] | None, end: bool
) -> None:
    bookmark = {"kind": "ConfigMap", "metadata": {"resourceVersion": "7", "annotations": annotations}, "data": None}
    assert decoder.version(raw(bookmark)) == ("7", end)


def test_a_bookmark_without_metadata_is_an_error(decoder: EntryDecoder) -> None:
    with pytest.raises(DecodeError, match="a bookmark of configmaps/v1"):
        decoder.version(b"{}")
