"""Settings files: what is set, what is not, and one clear line for a mistake."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tikv_operator.common.settings import Settings
from tikv_operator.common.settings_file import SettingsError, load_settings


def write(folder: Path, text: str) -> Path:
    file = folder / "settings.toml"
    file.write_text(text)
    return file


def test_without_a_file_the_defaults_hold() -> None:
    assert load_settings(None) == Settings()


def test_a_file_sets_what_it_names_and_keeps_the_rest(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, "pd_poll = 5\nworkers = 9\n"), base=Settings(requeue=1.0))
    assert settings == Settings(pd_poll=5.0, workers=9, requeue=1.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pd_pol = 5\n", "unknown setting 'pd_pol'; known are .*pd_poll"),
        ("workers = 'many'\n", "Expected `int`, got `str` - at `\\$.workers`"),
        ("workers = \n", "not TOML"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=rf"settings\.toml: {message}"):
        load_settings(write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml: No such file"):
        load_settings(tmp_path / "none.toml")


def test_the_documentation_lists_every_setting_with_its_default() -> None:
    page = (Path(__file__).parents[4] / "docs" / "settings.md").read_text()
    for field in dataclasses.fields(Settings):
        assert f"| `{field.name}` | {_written(field.default)} |" in page


def _written(value: object) -> str:
    return f"`{value}`" if isinstance(value, str) else str(value)
