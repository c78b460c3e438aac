"""`push-dispatch run`: submit runs, follow them, stop them, read what they wrote."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from push_dispatch.cli.backend import connect
from push_dispatch.cli.options import Common, whole
from push_dispatch.cli.output import dim, print_json, say
from push_dispatch.cli.run_options import Command, Wanted, request_for
from push_dispatch.cli.selection import Selected, fitting_runs
from push_dispatch.cli.times import duration
from push_dispatch.core.errors import Invalid
from push_dispatch.core.request import Request
from push_dispatch.engine.submit import Submitted
from push_dispatch.insight.finding import run_id_of
from push_dispatch.ports import Ports

__all__ = ["app", "submit_all"]

RunId = Annotated[
    str,
    Parameter(name="ID", help="As printed by submit, its beginning or end, or the run's name."),
]

ExitCodeFrom = Annotated[
    Literal["state", "run"],
    Parameter(help="run: exit with the code of the run's process, the highest of several."),
]

app = App(name="run")
app.command(
    "push_dispatch.cli.commands.reorder:boost",
    name="boost",
    help="Serve a waiting run before others of its queue.",
)
app.command(
    "push_dispatch.cli.commands.reorder:move",
    name="move",
    help="Let a waiting run wait in another queue of its pool.",
)
app.command(
    "push_dispatch.cli.commands.bulk:cancel",
    name="cancel",
    help="Cancel runs, by id or by filter, in any state.",
)
app.command(
    "push_dispatch.cli.commands.bulk:retry",
    name="retry",
    help="Submit runs that have ended once more, by id or by filter.",
)


@app.command
def submit(
    pool: str,
    /,
    *command: Command,
    wanted: Wanted = Wanted(),
    count: Annotated[
        int | None,
        Parameter(converter=whole, metavar="N", help="Submit N of them; --key gets a number."),
    ] = None,
    wait: Annotated[bool, Parameter(help="Wait for the end; 1 if a run did not complete.")] = False,
    exit_code_from: ExitCodeFrom = "state",
    dry_run: Annotated[
        bool, Parameter(help="Show what would be sent, and submit nothing.")
    ] = False,
    common: Common = Common(),
) -> int:
    """Schedule a run, and print its id.

    Without --at and --in it starts as soon as a slot is free for it.
    """
    ports = connect(common)
    request = request_for(ports, pool, None, wanted, command)
    if exit_code_from == "run" and not wait:
        raise Invalid("--exit-code-from run needs --wait")
    return submit_all(
        ports,
        request,
        common,
        count=count,
        wait=wait,
        dry_run=dry_run,
        code_from=exit_code_from,
    )


@app.command
def render(
    pool: str | None = None,
    /,
    *command: Command,
    deployment: Annotated[
        str | None, Parameter(alias="-d", help="Of this deployment, instead of a pool.")
    ] = None,
    wanted: Wanted = Wanted(),
    common: Common = Common(),
) -> None:
    """Show exactly what would be sent, and where each value comes from. Submits nothing."""
    from push_dispatch.cli.commands.dry_run import show_request

    ports = connect(common)
    request = request_for(ports, pool, deployment, wanted, command)
    show_request(ports, request, as_json=common.json)


@app.command
def explain(id: RunId, /, *, common: Common = Common()) -> None:
    """Show why a run waits, who holds the slots, and when it will start."""
    from push_dispatch.cli.commands.explanation import show_explanation
    from push_dispatch.insight.explain import explain as explanation_of

    ports = connect(common)
    show_explanation(ports, explanation_of(ports, run_id_of(ports, id)), as_json=common.json)


@app.command
def ls(
    *,
    selected: Selected = Selected(),
    limit: Annotated[
        int, Parameter(converter=whole, alias="-l", metavar="N", help="The newest N.")
    ] = 20,
    watch: Annotated[
        bool, Parameter(alias="-w", help="Refresh the list every two seconds, until Ctrl-C.")
    ] = False,
    common: Common = Common(),
) -> None:
    """List runs, newest first, and why they wait or how they ended."""
    from push_dispatch.cli.tables import show_runs, watch_runs

    if limit < 1:
        raise Invalid(f"--limit {limit} is not valid: an integer of at least 1")
    if watch and (common.json or not (sys.stdout.isatty() and sys.stdin.isatty())):
        raise Invalid("--watch is for a terminal; programs call `run ls --json` again")
    ports = connect(common)
    if watch:
        watch_runs(lambda: _listed(ports, selected, limit))
        return
    views = _listed(ports, selected, limit)
    print_json(views) if common.json else show_runs(views)


def _listed(ports: Ports, selected: Selected, limit: int) -> list[dict[str, Any]]:
    from push_dispatch.insight.listing import newest_runs, run_views

    if replace(selected, pool=None, state=()).everything:
        runs = newest_runs(ports, selected.pool, limit, states=frozenset(selected.state))
        return run_views(ports, runs)
    found = list(fitting_runs(ports, selected))
    runs = [run for run in found if run is not None]
    if len(runs) < min(len(found), limit):
        dim("there are more runs than were searched: name a --pool, or a shorter time")
    newest = sorted(runs, key=lambda run: (run.submitted_at, run.order), reverse=True)
    return run_views(ports, newest[:limit])


@app.command
def inspect(id: RunId, /, *, common: Common = Common()) -> None:
    """Show a run and its attempts."""
    from push_dispatch.cli.tables import show_run
    from push_dispatch.insight.cost import cost_of
    from push_dispatch.insight.listing import run_named, run_views

    ports = connect(common)
    run = run_named(ports, run_id_of(ports, id))
    (view,) = run_views(ports, [run])
    view["estimated_cost_usd"] = cost_of(ports, run)
    print_json(view) if common.json else show_run(view)


@app.command
def wait(
    id: RunId,
    /,
    *more: RunId,
    timeout: Annotated[
        str | None, Parameter(metavar="DURATION", help="Give up after that, with exit code 1.")
    ] = None,
    exit_code_from: ExitCodeFrom = "state",
    common: Common = Common(),
) -> int:
    """Wait until runs have ended. Exit code 0 only if all of them are COMPLETED."""
    from push_dispatch.cli.follow import wait_for

    seconds = None if timeout is None else duration(timeout, "--timeout")
    ports = connect(common)
    ids = [run_id_of(ports, each) for each in (id, *more)]
    return wait_for(ports, ids, seconds, as_json=common.json, code_from=exit_code_from)


@app.command
def logs(
    id: RunId,
    /,
    *,
    follow: Annotated[bool, Parameter(alias="-f", help="Go on until the run has ended.")] = False,
    attempt: Annotated[
        int | None, Parameter(converter=whole, metavar="N", help="By default the last one.")
    ] = None,
    common: Common = Common(),
) -> None:
    """Print the output of a run; with --json one object per line."""
    from push_dispatch.cli.follow import print_logs

    ports = connect(common)
    print_logs(ports, run_id_of(ports, id), attempt=attempt, follow=follow, as_json=common.json)


# -- shared with the commands for deployments -------------------------------------------------


def submit_all(
    ports: Ports,
    request: Request,
    common: Common,
    *,
    count: int | None,
    wait: bool,
    dry_run: bool,
    code_from: Literal["state", "run"] = "state",
) -> int:
    """Submit it once or often, print the ids, and maybe wait; the exit code."""
    from push_dispatch.cli.commands.dry_run import show_request
    from push_dispatch.cli.follow import wait_for
    from push_dispatch.core.request import copies
    from push_dispatch.core.validation import check
    from push_dispatch.engine.submit import submit_many
    from push_dispatch.insight.listing import run_views

    if dry_run:
        show_request(ports, request, as_json=common.json)
        return 0
    requests = [request] if count is None else copies(request, count)
    submitted = submit_many(ports, requests, check=check)
    runs = [done.run for done in submitted]
    for done in submitted:
        if not common.json:
            say(done.run.id)
        if not done.created:
            dim(_existed(done))
    if wait:
        ids = [run.id for run in runs]
        return wait_for(ports, ids, None, as_json=common.json, code_from=code_from)
    if common.json:
        views = run_views(ports, runs)
        print_json(views[0] if count is None else views)
    return 0


def _existed(done: Submitted) -> str:
    """What is said when a key has made a run before."""
    run, other = done.run, ", ".join(done.differs)
    text = f"{run.id} exists under this --key and is {run.state.value}: nothing was submitted"
    return f"{text}, although this request has another content: {other}" if other else text
