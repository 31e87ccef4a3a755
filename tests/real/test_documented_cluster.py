"""What docs/testing.md shows of `BinaryCluster`."""

from __future__ import annotations

from pathlib import Path

import pytest
from owning_children import Site

from controller_runtime import Forbidden
from controller_runtime.api.crd import custom_resource_definition
from controller_runtime.client import HttpTransport, LiveClient, load_config
from controller_runtime.envtest import BinaryCluster


async def test_jane_may_not_list_sites(tmp_path: Path) -> None:
    async with BinaryCluster(
        crds=[custom_resource_definition(Site)],
        controller_manager=True,  # garbage collection, and the deletion of namespaces
        audit_log=tmp_path / "audit.log",  # who asked for what, and what the answer was: a line of JSON each
        flags=["--max-requests-inflight=50"],  # further ones of kube-apiserver
    ) as cluster:
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(cluster.kubeconfig("jane", groups=["developers"]))
        transport = HttpTransport(await load_config(str(kubeconfig)))
        with pytest.raises(Forbidden, match='User "jane" cannot list resource "sites"'):
            await LiveClient(transport, field_manager="jane").list(Site)
        await transport.close()
