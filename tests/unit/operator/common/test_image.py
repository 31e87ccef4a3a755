from __future__ import annotations

import pytest

from tikv_operator.common.errors import ImageInvalid
from tikv_operator.common.image import resolve_image

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("image", "version", "resolved"),
    [
        (None, "v8.1.0", "pingcap/tikv:v8.1.0"),
        ("", "v8.1.0", "pingcap/tikv:v8.1.0"),
        ("test", "v8.1.0", "test:v8.1.0"),
        ("test:xxx", "v8.1.0", "test:xxx"),
        (f"test@{DIGEST}", "v8.1.0", f"test@{DIGEST}"),
        (f"test:xxx@{DIGEST}", "v8.1.0", f"test:xxx@{DIGEST}"),
        ("localhost:5000/a/b", "v8.1.0", "localhost:5000/a/b:v8.1.0"),
        ("localhost:5000/a/b:c", "v8.1.0", "localhost:5000/a/b:c"),
        ("[::1]:5000/a", "v8.1.0", "[::1]:5000/a:v8.1.0"),
    ],
)
def test_an_image_without_tag_and_digest_gets_the_version(image: str | None, version: str, resolved: str) -> None:
    assert resolve_image(image, "pingcap/tikv", version) == resolved


@pytest.mark.parametrize("image", ["test:test:test", "TEST", "a//b", "a b", "test@sha256:short", ":tag"])
def test_a_malformed_image_is_an_error_of_the_spec(image: str) -> None:
    with pytest.raises(ImageInvalid, match="is not a valid image reference") as raised:
        resolve_image(image, "pingcap/tikv", "v8.1.0")
    assert raised.value.reason == "ImageInvalid"


@pytest.mark.parametrize("version", ["-test_xxx", "2.0.0+build.1848", "", "a" * 129])
def test_a_version_that_is_no_tag_is_an_error_of_the_spec(version: str) -> None:
    with pytest.raises(ImageInvalid, match="cannot be the tag"):
        resolve_image(None, "pingcap/tikv", version)


def test_a_version_that_is_no_tag_does_not_matter_if_it_is_not_used() -> None:
    assert resolve_image("test:xxx", "pingcap/tikv", "-test_xxx") == "test:xxx"
