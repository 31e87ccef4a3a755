from __future__ import annotations

from tikv_operator.simulation.kubelet.statusapi import StatusAPI

CONFIG = '[log]\nlevel = "info"\n[storage]\nengine = "raft-kv"\n'


def api(config: str = CONFIG) -> StatusAPI:
    made = StatusAPI(lambda: config)
    made.start()
    return made


def test_an_item_that_may_change_while_tikv_runs_does() -> None:
    found = api()
    assert found.answer("POST", "/config", [("persist", "false")], b'{"log.level":"warn"}') == (200, b"")
    assert found.items == {"log.level": "warn", "storage.engine": "raft-kv"}


def test_one_item_that_may_not_changes_nothing() -> None:
    found = api()
    status, said = found.answer("POST", "/config", [], b'{"log.level":"warn","storage.engine":"x"}')
    assert (status, b"storage.engine can not be changed" in said) == (500, True)
    assert found.items["log.level"] == "info"


def test_values_are_scalars() -> None:
    status, said = api().answer("POST", "/config", [], b'{"a":[1]}')
    assert (status, said.startswith(b"failed to decode")) == (500, True)


def test_a_process_that_does_not_run_changes_nothing() -> None:
    found = api()
    found.stop()
    assert found.answer("POST", "/config", [], b'{"log.level":"warn"}')[0] == 503
    assert api("no TOML").items == {}


def test_other_questions_are_not_answered() -> None:
    assert api().answer("GET", "/nowhere", [], b"")[0] == 404
