"""Names for new instances."""

from __future__ import annotations

import itertools
import re

from helpers.group_world import make_group
from tikv_operator.api import TiKVGroup
from tikv_operator.group.allocation import NameAllocator, suffix


def first(allocator: NameAllocator, group: TiKVGroup, count: int) -> list[str]:
    return list(itertools.islice(allocator.candidates(group), count))


def at_generation(generation: int) -> TiKVGroup:
    return make_group(metadata={"generation": generation})


def test_a_name_is_the_group_and_six_characters() -> None:
    names = first(NameAllocator(), make_group(), 200)
    assert all(re.fullmatch(r"basic-[a-z0-9]{6}", name) for name in names)
    assert len(set(names)) == 200


def test_whoever_repeats_a_scale_out_comes_to_the_same_names() -> None:
    assert first(NameAllocator(), make_group(), 5) == first(NameAllocator(), make_group(), 5)


def test_names_of_two_groups_and_of_two_generations_differ() -> None:
    one = first(NameAllocator(), at_generation(1), 3)
    two = first(NameAllocator(), at_generation(2), 3)
    reborn = first(NameAllocator(), make_group(metadata={"uid": "another"}), 3)
    assert not set(one) & set(two)
    assert not set(one) & set(reborn)


def test_a_name_that_was_seen_is_not_given_again_even_when_its_instance_is_gone() -> None:
    allocator, group = NameAllocator(), make_group()
    one, two = first(allocator, group, 2)
    allocator.observe(group, [one])
    allocator.observe(group, [])
    assert first(allocator, group, 1) == [two]


def test_an_instance_that_was_created_but_is_not_seen_yet_gets_the_same_name_again() -> None:
    allocator, group = NameAllocator(), make_group()
    one, two, three = first(allocator, group, 3)
    allocator.observe(group, [one])
    assert first(allocator, group, 2) == [two, three]
    assert first(allocator, group, 2) == [two, three]


def test_a_group_that_is_gone_is_forgotten() -> None:
    allocator, group = NameAllocator(), make_group()
    names = first(allocator, group, 1)
    allocator.observe(group, names)
    allocator.forget(group.key)
    allocator.forget(group.key)
    assert first(allocator, group, 1) == names


def test_suffixes_never_change_between_versions() -> None:
    assert [suffix("uid", 1, number) for number in range(3)] == ["a1kwp0", "15bl42", "ozn4y1"]
