"""Run thousands of random leader elections in virtual time, and fail if two candidates ever lead at once.

    PYTHONPATH=src:tests python bench/lease_schedules.py --schedules 10000 --jobs 2

Each schedule is a world of some 400 virtual seconds (see tests/helpers/lease_world.py), named by its seed: a schedule that
fails prints the seed with which the test suite, or `--first SEED --schedules 1`, repeats it exactly.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time

from controller_runtime.concurrency import first_error
from controller_runtime.envtest import run_virtual
from helpers.lease_world import LeaseHistory, lease_world


def one(seed: int) -> LeaseHistory | str:
    """Run one schedule; a failure is its text."""
    try:
        return run_virtual(lease_world(seed))
    except ExceptionGroup as group:
        if not isinstance(error := first_error(group), AssertionError):
            raise
        return str(error)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()
    total, failures, nobody = LeaseHistory(), [], 0
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        seeds = range(options.first, options.first + options.schedules)
        for history in pool.imap_unordered(one, seeds, chunksize=50):
            if isinstance(history, str):
                failures.append(history)
                print(history, file=sys.stderr)
                continue
            nobody += not history.led
            total.led += history.led
            total.lost += history.lost
            total.released += history.released
    print(
        f"{options.schedules} schedules in {time.monotonic() - began:.0f} s: {total.led} leaderships, {total.lost} leases "
        f"lost, {total.released} given back, {nobody} schedules without a leader, {len(failures)} with two at once"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
