"""The clouds whose volumes an operator can be told to change.

Their libraries are optional extras of the package, and imported only when their cloud is switched on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from enum import StrEnum

from tikv_operator.common.settings import Settings
from tikv_operator.volume.aws import ebs_volumes
from tikv_operator.volume.azure import azure_disks
from tikv_operator.volume.modifier import CloudError, VolumeModifier
from tikv_operator.volume.pacing import PacedModifier

__all__ = ["Cloud", "CloudUnusable", "open_volume_modifiers"]


class Cloud(StrEnum):
    """A cloud; the value is also the name of the extra that brings its library."""

    AWS = "aws"
    AZURE = "azure"


class CloudUnusable(Exception):
    """A cloud was switched on that can't be used here; one line for a person."""


@asynccontextmanager
async def open_volume_modifiers(clouds: Iterable[Cloud], settings: Settings) -> AsyncIterator[list[VolumeModifier]]:
    """Open what changes the volumes of these clouds, each once, for as long as the context lasts.

    Raises:
        CloudUnusable: a library is missing, or the environment doesn't say what it has to.
    """
    async with AsyncExitStack() as stack:
        modifiers: list[VolumeModifier] = []
        for cloud in dict.fromkeys(clouds):
            try:
                modifier = await stack.enter_async_context(_open(cloud, settings.cloud_timeout))
            except ImportError as error:
                msg = f"volume modifier {cloud}: its library is not installed; pip install 'tikv-operator[{cloud}]'"
                raise CloudUnusable(msg) from error
            except CloudError as error:
                msg = f"volume modifier {cloud}: {error}"
                raise CloudUnusable(msg) from error
            modifiers.append(PacedModifier(modifier, poll=settings.requeue, retry=settings.cloud_retry))
        yield modifiers


def _open(cloud: Cloud, timeout: float) -> AbstractAsyncContextManager[VolumeModifier]:
    match cloud:
        case Cloud.AWS:
            return ebs_volumes(timeout=timeout)
        case Cloud.AZURE:
            return azure_disks(timeout=timeout)
