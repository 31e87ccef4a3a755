"""Counting the cases of tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.case_counts import cases_of

TESTS = """
import pytest

def test_one(): ...

@pytest.mark.parametrize("a", [1, 2, 3])
@pytest.mark.parametrize("b", ["x", "y"])
def test_six(a, b): ...

@pytest.mark.parametrize("a", [{}, {"x": 1}])
def test_without_names(a): ...

@pytest.mark.parametrize("a", [{}, {"x": 1}], ids=["empty", "full"])
def test_with_names(a): ...

@pytest.mark.parametrize(("a", "b"), [pytest.param({}, [], id="empty"), ({}, [])])
def test_with_one_name(a, b): ...

@pytest.mark.parametrize("kind", ["a", "b"])
class TestAll:
    helper = 1

    @pytest.mark.parametrize("a", [1, 2])
    def test_two(self, kind, a): ...

    def test_other(self, kind): ...
"""


@pytest.fixture
def tests(tmp_path: Path) -> Path:
    (tmp_path / "test_some.py").write_text(TESTS)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "count", "nameless"),
    [
        ("test_one", 1, 0),
        ("test_six", 6, 0),
        ("test_without_names", 2, 2),
        ("test_with_names", 2, 0),
        ("test_with_one_name", 2, 1),
        ("TestAll::test_two", 4, 0),
        ("TestAll", 6, 0),
    ],
)
def test_cases_are_counted(tests: Path, name: str, count: int, nameless: int) -> None:
    found = cases_of(tests, f"test_some.py::{name}")
    assert (found.count, len(found.nameless)) == (count, nameless)


def test_a_test_that_does_not_exist_is_an_error(tests: Path) -> None:
    with pytest.raises(AttributeError):
        cases_of(tests, "test_some.py::test_none")
    with pytest.raises(FileNotFoundError):
        cases_of(tests, "test_other.py::test_one")
