"""What has happened to a run? Its history, from the times that it carries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from push_dispatch.core.model import Attempt, Run
from push_dispatch.insight.views import iso

__all__ = ["history_of"]


def history_of(run: Run) -> list[dict[str, Any]]:
    """List the events of a run in the order of time: submitted, due, then each attempt's claimed,
    pushed, started and ended, and the end. The oldest attempts of a long life are not kept."""
    events = [
        _event(run.submitted_at, "submitted"),
        _event(run.due, "due"),
        *(event for attempt in run.attempts for event in _attempt(attempt)),
    ]
    if run.ended_at is not None:
        events.append(_event(run.ended_at, run.state.value.lower(), None, run.reason, run.message))
    # Stable: what happened at the same time stays in the order of cause and effect.
    events.sort(key=lambda event: event["time"])
    return events


def _attempt(attempt: Attempt) -> Iterator[dict[str, Any]]:
    number = attempt.number
    for at, name in (
        (attempt.claimed_at, "claimed"),
        (attempt.pushed_at, "pushed"),
        (attempt.started_at, "started"),
    ):
        if at:
            yield _event(at, name, number)
    if attempt.ended_at is not None:
        yield _event(attempt.ended_at, "attempt ended", number, attempt.reason, attempt.message)


def _event(
    at: int,
    name: str,
    attempt: int | None = None,
    reason: str | None = None,
    message: str | None = None,
) -> dict[str, Any]:
    return {
        "time": iso(at),
        "event": name,
        "attempt": attempt,
        "reason": reason,
        "message": message,
    }
