"""The operator's roles allow everything it does in a cluster's life, and nothing that it never does.

Through PD's service proxy the operator goes only outside of a cluster, with the rights of whoever runs it there.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from helpers.whole_system import System, whole_system
from tikv_operator.demo.manifests import load
from tikv_operator.demo.scenario import Scenario
from tikv_operator.demo.stage import DEMO_SETTINGS
from tikv_operator.simulation import SimulationSettings

CONFIG = Path(__file__).parents[3] / "config"
PATH = re.compile(
    r"/(?:api/v1|apis/(?P<group>[^/]+)/[^/]+)(?:/namespaces/[^/]+)?/(?P<resource>[a-z]+)(?:/(?P<name>[^/]+)(?:/(?P<sub>[a-z]+))?)?"
)
Right = tuple[str, str, str]

# What the roles allow beside the requests of an ordinary life, with the reason.
UNUSED: set[Right] = {
    ("", "secrets", "get"),  # only with TLS
    ("apps", "controllerrevisions", "delete"),  # only beyond the history limit
    ("apps", "controllerrevisions", "patch"),  # only when a template returns to an earlier one
    ("policy", "poddisruptionbudgets", "delete"),  # only where a group wants none
    ("core.pingcap.com", "pdgroups", "patch"),  # only when the Cluster has features
    *(
        ("core.pingcap.com", f"{kind}/finalizers", "update")
        for kind in ("clusters", "pdgroups", "pds", "tikvgroups", "tikvs")
    ),
}


def right(verb: str, path: str) -> Right:
    found = PATH.fullmatch(path)
    assert found is not None, path
    resource = found["resource"] + (f"/{found['sub']}" if found["sub"] else "")
    named = {"GET": "get" if found["name"] else "list", "POST": "create", "PATCH": "patch", "DELETE": "delete"}
    return found["group"] or "", resource, named.get(verb, "watch")


def allowed() -> set[Right]:
    rules: list[dict[str, Any]] = yaml.safe_load((CONFIG / "rbac" / "role.yaml").read_text())["rules"]
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


async def live(system: System) -> set[Right]:
    story = Scenario(system.user, system.world, load([CONFIG / "samples" / "basic"]), timeout=120.0)
    for step in story.steps():
        assert not (await story.play(step)).error
    requests = [(method, path) for method, path in system.traffic.requests if "/proxy/" not in path]
    return {right(method, path) for method, path in requests} | {right("", path) for path in system.traffic.watched}


async def test_the_role_is_what_the_operator_needs() -> None:
    async with whole_system(DEMO_SETTINGS, SimulationSettings(prestop_poll=0.1)) as system:
        used = await live(system)
    assert used - allowed() == set()
    readable = {(group, resource) for group, resource, verb in used if verb in {"list", "watch", "get"}}
    idle = {
        (group, resource, verb)
        for group, resource, verb in allowed() - used - UNUSED
        if not (verb in {"get", "list", "watch"} and (group, resource) in readable)
        and not (verb == "create" and (group, resource, "patch") in used)  # an apply may create
    }
    assert idle == set()
