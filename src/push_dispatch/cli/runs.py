"""`push-dispatch run`: submit runs, follow them, stop them, read what they wrote."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from push_dispatch.cli.backend import connect
from push_dispatch.cli.options import Common
from push_dispatch.cli.output import print_json, say
from push_dispatch.cli.times import duration, moment
from push_dispatch.errors import Invalid
from push_dispatch.model import DEFAULT_QUEUE, Run, RunState
from push_dispatch.ports import Ports

__all__ = ["app"]

#: Runs of a pool that a listing reads at most, to find the newest.
_READ = 1000

RunId = Annotated[str, Parameter(name="ID", help="As printed by submit.")]
Duration = Annotated[str | None, Parameter(metavar="DURATION")]

app = App(name="run")


@app.command
def submit(
    pool: str,
    /,
    *command: Annotated[str, Parameter(help="What to execute: -- python job.py --fast")],
    queue: Annotated[str, Parameter(alias="-q")] = DEFAULT_QUEUE,
    var: Annotated[
        tuple[str, ...],
        Parameter(
            metavar="KEY=VALUE",
            help="A job variable: JSON if it is valid JSON, else text. May be repeated.",
        ),
    ] = (),
    vars: Annotated[
        Path | None, Parameter(metavar="FILE", help="Job variables as JSON or YAML; - is stdin.")
    ] = None,
    at: Annotated[
        str | None, Parameter(metavar="TIME", help="Start then: ISO 8601 with a time zone.")
    ] = None,
    in_: Annotated[
        str | None,
        Parameter(name="--in", metavar="DURATION", help="Start after that: 90s, 5m, 1h30m."),
    ] = None,
    key: Annotated[str, Parameter(help="The same key never creates two runs.")] = "",
    count: Annotated[
        int | None, Parameter(metavar="N", help="Submit N of them; --key gets a number.")
    ] = None,
    retries: Annotated[int, Parameter(help="Further attempts if the process fails.")] = 0,
    crash_retries: Annotated[int, Parameter(help="Further attempts if it crashes.")] = 0,
    retry_delay: Annotated[
        str, Parameter(metavar="DURATION", help="Before the first retry; doubles each time.")
    ] = "10s",
    timeout: Annotated[
        str | None, Parameter(metavar="DURATION", help="Stop an attempt that runs longer.")
    ] = None,
    start_within: Annotated[
        str | None, Parameter(metavar="DURATION", help="Do not start it later than that.")
    ] = None,
    tag: Annotated[tuple[str, ...], Parameter(help="May be repeated.")] = (),
    name: Annotated[str, Parameter(help="For people.")] = "",
    concurrency_key: Annotated[str, Parameter(help="Counts against the limit per key.")] = "",
    wait: Annotated[bool, Parameter(help="Wait for the end; 1 if a run did not complete.")] = False,
    common: Common = Common(),
) -> int:
    """Schedule a run, and print its id.

    Without --at and --in it starts as soon as it is its turn.
    """
    from push_dispatch.cli.follow import wait_for
    from push_dispatch.submit import Request, copies, submit_many
    from push_dispatch.validation import check

    ports = connect(common)
    request = Request(
        pool,
        queue=queue,
        variables=_variables(var, vars, command),
        at=_due(ports, at, in_),
        idempotency_key=key,
        retries=retries,
        crash_retries=crash_retries,
        retry_delay_seconds=duration(retry_delay, "--retry-delay"),
        timeout_seconds=None if timeout is None else duration(timeout, "--timeout"),
        start_within=None if start_within is None else duration(start_within, "--start-within"),
        tags=tag,
        name=name,
        concurrency_key=concurrency_key,
    )
    requests = copies(request, 1 if count is None else count) if count != 1 else [request]
    runs = [done.run for done in submit_many(ports, requests, check=check)]
    if not common.json:
        for run in runs:
            say(run.id)
    if wait:
        return wait_for(ports, [run.id for run in runs], None, as_json=common.json)
    if common.json:
        views = _views(ports, runs)
        print_json(views[0] if count is None else views)
    return 0


@app.command
def ls(
    *,
    pool: Annotated[
        str | None, Parameter(alias="-p", help="Of this pool only; by default of all.")
    ] = None,
    state: Annotated[
        tuple[RunState, ...],
        Parameter(help="In this state. May be repeated."),
    ] = (),
    limit: Annotated[int, Parameter(alias="-l", metavar="N", help="The newest N.")] = 20,
    common: Common = Common(),
) -> None:
    """List runs, newest first, and why they wait or how they ended."""
    from push_dispatch.cli.render import show_runs
    from push_dispatch.configure import pool_named

    if limit < 1:
        raise Invalid(f"--limit {limit} is not valid: a whole number from 1 on")
    ports = connect(common)
    names = ports.store.pool_names() if pool is None else [pool_named(ports, pool).name]
    found: list[Run] = []
    for name in names:
        newest = ports.store.list_runs(name, states=frozenset(state))
        found += islice(newest, max(_READ, limit))
    found.sort(key=lambda run: (run.submitted_at, run.order), reverse=True)
    views = _views(ports, found[:limit])
    print_json(views) if common.json else show_runs(views)


@app.command
def inspect(id: RunId, /, *, common: Common = Common()) -> None:
    """Show a run and its attempts."""
    from push_dispatch.cli.follow import run_named
    from push_dispatch.cli.render import show_run

    ports = connect(common)
    (view,) = _views(ports, [run_named(ports, id)])
    print_json(view) if common.json else show_run(view)


@app.command
def cancel(id: RunId, /, *more: RunId, common: Common = Common()) -> None:
    """Stop runs, whatever their state. One that runs keeps its slot until it has stopped."""
    from push_dispatch.cancel import cancel as ask_to_stop

    ports = connect(common)
    runs = []
    for each in (id, *more):
        runs.append(ask_to_stop(ports, each))
        if not common.json:
            say(f"{each} is {runs[-1].state.value}.")
    if common.json:
        views = _views(ports, runs)
        print_json(views if more else views[0])


@app.command
def wait(
    id: RunId,
    /,
    *more: RunId,
    timeout: Annotated[
        str | None, Parameter(metavar="DURATION", help="Give up after that, with exit code 1.")
    ] = None,
    common: Common = Common(),
) -> int:
    """Wait until runs have ended. Exit code 0 only if all of them are COMPLETED."""
    from push_dispatch.cli.follow import wait_for

    seconds = None if timeout is None else duration(timeout, "--timeout")
    return wait_for(connect(common), [id, *more], seconds, as_json=common.json)


@app.command
def logs(
    id: RunId,
    /,
    *,
    follow: Annotated[bool, Parameter(alias="-f", help="Go on until the run has ended.")] = False,
    attempt: Annotated[int | None, Parameter(metavar="N", help="By default the last one.")] = None,
    common: Common = Common(),
) -> None:
    """Print what a run has written. With --json one object a line."""
    from push_dispatch.cli.follow import print_logs

    print_logs(connect(common), id, attempt=attempt, follow=follow, as_json=common.json)


# -- details ----------------------------------------------------------------------------------


def _variables(
    pairs: tuple[str, ...], file: Path | None, command: tuple[str, ...]
) -> dict[str, object]:
    """The file's, then the pairs', then the command."""
    import shlex

    from push_dispatch.cli.inputs import read_mapping, read_pairs

    variables = (read_mapping(file) if file else {}) | read_pairs(pairs)
    if command:
        if "command" in variables:
            raise Invalid("the command is given twice: after -- and as a job variable")
        variables["command"] = shlex.join(command)
    return variables


def _due(ports: Ports, at: str | None, after: str | None) -> int | None:
    if at is not None and after is not None:
        raise Invalid("--at and --in exclude each other", reason="invalid_time")
    if after is not None:
        return ports.clock() + duration(after, "--in") * 1000
    return None if at is None else moment(at)


def _views(ports: Ports, runs: list[Run]) -> list[dict[str, object]]:
    """The views of runs, in their order, each with its reason."""
    from push_dispatch.views import run_view
    from push_dispatch.waiting import reasons_of

    by_pool: dict[str, list[Run]] = {}
    for run in runs:
        by_pool.setdefault(run.pool, []).append(run)
    reasons: dict[str, str] = {}
    for pool, those in by_pool.items():
        reasons |= reasons_of(ports, pool, those)
    return [run_view(run, reasons.get(run.uuid)) for run in runs]
