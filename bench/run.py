"""Measures this runtime beside Go's controller-runtime and writes docs/performance.md. bench/README.md says how to read it.

make bench                                  everything: a quarter of an hour
make bench BENCH="--everybody"              with kube-rs and Kopf, where they can be made: eight minutes more
make bench BENCH="--only queue,cold"        some of it; figures of earlier runs are kept
make bench BENCH="--against embedded --scale 0.01 --rounds 1"     does all of it work? Shown, not written
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, TypeVar

import others
import report
import uvloop
import widgets
from contestant import Failed
from controlplane import Control, embedded, real
from results import ENDED_AFTER, Results
from scenarios import Command, Figures, Scenario, scenarios

HERE: Final = Path(__file__).parent
CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tikv-operator" / "bench"
QUEUE: Final = {"queue-adds": ("adds", 1_000_000), "queue-merges": ("merges", 1_000_000)} | {
    "queue-requeue": ("requeue", 100_000),
    "queue-delays": ("delays", 100_000),
}
PATIENCE: Final = 180.0
"""Seconds after which a contestant is ended, whatever it does."""
LONGER_PATIENCE: Final = {"kopf": 300.0}
T = TypeVar("T")


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


def measure_queue(name: str, rounds: int, scale: float, go: Path | None) -> dict[str, list[Figures]]:
    workload, whole = QUEUE[name]
    count = str(max(20_000, int(whole * scale)))  # "merges" adds each of its 10,000 keys twice at least
    commands = {"ours": [sys.executable, str(HERE / "queue_ours.py"), workload, count]}
    if go is not None:
        commands["go"] = [str(go), "-scenario", workload, "-count", count]
    measured: dict[str, list[Figures]] = defaultdict(list)
    for number in range(rounds):
        for contestant, command in _in_turn(commands, number):
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
            measured[contestant].append(json.loads(done.stdout))
            _say(name, contestant, measured[contestant][-1])
    return dict(measured)


async def measure(
    chosen: Mapping[str, Scenario],
    rounds: int,
    assets: Path | None,
    commands: Mapping[str, Sequence[tuple[str, Command]]],
    results: Results,
) -> None:
    """Run scenarios, one after the other, each on the same control plane, the contestants taking turns.

    Args:
        commands: the contestants of each scenario.
    """
    async with AsyncExitStack() as stack:
        control = await stack.enter_async_context(embedded() if assets is None else real(assets))
        for kind in (widgets.Widget, widgets.Gadget):
            crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
            await control.call("POST", crds, widgets.definition(kind.resource))
            await control.served(kind.resource)
        prepared = None
        for name, scenario in chosen.items():
            if scenario.prepare is not prepared:
                await scenario.prepare(control)
                prepared = scenario.prepare
            measured: dict[str, list[Figures]] = defaultdict(list)
            for number in range(rounds):
                for contestant, command in _in_turn(dict(commands[name]), number):
                    if any(ENDED_AFTER in figures for figures in measured[contestant]):
                        continue  # once is enough
                    figures = await _once(scenario, control, contestant, command)
                    measured[contestant].append(figures)
                    _say(name, contestant, figures)
            results.add(name, dict(measured))


async def _once(scenario: Scenario, control: Control, contestant: str, command: Command) -> Figures:
    """Measure one contestant; its failure is a result like any other, and the run goes on."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(LONGER_PATIENCE.get(contestant, PATIENCE)):
            return await scenario.run(control, command)
    except (Failed, TimeoutError) as error:
        print(f"{contestant}: {error or 'took too long'}", file=sys.stderr)
        return {ENDED_AFTER: time.monotonic() - began}


def _in_turn(entries: Mapping[str, T], number: int) -> list[tuple[str, T]]:
    """Return the entries in an order that changes from round to round."""
    ordered = list(entries.items())
    return ordered if number % 2 == 0 else ordered[::-1]


def _say(name: str, contestant: str, figures: Figures) -> None:
    print(f"{name:14} {contestant:7} " + " ".join(f"{key}={value:.4g}" for key, value in figures.items()), flush=True)


def commit() -> str:
    """Return the commit that is measured; of changed files it says so."""
    asked = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(asked, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _options() -> argparse.Namespace:
    every = ", ".join((*QUEUE, *scenarios()))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help=f"some of: {every}; a beginning stands for all that begin with it")
    parser.add_argument("--rounds", type=int, default=3, help="of each contestant; figures are medians")
    parser.add_argument("--against", choices=("auto", "real", "embedded"), default="auto", help="the control plane")
    parser.add_argument("--report-only", action="store_true", help="write the page from the figures of earlier runs")
    parser.add_argument("--everybody", action="store_true", help="with kube-rs and Kopf")
    parser.add_argument("--scale", type=float, default=1.0, help="of all numbers of objects, for a trial")
    return parser.parse_args()


def main() -> None:
    options = _options()
    kept = Results(CACHE / "measured.json")
    if not options.report_only:
        kept = _measured(options, kept)
    if kept.file is not None:
        report.write(kept.medians(), kept.origins(), HERE.parent / "docs")
    elif options.scale == 1:
        print(report.table(kept.medians()))
        print(report.table_of_everybody(kept.medians()))


def _measured(options: argparse.Namespace, kept: Results) -> Results:
    """Measure what the options ask for; return the results, which are kept if they are of the real thing."""
    wanted = (options.only or "").split(",")
    available = scenarios(options.scale)
    names = [name for name in (*QUEUE, *available) if any(name.startswith(word) for word in wanted)]
    chosen = {name: scenario for name, scenario in available.items() if name in names}
    assets = control_plane(options.against) if chosen else None
    results = kept if options.scale == 1 and (assets is not None or not chosen) else Results(None)
    results.origin = f"{commit()}, {time.strftime('%Y-%m-%d')}"
    go = go_program()
    for name in names:
        if name in QUEUE:
            results.add(name, measure_queue(name, options.rounds, options.scale, go))
    if chosen:
        able = {
            name: [
                (who, command)
                for who, command in contestants(go, options.everybody).items()
                if others.takes_part(who, name, asked_for=bool(options.only))
            ]
            for name in chosen
        }
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(measure(chosen, options.rounds, assets, able, results))
    return results


if __name__ == "__main__":
    main()
