"""Tests on the real kube-apiserver and etcd (`--cluster=real`), without which they mean nothing."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config: pytest.Config) -> None:
    if config.getoption("--cluster") != "real":
        msg = "tests/real needs the real control plane: --cluster=real, or make test-real"
        raise pytest.UsageError(msg)
