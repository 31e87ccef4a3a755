"""Settings from a TOML file: every field of `Settings` may be set, nothing else."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import msgspec

from tikv_operator.common.settings import Settings

__all__ = ["SettingsError", "load_settings"]


class SettingsError(Exception):
    """A settings file that is missing, malformed or names an unknown setting; one line for a person."""


def load_settings(path: Path | None, *, base: Settings | None = None) -> Settings:
    """Return `base` (or the defaults) with what the file at `path` sets.

    Raises:
        SettingsError: the file cannot be used; the message names the setting.
    """
    settings = base or Settings()
    if path is None:
        return settings
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"{path}: {error.strerror or error}"
        raise SettingsError(msg) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"{path}: not TOML: {error}"
        raise SettingsError(msg) from error
    known = {field.name for field in dataclasses.fields(Settings)}
    unknown = sorted(set(values) - known)
    if unknown:
        msg = f"{path}: unknown setting {unknown[0]!r}; known are {', '.join(sorted(known))}"
        raise SettingsError(msg)
    try:
        return msgspec.convert({**dataclasses.asdict(settings), **values}, Settings)
    except msgspec.ValidationError as error:
        msg = f"{path}: {error}"
        raise SettingsError(msg) from error
