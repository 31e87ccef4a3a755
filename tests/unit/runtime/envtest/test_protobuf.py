"""The protobuf bodies that kubectl sends."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller_runtime.envtest.protobuf import MEDIA, read_protobuf
from controller_runtime.envtest.status import StatusError
from helpers.apiserver import CONFIG_MAPS, Server


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def text(field: int, value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(raw)) + raw


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    return b"k8s\x00" + text(1, text(1, api_version) + text(2, kind)) + text(2, raw) + text(3, "") + text(4, "")


def pair(key: str, value: str | bytes) -> bytes:
    return text(1, key) + text(2, value)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            envelope("v1", "ConfigMap", text(1, text(1, "c") + text(11, pair("l", "v"))) + text(2, pair("a", "b"))),
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "c", "labels": {"l": "v"}},
                "data": {"a": "b"},
            },
        ),
        (
            envelope("v1", "Secret", text(1, text(1, "s")) + text(2, pair("a", b"\x00\xff")) + text(3, "Opaque")),
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "AP8="}, "type": "Opaque"},
        ),
        (
            envelope("policy/v1", "Eviction", text(1, text(1, "p")) + text(2, number(1, 300))),
            {
                "apiVersion": "policy/v1",
                "kind": "Eviction",
                "metadata": {"name": "p"},
                "deleteOptions": {"gracePeriodSeconds": 300},
            },
        ),
        (
            envelope("v1", "ConfigMap", text(1, text(1, "c") + text(999, "news")) + number(4, 1)),
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "immutable": True},
        ),
    ],
)
def test_known_kinds_are_read(body: bytes, expected: dict[str, Any]) -> None:
    assert read_protobuf(body) == expected


def test_negative_numbers_are_read() -> None:
    body = envelope("v1", "DeleteOptions", number(1, 2**64 - 1))
    assert read_protobuf(body)["gracePeriodSeconds"] == -1


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(StatusError, match="cannot read a Gadget in protobuf") as refused:
        read_protobuf(envelope("v1", "Gadget", b""))
    assert refused.value.code == 415


@given(st.binary(max_size=60))
def test_garbage_is_a_bad_request(garbage: bytes) -> None:
    for body in (garbage, b"k8s\x00" + garbage, envelope("v1", "ConfigMap", garbage)):
        with contextlib.suppress(StatusError):  # nothing else may come out
            read_protobuf(body)


def test_objects_can_be_created_from_it() -> None:
    body = envelope("v1", "ConfigMap", text(1, text(1, "c")) + text(2, pair("a", "b")))
    assert Server().ok("POST", CONFIG_MAPS, body, content_type=MEDIA)["data"] == {"a": "b"}
