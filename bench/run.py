"""Measures this runtime beside Go's controller-runtime and writes docs/performance.md. bench/README.md says how to read it.

make bench                                  everything: some twenty minutes
make bench BENCH="--only queue,cold"        some of it; figures of earlier runs are kept
make bench BENCH="--everybody"              with kube-rs and Kopf, where they can be made: a table of its own
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

import others
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


def contestants(go: Path | None, everybody: bool) -> dict[str, Command]:
    """Return how to start each contestant, by name; those that cannot be made are not among them."""
    programs = {"go": None if go is None else [str(go)]}
    if everybody:
        programs |= {"kube-rs": others.rust_program(CACHE), "kopf": others.kopf_program(CACHE)}
    programs["ours"] = [sys.executable, str(HERE / "ours.py")]

    def options(scenario: str, control: Control, **values: object) -> list[str]:
        named = {"scenario": scenario, "kubeconfig": control.kubeconfig, **values}
        return [word for name, value in named.items() for word in (f"-{name}", str(value))]

    def command(program: list[str]) -> Command:
        return lambda scenario, control, **values: [*program, *options(scenario, control, **values)]

    return {name: command(program) for name, program in programs.items() if program is not None}


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


async def measure(
    names: list[str], rounds: int, assets: Path | None, commands: Mapping[str, Command], results: Rounds, kept: Path
) -> None:
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
            able = {
                who: command for who, command in commands.items() if others.takes_part(who, name, assets is not None)
            }
            for number in range(rounds):
                for contestant, command in _in_turn(able, number):
                    measured[contestant].append(await scenario.run(control, command))
                    _say(name, contestant, measured[contestant][-1])
            results[name] = dict(measured)
            if assets is not None:
                save(results, kept)


def _in_turn(entries: Mapping[str, T], number: int) -> list[tuple[str, T]]:
    """Return the entries in an order that changes from round to round."""
    ordered = list(entries.items())
    return ordered if number % 2 == 0 else ordered[::-1]


def _say(name: str, contestant: str, figures: Figures) -> None:
    print(f"{name:14} {contestant:7} " + " ".join(f"{key}={value:.4g}" for key, value in figures.items()), flush=True)


RESULTS: Final = CACHE / "results.json"
"""Of the real control plane. Figures on the embedded one are shown, not kept: the two are not to be mixed."""

EVERYBODY: Final = CACHE / "everybody.json"
"""The same of the runs with everybody."""


def load(kept: Path) -> Rounds:
    found: Rounds = json.loads(kept.read_text()) if kept.exists() else {}
    return found


def save(results: Rounds, kept: Path) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(results, indent=1))


def medians(results: Rounds) -> dict[str, dict[str, Figures]]:
    """Return the median of each figure over its rounds, and with them the number of `rounds`."""
    return {
        name: {
            contestant: {key: statistics.median(figures[key] for figures in rounds) for key in rounds[0]}
            | {"rounds": len(rounds)}
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
    parser.add_argument("--everybody", action="store_true", help="with kube-rs and Kopf; not the queue alone")
    options = parser.parse_args()
    file = EVERYBODY if options.everybody else RESULTS
    results = load(file)
    kept = True
    if not options.report_only:
        wanted = (options.only or "").split(",")
        benchmarks = list(SCENARIOS) if options.everybody else every
        names = [name for name in benchmarks if any(name.startswith(word) for word in wanted)]
        go = go_program()
        for name in names:
            if name in QUEUE:
                measure_queue(name, options.rounds, go, results)
                save(results, file)
        scenarios = [name for name in names if name in SCENARIOS]
        if scenarios:
            assets = control_plane(options.against)
            kept = assets is not None
            commands = contestants(go, options.everybody)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(measure(scenarios, options.rounds, assets, commands, results, file))
    if kept:
        report.write(medians(load(RESULTS)), medians(load(EVERYBODY)), HERE.parent / "docs")
    else:
        table = report.table_of_everybody if options.everybody else report.table
        print(table(medians({name: results[name] for name in names})))


if __name__ == "__main__":
    main()
