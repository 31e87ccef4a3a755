"""A client of TiKV's own HTTP API, which each store serves at its status address.

It shares the connections and the certificates with which the operator reaches the cluster's PD. TiKV writes online changes back
into its configuration file, too, where it can; in a pod it can't, because the file is a mounted config map, and the operator
has written it already.

Concurrency: may be used by any number of tasks. Cancelling a call leaves open whether TiKV has taken the change.
"""

from __future__ import annotations

from typing import Final, final

import msgspec

from tikv_operator.pdclient.caller import PDCaller
from tikv_operator.pdclient.errors import PDError, PDUnreachable

__all__ = ["TiKVClient"]

_DONE_BUT_NOT_PERSISTED: Final = "config changed, but failed to persist"
"""How TiKV begins to say that it has taken a change, and could not write its file. It calls that an error."""


@final
class TiKVClient:
    """See the module docstring."""

    def __init__(self, caller: PDCaller) -> None:
        self._caller = caller

    async def change_config(self, status_url: str, item: str, value: str | float | bool) -> str:
        """Change one configuration item of a running TiKV.

        Args:
            status_url: `http(s)://host:port` of its status address.
            item: its dotted name, e.g. `raftstore.store-pool-size`.

        Returns:
            Why TiKV doesn't take the change (the item can only be changed by a restart, or the value makes no sense), in its
            words; empty if the change is in force.

        Raises:
            PDUnreachable: no answer came.
        """
        body = msgspec.json.encode({item: value})
        try:
            await self._caller.call(
                "tikv_config", "POST", "/config", _nothing, params=(("persist", "false"),), body=body, base=status_url
            )
        except PDUnreachable:
            raise
        except PDError as error:
            return "" if _DONE_BUT_NOT_PERSISTED in error.message else error.message
        return ""


def _nothing(_: bytes) -> None:
    """Read an answer of which only the status matters."""
