"""Fields that come twice, and where."""

from __future__ import annotations

import pytest

from controller_runtime.envtest.duplicates import duplicate_fields


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"a":1,"b":{"a":2}}', []),
        (b'{"a": 1, "a": 2}', ["a"]),
        (b'{"a": 1, "a": 2, "a": 3}', ["a"]),
        (b'{"a": {"b": [{"c": 1}, {"c": 1, "c": 1}]}}', ["a.b[1].c"]),
        (b'{"a": {"x": 1, "x": 2}, "b": 1, "a": {}}', ["a.x", "a"]),
        (b'[{"op": "add", "path": "/a", "path": "/b"}]', ["[0].path"]),
        (b'{"a.b": 1, "a": {"b": 1}}', []),
        (b'{"text": "{\\"a\\": 1, \\"a\\": 2}"}', []),
        (b"", []),
        (b"{nonsense", []),
        (b"\xff\xfe", []),
        (b"a: 1\na: 2\n", []),
    ],
)
def test_are_found_once_each_in_the_order_of_the_document(body: bytes, expected: list[str]) -> None:
    assert duplicate_fields(body) == expected
