"""The work queue, its rate limiters and its metrics."""

from controller_runtime.workqueue.metrics import WorkQueueMetrics
from controller_runtime.workqueue.queue import LOW_PRIORITY, Item, QueueShutDown, WorkQueue
from controller_runtime.workqueue.ratelimit import (
    ExponentialBackoff,
    FastSlow,
    MaxOf,
    MaxWait,
    RateLimiter,
    TokenBucket,
)
from controller_runtime.workqueue.statistics import QueueStatistics

__all__ = [
    "LOW_PRIORITY",
    "ExponentialBackoff",
    "FastSlow",
    "Item",
    "MaxOf",
    "MaxWait",
    "QueueShutDown",
    "QueueStatistics",
    "RateLimiter",
    "TokenBucket",
    "WorkQueue",
    "WorkQueueMetrics",
]
