from __future__ import annotations

import pytest

from controller_runtime.api.k8s import (
    ConfigMap,
    PersistentVolumeClaim,
    PersistentVolumeClaimCondition,
    PersistentVolumeClaimStatus,
)
from controller_runtime.client import Forbidden
from controller_runtime.task import Status
from helpers.tikv_fakes import condition, make_cluster, make_context, make_tikv
from tikv_operator.api import FeatureGate, TiKV, Volume, VolumeMount
from tikv_operator.common.errors import ConfigInvalid
from tikv_operator.tikv.pvc import render_claims
from tikv_operator.tikv.tasks import conditions
from tikv_operator.tikv.tasks.cm import config_map
from tikv_operator.tikv.tasks.pvc import volume_claims

NAME = "data-basic-tikv-abc123"
WITH_CLASS = FeatureGate(name="VolumeAttributesClass")


class TestConfigMap:
    async def test_is_created(self) -> None:
        ctx = make_context()
        assert (await config_map(ctx)).status is Status.COMPLETE
        assert "level = 'info'" in ctx.client.stored(ConfigMap, "basic-tikv-abc123").data["config.toml"]

    async def test_is_not_written_again_unless_it_changes(self) -> None:
        ctx = make_context()
        await config_map(ctx)
        await config_map(ctx)
        ctx.found.spec.config = "a = 1"
        await config_map(ctx)
        assert ctx.client.writes == ["create ConfigMap basic-tikv-abc123", "apply ConfigMap basic-tikv-abc123"]

    @pytest.mark.parametrize("text", ["no toml", "server.addr = 'x'"])
    async def test_a_configuration_that_cannot_be_used_leaves_the_old_one(self, text: str) -> None:
        ctx = make_context(make_tikv(config=text))
        with pytest.raises(ConfigInvalid):
            await config_map(ctx)
        assert ctx.client.writes == []

    async def test_an_error_of_the_api_server_fails_the_task(self) -> None:
        ctx = make_context()
        ctx.client.errors["create ConfigMap"] = Forbidden("no", code=403)
        with pytest.raises(Forbidden):
            await config_map(ctx)


def claim(*, phase: str = "Bound", capacity: str = "20Gi", progress: str = "") -> PersistentVolumeClaim:
    found = render_claims(make_tikv(), make_cluster())[0]
    found.status = PersistentVolumeClaimStatus(phase=phase, capacity={"storage": capacity})
    if progress:
        found.status.conditions = [PersistentVolumeClaimCondition(type=progress, status="True", message="soon")]
    return found


def sized(storage: str) -> TiKV:
    return make_tikv(volumes=[Volume(name="data", mounts=[VolumeMount(type="data")], storage=storage)])


class TestVolumeClaims:
    async def test_are_created(self) -> None:
        ctx = make_context()
        assert (await volume_claims(ctx)).status is Status.COMPLETE
        assert ctx.client.writes == [f"create PersistentVolumeClaim {NAME}"]

    async def test_that_are_not_bound_are_waited_for(self) -> None:
        ctx = make_context(sized("30Gi"), others=[claim(phase="Pending")])
        assert (await volume_claims(ctx)).status is Status.WAIT
        assert ctx.client.writes == []

    async def test_that_are_as_they_should_be_are_not_written(self) -> None:
        ctx = make_context(others=[claim()])
        assert (await volume_claims(ctx)).status is Status.COMPLETE
        assert ctx.client.writes == []

    async def test_can_grow(self) -> None:
        ctx = make_context(sized("30Gi"), others=[claim()])
        assert (await volume_claims(ctx)).status is Status.COMPLETE
        stored = ctx.client.stored(PersistentVolumeClaim, NAME)
        assert stored.spec.resources.requests == {"storage": "30Gi"}

    async def test_whose_volume_is_being_changed_are_waited_for(self) -> None:
        ctx = make_context(cluster=make_cluster(feature_gates=[WITH_CLASS]), others=[claim(progress="Resizing")])
        result = await volume_claims(ctx)
        assert (result.status, result.message) == (Status.WAIT, "Resizing: soon")

    @pytest.mark.parametrize("gates", [[], [WITH_CLASS]], ids=["as volumes are", "with attributes classes"])
    async def test_that_fail_keep_no_other_from_being_applied(self, gates: list[FeatureGate]) -> None:
        volumes = [Volume(name=name, mounts=[VolumeMount(type="data")], storage="1Gi") for name in ("data", "raft")]
        ctx = make_context(make_tikv(volumes=volumes), cluster=make_cluster(feature_gates=gates))
        ctx.client.errors["create PersistentVolumeClaim"] = Forbidden("quota", code=403)
        with pytest.raises(Forbidden):
            await volume_claims(ctx)
        assert ctx.client.writes == ["create PersistentVolumeClaim raft-basic-tikv-abc123"]

    @pytest.mark.parametrize(
        ("gates", "conditions", "status"),
        [
            pytest.param([WITH_CLASS], [], Status.COMPLETE, id="nothing in progress"),
            pytest.param([WITH_CLASS], [("Resizing", "True")], Status.WAIT, id="in progress"),
            pytest.param([WITH_CLASS], [("Resizing", "False")], Status.COMPLETE, id="no longer in progress"),
        ],
    )
    async def test_with_attributes_classes(
        self, gates: list[FeatureGate], conditions: list[tuple[str, str]], status: Status
    ) -> None:
        found = claim()
        assert found.status is not None
        found.status.conditions = [
            PersistentVolumeClaimCondition(type=kind, status=value, message="soon") for kind, value in conditions
        ]
        ctx = make_context(cluster=make_cluster(feature_gates=gates), others=[found])
        assert (await volume_claims(ctx)).status is status

    async def test_keep_their_storage_class_with_attributes_classes_too(self) -> None:
        current = claim()
        assert current.spec is not None
        current.spec.storage_class_name = "gp2"
        volume = Volume(name="data", mounts=[VolumeMount(type="data")], storage="20Gi", storage_class_name="gp3")
        cluster = make_cluster(feature_gates=[WITH_CLASS])
        ctx = make_context(make_tikv(volumes=[volume]), cluster=cluster, others=[current])
        assert (await volume_claims(ctx)).status is Status.COMPLETE
        assert ctx.client.stored(PersistentVolumeClaim, NAME).spec.storage_class_name == "gp2"

    async def test_cannot_shrink_which_stops_nothing_and_is_said(self) -> None:
        ctx = make_context(sized("10Gi"), others=[claim()])
        assert (await volume_claims(ctx)).status is Status.COMPLETE
        assert ctx.client.writes == []
        await conditions.synced(ctx)
        found = condition(ctx.tikv, "Synced")
        assert found is not None
        assert (found.status, found.reason, found.message) == (
            "False",
            "VolumeShrinkRefused",
            f"volume claim {NAME} cannot shrink from 20Gi to 10Gi",
        )
