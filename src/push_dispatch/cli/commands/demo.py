"""`push-dispatch demo`: the main job, live, on this machine."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from push_dispatch.cli.commands.local import folder, stop_signals
from push_dispatch.cli.output import console, say
from push_dispatch.cli.tables import show_table, state
from push_dispatch.core.model import Ledger, Run, RunState

if TYPE_CHECKING:
    from rich.console import RenderableType

    from push_dispatch.local.demo import Summary

__all__ = ["demo"]

_NAME = "demo"
#: A demo that takes longer has failed.
_SECONDS = 90

Draw = Callable[[Ledger, dict[str, Run]], None]


def demo() -> int:
    """See pools, priorities and limits at work: two dozen processes, in less than a minute.

    Starts a local runtime of its own, and leaves nothing behind. Exit code 1 if anything went
    otherwise than promised.
    """
    from push_dispatch.local.demo import LIMIT, QUEUES, Demo
    from push_dispatch.local.runtime import LocalRuntime

    say(f"A pool of {LIMIT} slots with three queues, and {sum(q[3] for q in QUEUES)} runs:")
    for name, priority, limit, count in sorted(QUEUES, key=lambda q: q[1]):
        allowed = "no limit of its own" if limit is None else f"at most {limit} at once"
        say(f"  {name:<9} priority {priority:<3} {allowed:<20} {count:>2} runs")
    with folder(None) as where, stop_signals() as stopped:
        say("Starting a local runtime: table, stream, queues, functions …")
        sys.stdout.flush()
        runtime = LocalRuntime(f"{_NAME}-{where.name[-8:]}", where)
        record = runtime.start()
        try:
            show = Demo(runtime.ports, record)
            show.begin()
            deadline = time.monotonic() + _SECONDS
            while not show.in_line() and not stopped.is_set():
                time.sleep(0.05)
            with _view() as draw:
                for ledger, runs in show.watch():
                    draw(ledger, runs)
                    if stopped.wait(0.05):
                        raise KeyboardInterrupt
                    if time.monotonic() > deadline:
                        say(f"Not done after {_SECONDS} s.")
                        break
            summary = show.summarize()
        finally:
            runtime.stop(processes=True)
    _tell(summary)
    return 0 if summary.good else 1


# -- while it runs ----------------------------------------------------------------------------


@contextmanager
def _view() -> Iterator[Draw]:
    """A live picture on a terminal; elsewhere a line for each start and each end."""
    if not console().is_terminal:
        yield _Lines().draw
        return
    from rich.live import Live

    with Live(console=console(), refresh_per_second=12) as live:
        yield lambda ledger, runs: live.update(_picture(ledger, runs))


class _Lines:
    def __init__(self) -> None:
        self._known: dict[str, RunState] = {}
        self._began = time.monotonic()

    def draw(self, ledger: Ledger, runs: dict[str, Run]) -> None:
        for uuid, run in runs.items():
            before, self._known[uuid] = self._known.get(uuid), run.state
            progressed = run.state is RunState.RUNNING or run.state.ended
            if progressed and run.state is not before:
                slots = f"{len(ledger.holders)} slots in use"
                passed = time.monotonic() - self._began
                say(f"{passed:6.2f}s  {run.name:<12} {run.state.value:<10} {slots}")
        sys.stdout.flush()


def _picture(ledger: Ledger, runs: dict[str, Run]) -> RenderableType:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from push_dispatch.local.demo import LIMIT, QUEUES

    held = Counter(holder.queue for holder in ledger.holders)
    slots = Text("slots  ")
    slots.append("█ " * len(ledger.holders), style="cyan")
    slots.append("░ " * max(0, LIMIT - len(ledger.holders)), style="dim")
    slots.append(f" {len(ledger.holders)} of {LIMIT}")
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for header in ("PRIORITY", "QUEUE", "SLOTS", "RUNS"):
        table.add_column(header)
    for name, priority, limit, _ in sorted(QUEUES, key=lambda q: q[1]):
        mine = [run for run in runs.values() if run.queue == name]
        marks = Text()
        for run in mine:
            marks.append("● " if run.state is not RunState.SCHEDULED else "· ", _style(run))
        allowed = "" if limit is None else f" of {limit}"
        table.add_row(str(priority), name, f"{held[name]}{allowed}", marks)
    return Group(slots, Text(), table, Text())


def _style(run: Run) -> str:
    return state(run.state.value).style


# -- at the end -------------------------------------------------------------------------------


def _tell(summary: Summary) -> None:
    say("")
    say(f"Order of starts: {' '.join(run.name for run in summary.runs)}")
    say("")
    show_table(
        ("PRIORITY", "QUEUE", "RUNS", "STARTS", "MOST SLOTS", "MEDIAN WAIT", "LONGEST WAIT"),
        [
            (
                str(queue.priority),
                queue.name,
                str(queue.runs),
                f"{min(queue.starts)} to {max(queue.starts)}" if queue.starts else "none",
                f"{queue.most_slots} of {'any' if queue.limit is None else queue.limit}",
                f"{queue.median_wait:.1f} s",
                f"{queue.longest_wait:.1f} s",
            )
            for queue in summary.queues
        ],
    )
    say("")
    states = Counter(run.state.value for run in summary.runs)
    ends = ", ".join(f"{count} {name}" for name, count in states.items())
    say(f"{len(summary.runs)} runs: {ends}. At most {summary.most_slots} slots were held at once.")
    say(f"{len(summary.violations)} violations in {summary.commits} commits of the pool's ledger.")
    for violation in summary.violations:
        say(f"  {violation}")
    say("")
    say("Now with your own commands:")
    program = _program()
    say(f"  {program} local up     (in another terminal)")
    say(f"  {program} pool create my-pool --type process --limit 2")
    say(f"  {program} run submit my-pool --wait -- sh -c 'echo hello'")


def _program() -> str:
    """What to type to run this program: its name, or its path where the name is not found."""
    return "push-dispatch" if shutil.which("push-dispatch") else os.path.relpath(sys.argv[0])
