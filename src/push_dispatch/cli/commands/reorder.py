"""`push-dispatch run boost` and `run move`: one waiting run goes before others, or elsewhere."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from push_dispatch.cli.backend import connect
from push_dispatch.cli.commands.runs import RunId
from push_dispatch.cli.options import Common, whole
from push_dispatch.cli.output import print_json, say
from push_dispatch.core.errors import Invalid
from push_dispatch.insight.finding import run_id_of

__all__ = ["boost", "move"]


def boost(
    id: RunId,
    /,
    *,
    front: Annotated[
        bool, Parameter(negative=(), help="Before all others of its queue; the default.")
    ] = False,
    by: Annotated[
        int | None,
        Parameter(converter=whole, metavar="N", help="Before the N runs in front of it."),
    ] = None,
    common: Common = Common(),
) -> None:
    """Serve a waiting run before others of its queue. Limits hold all the same."""
    from push_dispatch.engine.reorder import boost as go_before
    from push_dispatch.insight.listing import run_views

    if by is not None and (front or by < 1):
        raise Invalid("--by takes a number of at least 1, and no --front beside it")
    ports = connect(common)
    run = go_before(ports, run_id_of(ports, id), by)
    if common.json:
        print_json(run_views(ports, [run])[0])
    else:
        say(f"{run.id} goes {'first' if by is None else f'before {by}'} in queue {run.queue}.")


def move(
    id: RunId,
    /,
    *,
    queue: Annotated[str, Parameter(alias="-q", metavar="NAME", help="Where it is to wait.")],
    common: Common = Common(),
) -> None:
    """Let a waiting run wait in another queue of its pool."""
    from push_dispatch.engine.reorder import move_to
    from push_dispatch.insight.listing import run_views

    ports = connect(common)
    run = move_to(ports, run_id_of(ports, id), queue)
    if common.json:
        print_json(run_views(ports, [run])[0])
    else:
        say(f"{run.id} waits in queue {run.queue}.")
