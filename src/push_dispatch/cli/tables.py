"""What do pools, queues and runs look like to people? Views (see `views`) as tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from push_dispatch.cli.grid import (
    Styled,
    short_ids,
    show_facts,
    show_table,
    table_of,
)
from push_dispatch.cli.times import span

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = [
    "runs_table",
    "show_facts",
    "show_pool",
    "show_pools",
    "show_queues",
    "show_run",
    "show_runs",
    "show_table",
    "state",
    "watch_runs",
]

_WATCH_SECONDS = 2
#: Columns that a narrow terminal leaves out, the first one first.
_OPTIONAL = ("DEPLOYMENT", "TOOK", "POOL", "NAME", "DUE")

#: The eight terminal colours only, so that every theme shows them well.
_STYLES = {
    "SCHEDULED": "yellow",
    "PENDING": "blue",
    "RUNNING": "cyan",
    "CANCELLING": "magenta",
    "COMPLETED": "green",
    "FAILED": "red",
    "CRASHED": "red",
    "CANCELLED": "dim",
}

View = Mapping[str, Any]


def show_pools(pools: Sequence[View]) -> None:
    show_table(
        ("POOL", "TYPE", "SLOTS", "QUEUES", ""),
        [
            (p["name"], p["type"], _slots(p), ", ".join(q["name"] for q in p["queues"]), _flags(p))
            for p in pools
        ],
        nothing="There is no pool yet: push-dispatch pool create NAME --type process",
    )


def show_pool(pool: View) -> None:
    show_facts(
        [
            ("pool", pool["name"]),
            ("type", pool["type"]),
            ("slots", _slots(pool)),
            ("paused", "yes" if pool["paused"] else "no"),
            ("platform rate", _rate(pool["platform_rate"])),
            ("holds a slot", span(pool["hold_seconds"])),
            ("gives up", _patience(pool["give_up_seconds"])),
            ("description", pool["description"]),
            ("template", pool["template"]),
        ]
    )
    print()
    show_queues(pool["queues"])


def _rate(rate: Mapping[str, int] | None) -> str | None:
    return None if rate is None else f"{rate['starts']} starts in {span(rate['period_seconds'])}"


def _patience(seconds: int | None) -> str:
    return "never" if seconds is None else f"after {span(seconds)} without room"


def show_queues(queues: Sequence[View]) -> None:
    show_table(
        ("PRIORITY", "QUEUE", "SLOTS", "WAITING", ""),
        [(str(q["priority"]), q["name"], _slots(q), _waiting(q), _flags(q)) for q in queues],
    )


def show_runs(runs: Sequence[View]) -> None:
    header, rows = _runs(runs)
    show_table(header, rows, nothing="No run found.", optional=_OPTIONAL)


def runs_table(runs: Sequence[View]) -> RenderableType:
    """Runs as a table: ids shortened on a terminal, and fewer columns on a narrow one."""
    return table_of(*_runs(runs), optional=_OPTIONAL)


def _runs(runs: Sequence[View]) -> tuple[list[str], list[list[str]]]:
    ids = [run["id"] for run in runs]
    shown = short_ids(ids)
    header = ["RUN", "QUEUE", "STATE", "REASON", "DUE", "NAME", "TOOK", "DEPLOYMENT"]
    rows = [[shown[run["id"]], *_run_cells(run)] for run in runs]
    if any(shown[each] != each for each in ids):
        # A whole id begins with the pool.
        header.append("POOL")
        rows = [[*row, run["pool"]] for row, run in zip(rows, runs, strict=True)]
    return header, rows


def watch_runs(read: Callable[[], Sequence[View]]) -> None:
    """Show the runs that `read` returns, read every two seconds, until q or Ctrl-C."""
    from push_dispatch.cli.live import show_live

    show_live(lambda: runs_table(read()), _WATCH_SECONDS, screen=False)


def _run_cells(run: View) -> Sequence[str]:
    return (
        run["queue"],
        state(run["state"]),
        run["reason"] or "",
        _ago(run["scheduled_time"]),
        run["name"],
        _took(run["attempts"][-1]) if run["attempts"] else "",
        run["deployment"] or "",
    )


def show_run(run: View) -> None:
    show_facts(
        [
            ("run", run["id"]),
            ("name", run["name"]),
            ("queue", run["queue"]),
            ("state", state(run["state"])),
            ("reason", run["reason"]),
            ("message", run["message"]),
            ("next try", _when(run["next_try_at"])),
            ("due", _when(run["scheduled_time"])),
            ("submitted", _when(run["submitted_at"])),
            ("ended", _when(run["ended_at"])),
            ("tags", ", ".join(run["tags"])),
            ("deployment", run["deployment"]),
            ("key", run["idempotency_key"]),
            ("command", run["variables"].get("command")),
            ("cost", _dollars(run.get("estimated_cost_usd"))),
        ]
    )
    if run["attempts"]:
        print()
        show_table(
            ("ATTEMPT", "PLATFORM", "EXIT", "REASON", "STARTED", "TOOK", "HANDLE"),
            [_attempt(attempt) for attempt in run["attempts"]],
        )


def state(name: str) -> Styled:
    """A state in its colour."""
    return Styled(name, _STYLES.get(name, ""))


# -- cells ------------------------------------------------------------------------------------


def _slots(view: View) -> str:
    limit = "no limit" if view["limit"] is None else f"of {view['limit']}"
    return f"{view['slots_used']} {limit}"


def _waiting(queue: View) -> str:
    count = queue.get("waiting")
    return "" if count is None else f"{count}{'+' if queue['waiting_more'] else ''}"


def _flags(view: View) -> str:
    return "paused" if view["paused"] else ""


def _attempt(attempt: View) -> Sequence[str]:
    code = attempt["exit_code"]
    return (
        str(attempt["number"]),
        attempt["platform"],
        "" if code is None else str(code),
        attempt["reason"] or "",
        _when(attempt["started_at"]),
        _took(attempt),
        attempt["handle"] or "",
    )


def _dollars(amount: float | None) -> str:
    return "" if amount is None else f"about ${amount:.6f}".rstrip("0").rstrip(".")


def _when(text: str | None) -> str:
    """In the reader's own time zone."""
    if text is None:
        return ""
    return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M:%S %Z}"


def _ago(text: str) -> str:
    seconds = time.time() - datetime.fromisoformat(text).timestamp()
    return f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"


def _took(attempt: View) -> str:
    started, ended = attempt["started_at"], attempt["ended_at"]
    if started is None or ended is None:
        return ""
    seconds = datetime.fromisoformat(ended) - datetime.fromisoformat(started)
    about = "about " if attempt["started_at_seen"] or attempt["ended_at_seen"] else ""
    return f"{about}{span(seconds.total_seconds())}"
