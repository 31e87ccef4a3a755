"""Revision data and hashes: the vectors were computed by TiDB Operator itself."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tikv_operator.api import PDGroup, TiKVGroup
from tikv_operator.common.revision import canonical_data, revision_data, revision_hash

EMPTY = (
    b'{"spec":{"template":{"$patch":"replace","metadata":{},"spec":{"resources":{},"server":{"ports":{}},'
    b'"updateStrategy":{},"version":"","volumes":null}}}}'
)
FULL = (
    b'{"spec":{"features":["UseTiKVReadyAPI"],"template":{"$patch":"replace","metadata":{"labels":{"a":"b"}},'
    b'"spec":{"config":"a = \\"\\u003cx\\u003e\\u0026\\"\\n","resources":{"cpu":"1","memory":"2Gi"},"server":{"ports":{}},'
    b'"updateStrategy":{"config":"Restart"},"version":"v8.1.0",'
    b'"volumes":[{"mounts":[{"type":"data"}],"name":"data","storage":"20Gi"}]}}}}'
)


def group(template: dict[str, Any], **spec: Any) -> TiKVGroup:
    return msgspec.convert(
        {
            "metadata": {"name": "basic", "namespace": "ns1"},
            "spec": {"cluster": {"name": "tc"}, "replicas": 3, "template": template} | spec,
        },
        TiKVGroup,
    )


def full_group(**spec: Any) -> TiKVGroup:
    return group(
        {
            "metadata": {"labels": {"a": "b"}},
            "spec": {
                "version": "v8.1.0",
                "config": 'a = "<x>&"\n',
                "resources": {"cpu": "1000m", "memory": "2048Mi"},
                "updateStrategy": {"config": "Restart"},
                "volumes": [{"name": "data", "mounts": [{"type": "data"}], "storage": "20Gi"}],
            },
        },
        features=["UseTiKVReadyAPI"],
        **spec,
    )


@pytest.mark.parametrize(
    ("data", "collisions", "expected"),
    [
        pytest.param(EMPTY, 0, "68cf8745d6", id="empty"),
        pytest.param(EMPTY, 1, "68cf8745d7", id="empty, one collision"),
        pytest.param(EMPTY, 2, "68cf8745d4", id="empty, two collisions"),
        pytest.param(FULL, 0, "9f6f5d95c", id="full"),
        pytest.param(FULL, 1, "9f6f5d95b", id="full, one collision"),
        pytest.param(FULL, 2, "9f6f5d95f", id="full, two collisions"),
    ],
)
def test_the_hash_is_that_of_tidb_operator(data: bytes, collisions: int, expected: str) -> None:
    assert revision_hash(data, collisions) == expected


def test_the_data_of_a_full_group_is_that_of_tidb_operator_byte_for_byte() -> None:
    assert revision_data(full_group()) == FULL


def test_a_template_without_volumes_has_null_ones() -> None:
    empty = TiKVGroup()
    empty.spec.template.spec.volumes = None  # type: ignore[assignment]
    assert revision_data(empty) == EMPTY


def test_a_template_with_an_empty_list_of_volumes_keeps_it() -> None:
    assert b'"volumes":[]' in revision_data(TiKVGroup())


def test_a_pd_group_has_the_same_shape() -> None:
    pd = PDGroup()
    pd.spec.template.spec.volumes = None  # type: ignore[assignment]
    assert revision_data(pd) == EMPTY


def test_data_read_back_compares_equal_whatever_the_order_of_its_keys() -> None:
    read_back = json.loads(FULL)
    shuffled = {"spec": dict(reversed(read_back["spec"].items()))}
    assert canonical_data(shuffled) == FULL


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"replicas": 7}, id="replicas"),
        pytest.param({"minReadySeconds": 30}, id="minReadySeconds"),
        pytest.param(
            {
                "schedulePolicies": [
                    {"type": "EvenlySpread", "evenlySpread": {"topologies": [{"topology": {"z": "a"}}]}}
                ]
            },
            id="schedulePolicies",
        ),
    ],
)
def test_what_does_not_concern_the_template_makes_no_revision(spec: dict[str, Any]) -> None:
    assert revision_data(full_group(**spec)) == FULL


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        pytest.param({"image": ""}, '"image":""', id="an empty image is a pointer"),
        pytest.param({"config": ""}, None, id="an empty config is left out"),
        pytest.param({"placement": {}}, '"placement":{}', id="an empty struct behind a pointer stays"),
        pytest.param(
            {"placement": {"exclusive": False}}, '"placement":{"exclusive":false}', id="false behind a pointer"
        ),
        pytest.param(
            {"server": {"labels": {}, "ports": {"client": {"port": 1}}}},
            '"server":{"ports":{"client":{"port":1}}}',
            id="empty labels are left out",
        ),
        pytest.param(
            {"server": {"labels": {"b": "1", "a": "2"}}},
            '"server":{"labels":{"a":"2","b":"1"},"ports":{}}',
            id="labels",
        ),
        pytest.param({"preStop": {}}, '"preStop":{}', id="preStop without an image"),
        pytest.param(
            {"remoteWorkers": {"worker": {"name": ""}, "compactor": {"name": "c"}}},
            '"remoteWorkers":{"compactor":{"name":"c"},"worker":{}}',
            id="remoteWorkers",
        ),
        pytest.param({"overlay": {}}, '"overlay":{}', id="an empty overlay"),
        pytest.param(
            {"overlay": {"pod": {}}}, '"overlay":{"pod":{"metadata":{}}}', id="an overlay's metadata is always there"
        ),
        pytest.param(
            {"overlay": {"pod": {"spec": {}}}},
            '"overlay":{"pod":{"metadata":{},"spec":{"containers":null}}}',
            id="a pod's containers are always there",
        ),
        pytest.param(
            {
                "overlay": {
                    "pod": {
                        "spec": {
                            "hostNetwork": False,
                            "nodeSelector": {},
                            "tolerations": [],
                            "terminationGracePeriodSeconds": 0,
                            "containers": [
                                {
                                    "name": "tikv",
                                    "env": [
                                        {"name": "EMPTY", "value": ""},
                                        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
                                    ],
                                    "resources": {"limits": {"cpu": "2000m"}},
                                    "securityContext": {},
                                    "tty": False,
                                },
                                {"name": "sidecar"},
                            ],
                        }
                    }
                }
            },
            '"overlay":{"pod":{"metadata":{},"spec":{"containers":['
            '{"env":[{"name":"EMPTY"},'
            '{"name":"CPU","valueFrom":{"resourceFieldRef":{"divisor":"0","resource":"limits.cpu"}}}],'
            '"name":"tikv","resources":{"limits":{"cpu":"2"}},"securityContext":{}},'
            '{"name":"sidecar","resources":{}}],"terminationGracePeriodSeconds":0}}}',
            id="what Go leaves out and what it always writes",
        ),
        pytest.param(
            {"overlay": {"volumeClaims": [{"name": "data", "volumeClaim": {"spec": {"storageClassName": ""}}}]}},
            '"overlay":{"volumeClaims":[{"name":"data","volumeClaim":'
            '{"metadata":{},"spec":{"resources":{},"storageClassName":""}}}]}',
            id="the overlay of a claim",
        ),
    ],
)
def test_a_template_is_written_as_go_would(template: dict[str, Any], expected: str | None) -> None:
    text = revision_data(group({"spec": {"version": "v1.0.0", "volumes": []} | template})).decode()
    field = next(iter(template))
    if expected is None:
        assert f'"{field}"' not in text
    else:
        assert expected in text
