"""Measures the operator as TiDB Operator was measured, and writes docs/performance-operator.md. bench/README.md says how.

make bench-operator                                   everything, on both control planes: a quarter of an hour
make bench-operator BENCH="--only create-upgrade"     some of it; figures of earlier runs are kept
make bench-operator BENCH="--against embedded"        on one of them
make bench-operator BENCH="--only fleet --groups 2 --replicas 3"     does it work? Shown, not written
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Final

import operator_report
import uvloop
from operator_report import CLUSTERS
from operator_work import measure, works
from results import Results
from run import CACHE, commit, control_plane

_FLEET: Final = (5, 10)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help=f"some of: {', '.join(works())}")
    parser.add_argument("--against", choices=(*CLUSTERS, "both"), default="both", help="the control plane")
    parser.add_argument("--rounds", type=int, default=1, help="figures are medians")
    parser.add_argument("--groups", type=int, default=_FLEET[0], help="of the fleet")
    parser.add_argument("--replicas", type=int, default=_FLEET[1], help="of each group of the fleet")
    parser.add_argument("--details", type=Path, help="a folder for the operator's logs, and what it wrote and asked")
    parser.add_argument("--report-only", action="store_true", help="write the page from the figures of earlier runs")
    return parser.parse_args()


async def _measured(options: argparse.Namespace, results: Results) -> None:
    chosen = {
        name: work
        for name, work in works(options.groups, options.replicas).items()
        if not options.only or name in options.only.split(",")
    }
    for cluster in CLUSTERS if options.against == "both" else (options.against,):
        assets = control_plane(cluster)
        for name, work in chosen.items():
            rounds = []
            for number in range(options.rounds):
                where = options.details and options.details / f"{cluster}-{name}-{number + 1}"
                measured = await measure(work, assets, where and where.with_suffix(".log"))
                rounds.append(measured.figures)
                if where:
                    where.with_suffix(".json").write_text(json.dumps(measured.details, indent=1))
                for part, figures in measured.figures.items():
                    shown = " ".join(f"{key}={value:.4g}" for key, value in figures.items())
                    print(f"{cluster:9} {part:14} {shown}", flush=True)
            for part in rounds[0]:
                results.add(f"{cluster}/{part}", {"ours": [figures[part] for figures in rounds]})


def main() -> None:
    options = _options()
    whole = (options.groups, options.replicas) == _FLEET
    kept = Results(CACHE / "operator.json" if whole else None)
    kept.origin = f"{commit()}, {time.strftime('%Y-%m-%d')}"
    if options.details:
        options.details.mkdir(parents=True, exist_ok=True)
    if not options.report_only:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_measured(options, kept))
    medians = {benchmark: of["ours"] for benchmark, of in kept.medians().items()}
    if whole:
        operator_report.write(medians, kept.origins(), Path(__file__).parent.parent / "docs")
    else:
        print(operator_report.table(medians))


if __name__ == "__main__":
    sys.exit(main())
