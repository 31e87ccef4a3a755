"""A pytest plugin: tests that ask for the fixture `cluster` run on the cluster that `--cluster` names.

    async def test_a_widget_gets_its_config_map(cluster, namespace):
        ...

`--cluster=embedded`, the default, gives each test an API server of its own in its own process. `--cluster=real` starts etcd
and kube-apiserver once for all tests of a worker and gives each test its own connection. Either way `namespace` is the name of
a fresh namespace. The fixtures are asynchronous and want pytest-asyncio.

pytest loads this module wherever the package is installed; it therefore imports the rest of the package when it is needed.
"""

from __future__ import annotations

import pytest

__all__ = ["pytest_addoption"]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("controller_runtime")
    group.addoption(
        "--cluster",
        choices=("embedded", "real"),
        default="embedded",
        help="where tests run that ask for a cluster: the embedded API server, or the real kube-apiserver",
    )
