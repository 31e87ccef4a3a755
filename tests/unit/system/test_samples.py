"""The samples in config/ become what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.whole_system import whole_system
from tikv_operator.demo.manifests import load
from tikv_operator.demo.scenario import Scenario
from tikv_operator.demo.stage import DEMO_SETTINGS
from tikv_operator.simulation import SimulationSettings

SAMPLES = sorted(path for path in (Path(__file__).parents[3] / "config" / "samples").iterdir() if path.is_dir())


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
async def test_a_sample_is_created_and_deleted(sample: Path) -> None:
    async with whole_system(DEMO_SETTINGS, SimulationSettings(prestop_poll=0.1)) as system:
        story = Scenario(system.user, system.world, load([sample]), timeout=120.0)
        created = await story.play(story.creation())
        assert not created.error, created.error
        deleted = await story.play(story.steps()[-1])
        assert not deleted.error, deleted.error
