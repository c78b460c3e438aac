"""What are the nouns? Pools, queues, runs, attempts and ledgers, as frozen values.

Standard library only. Times are whole milliseconds since the epoch (UTC), durations are seconds
unless a name says otherwise. Nothing here decides anything: see `admission` and `lifecycle`.
"""

from __future__ import annotations

from push_dispatch.core.model.ledger import (
    DELETED,
    Holder,
    Keys,
    Ledger,
    Slot,
    Starts,
    Weights,
)
from push_dispatch.core.model.names import (
    check_name,
    first_id_at,
    is_name,
    is_uuid,
    parse_run_id,
)
from push_dispatch.core.model.pool import (
    DEFAULT_QUEUE,
    HOLD_SECONDS,
    MAX_GIVE_UP_SECONDS,
    MAX_HOLD_SECONDS,
    MAX_PERIOD_SECONDS,
    MAX_SLOTS,
    MAX_STARTS,
    MAX_WAITING,
    Backfill,
    Collision,
    Fallback,
    NamedLimit,
    Pool,
    Queue,
    Rate,
    check_description,
    check_limit,
    check_patience,
    check_priority,
    check_rate,
    check_secret_patterns,
)
from push_dispatch.core.model.run import (
    TERMINAL,
    Attempt,
    Observation,
    Ready,
    Run,
    RunState,
    Status,
)

__all__ = [
    "DEFAULT_QUEUE",
    "DELETED",
    "HOLD_SECONDS",
    "MAX_GIVE_UP_SECONDS",
    "MAX_HOLD_SECONDS",
    "MAX_PERIOD_SECONDS",
    "MAX_SLOTS",
    "MAX_STARTS",
    "MAX_WAITING",
    "TERMINAL",
    "Attempt",
    "Backfill",
    "Collision",
    "Fallback",
    "Holder",
    "Keys",
    "Ledger",
    "NamedLimit",
    "Observation",
    "Pool",
    "Queue",
    "Rate",
    "Ready",
    "Run",
    "RunState",
    "Slot",
    "Starts",
    "Status",
    "Weights",
    "check_description",
    "check_limit",
    "check_name",
    "check_patience",
    "check_priority",
    "check_rate",
    "check_secret_patterns",
    "first_id_at",
    "is_name",
    "is_uuid",
    "parse_run_id",
]
