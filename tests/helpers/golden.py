"""Golden files: what is rendered, as text that a person can review.

Run the tests with the environment variable `UPDATE_GOLDEN=1` to write the files anew; then review the difference.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from controller_runtime.api import to_builtins

GOLDEN = Path(__file__).parent.parent / "golden"


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as a block, so that a configuration file can be read."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def assert_golden(name: str, *objects: Any) -> None:
    """Compare objects with the documents of a YAML file below tests/golden."""
    rendered = [to_builtins(obj) for obj in objects]
    path = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.dump_all(rendered, Dumper=_Dumper, sort_keys=False, width=10_000))
    assert rendered == list(yaml.safe_load_all(path.read_text()))
