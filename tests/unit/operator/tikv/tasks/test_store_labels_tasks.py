from __future__ import annotations

from typing import Any

import pytest

from controller_runtime.api.k8s import Node
from controller_runtime.task import Status
from helpers.tikv_fakes import FakePD, make_context, make_node, make_pod, make_store, make_tikv
from tikv_operator.api import TiKV, TiKVPlacement, TiKVServer
from tikv_operator.pdclient import PDError
from tikv_operator.tikv.tasks.store_labels import labels_from_node, server_labels

ZONE = {"topology.kubernetes.io/zone": "a", "kubernetes.io/hostname": "node-1", "rack": "r1"}


def context(
    tikv: TiKV | None = None,
    *,
    labels: dict[str, str] | None = None,
    location: tuple[str, ...] = ("zone", "host"),
    node: Node | None = None,
) -> Any:
    store = make_store(labels=labels or {})
    pd = FakePD(store, location_labels=location)
    return make_context(tikv, pod=make_pod(), pd=pd, store=store, others=[node or make_node(**ZONE)])


SYNCED = {"zone": "a", "host": "node-1", "k/tikvgroup": "ns1.basic"}


async def test_labels_come_from_the_node_the_spec_and_the_group() -> None:
    ctx = context(make_tikv(server=TiKVServer(labels={"disk": "ssd", "host": "mine"})))
    assert (await server_labels(ctx)).status is Status.COMPLETE
    assert ctx.pd.client.calls == [("set_store_labels", "4", SYNCED | {"disk": "ssd"})]
    ctx.store = ctx.pd.store(ctx.store.address)
    await server_labels(ctx)
    assert len(ctx.pd.client.calls) == 1, "what was written is known before the next look at pd"


async def test_nothing_is_asked_of_pd_when_all_is_as_it_should_be() -> None:
    ctx = context(labels=SYNCED | {"somebody's": "own"})
    assert (await server_labels(ctx)).message == "store labels are synced"
    assert ctx.pd.client.calls == []


async def test_a_label_that_the_node_lacks_does_not_hold_up_the_others() -> None:
    ctx = context(location=("region", "zone", "rack", "unknown"))
    await server_labels(ctx)
    assert ctx.pd.client.calls == [("set_store_labels", "4", {"zone": "a", "rack": "r1", "k/tikvgroup": "ns1.basic"})]


async def test_a_tikv_without_a_group_has_labels_too() -> None:
    tikv = make_tikv()
    del tikv.metadata.labels["pingcap.com/group"]
    ctx = context(tikv)
    await server_labels(ctx)
    assert ctx.pd.client.calls == [("set_store_labels", "4", {"zone": "a", "host": "node-1"})]


class TestExclusive:
    async def test_is_a_label(self) -> None:
        ctx = context(make_tikv(placement=TiKVPlacement(exclusive=True)), labels=SYNCED)
        await server_labels(ctx)
        assert ctx.pd.client.calls == [("set_store_labels", "4", SYNCED | {"$k/exclusive": "true"})]

    @pytest.mark.parametrize(
        "placement",
        [None, TiKVPlacement(), TiKVPlacement(exclusive=False)],
        ids=["no placement", "an empty one", "exclusive false"],
    )
    async def test_goes_when_it_is_not_wanted_any_more_and_the_others_are_set_in_the_same_run(
        self, placement: TiKVPlacement | None
    ) -> None:
        ctx = context(make_tikv(placement=placement), labels={"$k/exclusive": "true"})
        await server_labels(ctx)
        assert ctx.pd.client.calls == [
            ("set_store_labels", "4", SYNCED),
            ("delete_store_label", "4", "$k/exclusive"),
        ]


class TestWaits:
    async def check(self, ctx: Any) -> None:
        assert (await server_labels(ctx)).status is Status.WAIT
        assert ctx.pd is None or ctx.pd.client.calls == []

    async def test_for_pd(self) -> None:
        ctx = context()
        ctx.pd = None
        await self.check(ctx)

    async def test_for_the_pod(self) -> None:
        ctx = context()
        ctx.pod = None
        await self.check(ctx)

    async def test_for_a_pod_that_terminates_to_come_back(self) -> None:
        ctx = context()
        ctx.pod_deleted = True
        await self.check(ctx)

    async def test_for_the_pod_to_be_scheduled(self) -> None:
        ctx = context()
        ctx.pod.spec.node_name = None
        await self.check(ctx)

    async def test_for_the_node(self) -> None:
        ctx = context()
        ctx.client.remove(make_node())
        await self.check(ctx)

    async def test_for_the_store(self) -> None:
        ctx = context()
        ctx.store = None
        await self.check(ctx)


class TestErrors:
    @pytest.mark.parametrize("call", ["set_store_labels", "delete_store_label"])
    async def test_of_pd_fail_the_task(self, call: str) -> None:
        ctx = context(labels={"$k/exclusive": "true"})
        ctx.pd.client.errors[call] = PDError("no")
        with pytest.raises(PDError):
            await server_labels(ctx)


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        pytest.param(("region",), {"region": "r"}, id="region"),
        pytest.param(("zone",), {"zone": "a"}, id="zone"),
        pytest.param(("host",), {"host": "node-1"}, id="host"),
        pytest.param(("topology.kubernetes.io/zone",), {"topology.kubernetes.io/zone": "a"}, id="a node's own name"),
        pytest.param(("rack",), {"rack": "r1"}, id="another label"),
        pytest.param(("unheard",), {}, id="a label that the node lacks"),
        pytest.param((), {}, id="none"),
    ],
)
def test_pds_names_for_what_kubernetes_calls_differently(keys: tuple[str, ...], found: dict[str, str]) -> None:
    assert labels_from_node(keys, ZONE | {"topology.kubernetes.io/region": "r"}) == found


def test_a_label_that_has_pds_own_name_wins() -> None:
    assert labels_from_node(["zone"], ZONE | {"zone": "mine"}) == {"zone": "mine"}
