"""`push-dispatch simulate` and `pool preview`: the decision that dispatches, on a virtual clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from push_dispatch.cli.backend import connect
from push_dispatch.cli.options import Common
from push_dispatch.cli.output import console, print_json, say
from push_dispatch.cli.times import span
from push_dispatch.core.errors import Invalid, NotFound
from push_dispatch.core.reasons import Reason

if TYPE_CHECKING:
    from push_dispatch.core.model import Ledger, Pool, Slot
    from push_dispatch.core.simulate import Arrival, Simulated
    from push_dispatch.ports import Ports

__all__ = ["show_simulation", "simulate"]

_WIDTH = 60
_LEVELS = " ▁▂▃▄▅▆▇█"


def simulate(
    *,
    pools: Annotated[
        Path | None,
        Parameter(metavar="FILE", help="As for apply; by default what is declared now."),
    ] = None,
    pool: Annotated[str | None, Parameter(alias="-p", help="If there are several.")] = None,
    load: Annotated[
        Path | None,
        Parameter(
            metavar="FILE", help="JSON or YAML: {runs: [{at, queue, duration, count, every}]}."
        ),
    ] = None,
    from_history: Annotated[
        bool, Parameter(help="The pool's own last runs, as they came.")
    ] = False,
    common: Common = Common(),
) -> None:
    """Play a load against pools as they are or might be: waits and occupancy for each queue.

    Deterministic, and changes nothing. Times in the load are seconds from its beginning.
    """
    from push_dispatch.cli.inputs import read_mapping
    from push_dispatch.control.known import pool_named
    from push_dispatch.insight.load import from_document_of_runs, from_history as history_of

    if (load is None) == (not from_history):
        raise Invalid("name a load with --load FILE, or take --from-history")
    if pools is None and pool is None:
        raise Invalid("name a pool with --pool, or a file with --pools")
    ports = None if load and pools else connect(common)
    chosen = _declared(pools, pool) if pools else pool_named(_there(ports), str(pool))
    if load is not None:
        arrivals = from_document_of_runs(read_mapping(load))
    else:
        arrivals = history_of(_there(ports), chosen.name)
    _check_queues(chosen, arrivals)
    show_simulation(chosen, arrivals, as_json=common.json)


def show_simulation(
    pool: Pool,
    arrivals: Sequence[Arrival],
    *,
    ledger: Ledger | None = None,
    remaining: Mapping[Slot, int] | None = None,
    as_json: bool,
) -> None:
    """Simulate, and print a report for each queue with its occupancy over time. `ledger` and
    `remaining` are the slots held at the beginning, as in `simulate.simulate`."""
    from push_dispatch.core.simulate import simulate as play, summarize

    results = list(play(pool, arrivals, ledger=ledger, remaining=remaining))
    reports = summarize(results)
    if as_json:
        print_json([asdict(report) for report in reports])
        return
    from push_dispatch.cli.tables import show_table

    if not results:
        say("No runs.")
        return
    show_table(
        ("QUEUE", "RUNS", "NEVER", "WAIT P50", "P95", "MAX", "SLOTS MEAN", "MAX"),
        [
            (
                "(pool)" if r.queue == "*" else r.queue,
                str(r.runs),
                str(r.never_started or ""),
                span(r.wait_p50),
                span(r.wait_p95),
                span(r.wait_max),
                f"{r.occupancy_mean:.1f}",
                str(r.occupancy_max),
            )
            for r in reports
        ],
    )
    if late := reports[0].late:
        say(f"{late} of the runs start later than they should.")
    console().print()
    _show_chart(pool, results)


def _show_chart(pool: Pool, results: Sequence[Simulated]) -> None:
    """A line of blocks for each queue, as high as the slots that it held."""
    from push_dispatch.core.simulate import occupancy

    started = [r for r in results if r.started is not None and r.ended is not None]
    if not started:
        return
    begin = min(r.arrival.at for r in results)
    end = max(r.ended or 0 for r in started)
    top = max(held for _, held in occupancy(started))
    width = max(len(q.name) for q in pool.queues) + 2
    for queue in pool.in_order:
        levels = occupancy([r for r in started if r.arrival.queue == queue.name])
        say(f"{queue.name:<{width}}|{_blocks(levels, begin, end, top)}|")
    say(f"{'':<{width}} 0{span((end - begin) / 1000):>{_WIDTH - 1}}   (full height: {top} slots)")


def _blocks(levels: Sequence[tuple[int, int]], begin: int, end: int, top: int) -> str:
    """The highest number of slots within each column's time."""
    step = max(1, (end - begin) / _WIDTH)
    columns = []
    for column in range(_WIDTH):
        low, high = begin + column * step, begin + (column + 1) * step
        before = [held for at, held in levels if at <= low]
        within = [held for at, held in levels if low < at < high]
        most = max([*before[-1:], *within], default=0)
        columns.append(_LEVELS[round(most / max(1, top) * (len(_LEVELS) - 1))])
    return "".join(columns)


def _there(ports: Ports | None) -> Ports:
    if ports is None:
        raise Invalid("this needs a backend")
    return ports


def _declared(file: Path, name: str | None) -> Pool:
    from push_dispatch.control.declaration import read_file
    from push_dispatch.platforms.templates import default_template

    declared = read_file(file, default_template)
    found: dict[str, Any] = dict(declared.pools)
    if name is None and len(found) == 1:
        name = next(iter(found))
    if name is None:
        raise Invalid(f"{file} declares several pools; choose one with --pool: {', '.join(found)}")
    if name not in found:
        raise NotFound(f"{file} declares no pool {name!r}", reason=Reason.POOL_NOT_FOUND)
    pool: Pool = found[name].pool
    of_pool = [each for each in declared.deployments.values() if each.pool == name]
    return replace(
        pool,
        paused=False,
        deployment_limits={d.name: d.limit for d in of_pool if d.limit is not None},
        deployment_max_waiting={
            d.name: d.max_waiting for d in of_pool if d.max_waiting is not None
        },
    )


def _check_queues(pool: Pool, arrivals: Sequence[Arrival]) -> None:
    known = {queue.name for queue in pool.queues}
    unknown = sorted({arrival.queue for arrival in arrivals} - known)
    if unknown:
        raise NotFound(
            f"pool {pool.name!r} has no queue {unknown[0]!r}; it has: {', '.join(sorted(known))}",
            reason=Reason.QUEUE_NOT_FOUND,
        )
