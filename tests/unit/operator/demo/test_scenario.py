"""The demo's plan: how far groups are scaled, and how a configuration is changed so that a restart is due."""

from __future__ import annotations

import tomllib

import pytest

from controller_runtime.api import ObjectKey
from tikv_operator.demo.scenario import Plan, changed_config


@pytest.mark.parametrize(
    ("replicas", "out", "back"),
    [
        pytest.param(3, 5, 3, id="the-sample"),
        pytest.param(1, 5, 3, id="pd-refuses-to-go-below-its-max-replicas"),
        pytest.param(0, 5, 3, id="an-empty-group"),
        pytest.param(7, 9, 7, id="a-large-group"),
    ],
)
def test_how_far_a_group_is_scaled(replicas: int, out: int, back: int) -> None:
    plan = Plan(ObjectKey("ns", "kv"), replicas)
    assert (plan.scaled_out, plan.scaled_in) == (out, back)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[server]\ngrpc-concurrency = 4\n",
        'log.level = "info"\n',
        '[log]\nlevel = "warn"\n',
        '[log.file]\nfilename = "x"\n',
    ],
)
def test_a_changed_configuration_keeps_everything_but_the_log_level(text: str) -> None:
    before, after = tomllib.loads(text), tomllib.loads(changed_config(text))
    level = after.get("log", {}).pop("level")
    assert level != before.get("log", {}).pop("level", "info")
    assert {k: v for k, v in after.items() if v} == {k: v for k, v in before.items() if v}


def test_a_text_that_is_no_toml_is_changed_all_the_same() -> None:
    assert changed_config("not toml") != "not toml"
