"""Azure managed disks, changed through Azure Resource Manager.

Of a storage class the parameters `skuName` (or `storageAccountType`), `DiskIOPSReadWrite` and `DiskMBpsReadWrite` are read; what
isn't set stays as it is. Limits of the disk types are Azure's to know: it refuses what it doesn't offer, and is quoted.

TiDB Operator reads `skuName` and never sends it, so that a change of it is asked for without end; here it is sent.

Credentials come from the environment's default chain (workload identity, managed identity, a service principal's variables), and
`AZURE_SDK_CLOUD_CONF` names the cloud where it isn't the public one. Throttled and failed requests are repeated by the library,
within `timeout`.

Concurrency: one event loop; calls for several disks may run at the same time.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol, final

import msgspec

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
    "Actual",
    "AzureDisks",
    "DiskId",
    "Disks",
    "Wanted",
    "azure_disks",
    "judge",
    "judge_error",
    "read_disk",
    "wanted_disk",
]

PROVISIONER: Final = "disk.csi.azure.com"

_WAIT: Final = 15.0
_RETRIES: Final = 2
_CONNECT: Final = 5.0
_DISK_ID: Final = re.compile(
    r"/subscriptions/([\w-]+)/resourceGroups/([\w.()-]+)/providers/Microsoft\.Compute/disks/([\w.-]+)", re.IGNORECASE
)
_SETTLED: Final = frozenset({"Canceled", "Failed", "Succeeded"})
_NEVER_BY_ITSELF: Final = frozenset({"OperationNotAllowed", "PropertyChangeNotAllowed"})


class Disks(Protocol):
    """The disks of one subscription."""

    async def get(self, group: str, name: str) -> Mapping[str, Any]:
        """Return a disk in the form that Azure sends it in."""
        ...

    async def update(self, group: str, name: str, change: Mapping[str, Any]) -> None:
        """Begin to change a disk; what it is afterwards is for `get` to tell."""
        ...


@dataclass(frozen=True, slots=True)
class DiskId:
    """Where a disk is. Azure doesn't care for the case of its letters."""

    subscription: str
    group: str
    name: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a disk should be. None or empty: it stays as it is.

    Attributes:
        size: gibibytes; Azure calls them GB.
        throughput: megabytes a second.
    """

    disk: DiskId
    size: int
    sku: str = ""
    iops: int | None = None
    throughput: int | None = None

    def request(self) -> dict[str, Any]:
        """The body of the update. All that is wanted is sent: a new type takes its defaults for what isn't."""
        properties = {
            "diskSizeGB": self.size,
            "diskIOPSReadWrite": self.iops,
            "diskMBpsReadWrite": self.throughput,
        }
        body: dict[str, Any] = {"properties": {name: value for name, value in properties.items() if value is not None}}
        return body | ({"sku": {"name": self.sku}} if self.sku else {})


@dataclass(frozen=True, slots=True)
class Actual:
    """What a disk is.

    Attributes:
        state: its provisioning state.
    """

    state: str
    size: int
    sku: str = ""
    iops: int | None = None
    throughput: int | None = None

    def has(self, wanted: Wanted) -> bool:
        return (
            self.size == wanted.size
            and wanted.sku.casefold() in ("", self.sku.casefold())
            and wanted.iops in (None, self.iops)
            and wanted.throughput in (None, self.throughput)
        )


def wanted_disk(volume: PersistentVolume, size: str, target: StorageClass) -> Wanted:
    """Return what a disk should be, of a size and with the parameters of a storage class.

    Raises:
        ParameterInvalid: they can't be carried out.
    """
    handle = handle_of(volume)
    found = _DISK_ID.fullmatch(handle)
    if found is None:
        msg = f"volume {volume.metadata.name} has no id of a managed disk, but {one_line(handle)!r}"
        raise ParameterInvalid(msg)
    parameters = Parameters(target)
    return Wanted(
        DiskId(*found.groups()),
        gibibytes(size),
        parameters.text("skuName", "storageAccountType"),
        parameters.number("DiskIOPSReadWrite"),
        parameters.number("DiskMBpsReadWrite"),
    )


class _Sku(msgspec.Struct):
    name: str = ""


class _Properties(msgspec.Struct, rename="camel"):
    provisioning_state: str = ""
    disk_size_gb: int = msgspec.field(name="diskSizeGB", default=0)
    iops: int | None = msgspec.field(name="diskIOPSReadWrite", default=None)
    throughput: int | None = msgspec.field(name="diskMBpsReadWrite", default=None)


class _Disk(msgspec.Struct):
    id: str
    properties: _Properties
    sku: _Sku = msgspec.field(default_factory=_Sku)


def read_disk(answer: Mapping[str, Any], disk: DiskId) -> Actual:
    """Return what Azure says of a disk.

    Raises:
        CloudUnavailable: it can't be understood, or is about another disk.
    """
    try:
        found = msgspec.convert(answer, _Disk)
    except msgspec.ValidationError as error:
        msg = f"Azure's answer about disk {disk.name} is not understood: {one_line(error)}"
        raise CloudUnavailable(msg) from error
    told = _DISK_ID.fullmatch(found.id)
    if told is None or found.id.casefold().rpartition("/")[2] != disk.name.casefold():
        msg = f"Azure was asked about disk {disk.name}, and answers about {one_line(found.id)!r}"
        raise CloudUnavailable(msg)
    properties = found.properties
    return Actual(
        properties.provisioning_state, properties.disk_size_gb, found.sku.name, properties.iops, properties.throughput
    )


def judge(wanted: Wanted, actual: Actual, *, known: int) -> Change | str:
    """Decide what to do about a disk.

    Args:
        known: gibibytes that Kubernetes takes it to have.

    Returns:
        What Azure must be asked for, or what is waited for; an empty text if the disk is what it should be.

    Raises:
        ModificationRefused: nothing may be asked for.
    """
    name = wanted.disk.name
    if actual.state not in _SETTLED:
        return f"disk {name} is {actual.state or 'in an unknown state'}"
    if actual.has(wanted):
        return ""
    check_sizes("Azure", f"disk {name}", actual.size, wanted.size, known=known)
    return Change(wanted.request())


def judge_error(status: int, code: str, message: str) -> CloudError:
    """Return what an error of Azure means.

    Args:
        status: the HTTP status.
    """
    said = one_line(f"{code}: {message}" if code else message or f"HTTP status {status}")
    if status == 429 or status >= 500:
        return CloudUnavailable(f"Azure does not answer: {said}")
    if status == 401:
        return CloudUnavailable(f"Azure does not accept the credentials: {said}")
    if status == 409 and code not in _NEVER_BY_ITSELF:
        return ModificationPending(f"Azure takes no change yet: {said}")
    return ModificationRefused(f"Azure refuses: {said}")


@final
class AzureDisks:
    """See the module docstring.

    Args:
        disks: returns the disks of a subscription.
        timeout: seconds for all that one `modify` asks, repetitions included.
    """

    provisioner: Final = PROVISIONER
    wait: Final = _WAIT

    def __init__(self, disks: Callable[[str], Disks], *, timeout: float) -> None:
        self._disks = disks
        self._timeout = timeout

    def refusal(self, volume: PersistentVolume, size: str, target: StorageClass) -> str:
        return refusal_of(wanted_disk, volume, size, target)

    async def modify(self, volume: PersistentVolume, size: str, target: StorageClass) -> str:
        from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

        try:
            wanted = wanted_disk(volume, size, target)
            async with asyncio.timeout(self._timeout):
                return await self._modify(wanted, capacity_of(volume))
        except ParameterInvalid as error:
            raise ModificationRefused(str(error)) from error
        except ClientAuthenticationError as error:
            msg = f"Azure does not accept the credentials: {one_line(error.message.partition(chr(10))[0])}"
            raise CloudUnavailable(msg) from error
        except HttpResponseError as error:
            said = error.error
            code, message = (said.code or "", said.message or "") if said is not None else ("", error.reason or "")
            raise judge_error(error.status_code or 0, code, message) from error
        except (AzureError, OSError) as error:
            msg = f"Azure cannot be asked: {one_line(error) or f'no answer within {self._timeout:g}s'}"
            raise CloudUnavailable(msg) from error

    async def _modify(self, wanted: Wanted, known: int) -> str:
        disk, disks = wanted.disk, self._disks(wanted.disk.subscription)
        actual = read_disk(await disks.get(disk.group, disk.name), disk)
        match judge(wanted, actual, known=known):
            case Change(request):
                await disks.update(disk.group, disk.name, request)
                return f"Azure has begun to modify disk {disk.name}"
            case waiting:
                return waiting


@asynccontextmanager
async def azure_disks(*, timeout: float, **options: Any) -> AsyncIterator[AzureDisks]:
    """Open what asks Azure, for as long as the context lasts. No request leaves before a disk is changed.

    Args:
        options: for the clients of the library, beside the environment; `credential` instead of the default chain.

    Raises:
        ImportError: the library isn't installed.
    """
    from azure.identity.aio import DefaultAzureCredential
    from azure.mgmt.compute.aio import ComputeManagementClient

    async with AsyncExitStack() as stack:
        credential = options.pop("credential", None)
        if credential is None:
            credential = await stack.enter_async_context(DefaultAzureCredential())
        clients: dict[str, Disks] = {}

        def disks(subscription: str) -> Disks:
            if subscription not in clients:
                client = ComputeManagementClient(
                    credential,
                    subscription,
                    connection_timeout=min(_CONNECT, timeout),
                    read_timeout=timeout,
                    retry_total=_RETRIES,
                    **options,
                )
                stack.push_async_callback(client.close)
                clients[subscription] = _ManagedDisks(client)
            return clients[subscription]

        yield AzureDisks(disks, timeout=timeout)


@final
class _ManagedDisks:
    """The disks of one subscription, through the library."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def get(self, group: str, name: str) -> Mapping[str, Any]:
        disk = await self._client.disks.get(group, name)
        answer: Mapping[str, Any] = disk.as_dict()
        return answer

    async def update(self, group: str, name: str, change: Mapping[str, Any]) -> None:
        await self._client.disks.begin_update(group, name, dict(change), polling=False)
