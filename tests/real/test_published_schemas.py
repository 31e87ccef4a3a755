"""The schemas of built-in types that CRDs are made of are what the real API server publishes today."""

from __future__ import annotations

import runpy
from pathlib import Path

GENERATOR = Path(__file__).parents[2] / "hack" / "generate_schemas.py"


async def test_the_committed_schemas_are_those_of_the_pinned_kubernetes() -> None:
    generator = runpy.run_path(str(GENERATOR))
    assert generator["TARGET"].read_text() == await generator["generate"](), "run `make schemas manifests`"
