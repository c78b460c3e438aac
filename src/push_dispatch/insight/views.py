"""What do pools, queues and runs look like in JSON? The same in the CLI and in the API.

Times are ISO 8601 in UTC, durations are seconds, and an absent value is null: every field is always
there, so that a script can rely on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from push_dispatch.core.model import Attempt, Holder, Ledger, Pool, Queue, Rate, Run
from push_dispatch.core.usage import Used

if TYPE_CHECKING:
    from push_dispatch.insight.explain import Explanation, PoolExplanation

__all__ = [
    "explanation_view",
    "iso",
    "pool_explanation_view",
    "pool_view",
    "queue_view",
    "run_view",
]


def iso(at: int | None) -> str | None:
    """Epoch milliseconds as `2026-12-01T08:00:00.000Z`."""
    if at is None:
        return None
    seconds, millis = divmod(at, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{millis:03d}Z"


def pool_view(pool: Pool, ledger: Ledger) -> dict[str, Any]:
    """A pool with its queues, and how many of its slots are held."""
    return {
        "name": pool.name,
        "type": pool.type,
        "limit": pool.limit,
        "slots_used": len(ledger.holders),
        "paused": pool.paused,
        "description": pool.description,
        "queues": [queue_view(pool, queue, ledger) for queue in pool.in_order],
        "key_limit": pool.key_limit,
        "key_max_waiting": pool.key_max_waiting,
        "rate": _rate(pool.rate),
        "platform_rate": _rate(pool.platform_rate),
        "hold_seconds": pool.hold_seconds,
        "give_up_seconds": pool.give_up_seconds,
        "limits": [asdict(limit) for limit in pool.limits],
        "capacity": _units(pool.capacity),
        "capacity_used": _units(Used.of(pool, ledger, 0).taken),
        "weights": dict(pool.weights),
        "backfill": pool.backfill.value,
        "ageing_seconds": pool.ageing_seconds,
        "fallbacks": [asdict(fallback) for fallback in pool.fallbacks],
        "secrets": list(pool.secrets),
        "template": pool.template,
        "version": pool.version,
    }


def queue_view(pool: Pool, queue: Queue, ledger: Ledger) -> dict[str, Any]:
    """A queue, and how many slots it holds."""
    held = Counter(holder.queue for holder in ledger.holders)
    return {
        "name": queue.name,
        "pool": pool.name,
        "priority": queue.priority,
        "limit": queue.limit,
        "slots_used": held[queue.name],
        "paused": queue.paused,
        "description": queue.description,
        "key_limit": queue.key_limit,
        "rate": _rate(queue.rate),
        "max_waiting": queue.max_waiting,
    }


def run_view(run: Run, reason: str | None) -> dict[str, Any]:
    """A run with its attempts. `reason` is why it waits or ended: see `explain.reasons_of`."""
    return {
        "id": run.id,
        "name": run.name,
        "pool": run.pool,
        "queue": run.queue,
        "state": run.state.value,
        "reason": reason,
        "message": run.message,
        "next_try_at": iso(_next_try(run)),
        "scheduled_time": iso(run.due),
        "submitted_at": iso(run.submitted_at),
        "ended_at": iso(run.ended_at),
        "expires_at": iso(run.expires),
        "timeout_seconds": run.timeout_seconds,
        "retries": run.retries,
        "crash_retries": run.crash_retries,
        "retry_delay_seconds": run.retry_delay_seconds,
        "tags": list(run.tags),
        "idempotency_key": run.idempotency_key or None,
        "concurrency_key": run.concurrency_key or None,
        "limits": dict(run.keys),
        "weights": _units(dict(run.weights)),
        "deployment": run.deployment or None,
        "parameters": dict(run.parameters),
        "variables": dict(run.variables),
        "attempts": [_attempt(attempt) for attempt in run.attempts],
    }


def explanation_view(found: Explanation) -> dict[str, Any]:
    """Why a run is where it is."""
    return {
        "id": found.run.id,
        "state": found.run.state.value,
        "reason": found.reason,
        "sentence": found.sentence,
        "remedy": found.remedy,
        "message": found.run.message,
        "numbers": found.numbers,
        "ahead": found.ahead,
        "holders": [_holder(found.run.pool, holder) for holder in found.holders],
        "estimated_start": iso(found.estimated_start),
        "next_try_at": iso(found.next_try_at),
    }


def pool_explanation_view(found: PoolExplanation) -> dict[str, Any]:
    """Who holds a pool's slots and who waits, and why."""
    return {
        "name": found.pool.name,
        "limit": found.pool.limit,
        "paused": found.pool.paused,
        "holders": [_holder(found.pool.name, holder) for holder in found.ledger.holders],
        "queues": [
            {
                "name": q.queue.name,
                "priority": q.queue.priority,
                "limit": q.queue.limit,
                "slots_used": q.held,
                "waiting": q.waiting,
                "waiting_more": q.more,
                "reasons": q.reasons,
                "oldest_due": iso(q.oldest_due),
            }
            for q in found.queues
        ],
    }


def _next_try(run: Run) -> int | None:
    """When a push that is put off is repeated."""
    return None if run.current is None else run.current.next_try_at


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "platform": attempt.platform,
        "type": attempt.type or None,
        "handle": attempt.handle,
        "failed_pushes": attempt.tries,
        "exit_code": attempt.exit_code,
        "reason": attempt.reason,
        "message": attempt.message,
        "claimed_at": iso(attempt.claimed_at),
        "pushed_at": iso(attempt.pushed_at),
        "started_at": iso(attempt.started_at),
        "ended_at": iso(attempt.ended_at),
        # Whether these are the times at which it was seen, and not the platform's own.
        "started_at_seen": attempt.started_seen,
        "ended_at_seen": attempt.ended_seen,
    }


def _holder(pool: str, holder: Holder) -> dict[str, Any]:
    return {
        "id": f"{pool}.{holder.run}",
        "attempt": holder.attempt,
        "queue": holder.queue,
        "since": iso(holder.since),
    }


def _units(amounts: Mapping[str, int]) -> dict[str, float]:
    """Thousandths as numbers of units."""
    return {unit: taken / 1000 for unit, taken in amounts.items()}


def _rate(rate: Rate | None) -> dict[str, int] | None:
    return None if rate is None else asdict(rate)
