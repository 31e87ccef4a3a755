"""One workload on this runtime's work queue, in a process of its own: `python bench/queue_ours.py adds 1000000`.

- `adds`: so many different keys are added; ten workers take each and are done with it.
- `merges`: as many adds of 10,000 keys; most of them meet a key that is queued already.
- `requeue`: each key is taken, added with back-off, taken again and forgotten.
- `delays`: each key is added with a delay between 0.5 and 2.5 s; how late it is handed out is measured.

The queue shows its metrics in a registry, as in a manager. bench/go/queue.go does the same with Go's priority queue.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import sys
from collections.abc import Awaitable, Callable

import uvloop
from prometheus_client import CollectorRegistry

from controller_runtime import ObjectKey, WorkQueue
from controller_runtime.workqueue import WorkQueueMetrics

WORKERS = 10
BATCH = 1000  # adds between two turns of the loop: a burst of events
Queue = WorkQueue[ObjectKey]


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def work(
    queue: Queue, total: int, feed: Callable[[], Awaitable[None]], each: Callable[[ObjectKey], None] | None
) -> None:
    """Feed the queue; return when its workers have taken `total` keys."""
    left = total
    finished = asyncio.Event()

    async def worker() -> None:
        nonlocal left
        while True:
            item = await queue.get()
            if each is not None:
                each(item.key)
            queue.done(item.key)
            left -= 1
            if not left:
                finished.set()

    async with asyncio.TaskGroup() as group:
        workers = [group.create_task(worker()) for _ in range(WORKERS)]
        await feed()
        await finished.wait()
        for task in workers:
            task.cancel()


async def add_merging(queue: Queue, keys: list[ObjectKey], count: int) -> None:
    """Add so often, in bursts of all keys twice; return when the workers have caught up."""

    async def worker() -> None:
        while True:
            item = await queue.get()
            queue.done(item.key)

    async with asyncio.TaskGroup() as group:
        workers = [group.create_task(worker()) for _ in range(WORKERS)]
        for _ in range(count // (2 * len(keys))):
            for key in (*keys, *keys):
                queue.add(key)
            while len(queue):
                await asyncio.sleep(0)
        for task in workers:
            task.cancel()


async def main(workload: str, count: int) -> dict[str, float]:
    different = 10_000 if workload == "merges" else count
    keys = [ObjectKey("default", f"widget-{number:06}") for number in range(different)]
    queue: Queue = WorkQueue("bench", metrics=WorkQueueMetrics(CollectorRegistry()))
    loop = asyncio.get_running_loop()
    late: list[float] = []

    async def add_all() -> None:
        for number, key in enumerate(keys):
            queue.add(key)
            if number % BATCH == 0:
                await asyncio.sleep(0)

    began, cpu = loop.time(), cpu_seconds()
    match workload:
        case "adds":
            await work(queue, count, add_all, None)
        case "merges":
            await add_merging(queue, keys, count)
        case "requeue":
            seen: set[ObjectKey] = set()

            def again_once(key: ObjectKey) -> None:
                if key in seen:
                    queue.forget(key)
                else:
                    seen.add(key)
                    queue.add_rate_limited(key)

            await work(queue, 2 * count, add_all, again_once)
        case "delays":
            chance = random.Random(1)
            deadlines: dict[ObjectKey, float] = {}

            async def add_delayed() -> None:
                for number, key in enumerate(keys):
                    after = 0.5 + 2 * chance.random()
                    deadlines[key] = loop.time() + after
                    queue.add(key, after=after)
                    if number % BATCH == 0:
                        await asyncio.sleep(0)

            await work(queue, count, add_delayed, lambda key: late.append(loop.time() - deadlines[key]))
        case _:
            sys.exit(f"no workload {workload!r}")
    result = {"cpu": cpu_seconds() - cpu, "wall": loop.time() - began}
    if late:
        late.sort()
        result |= {"late_p50": late[len(late) // 2], "late_p99": late[len(late) * 99 // 100]}
    return result


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(main(sys.argv[1], int(sys.argv[2])))))
