"""`push-dispatch run retry`: runs that have ended are submitted once more."""

from __future__ import annotations

from push_dispatch.cli.backend import connect
from push_dispatch.cli.commands.runs import RunId
from push_dispatch.cli.options import Common
from push_dispatch.cli.output import print_json, say

__all__ = ["retry"]


def retry(id: RunId, /, *more: RunId, common: Common = Common()) -> None:
    """Submit runs that have ended once more, and print the new ids. Each has one such successor:
    made again, the same one is printed."""
    from push_dispatch.core.validation import check
    from push_dispatch.engine.retry import retry as once_more
    from push_dispatch.insight.listing import run_views

    ports = connect(common)
    runs = []
    for each in (id, *more):
        runs.append(once_more(ports, each, check=check).run)
        if not common.json:
            say(runs[-1].id)
    if common.json:
        views = run_views(ports, runs)
        print_json(views if more else views[0])
