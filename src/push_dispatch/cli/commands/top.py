"""`push-dispatch top`: which pools and queues are busy now, live."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from push_dispatch.cli.backend import connect
from push_dispatch.cli.options import Common
from push_dispatch.cli.output import console, print_json
from push_dispatch.cli.times import duration, span
from push_dispatch.core.errors import Invalid

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["top"]

View = Mapping[str, Any]

_HEADER = ("POOL", "QUEUE", "SLOTS", "WAITING", "OLDEST", "STARTS/MIN", "WHY")


def top(
    pool: Annotated[str | None, Parameter(help="Only this pool.")] = None,
    /,
    *,
    once: Annotated[bool, Parameter(help="Print it once, as into a pipe.")] = False,
    every: Annotated[str, Parameter(metavar="DURATION", help="By default 2s.")] = "2s",
    common: Common = Common(),
) -> None:
    """Show slots, waiting runs and starts of each pool and queue, live; q quits.

    Into a pipe, with --once or with --json it prints one snapshot.
    """
    from push_dispatch.cli.live import show_live
    from push_dispatch.insight.activity import activity

    seconds = duration(every, "--every")
    if seconds < 1:
        raise Invalid(f"--every {every!r} is too short: at least 1s")
    ports = connect(common)
    if common.json:
        print_json(activity(ports, pool))
    elif once or not sys.stdout.isatty() or not sys.stdin.isatty():
        console().print(_screen(activity(ports, pool)))
    else:
        show_live(lambda: _screen(activity(ports, pool), live=True), seconds, screen=True)


# -- what is shown ----------------------------------------------------------------------------


def _screen(view: View, *, live: bool = False) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    from push_dispatch.cli.grid import table_of

    rows = [row for pool in view["pools"] for row in _rows(pool)]
    if not rows:
        return Text("There is no pool yet: push-dispatch pool create NAME --type process")
    table = table_of(_HEADER, rows, optional=("WHY", "STARTS/MIN", "OLDEST"))
    if not live:
        return table
    head = Text(f"push-dispatch top   {view['time'][11:19]} UTC   q quits", style="dim")
    return Group(head, Text(), table)


def _rows(pool: View) -> Iterator[tuple[str, ...]]:
    """The pool, and its queues where there are several."""
    queues = pool["queues"]
    starts = f"{pool['starts_last_minute']}{'+' if pool['starts_more'] else ''}"
    why = _why(pool, queues[0] if len(queues) == 1 else None)
    yield (pool["name"], "", *_numbers(pool), starts, why)
    for queue in queues if len(queues) > 1 else ():
        yield ("", queue["name"], *_numbers(queue), "", _why(queue, queue))


def _numbers(view: View) -> tuple[str, str, str]:
    slots = f"{view['slots_used']}" + ("" if view["limit"] is None else f" of {view['limit']}")
    waiting = f"{view['waiting']}{'+' if view['waiting_more'] else ''}"
    oldest = view["oldest_seconds"]
    return slots, waiting, "" if oldest is None else span(oldest)


def _why(view: View, queue: View | None) -> str:
    words = ["paused"] if view["paused"] else []
    reasons = queue["reasons"] if queue else {}
    return ", ".join([*words, *(f"{count} {reason}" for reason, count in reasons.items())])
