"""How much of each limit is used?

Usage: slots and starts, counted by all that has a limit.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from dataclasses import dataclass

from push_dispatch.core.model import Ledger, Pool, Queue, Ready
from push_dispatch.core.rates import scopes, started_within

__all__ = ["Used", "slot_name"]

#: Bytes of a name in the ledger.
_SLOT_NAME = 12


@dataclass(slots=True)
class Used:
    """Slots and starts used so far, by whatever is limited."""

    total: int
    queues: Counter[str]
    keys: Counter[str]
    queue_keys: Counter[tuple[str, str]]
    deployments: Counter[str]
    starts: Counter[str]

    @classmethod
    def of(cls, pool: Pool, ledger: Ledger, now: int) -> Used:
        """What the ledger says is used."""
        holders = ledger.holders
        starts = {scope: started_within(ledger, scope, rate, now) for scope, rate in scopes(pool)}
        return cls(
            total=len(holders),
            queues=Counter(h.queue for h in holders),
            keys=Counter(slot_name(h.concurrency_key) for h in holders if h.concurrency_key),
            queue_keys=Counter(
                (h.queue, slot_name(h.concurrency_key)) for h in holders if h.concurrency_key
            ),
            deployments=Counter(slot_name(h.deployment) for h in holders if h.deployment),
            starts=Counter(starts),
        )

    def add(self, ready: Ready) -> None:
        """Count one more run that starts now."""
        self.total += 1
        self.queues[ready.queue] += 1
        if ready.concurrency_key:
            key = slot_name(ready.concurrency_key)
            self.keys[key] += 1
            self.queue_keys[ready.queue, key] += 1
        if ready.deployment:
            self.deployments[slot_name(ready.deployment)] += 1
        self.starts[""] += 1
        self.starts[ready.queue] += 1

    def key_is_full(self, pool: Pool, queue: Queue, ready: Ready) -> bool:
        """Whether the run's concurrency key holds as many slots as it may."""
        if not ready.concurrency_key:
            return False
        key = slot_name(ready.concurrency_key)
        in_pool, in_queue = self.keys[key], self.queue_keys[queue.name, key]
        return (pool.key_limit is not None and in_pool >= pool.key_limit) or (
            queue.key_limit is not None and in_queue >= queue.key_limit
        )

    def deployment_is_full(self, pool: Pool, ready: Ready) -> bool:
        """Whether the run's deployment holds as many slots as it may."""
        limit = pool.deployment_limits.get(ready.deployment) if ready.deployment else None
        return limit is not None and self.deployments[slot_name(ready.deployment)] >= limit

    def rate_is_spent(self, pool: Pool, queue: Queue) -> bool:
        """Whether the pool or the queue has started as many runs as its period allows."""
        return (pool.rate is not None and self.starts[""] >= pool.rate.starts) or (
            queue.rate is not None and self.starts[queue.name] >= queue.rate.starts
        )


def slot_name(name: str) -> str:
    """How a ledger names a concurrency key or a deployment: short ones as they are, longer ones by
    a digest. They are only compared, and 5,000 slots with names of their own must fit into one
    item. The name of a name is that name."""
    if len(json.dumps(name, ensure_ascii=False).encode("utf-8", "replace")) <= _SLOT_NAME + 2:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "replace")).digest()
    return "#" + base64.urlsafe_b64encode(digest)[: _SLOT_NAME - 1].decode()
