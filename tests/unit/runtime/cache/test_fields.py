"""Field selectors, as text and as what they say about an object."""

from __future__ import annotations

import pytest

from controller_runtime.cache.fields import FieldSelector
from controller_runtime.cache.meta import Meta


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("", ""),
        ("spec.nodeName=n1", "spec.nodeName=n1"),
        (" status.phase != Failed , spec.nodeName==n1", "spec.nodeName=n1,status.phase!=Failed"),
        ("spec.nodeName=", "spec.nodeName="),
        (r"reason=a\,b\=c\\d", r"reason=a\,b\=c\\d"),
        ("a=1,a=1", "a=1"),
    ],
)
def test_it_is_written_in_one_way_however_it_was_given(text: str, normal: str) -> None:
    assert str(FieldSelector.parse(text)) == normal
    assert FieldSelector.parse(normal) == FieldSelector.parse(text)


@pytest.mark.parametrize("text", ["spec.nodeName", "=x", "a=b=c", "a in (b)", ",", "a>1", "a=1,,b=2"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="unable to parse field selector"):
        FieldSelector.parse(text)


@pytest.mark.parametrize(
    ("text", "selects"),
    [
        ("metadata.name=a", True),
        ("metadata.name=b", False),
        ("metadata.name!=a", False),
        ("metadata.namespace!=other,metadata.name=a", True),
        ("spec.nodeName=n1", None),
        ("spec.nodeName=n1,metadata.name=a", None),
        ("spec.nodeName=n1,metadata.name=b", False),
    ],
)
def test_what_is_not_about_the_name_only_the_server_knows(text: str, selects: bool | None) -> None:
    assert FieldSelector.parse(text).selects(Meta(name="a", namespace="ns")) is selects
