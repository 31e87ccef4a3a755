"""The feature gates a cluster can turn on."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from controller_runtime.api.schema import Schema

__all__ = ["Feature", "FeatureName"]


class Feature(StrEnum):
    """The known features; all of them are alpha."""

    FEATURE_MODIFICATION = "FeatureModification"
    VOLUME_ATTRIBUTES_CLASS = "VolumeAttributesClass"
    DISABLE_PD_DEFAULT_READINESS_PROBE = "DisablePDDefaultReadinessProbe"
    USE_PD_READY_API = "UsePDReadyAPI"
    SESSION_TOKEN_SIGNING = "SessionTokenSigning"  # noqa: S105 (the name of a feature)
    CLUSTER_SUBDOMAIN = "ClusterSubdomain"
    TERMINABLE_LOG_TAILER = "TerminableLogTailer"
    USE_TSO_READY_API = "UseTSOReadyAPI"
    USE_SCHEDULING_READY_API = "UseSchedulingReadyAPI"
    USE_TIKV_READY_API = "UseTiKVReadyAPI"
    USE_PD_READY_API_V2 = "UsePDReadyAPIV2"
    USE_TIFLASH_READY_API = "UseTiFlashReadyAPI"
    MULTI_PD_GROUP = "MultiPDGroup"
    TICDC_DYNAMIC_SECRET_SYNCER = "TiCDCDynamicSecretSyncer"  # noqa: S105 (the name of a feature)
    INDEPENDENT_KV_ENGINE_WORKER = "IndependentKVEngineWorker"


FeatureName = Annotated[str, Schema(enum=tuple(feature.value for feature in Feature))]
"""A feature as it stands in an object. It is text, not a `Feature`: a newer API may know names that we don't."""
