"""Which container image a component runs. Pure functions."""

from __future__ import annotations

import re
from typing import Final

from tikv_operator.common.errors import ImageInvalid

__all__ = ["resolve_image"]

_LABEL: Final = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST: Final = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
_PART: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_TAG: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_ALGORITHM: Final = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*"
_IMAGE: Final = re.compile(
    rf"(?P<name>(?:{_HOST}/)?{_PART}(?:/{_PART})*)(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_ALGORITHM}:[0-9a-fA-F]{{32,}}))?"
)
_VALID_TAG: Final = re.compile(_TAG)


def resolve_image(image: str | None, default: str, version: str) -> str:
    """Return the image to run: what the user chose or the default, with the version as tag unless it says its own.

    Args:
        image: None or empty for the default.
        version: becomes the tag of an image that has neither tag nor digest.

    Raises:
        ImageInvalid: the image is malformed, or the version is no valid tag.
    """
    wanted = image or default
    found = _IMAGE.fullmatch(wanted)
    if found is None:
        msg = f"image {wanted!r} is not a valid image reference"
        raise ImageInvalid(msg)
    if found["tag"] or found["digest"]:
        return wanted
    if not _VALID_TAG.fullmatch(version):
        msg = f"version {version!r} cannot be the tag of image {wanted!r}: choose an image with a tag of its own"
        raise ImageInvalid(msg)
    return f"{wanted}:{version}"
