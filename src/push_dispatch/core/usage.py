"""How much of each limit is used?

Usage: slots and starts, counted by all that has a limit.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from push_dispatch.core.model import Holder, Ledger, Pool, Queue, Ready, Weights
from push_dispatch.core.rates import MAX_KEYS, named_scopes, scopes, started_within
from push_dispatch.core.reasons import Reason

__all__ = ["Used", "scope_of", "slot_name"]

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
    #: Slots by named limit and key, as `scope_of` names them.
    named: Counter[str] = field(default_factory=Counter)
    #: Of each unit, what is taken, and what is kept for runs that wait for it.
    taken: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, pool: Pool, ledger: Ledger, now: int) -> Used:
        """What the ledger says is used."""
        holders = ledger.holders
        limited = [*scopes(pool), *named_scopes(pool, ledger.starts)]
        starts = {scope: started_within(ledger, scope, rate, now) for scope, rate in limited}
        return cls(
            total=len(holders),
            queues=Counter(h.queue for h in holders),
            keys=Counter(slot_name(h.concurrency_key) for h in holders if h.concurrency_key),
            queue_keys=Counter(
                (h.queue, slot_name(h.concurrency_key)) for h in holders if h.concurrency_key
            ),
            deployments=Counter(slot_name(h.deployment) for h in holders if h.deployment),
            starts=Counter(starts),
            named=Counter(scope for h in holders for scope in _scopes_of(h)),
            taken=_sum_of_weights(holders),
        )

    def add(self, ready: Ready) -> None:
        """Count one more run that starts now."""
        self._count(ready)
        for unit, taken in ready.weights:
            self.taken[unit] += taken

    def keep(self, ready: Ready) -> None:
        """Keep for a run that waits for capacity all that it needs to start."""
        self._count(ready)
        for unit, taken in ready.weights:
            self.kept[unit] += taken

    def _count(self, ready: Ready) -> None:
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
        for scope in _scopes_of(ready):
            self.named[scope] += 1
            self.starts[scope] += 1

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

    def named_reason(self, pool: Pool, ready: Ready) -> str | None:
        """Why a named limit does not let the run in: a token of kind `wait`. None if all do."""
        keys = dict(ready.keys)
        spent = False
        for limit in pool.limits:
            if limit.name not in keys:
                continue
            scope = scope_of(limit.name, keys[limit.name])
            if limit.limit is not None and self.named[scope] >= limit.limit:
                return Reason.NAMED_LIMIT
            spent |= self.is_spent(pool, scope)
        return Reason.NAMED_RATE if spent else None

    def is_spent(self, pool: Pool, scope: str) -> bool:
        """Whether a key of a named limit has started as many runs as its period allows."""
        left = self.starts_left(pool, scope)
        return left is not None and left <= 0

    def starts_left(self, pool: Pool, scope: str) -> int | None:
        """How many more starts the rate of a named limit allows; None if it has none."""
        name = scope.partition(":")[0]
        rate = next((each.rate for each in pool.limits if each.name == name), None)
        if rate is None:
            return None
        return 0 if self._too_many_keys(scope) else rate.starts - self.starts[scope]

    def fits(
        self, capacity: Mapping[str, int], needed: Weights, *, beside_kept: bool = True
    ) -> bool:
        """Whether so much of each unit is free."""
        return all(
            self.taken[unit] + (self.kept[unit] if beside_kept else 0) + taken <= capacity[unit]
            for unit, taken in needed
        )

    def _too_many_keys(self, scope: str) -> bool:
        if self.starts[scope]:
            return False
        return sum(1 for name, count in self.starts.items() if ":" in name and count) >= MAX_KEYS


def scope_of(limit: str, key: str) -> str:
    """What is counted together under a named limit: slots, and starts in the ledger. No queue has
    such a name."""
    return f"{limit}:{slot_name(key)}"


def _scopes_of(run: Ready | Holder) -> Iterator[str]:
    return (scope_of(name, key) for name, key in run.keys)


def _sum_of_weights(holders: tuple[Holder, ...]) -> Counter[str]:
    taken: Counter[str] = Counter()
    for holder in holders:
        for unit, weight in holder.weights:
            taken[unit] += weight
    return taken


def slot_name(name: str) -> str:
    """How a ledger names a concurrency key or a deployment: short ones as they are, longer ones by
    a digest. They are only compared, and each slot may have names of its own. The name of a name is
    that name."""
    if len(json.dumps(name, ensure_ascii=False).encode("utf-8", "replace")) <= _SLOT_NAME + 2:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "replace")).digest()
    return "#" + base64.urlsafe_b64encode(digest)[: _SLOT_NAME - 1].decode()
