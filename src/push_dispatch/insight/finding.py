"""Which run is meant, when somebody types a part of its id, or its name?"""

from __future__ import annotations

from collections.abc import Iterator

from push_dispatch.control.known import pool_named
from push_dispatch.core.errors import Invalid, NotFound
from push_dispatch.core.model import Run, is_name, parse_run_id
from push_dispatch.core.reasons import Reason
from push_dispatch.insight.selection import latest
from push_dispatch.ports import Ports

__all__ = ["run_id_of"]

#: Of each pool so many of the latest runs are searched, at most twice.
_READ = 500
#: A part of an id has at least so many characters.
_SHORTEST = 4
_CANDIDATES = 5


def run_id_of(ports: Ports, text: str) -> str:
    """Return the id of the run that `text` means: a whole id, which is not read; else the beginning
    or the end of one, with its pool before it or not; else a name.

    Searches the latest runs only. Raises Invalid (several fit, or nothing could), NotFound.
    """
    try:
        parse_run_id(text)
    except Invalid:
        found = _search(ports, text)
    else:
        return text
    if not found:
        raise NotFound(_nothing(ports, text), reason=Reason.RUN_NOT_FOUND)
    if len(found) > 1:
        shown = [f"- {_described(run)}" for run in found[:_CANDIDATES]]
        more = len(found) - _CANDIDATES
        rest = [f"- and {more} more"] if more > 0 else []
        first = f"{text!r} is the name or part of the id of {len(found)} runs; name one of them:"
        raise Invalid("\n".join([first, *shown, *rest]))
    return found[0].id


def _nothing(ports: Ports, text: str) -> str:
    """What to say of a text that is no run: it may name what runs belong to."""
    pools = ports.store.pool_names()
    known = is_name(text) and ports.store.deployment(text) is not None
    what = "a pool" if text in pools else "a deployment" if known else ""
    if not what:
        problem = f"no run has {text!r} as its name, or as the beginning or end of its id, among"
        return f"{problem} the latest runs of each pool"
    runs = [run for run in _latest(ports, pools) if text in (run.pool, run.deployment)]
    newest = max(runs, key=lambda run: run.submitted_at, default=None)
    last = f"its newest run is {_described(newest)}" if newest else "it has no run yet"
    return f"{text!r} is {what}, and no run: {last}"


def _described(run: Run) -> str:
    return f"{run.id} {run.state.value}{f' ({run.name})' if run.name else ''}"


def _search(ports: Ports, text: str) -> list[Run]:
    """The runs that fit, newest first; one whose name it is goes before all parts of ids."""
    pool, dot, part = text.rpartition(".")
    part = part.lstrip("…")
    every = ports.store.pool_names()
    chosen = [pool] if dot and pool in every else every
    named, parts = [], []
    for run in _latest(ports, chosen):
        if text and run.name == text:
            named.append(run)
        elif dot and run.pool != pool:
            continue
        elif len(part) >= _SHORTEST and (run.uuid.startswith(part) or run.uuid.endswith(part)):
            parts.append(run)
    return sorted(named or parts, key=lambda run: run.submitted_at, reverse=True)


def _latest(ports: Ports, pools: list[str]) -> Iterator[Run]:
    for name in pools:
        runs, _ = latest(ports, pool_named(ports, name).name, _READ)
        yield from runs
