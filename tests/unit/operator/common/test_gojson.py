from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tikv_operator.common.gojson import go_json


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param({"b": 1, "a": [True, None, 1.5]}, '{"b":1,"a":[true,null,1.5]}', id="compact, in the given order"),
        pytest.param({"a": "<x>&"}, r'{"a":"\u003cx\u003e\u0026"}', id="HTML is escaped"),
        pytest.param({"<": 1}, r'{"\u003c":1}', id="in keys, too"),
        pytest.param({"a": "\u2028\u2029"}, r'{"a":"\u2028\u2029"}', id="line separators are escaped"),
        pytest.param({"a": "größe"}, '{"a":"größe"}', id="other letters are not"),
        pytest.param({"a": '"\\\n\t\r\b\f\x01'}, r'{"a":"\"\\\n\t\r\b\f\u0001"}', id="control characters"),
    ],
)
def test_json_is_written_as_go_does(value: Any, text: str) -> None:
    assert go_json(value) == text


def test_maps_are_sorted_on_demand() -> None:
    assert go_json({"b": {"d": 1, "c": 2}, "a": 3}, sort_maps=True) == '{"a":3,"b":{"c":2,"d":1}}'


def test_what_json_cannot_express_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        go_json(float("nan"))


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.text())))
def test_it_is_json(value: dict[str, Any]) -> None:
    assert json.loads(go_json(value)) == value
