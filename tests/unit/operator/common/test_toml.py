from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tikv_operator.common.toml import Declared, dump_toml, parse_toml


class TestValues:
    @pytest.mark.parametrize(
        ("toml", "written"),
        [
            ("a=1.5", "a = 1.5"),
            ("b=true", "b = true"),
            ("c=[1,2]", "c = [1, 2]"),
            ("d=2024-01-01T00:00:00Z", "d = 2024-01-01T00:00:00Z"),
            ("d=2024-01-01T00:00:00.500+08:00", "d = 2024-01-01T00:00:00.5+08:00"),
            ("d=2024-01-01T07:30:00", "d = 2024-01-01T07:30:00"),
            ("d=2024-01-01", "d = 2024-01-01"),
            ("d=07:30:00", "d = 07:30:00"),
            ('e="it\'s"', 'e = "it\'s"'),
            (r'f="tab\t\n"', r'f = "tab\t\n"'),
            (r'f="tab\tonly"', "f = 'tab\tonly'"),
            (r'g="back\\slash"', r"g = 'back\slash'"),
            (r'g="bell\u0007"', r'g = "bell\u0007"'),
            ("h=1e6", "h = 1000000.0"),
            ("h=1e-7", "h = 0.0000001"),
            ("h=nan", "h = nan"),
            ("h=-inf", "h = -inf"),
            ("i=[]", "i = []"),
            ("i=[['a'],['b']]", "i = [['a'], ['b']]"),
            ("i=[{b=1,a=2},3]", "i = [{a = 2, b = 1}, 3]"),
            ("'a.b'=1", "'a.b' = 1"),
            ("''=1", "'' = 1"),
            ('"it\'s"=1', '"it\'s" = 1'),
            ("j=0x10", "j = 16"),
        ],
    )
    def test_have_one_form(self, toml: str, written: str) -> None:
        assert dump_toml(parse_toml(toml)) == f"{written}\n"

    def test_of_another_type_are_a_bug(self) -> None:
        with pytest.raises(TypeError, match="cannot be written as TOML"):
            dump_toml({"a": object()})


class TestLayout:
    def test_values_come_before_tables_and_both_are_sorted(self) -> None:
        assert dump_toml({"b": {"y": 1, "x": 2}, "z": 1, "a": {}}) == "z = 1\n\n[a]\n\n[b]\nx = 2\ny = 1\n"

    def test_a_declared_table_keeps_its_order(self) -> None:
        assert dump_toml({"b": Declared(y=1, x=2)}) == "[b]\ny = 1\nx = 2\n"

    def test_a_table_of_nothing_but_tables_has_no_blank_line(self) -> None:
        assert dump_toml({"a": {"b": {"c": 1}}}) == "[a]\n[a.b]\nc = 1\n"

    def test_a_list_of_tables_repeats_its_header(self) -> None:
        assert dump_toml({"arr": [{"a": 1}, {"b": {"c": 2}}]}) == "[[arr]]\na = 1\n\n[[arr]]\n[arr.b]\nc = 2\n"

    def test_nothing_is_an_empty_text(self) -> None:
        assert dump_toml({}) == ""


def test_what_is_no_toml_is_refused_with_the_place() -> None:
    with pytest.raises(ValueError, match="at line 1"):
        parse_toml("invalid\n")


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_TREE: Any = st.recursive(
    st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), _TEXT),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(_TEXT, _TREE, max_size=4))
def test_whatever_is_written_reads_as_what_it_was(document: dict[str, Any]) -> None:
    assert tomllib.loads(dump_toml(document)) == document
