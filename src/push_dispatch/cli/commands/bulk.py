"""`push-dispatch run cancel` and `run retry`: runs by id, or all that fit a filter."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

from cyclopts import Parameter

from push_dispatch.cli.backend import connect
from push_dispatch.cli.commands.runs import RunId
from push_dispatch.cli.failures import failure_of, print_failure
from push_dispatch.cli.options import Common, whole
from push_dispatch.cli.output import dim, print_json, say
from push_dispatch.cli.selection import Selected, fitting_runs
from push_dispatch.core.errors import Invalid, PushDispatchError, Refused
from push_dispatch.core.model import Run
from push_dispatch.insight.finding import run_id_of
from push_dispatch.insight.listing import run_views
from push_dispatch.ports import Ports

__all__ = ["cancel", "retry"]

DryRun = Annotated[bool, Parameter(help="Only list the runs that it would be.")]
Yes = Annotated[bool, Parameter(alias="-y", help="Do not ask, when a filter chooses the runs.")]
Most = Annotated[
    int, Parameter(converter=whole, alias="-l", metavar="N", help="At most N runs of the filter.")
]
_MOST = 1000


def cancel(
    *id: RunId,
    selected: Selected = Selected(),
    dry_run: DryRun = False,
    yes: Yes = False,
    limit: Most = _MOST,
    common: Common = Common(),
) -> int:
    """Stop runs in any state. One that runs keeps its slot until it has stopped.

    Name them, or choose them with filters. 1 if one of them could not be cancelled.
    """
    from push_dispatch.engine.stop import cancel as stop

    ports = connect(common)
    ids = _chosen(ports, id, selected, limit, lambda run: not run.state.ended)
    if not _agreed(ports, "Cancel", ids, common, bulk=not id, dry_run=dry_run, yes=yes):
        return 0

    def act(each: str) -> tuple[Run, str]:
        run = stop(ports, each)
        return run, f"{each} is {run.state.value}."

    return _each(ports, ids, act, common, one=len(id) == 1)


def retry(
    *id: RunId,
    selected: Selected = Selected(),
    dry_run: DryRun = False,
    yes: Yes = False,
    limit: Most = _MOST,
    common: Common = Common(),
) -> int:
    """Submit runs that have ended once more, and print the ids of the new ones. Idempotent: a run
    has one such successor.

    Name them, or choose them with filters, such as --state FAILED. 1 if one could not be retried.
    """
    from push_dispatch.core.validation import check
    from push_dispatch.engine.retry import retry as again

    ports = connect(common)
    ids = _chosen(ports, id, selected, limit, lambda run: run.state.ended)
    if not _agreed(ports, "Retry", ids, common, bulk=not id, dry_run=dry_run, yes=yes):
        return 0

    def act(each: str) -> tuple[Run, str]:
        done = again(ports, each, check=check)
        if not done.created:
            dim(f"{each} was retried before: {done.run.id} is {done.run.state.value}")
        return done.run, done.run.id

    return _each(ports, ids, act, common, one=len(id) == 1)


def _chosen(
    ports: Ports,
    named: tuple[str, ...],
    selected: Selected,
    limit: int,
    fits: Callable[[Run], bool],
) -> list[str]:
    """The ids that are meant. Raises Invalid, NotFound."""
    if named:
        if not selected.everything:
            raise Invalid("name runs, or choose them with filters: not both")
        return [run_id_of(ports, each) for each in named]
    if selected.everything:
        raise Invalid("name runs, or choose them with filters such as --pool and --state")
    if limit < 1:
        raise Invalid(f"--limit {limit} is not valid: an integer of at least 1")
    found: list[str] = []
    for run in fitting_runs(ports, selected):
        if run is None or len(found) == limit:
            dim(f"there may be more: these are {len(found)}; the same command again takes the next")
            break
        if fits(run):
            found.append(run.id)
    return found


def _agreed(
    ports: Ports,
    verb: str,
    ids: list[str],
    common: Common,
    *,
    bulk: bool,
    dry_run: bool,
    yes: bool,
) -> bool:
    """Whether to go on; a dry run has listed them. Raises Refused: nobody has agreed."""
    if dry_run:
        runs = [run for each in ids if (run := _read(ports, each)) is not None]
        if common.json:
            print_json(run_views(ports, runs))
        for run in () if common.json else runs:
            say(f"{run.id} is {run.state.value}.")
        dim(f"{len(ids)} runs; nothing was changed")
        return False
    if not bulk or yes or not ids:
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Refused(f"{verb} {len(ids)} runs? Nothing was changed: see --dry-run, then add --yes")
    print(f"{verb} {len(ids)} runs? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Refused("nothing was changed")
    return True


def _read(ports: Ports, run_id: str) -> Run | None:
    pool, _, uuid = run_id.rpartition(".")
    return ports.store.run(pool, uuid)


def _each(
    ports: Ports,
    ids: list[str],
    act: Callable[[str], tuple[Run, str]],
    common: Common,
    *,
    one: bool,
) -> int:
    """Act on each; what fails for one run fails for no other."""
    done: list[Run] = []
    code = 0
    for each in ids:
        try:
            run, text = act(each)
        except PushDispatchError as error:
            code = max(code, print_failure(failure_of(error)))
            continue
        done.append(run)
        if not common.json:
            say(text)
    if not ids:
        dim("no run fits")
    if common.json and (done or not one):
        views = run_views(ports, done)
        print_json(views[0] if one else views)
    return code
