"""Label selectors: kubectl's syntax, and what matches."""

from __future__ import annotations

import pytest

from controller_runtime.api import Selector, parse_selector, selector

LABELS = {"app": "web", "tier": "front", "n": "5", "empty": ""}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("app=web", True),
        ("app==web", True),
        ("app = web", True),
        ("app=db", False),
        ("missing=x", False),
        ("app!=db", True),
        ("app!=web", False),
        ("missing!=x", True),
        ("app in (web, db)", True),
        ("app in (db)", False),
        ("app notin (db,x)", True),
        ("missing notin (x)", True),
        ("app notin (web)", False),
        ("app", True),
        ("missing", False),
        ("!missing", True),
        ("!app", False),
        ("n>4", True),
        ("n>5", False),
        ("n<6", True),
        ("app>1", False),
        ("missing<1", False),
        ("empty=", True),
        ("app=", False),
        ("app=web,tier in (front,back),!missing", True),
        ("app=web,tier=back", False),
        ("example.com/app!=x", True),
    ],
)
def test_matching(text: str, matches: bool) -> None:
    assert parse_selector(text).matches(LABELS) is matches


@pytest.mark.parametrize("text", ["=x", "a=b,", ",a=b", "a in", "a in b", "a b", "a=(b)", "a in (b", "!", "a&b"])
def test_what_is_no_selector_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|Invalid value"):
        parse_selector(text)


@pytest.mark.parametrize("text", ["app=web", "app!=web", "a in (x,y)", "a notin (x)", "app", "!app", "n>4", "a=b,c"])
def test_text_and_selector_convert_both_ways(text: str) -> None:
    assert str(parse_selector(text)) == text
    assert parse_selector(str(parse_selector(text))) == parse_selector(text)


def test_built_selectors_are_sorted_and_can_be_part_of_a_key() -> None:
    built = selector({"b": "2", "a": "1"}, exists=["c"])
    assert str(built) == "a=1,b=2,c"
    assert built == parse_selector("a=1,b=2,c")
    assert len({built, parse_selector("a=1,b=2,c")}) == 1


def test_the_empty_selector_matches_everything() -> None:
    assert Selector().matches({})
    assert selector() == Selector()
