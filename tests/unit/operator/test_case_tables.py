"""The tables in docs/case-tables.md are covered: the tests named there exist, and have a case with a name for each row."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from helpers.case_counts import cases_of

TESTS = Path(__file__).parents[2]
PAGE = (TESTS.parent / "docs" / "case-tables.md").read_text()


@dataclass(frozen=True, slots=True)
class Table:
    about: str
    rows: int
    tests: tuple[str, ...]


def tables() -> list[Table]:
    found = re.findall(r"^\| (.+?) \| (\d+) \| (.+) \|$", PAGE, re.MULTILINE)
    return [
        Table(about, int(rows), tuple(re.findall(r"`([\w/]+\.py::[\w:]+)`", tests))) for about, rows, tests in found
    ]


TABLES = tables()


def test_the_page_has_tables() -> None:
    assert len(TABLES) > 50
    assert len({table.about for table in TABLES}) == len(TABLES)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.about)
def test_every_row_of_a_table_is_a_case_with_a_name(table: Table) -> None:
    cases = {test: cases_of(TESTS, test) for test in table.tests}
    assert sum(found.count for found in cases.values()) >= table.rows
    assert {test: found.nameless for test, found in cases.items() if found.nameless} == {}


def test_the_number_of_rows_that_the_page_tells_is_the_sum_of_its_tables() -> None:
    said = re.search(r"(\d+) tables with (\d+) rows", PAGE)
    assert said is not None
    assert (int(said[1]), int(said[2])) == (len(TABLES), sum(table.rows for table in TABLES))
