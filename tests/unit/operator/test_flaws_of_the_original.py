"""The tests that docs/flaws-of-the-original.md and its sister about PD name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
TABLE = "\n".join(page.read_text() for page in sorted((TESTS.parent / "docs").glob("flaws-of-the-original*.md")))
NAMED = sorted(set(re.findall(r"`([\w/]+\.py::[\w:]+)`", TABLE)))


def test_every_row_names_a_test() -> None:
    rows = [line for line in TABLE.splitlines() if re.match(r"\| [A-E]\d", line)]
    assert rows
    assert [row for row in rows if ".py::" not in row] == []


@pytest.mark.parametrize("name", NAMED)
def test_a_test_in_the_table_exists(name: str) -> None:
    path, *classes, function = name.split("::")
    text = (TESTS / path).read_text()
    assert all(f"class {found}:" in text for found in classes)
    assert f"def {function}(" in text
