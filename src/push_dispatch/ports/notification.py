"""What is a notification of a run's change of state? A pure mapping of the change.

The id of an event is the run's id and revision, so a receiver can tell a repetition.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from push_dispatch.core.bounds import short
from push_dispatch.core.reasons import Reason
from push_dispatch.ports.store import Change

__all__ = ["Numbered", "notification_of"]

#: A notification and the number under which its delivery is confirmed.
Numbered = tuple[str, dict[str, Any]]

#: Bytes of tags that an event has room for.
_TAG_BYTES = 50_000


def notification_of(change: Change) -> dict[str, Any] | None:
    """The detail of the event, or None if the run's state and attempt are what they were, and
    nothing was warned of."""
    before, after = change.before, change.after
    if after is None:
        return None
    was = (before.state, before.attempt) if before else None
    warned = before is not None and before.warned_at != after.warned_at
    if was == (after.state, after.attempt) and not warned:
        return None
    attempt = after.current
    reason = Reason.START_BY_AT_RISK if warned else after.reason
    return {
        "id": f"{after.id}/{after.rev}",
        "run": after.id,
        "pool": after.pool,
        "queue": after.queue,
        "deployment": after.deployment or None,
        "name": short(after.name) or None,
        "tags": _tags(after.tags),
        "from": before.state.value if before else None,
        "to": after.state.value,
        "reason": short(reason) if reason else None,
        "message": short(after.message) if after.message else None,
        "attempt": after.attempt,
        "platform": attempt.platform if attempt else None,
        "handle": attempt.handle if attempt else None,
        "exit_code": attempt.exit_code if attempt else None,
        "due": _iso(after.due),
        "start_by": _iso(after.start_by),
        "ended_at": _iso(after.ended_at),
    }


def _tags(tags: Sequence[str]) -> list[str]:
    """The first of them: an event has less room than a run."""
    kept: list[str] = []
    room = _TAG_BYTES
    for tag in tags:
        room -= len(json.dumps(tag)) + 2
        if room < 0:
            return [*kept, f"… and {len(tags) - len(kept)} more"]
        kept.append(tag)
    return kept


def _iso(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
