"""What is wrong with an object so that it cannot be carried out until somebody changes it.

The message is for the person who wrote the object; the reason is one CamelCase word, which a condition and an Event carry.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = ["ConfigInvalid", "ImageInvalid", "OverlayInvalid", "SpecInvalid"]


class SpecInvalid(Exception):
    """An object that the API server accepted asks for something impossible."""

    reason: ClassVar[str] = "SpecInvalid"


class ConfigInvalid(SpecInvalid):
    """A component's configuration is not TOML, or sets what only the operator may set."""

    reason = "ConfigInvalid"


class ImageInvalid(SpecInvalid):
    """An image, or the version that is to become its tag, is malformed."""

    reason = "ImageInvalid"


class OverlayInvalid(SpecInvalid):
    """An overlay does not fit the object it is merged over."""

    reason = "OverlayInvalid"
