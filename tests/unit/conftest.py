"""Unit tests run in virtual time: an hour takes a millisecond, and nothing may touch a socket."""

from __future__ import annotations

import asyncio

import pytest

from controller_runtime.envtest.virtual import VirtualTimePolicy


@pytest.fixture(scope="session")
def event_loop_policy() -> asyncio.AbstractEventLoopPolicy:
    return VirtualTimePolicy()
