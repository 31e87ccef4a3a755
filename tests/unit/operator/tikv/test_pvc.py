from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from controller_runtime.api.k8s import PersistentVolumeClaim, PersistentVolumeClaimStatus
from helpers.golden import assert_golden
from helpers.tikv_fakes import make_cluster, make_tikv
from tikv_operator.api import (
    FeatureGate,
    Overlay,
    TemplateMeta,
    TiKVStatus,
    Volume,
    VolumeClaimOverlay,
    VolumeClaimTemplate,
    VolumeMount,
)
from tikv_operator.instance.pvc import plan_claim
from tikv_operator.tikv.pvc import render_claims

WITH_CLASS = [FeatureGate(name="VolumeAttributesClass")]


def claim(
    storage: str = "20Gi", *, phase: str | None = None, capacity: str | None = None, **volume: Any
) -> PersistentVolumeClaim:
    spec: dict[str, Any] = {"name": "data", "mounts": [VolumeMount(type="data")], "storage": storage} | volume
    rendered = render_claims(make_tikv(volumes=[Volume(**spec)]), make_cluster())[0]
    if phase is not None:
        rendered.status = PersistentVolumeClaimStatus(
            phase=phase, capacity=None if capacity is None else {"storage": capacity}
        )
    return rendered


def sizes(wanted: PersistentVolumeClaim | None) -> dict[str, str] | None:
    assert wanted is not None
    assert wanted.spec is not None
    assert wanted.spec.resources is not None
    return wanted.spec.resources.requests


class TestRendering:
    def test_golden(self) -> None:
        tikv = make_tikv(
            volumes=[
                Volume(
                    name="data",
                    mounts=[VolumeMount(type="data")],
                    storage="20480Mi",
                    storage_class_name="fast",
                    volume_attributes_class_name="gold",
                ),
                Volume(name="raft", mounts=[VolumeMount(type="raft", mount_path="/raft")], storage="10Gi"),
            ],
            overlay=Overlay(
                volume_claims=[
                    VolumeClaimOverlay(
                        name="raft",
                        volume_claim=VolumeClaimTemplate(
                            metadata=TemplateMeta(labels={"a": "b"}, annotations={"c": "d"}), spec={"ignored": True}
                        ),
                    )
                ]
            ),
        )
        tikv.status = TiKVStatus(id="4")
        assert_golden("tikv/claims.yaml", *render_claims(tikv, make_cluster()))

    def test_golden_of_a_plain_one(self) -> None:
        assert_golden("tikv/claims-plain.yaml", *render_claims(make_tikv(), make_cluster()))

    def test_golden_with_the_attributes_class(self) -> None:
        volumes = [
            Volume(name="data", mounts=[VolumeMount(type="data")], storage="1Gi", volume_attributes_class_name="gold")
        ]
        cluster = make_cluster(feature_gates=WITH_CLASS)
        assert_golden("tikv/claims-attributes-class.yaml", *render_claims(make_tikv(volumes=volumes), cluster))

    @pytest.mark.parametrize(("gates", "expected"), [([], None), (WITH_CLASS, "gold")])
    def test_the_attributes_class_needs_its_feature(self, gates: list[FeatureGate], expected: str | None) -> None:
        volumes = [
            Volume(name="data", mounts=[], storage="1Gi", volume_attributes_class_name="gold"),
        ]
        spec = render_claims(make_tikv(volumes=volumes), make_cluster(feature_gates=gates))[0].spec
        assert spec is not None
        assert spec.volume_attributes_class_name == expected

    def test_an_overlay_of_an_unknown_volume_is_ignored(self) -> None:
        overlay = Overlay(volume_claims=[VolumeClaimOverlay(name="x", volume_claim=VolumeClaimTemplate())])
        assert [found.metadata.name for found in render_claims(make_tikv(overlay=overlay), make_cluster())] == [
            "data-basic-tikv-abc123"
        ]


class TestPlan:
    def test_a_claim_that_does_not_exist_is_created(self) -> None:
        wanted = claim()
        assert plan_claim(wanted, None, bound_only=True).claim is wanted

    def test_a_claim_that_is_not_bound_is_left_alone(self) -> None:
        plan = plan_claim(claim("30Gi"), claim(phase="Pending"), bound_only=True)
        assert (plan.claim, plan.waiting) == (None, "volume claim data-basic-tikv-abc123 is not bound")

    def test_but_not_with_attributes_classes(self) -> None:
        assert plan_claim(claim("30Gi"), claim(phase="Pending"), bound_only=False).claim is not None

    @pytest.mark.parametrize(
        ("change", "applied"),
        [
            pytest.param(lambda _: None, False, id="nothing"),
            pytest.param(
                lambda found: found.metadata.annotations.update({"pv.kubernetes.io/bind-completed": "yes"}),
                False,
                id="bound by kubernetes",
            ),
            pytest.param(
                lambda found: setattr(found.spec, "storage_class_name", "standard"), False, id="defaulted class"
            ),
            pytest.param(lambda found: setattr(found.spec, "volume_name", "pv-1"), False, id="has its volume"),
            pytest.param(lambda found: found.metadata.labels.pop("pingcap.com/group"), True, id="a label is missing"),
            pytest.param(
                lambda found: found.metadata.labels.update({"pingcap.com/group": "other"}), True, id="a label differs"
            ),
            pytest.param(
                lambda found: found.metadata.labels.update({"team": "a"}), True, id="a label may be ours no more"
            ),
            pytest.param(
                lambda found: found.metadata.annotations.update({"team": "a"}),
                True,
                id="an annotation may be ours no more",
            ),
            pytest.param(lambda found: found.metadata.owner_references.clear(), True, id="owned by nobody"),
        ],
    )
    def test_a_claim_that_is_as_it_should_be_is_not_applied_again(
        self, change: Callable[[PersistentVolumeClaim], object], applied: bool
    ) -> None:
        current = claim(phase="Bound", capacity="20Gi")
        change(current)
        assert (plan_claim(claim(), current, bound_only=True).claim is not None) is applied

    def test_a_volume_can_grow(self) -> None:
        plan = plan_claim(claim("30Gi"), claim(phase="Bound", capacity="20Gi"), bound_only=True)
        assert (sizes(plan.claim), plan.refused) == ({"storage": "30Gi"}, "")

    def test_a_volume_cannot_shrink_and_says_so_but_gets_its_labels(self) -> None:
        current = claim(phase="Bound", capacity="20Gi")
        current.metadata.labels.pop("pingcap.com/group")
        plan = plan_claim(claim("10Gi"), current, bound_only=True)
        assert sizes(plan.claim) == {"storage": "20Gi"}
        assert plan.refused == "volume claim data-basic-tikv-abc123 cannot shrink from 20Gi to 10Gi"

    def test_a_growth_that_has_not_happened_yet_can_be_taken_back(self) -> None:
        growing = claim("30Gi", phase="Bound", capacity="20Gi")
        assert sizes(plan_claim(claim("20Gi"), growing, bound_only=True).claim) == {"storage": "20Gi"}

    def test_a_storage_class_never_changes(self) -> None:
        current = claim(phase="Bound", capacity="20Gi", storage_class_name="standard")
        for wanted in (claim("30Gi"), claim("30Gi", storage_class_name="fast")):
            plan = plan_claim(wanted, current, bound_only=True)
            assert plan.claim is not None
            assert plan.claim.spec is not None
            assert plan.claim.spec.storage_class_name == "standard"
