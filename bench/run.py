"""Measures this runtime beside Go's controller-runtime and writes docs/performance.md. bench/README.md says how to read it.

make bench                                  everything: some twenty minutes
make bench BENCH="--only queue,cold"        some of it; figures of earlier runs are kept
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, TypeVar

import report
import uvloop
import widgets
from controlplane import Control, embedded, real
from scenarios import SCENARIOS, Command, Figures

HERE: Final = Path(__file__).parent
CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tikv-operator" / "bench"
QUEUE: Final = {"queue-adds": ("adds", 1_000_000), "queue-merges": ("merges", 1_000_000)} | {
    "queue-requeue": ("requeue", 100_000),
    "queue-delays": ("delays", 100_000),
}
T = TypeVar("T")
Rounds = dict[str, dict[str, list[Figures]]]
"""Figures of each round, by benchmark and contestant."""


def go_program() -> Path | None:
    """Build the Go contestant; None if there is no Go."""
    if shutil.which("go") is None:
        return None
    CACHE.mkdir(parents=True, exist_ok=True)
    program = CACHE / "bench-go"
    subprocess.run(["nice", "go", "build", "-o", str(program), "."], cwd=HERE / "go", check=True)
    return program


def control_plane(wanted: str) -> Path | None:
    """Return the folder with the real control plane's binaries; None to use the embedded API server."""
    if wanted == "embedded":
        return None
    built = subprocess.run([str(HERE.parent / "hack/envtest/build.sh")], stdout=subprocess.PIPE, text=True, check=False)
    if built.returncode == 0:
        return Path(built.stdout.strip().splitlines()[-1])
    if wanted == "real":
        sys.exit("the real control plane cannot be built")
    print("no real control plane: the embedded API server it is", file=sys.stderr)
    return None


def contestants(go: Path | None) -> dict[str, Command]:
    """Return how to start each contestant, by name."""

    def options(scenario: str, control: Control, **values: object) -> list[str]:
        named = {"scenario": scenario, "kubeconfig": control.kubeconfig, **values}
        return [word for name, value in named.items() for word in (f"-{name}", str(value))]

    def ours(scenario: str, control: Control, **values: object) -> list[str]:
        return [sys.executable, str(HERE / "ours.py"), *options(scenario, control, **values)]

    def in_go(scenario: str, control: Control, **values: object) -> list[str]:
        return [str(go), *options(scenario, control, **values)]

    return {"ours": ours} if go is None else {"go": in_go, "ours": ours}


def measure_queue(name: str, rounds: int, go: Path | None, results: Rounds) -> None:
    workload, count = QUEUE[name]
    commands = {"ours": [sys.executable, str(HERE / "queue_ours.py"), workload, str(count)]}
    if go is not None:
        commands["go"] = [str(go), "-scenario", workload, "-count", str(count)]
    measured: dict[str, list[Figures]] = defaultdict(list)
    for number in range(rounds):
        for contestant, command in _in_turn(commands, number):
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
            measured[contestant].append(json.loads(done.stdout))
            _say(name, contestant, measured[contestant][-1])
    results[name] = dict(measured)


async def measure(names: list[str], rounds: int, assets: Path | None, go: Path | None, results: Rounds) -> None:
    """Run scenarios, one after the other, each on the same control plane, the contestants taking turns."""
    async with AsyncExitStack() as stack:
        control = await stack.enter_async_context(embedded() if assets is None else real(assets))
        for kind in (widgets.Widget, widgets.Gadget):
            crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
            await control.call("POST", crds, widgets.definition(kind.resource))
            await control.served(kind.resource)
        prepared = None
        for name in names:
            scenario = SCENARIOS[name]
            if scenario.prepare is not prepared:
                await scenario.prepare(control)
                prepared = scenario.prepare
            measured: dict[str, list[Figures]] = defaultdict(list)
            for number in range(rounds):
                for contestant, command in _in_turn(contestants(go), number):
                    measured[contestant].append(await scenario.run(control, command))
                    _say(name, contestant, measured[contestant][-1])
            results[name] = dict(measured)
            if assets is not None:
                save(results)


def _in_turn(entries: Mapping[str, T], number: int) -> list[tuple[str, T]]:
    """Return the entries in an order that changes from round to round."""
    ordered = list(entries.items())
    return ordered if number % 2 == 0 else ordered[::-1]


def _say(name: str, contestant: str, figures: Figures) -> None:
    print(f"{name:14} {contestant:5} " + " ".join(f"{key}={value:.4g}" for key, value in figures.items()), flush=True)


RESULTS: Final = CACHE / "results.json"
"""Of the real control plane. Figures on the embedded one are shown, not kept: the two are not to be mixed."""


def load() -> Rounds:
    found: Rounds = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return found


def save(results: Rounds) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1))


def medians(results: Rounds) -> dict[str, dict[str, Figures]]:
    """Return the median of each figure over its rounds."""
    return {
        name: {
            contestant: {key: statistics.median(figures[key] for figures in rounds) for key in rounds[0]}
            for contestant, rounds in by_contestant.items()
        }
        for name, by_contestant in results.items()
    }


def main() -> None:
    every = [*QUEUE, *SCENARIOS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names: list[str] = []
    parser.add_argument("--only", help=f"some of: {', '.join(every)}; a beginning stands for all that begin with it")
    parser.add_argument("--rounds", type=int, default=3, help="of each contestant; figures are medians")
    parser.add_argument("--against", choices=("auto", "real", "embedded"), default="auto", help="the control plane")
    parser.add_argument("--report-only", action="store_true", help="write the page from the figures of earlier runs")
    options = parser.parse_args()
    results = load()
    kept = True
    if not options.report_only:
        wanted = (options.only or "").split(",")
        names = [name for name in every if any(name.startswith(word) for word in wanted)]
        go = go_program()
        for name in names:
            if name in QUEUE:
                measure_queue(name, options.rounds, go, results)
                save(results)
        scenarios = [name for name in names if name in SCENARIOS]
        if scenarios:
            assets = control_plane(options.against)
            kept = assets is not None
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(measure(scenarios, options.rounds, assets, go, results))
    if kept:
        report.write(medians(results), HERE.parent / "docs")
    else:
        print(report.table(medians({name: results[name] for name in names})))


if __name__ == "__main__":
    main()
