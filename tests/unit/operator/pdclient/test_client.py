"""Every call of the PD client: what it sends, what counts as success, when it is sent again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from helpers.scripted_pd import NOT_BOOTSTRAPPED, Answer, ScriptedPD, wire_store
from tikv_operator.pdclient import (
    PDClient,
    PDError,
    PDNotBootstrapped,
    PDNotFound,
    PDResponse,
    PDUnexpectedAnswer,
    PDUnreachable,
)
from tikv_operator.pdclient.metrics import PDMetrics
from tikv_operator.pdclient.models import Evictions

V1 = "/pd/api/v1"
Act = Callable[[PDClient], Awaitable[Any]]


def client(pd: ScriptedPD, *, metrics: PDMetrics | None = None) -> PDClient:
    return PDClient(pd, timeout=10.0, metrics=metrics, jitter=lambda: 0.5)


def says(status: int, body: bytes = b"{}") -> PDResponse:
    return PDResponse(status, body)


# -- what is sent

REQUESTS: list[tuple[str, Act, str, tuple[tuple[str, str], ...], Any, bytes]] = [
    ("cluster id", lambda pd: pd.cluster_id(), f"GET {V1}/cluster", (), None, b"{}"),
    ("members", lambda pd: pd.members(), f"GET {V1}/members", (), None, b"{}"),
    ("health", lambda pd: pd.health(), f"GET {V1}/health", (), None, b"[]"),
    ("config", lambda pd: pd.config(), f"GET {V1}/config", (), None, b'{"replication":{}}'),
    (
        "stores",
        lambda pd: pd.stores(),
        f"GET {V1}/stores",
        (("state", "0"), ("state", "1"), ("state", "2")),
        None,
        b"{}",
    ),
    ("one store", lambda pd: pd.store("4"), f"GET {V1}/store/4", (), None, b"{}"),
    ("remove store", lambda pd: pd.delete_store("4"), f"DELETE {V1}/store/4", (), None, b""),
    ("keep store", lambda pd: pd.cancel_delete_store("4"), f"POST {V1}/store/4/state", (("state", "Up"),), None, b""),
    ("set labels", lambda pd: pd.set_store_labels("4", {"a": "b"}), f"POST {V1}/store/4/label", (), {"a": "b"}, b""),
    ("drop label", lambda pd: pd.delete_store_label("4", "$k/x"), f"DELETE {V1}/store/4/label", (), "$k/x", b""),
    ("down peers", lambda pd: pd.down_peers(), f"GET {V1}/regions/check/down-peer", (), None, b"{}"),
    ("schedulers", lambda pd: pd.evicting_stores(), f"GET {V1}/schedulers", (), None, b"[]"),
    (
        "begin eviction",
        lambda pd: pd.begin_evict_leader("4"),
        f"POST {V1}/schedulers",
        (),
        {"name": "evict-leader-scheduler", "store_id": 4},
        b"",
    ),
    (
        "end eviction",
        lambda pd: pd.end_evict_leader("4"),
        f"DELETE {V1}/schedulers/evict-leader-scheduler-4",
        (),
        None,
        b"",
    ),
    ("move leader", lambda pd: pd.transfer_leader("pd-1"), f"POST {V1}/leader/transfer/pd-1", (), None, b""),
    ("odd name", lambda pd: pd.transfer_leader("a/b"), f"POST {V1}/leader/transfer/a%2Fb", (), None, b""),
    ("timestamp servers", lambda pd: pd.tso_members(), "GET /pd/api/v2/ms/members/tso", (), None, b"[]"),
    ("timestamp primary", lambda pd: pd.tso_primary(), "GET /pd/api/v2/ms/primary/tso", (), None, b'""'),
]


@pytest.mark.parametrize(
    ("act", "call", "params", "body", "answer"), [pytest.param(*row, id=name) for name, *row in REQUESTS]
)
async def test_a_call_sends(act: Act, call: str, params: tuple[tuple[str, str], ...], body: Any, answer: bytes) -> None:
    pd = ScriptedPD(script={call: [says(200, answer)]})
    await act(client(pd))
    made = pd.calls[0]
    assert (str(made), made.params, made.body, made.base) == (call, params, body, "")


async def test_health_asks_pd() -> None:
    pd = ScriptedPD(script={f"GET {V1}/health": [says(200, b'[{"name":"a","member_id":1,"health":true}]')]})
    (member,) = await client(pd).health()
    assert (member.name, member.id, member.healthy) == ("a", "1", True)


# -- what counts as success

PLAIN: list[tuple[str, str, Act]] = [
    ("set labels", f"POST {V1}/store/4/label", lambda pd: pd.set_store_labels("4", {})),
    ("one store", f"GET {V1}/store/4", lambda pd: pd.store("4")),
]
REMOVALS: list[tuple[str, str, Act]] = [
    ("remove store", f"DELETE {V1}/store/4", lambda pd: pd.delete_store("4")),
    ("keep store", f"POST {V1}/store/4/state", lambda pd: pd.cancel_delete_store("4")),
    ("drop label", f"DELETE {V1}/store/4/label", lambda pd: pd.delete_store_label("4", "x")),
    ("move leader", f"POST {V1}/leader/transfer/a", lambda pd: pd.transfer_leader("a")),
]


@pytest.mark.parametrize(("call", "act"), [pytest.param(*row, id=name) for name, *row in REMOVALS])
@pytest.mark.parametrize(
    ("status", "error"),
    [(200, None), (404, None), (202, PDError), (400, PDError), (403, PDError), (500, PDError), (503, PDError)],
)
async def test_what_may_be_gone_succeeds_with_200_and_404_alone(
    call: str, act: Act, status: int, error: type[PDError] | None
) -> None:
    pd = ScriptedPD(script={call: [says(status, b"not JSON")]})
    if error is None:
        await act(client(pd))
    else:
        with pytest.raises(error) as raised:
            await act(client(pd))
        assert raised.value.status == status
    assert len(pd.calls) == 1


@pytest.mark.parametrize(("call", "act"), [pytest.param(*row, id=name) for name, *row in PLAIN])
@pytest.mark.parametrize(
    ("status", "error"), [(200, None), (201, None), (400, PDError), (404, PDNotFound), (500, PDError)]
)
async def test_what_must_exist_succeeds_below_400(
    call: str, act: Act, status: int, error: type[PDError] | None
) -> None:
    pd = ScriptedPD(script={call: [says(status)]})
    if error is None:
        await act(client(pd))
    else:
        with pytest.raises(error):
            await act(client(pd))


async def test_removing_a_tombstone_succeeds_and_reviving_it_does_not() -> None:
    tombstone = [says(410, b'"the store 4 has been removed"')]
    pd = ScriptedPD(script={f"DELETE {V1}/store/4": tombstone, f"POST {V1}/store/4/state": tombstone})
    await client(pd).delete_store("4")
    with pytest.raises(PDError, match="has been removed"):
        await client(pd).cancel_delete_store("4")


async def test_an_error_quotes_pd_and_names_the_endpoint() -> None:
    answer = PDResponse(400, b'"the number of up stores is too small"\n', "http://pd:2379/pd/api/v1/store/4")
    pd = ScriptedPD(script={f"DELETE {V1}/store/4": [answer]})
    with pytest.raises(PDError) as raised:
        await client(pd).delete_store("4")
    assert str(raised.value) == (
        "status: 400, message: error response to http://pd:2379/pd/api/v1/store/4: "
        '"the number of up stores is too small"'
    )
    assert (raised.value.endpoint, raised.value.status, raised.value.retryable) == ("store_delete", 400, False)


async def test_a_long_error_answer_is_cut() -> None:
    pd = ScriptedPD(script={f"DELETE {V1}/store/4": [says(400, b"x" * 100_000)]})
    with pytest.raises(PDError) as raised:
        await client(pd).delete_store("4")
    assert len(str(raised.value)) < 1200


async def test_pd_without_any_tikv_says_so() -> None:
    pd = ScriptedPD(script={f"GET {V1}/stores": [says(500, NOT_BOOTSTRAPPED)]})
    with pytest.raises(PDNotBootstrapped) as raised:
        await client(pd).stores()
    assert raised.value.retryable
    assert len(pd.calls) == 1, "asking again at once is no use"


@pytest.mark.parametrize("body", [b"", b"<html>login</html>", b'{"stores":7}'])
async def test_an_answer_that_makes_no_sense_is_an_error_of_its_own(body: bytes) -> None:
    pd = ScriptedPD(script={f"GET {V1}/stores": [says(200, body)]})
    with pytest.raises(PDUnexpectedAnswer, match="cannot understand") as raised:
        await client(pd).stores()
    assert raised.value.endpoint == "stores"


async def test_a_configuration_without_replication_is_unexpected() -> None:
    pd = ScriptedPD(script={f"GET {V1}/config": [says(200, b'{"schedule":{}}')]})
    with pytest.raises(PDUnexpectedAnswer, match="replication"):
        await client(pd).config()


# -- members


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        ("pd-0", [f"GET {V1}/members", f"DELETE {V1}/members/name/pd-0"]),
        ("stranger", [f"GET {V1}/members"]),
    ],
)
async def test_a_member_is_removed_only_if_it_is_one(name: str, calls: list[str]) -> None:
    pd = ScriptedPD(members=("pd-0", "pd-1"))
    await client(pd).delete_member(name)
    assert [str(call) for call in pd.calls] == calls


@pytest.mark.parametrize(
    ("status", "version", "ready"),
    [
        pytest.param(200, "v8.5.2", True, id="says yes"),
        pytest.param(500, "v8.5.2", False, id="says no"),
        pytest.param(404, "v8.5.1", True, id="too old to be asked"),
        pytest.param(404, "8.1.0", True, id="too old, without v"),
        pytest.param(404, "v8.5.2", False, id="should know"),
        pytest.param(404, "v8.6.0+build.1", False, id="with build metadata"),
        pytest.param(404, "v9.0.0", False, id="next major"),
        pytest.param(404, "v9.0.0-beta.1", True, id="a pre-release matches nothing"),
        pytest.param(404, "nightly", True, id="not a version"),
    ],
)
async def test_whether_one_pd_server_is_ready(status: int, version: str, ready: bool) -> None:
    pd = ScriptedPD(script={"GET /pd/api/v2/ready": [says(status)]})
    assert await client(pd).member_ready("http://pd-0:2379", version) is ready
    assert pd.calls[0].base == "http://pd-0:2379"


async def test_any_other_answer_about_readiness_is_an_error() -> None:
    pd = ScriptedPD(script={"GET /pd/api/v2/ready": [says(403)]})
    with pytest.raises(PDError):
        await client(pd).member_ready("http://pd-0:2379", "v8.5.2")


# -- eviction of leaders

NAMES, LIST = f"GET {V1}/schedulers", f"GET {V1}/scheduler-config/evict-leader-scheduler/list"
CONFIG = f"GET {V1}/config"
NONE = (b"[]", b"null")
BEGIN, END = f"POST {V1}/schedulers", f"DELETE {V1}/schedulers/evict-leader-scheduler-4"


@pytest.mark.parametrize(
    ("names", "listed", "expected"),
    [
        pytest.param(b"[]", None, set(), id="no scheduler"),
        pytest.param(b"null", None, set(), id="null"),
        pytest.param(b'["balance-leader-scheduler"]', None, set(), id="others only"),
        pytest.param(
            b'["evict-leader-scheduler"]', b'{"store-id-ranges":{"4":[],"5":[]}}', {"4", "5"}, id="one for all"
        ),
        pytest.param(b'["evict-leader-scheduler-4","evict-leader-scheduler-5"]', None, {"4", "5"}, id="one for each"),
        pytest.param(
            b'["evict-leader-scheduler","evict-leader-scheduler-7"]',
            b'{"store-id-ranges":{"4":[]}}',
            {"4", "7"},
            id="both",
        ),
        pytest.param(b'["evict-leader-scheduler"]', b'{"store-id-ranges":null}', set(), id="an empty one"),
        pytest.param(b'["evict-slow-store-scheduler"]', None, set(), id="another kind of eviction"),
    ],
)
async def test_which_stores_are_evicted(names: bytes, listed: bytes | None, expected: set[str]) -> None:
    pd = ScriptedPD(script={NAMES: [says(200, names)]})
    if listed is not None:
        pd.script[LIST] = [says(200, listed)]
    assert await client(pd).evicting_stores() == expected
    assert [str(call) for call in pd.calls[1:]] == ([] if listed is None else [LIST]) + (
        [CONFIG] if names in NONE else []
    )


def keeps(*stores: str) -> PDResponse:
    """A configuration with schedulers, of which one evicts the leaders of these stores."""
    ranges = {store: [{"start-key": "", "end-key": ""}] for store in stores}
    schedule: dict[str, Any] = {
        "schedulers-v2": [{"type": "balance-leader", "args": None, "disable": False}],
        "schedulers-payload": {},
    }
    if stores:
        schedule["schedulers-v2"].append({"type": "evict-leader", "args": ["1"], "disable": False})
        schedule["schedulers-payload"]["evict-leader-scheduler"] = {"store-id-ranges": ranges}
    return says(200, msgspec.json.encode({"schedule": schedule, "replication": {}}))


async def test_a_server_that_has_only_just_begun_to_lead_will_evict_what_pd_keeps() -> None:
    pd = ScriptedPD(script={NAMES: [says(200, b"[]")], CONFIG: [keeps("4", "5")]})
    assert await client(pd).evictions() == Evictions(stores=frozenset({"4", "5"}), prepared=False)


async def test_without_any_scheduler_to_take_up_a_server_is_prepared() -> None:
    pd = ScriptedPD(script={NAMES: [says(200, b"[]")]})
    assert await client(pd).evictions() == Evictions(prepared=True)


@pytest.mark.parametrize(("kept", "expected"), [(["4"], {"4"}), ([], set())], ids=["not taken up yet", "over"])
async def test_an_eviction_is_over_only_if_pd_does_not_keep_it(kept: list[str], expected: set[str]) -> None:
    pd = ScriptedPD(script={NAMES: [says(200, b'["balance-leader-scheduler"]')], CONFIG: [keeps(*kept)]})
    found = await client(pd).evictions(before=frozenset({"4"}))
    assert found == Evictions(stores=frozenset(expected), prepared=True)


async def test_what_goes_on_is_not_asked_about_twice() -> None:
    pd = ScriptedPD(evicting={4})
    assert (await client(pd).evictions(before=frozenset({"4"}))).stores == {"4"}
    assert pd.count(CONFIG) == 0


@pytest.mark.parametrize("names", [b"[]", b'["balance-leader-scheduler"]'], ids=["no scheduler", "some schedulers"])
async def test_an_end_that_a_server_does_not_heed_yet_is_an_error(names: bytes) -> None:
    pd = ScriptedPD(script={END: [says(404)], NAMES: [says(200, names)], CONFIG: [keeps("4")]})
    with pytest.raises(PDError, match="still evicts the leaders of store 4"):
        await client(pd).end_evict_leader("4")


async def test_a_scheduler_that_goes_between_the_two_questions_evicts_nothing() -> None:
    pd = ScriptedPD(script={NAMES: [says(200, b'["evict-leader-scheduler"]')], LIST: [says(404)]})
    assert await client(pd).evicting_stores() == set()


EVICTED, FREE = b'["evict-leader-scheduler-4"]', b"[]"


@pytest.mark.parametrize(
    ("answer", "names", "error"),
    [
        pytest.param(says(200), FREE, None, id="accepted"),
        pytest.param(says(500, b'"scheduler existed"'), EVICTED, None, id="refused because it does so already"),
        pytest.param(says(500, b'"store not found"'), FREE, PDError, id="refused"),
        pytest.param(says(500, NOT_BOOTSTRAPPED), FREE, PDNotBootstrapped, id="not bootstrapped"),
        pytest.param(PDUnreachable("broke"), EVICTED, None, id="no answer, but done"),
        pytest.param(PDUnreachable("broke"), FREE, PDUnreachable, id="no answer, and not done"),
    ],
)
async def test_beginning_an_eviction_is_confirmed(answer: Answer, names: bytes, error: type[PDError] | None) -> None:
    pd = ScriptedPD(script={BEGIN: [answer], NAMES: [says(200, names)]})
    if error is None:
        await client(pd).begin_evict_leader("4")
    else:
        with pytest.raises(error) as raised:
            await client(pd).begin_evict_leader("4")
        assert raised.value.endpoint == "evict_leader_begin"


async def test_a_refused_eviction_that_cannot_be_confirmed_raises_the_refusal() -> None:
    pd = ScriptedPD(script={BEGIN: [says(500, b"refused")], NAMES: [says(500, b"broken")]})
    with pytest.raises(PDError, match="refused"):
        await client(pd).begin_evict_leader("4")


@pytest.mark.parametrize(
    ("answer", "names", "message"),
    [
        pytest.param(says(200), FREE, None, id="ended"),
        pytest.param(says(404), FREE, None, id="there was none"),
        pytest.param(says(404), EVICTED, "still evicts", id="said that there is none, and goes on"),
        pytest.param(says(200), EVICTED, "still evicts", id="said yes and goes on"),
        pytest.param(says(500, b"no"), FREE, "status: 500", id="refused"),
        pytest.param(says(202), FREE, "status: 202", id="neither yes nor no"),
    ],
)
async def test_ending_an_eviction_is_confirmed(answer: PDResponse, names: bytes, message: str | None) -> None:
    pd = ScriptedPD(script={END: [answer], NAMES: [says(200, names)]})
    if message is None:
        await client(pd).end_evict_leader("4")
    else:
        with pytest.raises(PDError, match=message):
            await client(pd).end_evict_leader("4")


async def test_eviction_begins_and_ends() -> None:
    pd = ScriptedPD(stores=[wire_store(4)])
    api = client(pd)
    await api.begin_evict_leader("4")
    assert await api.evicting_stores() == {"4"}
    await api.end_evict_leader("4")
    assert await api.evicting_stores() == set()
    await api.end_evict_leader("4")


# -- asking again

REFUSED, BROKE = PDUnreachable("refused", sent=False), PDUnreachable("broke", sent=True)


@pytest.mark.parametrize("trouble", [says(502), says(503), says(504), says(429), REFUSED, BROKE], ids=str)
@pytest.mark.parametrize("failures", [1, 2])
async def test_a_read_gets_over_short_trouble(trouble: Answer, failures: int) -> None:
    pd = ScriptedPD(script={f"GET {V1}/cluster": [*[trouble] * failures, says(200, b'{"id":7}')]})
    assert await client(pd).cluster_id() == "7"
    assert pd.times(f"GET {V1}/cluster") == [0, 0.1, 0.3][: failures + 1]


@pytest.mark.parametrize("trouble", [says(503), REFUSED, BROKE], ids=str)
async def test_a_read_gives_up_after_three_attempts(trouble: Answer) -> None:
    pd = ScriptedPD(script={f"GET {V1}/cluster": [trouble]})
    with pytest.raises(PDError) as raised:
        await client(pd).cluster_id()
    assert raised.value.retryable
    assert len(pd.calls) == 3


@pytest.mark.parametrize("status", [400, 403, 404, 500])
async def test_a_read_is_not_repeated_after_a_clear_no(status: int) -> None:
    pd = ScriptedPD(script={f"GET {V1}/cluster": [says(status)]})
    with pytest.raises(PDError):
        await client(pd).cluster_id()
    assert len(pd.calls) == 1


@pytest.mark.parametrize(
    ("trouble", "attempts"),
    [
        pytest.param(REFUSED, 3, id="never sent"),
        pytest.param(BROKE, 1, id="perhaps carried out"),
        pytest.param(says(503), 1, id="overloaded"),
    ],
)
async def test_a_write_is_repeated_only_if_it_never_reached_pd(trouble: Answer, attempts: int) -> None:
    pd = ScriptedPD(script={f"DELETE {V1}/store/4": [trouble]})
    with pytest.raises(PDError):
        await client(pd).delete_store("4")
    assert len(pd.calls) == attempts


async def test_a_call_ends_in_time_when_pd_says_nothing() -> None:
    pd = ScriptedPD(delay=3600)
    with pytest.raises(PDUnreachable, match=r"no answer .* within 10 s") as raised:
        await client(pd).cluster_id()
    assert raised.value.timed_out
    assert asyncio.get_running_loop().time() == pytest.approx(10)


async def test_retries_stay_within_the_time_of_the_call() -> None:
    pd = ScriptedPD(script={f"GET {V1}/cluster": [BROKE]}, delay=4.9)
    with pytest.raises(PDUnreachable):
        await client(pd).cluster_id()
    assert len(pd.calls) == 2
    assert asyncio.get_running_loop().time() <= 10


async def test_a_cancelled_call_ends_at_once() -> None:
    registry = CollectorRegistry()
    task = asyncio.create_task(client(ScriptedPD(delay=3600), metrics=PDMetrics(registry)).cluster_id())
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    labels = {"endpoint": "cluster", "result": "cancelled"}
    assert registry.get_sample_value("tikv_operator_pd_requests_total", labels) == 1


# -- metrics


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        pytest.param(says(200, b'{"id":7}'), "ok", id="ok"),
        pytest.param(says(404), "not_found", id="not found"),
        pytest.param(says(400), "error", id="refused"),
        pytest.param(says(500, NOT_BOOTSTRAPPED), "not_bootstrapped", id="not bootstrapped"),
        pytest.param(says(200, b"<"), "unexpected_answer", id="nonsense"),
        pytest.param(BROKE, "unreachable", id="unreachable"),
        pytest.param(PDUnreachable("slow", timed_out=True), "timeout", id="too slow"),
    ],
)
async def test_each_call_is_counted_and_timed_once(answer: Answer, result: str) -> None:
    registry = CollectorRegistry()
    pd = ScriptedPD(script={f"GET {V1}/cluster": [answer]}, delay=0.5)
    await asyncio.gather(client(pd, metrics=PDMetrics(registry)).cluster_id(), return_exceptions=True)
    labels = {"endpoint": "cluster", "result": result}
    assert registry.get_sample_value("tikv_operator_pd_requests_total", labels) == 1
    name = "tikv_operator_pd_request_duration_seconds"
    assert registry.get_sample_value(f"{name}_count", {"endpoint": "cluster"}) == 1
    seconds = registry.get_sample_value(f"{name}_sum", {"endpoint": "cluster"})
    assert seconds is not None
    assert seconds >= 0.5
