"""Whether PD keeps the replicas of a region apart, as its configuration and its placement rules say together."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from controller_runtime.clock import LoopClock
from helpers.scripted_pd import NOT_BOOTSTRAPPED, ScriptedPD, wire_store
from tikv_operator.pdclient import PDClient, PDResponse
from tikv_operator.pdclient.poll import take_snapshot

CONFIG, RULES = "GET /pd/api/v1/config", "GET /pd/api/v1/config/rules"
DEFAULT = {"group_id": "pd", "id": "default", "role": "voter", "count": 3, "isolation_level": "zone", "x": 1}
TIFLASH = {"group_id": "tiflash", "id": "table-1-r", "role": "learner", "count": 1}
POLICY = {"group_id": "TiDB_DDL_104", "id": "policy", "role": "voter", "count": 3}


def answer(value: Any, status: int = 200) -> PDResponse:
    return PDResponse(status, msgspec.json.encode(value))


def pd_with(level: str, rules: PDResponse) -> ScriptedPD:
    replication = {"max-replicas": 3, "location-labels": "zone,host", "isolation-level": level}
    script = {CONFIG: [answer({"replication": replication})], RULES: [rules]}
    return ScriptedPD(stores=[wire_store()], script=script)


@pytest.mark.parametrize(
    ("rules", "level"),
    [
        pytest.param(answer([DEFAULT]), "zone", id="PD's own rule"),
        pytest.param(answer([DEFAULT, TIFLASH]), "zone", id="learners don't vote"),
        pytest.param(answer([DEFAULT, POLICY]), "", id="a policy for some tables"),
        pytest.param(answer([DEFAULT | {"isolation_level": ""}]), "", id="PD's own rule says otherwise"),
        pytest.param(answer("placement rules feature is disabled", 412), "zone", id="no rules"),
        pytest.param(PDResponse(500, NOT_BOOTSTRAPPED), "zone", id="no store yet"),
    ],
)
async def test_what_pd_promises(rules: PDResponse, level: str) -> None:
    client = PDClient(pd_with("zone", rules), timeout=10.0)
    snapshot = await take_snapshot(client, LoopClock())
    assert snapshot.config.isolation_level == level


async def test_rules_are_not_asked_for_where_nothing_is_promised() -> None:
    pd = pd_with("", answer([POLICY]))
    snapshot = await take_snapshot(PDClient(pd, timeout=10.0), LoopClock())
    assert snapshot.config.isolation_level == ""
    assert RULES not in [str(call) for call in pd.calls]
