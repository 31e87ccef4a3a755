"""AWS EBS volumes, changed through the API of EC2.

Of a storage class the parameters `type`, `iops` and `throughput` are read, as TiDB Operator does; what isn't set stays as it is.
Limits of the volume types are EC2's to know: it refuses what it doesn't offer, and is quoted.

A change that EC2 is still optimizing is done: size and type hold by then, only the performance is on its way, for up to a day.
EC2 takes the next change when that is over, and four in 24 hours; hence `wait`.

Credentials and endpoint come from the environment's default chain (IRSA, pod identity, profiles, the instance), the region from
`AWS_REGION` or that chain. Throttled and failed requests are repeated by the library, within `timeout`.

Concurrency: one event loop; calls for several volumes may run at the same time.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol, final

from controller_runtime.api.k8s import PersistentVolume, StorageClass
from tikv_operator.volume.modifier import (
    Change,
    CloudError,
    CloudUnavailable,
    ModificationPending,
    ModificationRefused,
    ParameterInvalid,
    Parameters,
    capacity_of,
    check_sizes,
    gibibytes,
    handle_of,
    one_line,
    refusal_of,
)

__all__ = [
    "EC2",
    "Actual",
    "EBSVolumes",
    "Modification",
    "Wanted",
    "ebs_volumes",
    "judge",
    "judge_error",
    "wanted_volume",
]

PROVISIONER: Final = "ebs.csi.aws.com"

_WAIT: Final = 6 * 3600.0
_ATTEMPTS: Final = 3
_CONNECT: Final = 5.0
_VOLUME_ID: Final = re.compile(r"vol-[0-9a-z]+")
_STEADY: Final = frozenset({"available", "in-use"})
_NEVER_MODIFIED: Final = "InvalidVolumeModification.NotFound"
_NOT_YET: Final = frozenset({"IncorrectModificationState", "IncorrectState", "VolumeModificationRateExceeded"})
_BUSY: Final = re.compile(
    "Throttl|RequestLimitExceeded|ExpiredToken|RequestExpired|Unavailable|InternalError|InternalFailure"
)
_DECODABLE: Final = "Encoded authorization failure message"


class EC2(Protocol):
    """What is used of EC2's client. Answers are of the form that the API's reference gives."""

    def describe_volumes(self, **request: Any) -> Awaitable[Mapping[str, Any]]: ...

    def describe_volumes_modifications(self, **request: Any) -> Awaitable[Mapping[str, Any]]: ...

    def modify_volume(self, **request: Any) -> Awaitable[Mapping[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a volume should be. None or empty: it stays as it is.

    Attributes:
        size: gibibytes.
        throughput: mebibytes a second.
    """

    volume_id: str
    size: int
    type: str = ""
    iops: int | None = None
    throughput: int | None = None

    def request(self) -> dict[str, Any]:
        """The parameters of ModifyVolume. All that is wanted is sent: a new type takes its defaults for what isn't."""
        fields = {
            "VolumeId": self.volume_id,
            "Size": self.size,
            "VolumeType": self.type or None,
            "Iops": self.iops,
            "Throughput": self.throughput,
        }
        return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Actual:
    """What a volume is, or what a modification makes of it."""

    size: int
    type: str = ""
    iops: int | None = None
    throughput: int | None = None

    def has(self, wanted: Wanted) -> bool:
        return (
            self.size == wanted.size
            and wanted.type in ("", self.type)
            and wanted.iops in (None, self.iops)
            and wanted.throughput in (None, self.throughput)
        )


@dataclass(frozen=True, slots=True)
class Modification:
    """The last modification of a volume.

    Attributes:
        state: `modifying`, `optimizing`, `completed` or `failed`.
        progress: percent.
    """

    state: str
    target: Actual
    progress: int = 0


def wanted_volume(volume: PersistentVolume, size: str, target: StorageClass) -> Wanted:
    """Return what a volume should be, of a size and with the parameters of a storage class.

    Raises:
        ParameterInvalid: they can't be carried out.
    """
    volume_id = handle_of(volume)
    if not _VOLUME_ID.fullmatch(volume_id):
        msg = f"volume {volume.metadata.name} has no id of EC2, but {one_line(volume_id)!r}"
        raise ParameterInvalid(msg)
    parameters = Parameters(target)
    if parameters.text("iopsPerGB"):
        msg = f"storage class {target.metadata.name} sets iopsPerGB, which is for new volumes alone; iops is for all"
        raise ParameterInvalid(msg)
    return Wanted(
        volume_id, gibibytes(size), parameters.text("type"), parameters.number("iops"), parameters.number("throughput")
    )


def judge(wanted: Wanted, state: str, actual: Actual, last: Modification | None, *, known: int) -> Change | str:
    """Decide what to do about a volume.

    Args:
        state: the volume's own.
        last: its last modification; None if it never had one.
        known: gibibytes that Kubernetes takes it to have.

    Returns:
        What EC2 must be asked for, or what is waited for; an empty text if the volume is what it should be.

    Raises:
        ModificationPending, ModificationRefused: nothing may be asked for.
    """
    name = wanted.volume_id
    running = last if last is not None and last.state in ("modifying", "optimizing") else None
    if running is not None and not running.target.has(wanted):
        msg = f"AWS is still {running.state} volume {name} for an earlier change ({running.progress}%)"
        raise ModificationPending(msg)
    if running is not None:
        return f"AWS is modifying volume {name} ({running.progress}%)" if running.state == "modifying" else ""
    if actual.has(wanted):
        return ""
    if state not in _STEADY:
        msg = f"volume {name} is {state}"
        raise ModificationPending(msg)
    check_sizes("AWS", f"volume {name}", actual.size, wanted.size, known=known)
    return Change(wanted.request())


def judge_error(code: str, message: str, status: int) -> CloudError:
    """Return what an error of EC2 means.

    Args:
        status: the HTTP status.
    """
    said = one_line(f"{code}: {message.partition(_DECODABLE)[0]}")
    if code in _NOT_YET:
        return ModificationPending(f"AWS takes no change yet: {said}")
    if status >= 500 or status == 429 or _BUSY.search(code):
        return CloudUnavailable(f"AWS does not answer: {said}")
    return ModificationRefused(f"AWS refuses: {said}")


@final
class EBSVolumes:
    """See the module docstring.

    Args:
        timeout: seconds for all that one `modify` asks, repetitions included.
    """

    provisioner: Final = PROVISIONER
    wait: Final = _WAIT

    def __init__(self, client: EC2, *, timeout: float) -> None:
        self._client = client
        self._timeout = timeout

    def refusal(self, volume: PersistentVolume, size: str, target: StorageClass) -> str:
        return refusal_of(wanted_volume, volume, size, target)

    async def modify(self, volume: PersistentVolume, size: str, target: StorageClass) -> str:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            wanted = wanted_volume(volume, size, target)
            async with asyncio.timeout(self._timeout):
                return await self._modify(wanted, capacity_of(volume))
        except ParameterInvalid as error:
            raise ModificationRefused(str(error)) from error
        except ClientError as error:
            raise judge_error(*_details(error.response)) from error
        except (BotoCoreError, OSError) as error:
            msg = f"AWS cannot be asked: {one_line(error) or f'no answer within {self._timeout:g}s'}"
            raise CloudUnavailable(msg) from error

    async def _modify(self, wanted: Wanted, known: int) -> str:
        # The last modification first: one that ends in between is then seen in the volume.
        last = await self._last_modification(wanted.volume_id)
        state, actual = await self._volume(wanted.volume_id)
        match judge(wanted, state, actual, last, known=known):
            case Change(request):
                await self._client.modify_volume(**request)
                return f"AWS has begun to modify volume {wanted.volume_id}"
            case waiting:
                return waiting

    async def _volume(self, volume_id: str) -> tuple[str, Actual]:
        answer = await self._client.describe_volumes(VolumeIds=[volume_id])
        found = _of_volume(answer.get("Volumes") or (), volume_id)
        if found is None:
            msg = f"AWS says nothing of volume {volume_id}"
            raise CloudUnavailable(msg)
        actual = Actual(found.get("Size", 0), found.get("VolumeType", ""), found.get("Iops"), found.get("Throughput"))
        return found.get("State", ""), actual

    async def _last_modification(self, volume_id: str) -> Modification | None:
        from botocore.exceptions import ClientError

        try:
            answer = await self._client.describe_volumes_modifications(VolumeIds=[volume_id])
        except ClientError as error:
            if _details(error.response)[0] == _NEVER_MODIFIED:
                return None
            raise
        found = _of_volume(answer.get("VolumesModifications") or (), volume_id)
        if found is None:
            return None
        target = Actual(
            found.get("TargetSize", 0),
            found.get("TargetVolumeType", ""),
            found.get("TargetIops"),
            found.get("TargetThroughput"),
        )
        return Modification(found.get("ModificationState", ""), target, found.get("Progress") or 0)


@asynccontextmanager
async def ebs_volumes(*, timeout: float) -> AsyncIterator[EBSVolumes]:
    """Open a client of EC2 for as long as the context lasts.

    Raises:
        ImportError: the library isn't installed.
        CloudUnavailable: the environment names no region, or has a broken configuration.
    """
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session
    from botocore.exceptions import BotoCoreError

    config = AioConfig(
        connect_timeout=min(_CONNECT, timeout),
        read_timeout=timeout,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
    )
    opening = get_session().create_client("ec2", region_name=os.environ.get("AWS_REGION") or None, config=config)
    async with AsyncExitStack() as stack:
        try:
            client = await stack.enter_async_context(opening)
        except BotoCoreError as error:
            msg = f"AWS cannot be used: {one_line(error)} (the region comes from AWS_REGION)"
            raise CloudUnavailable(msg) from error
        yield EBSVolumes(client, timeout=timeout)


def _of_volume(items: Any, volume_id: str) -> Mapping[str, Any] | None:
    return next((item for item in items if item.get("VolumeId") == volume_id), None)


def _details(response: Any) -> tuple[str, str, int]:
    """Return the code, the message and the HTTP status of an error's response."""
    error = response.get("Error", {})
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return error.get("Code", ""), error.get("Message", ""), status
