"""`push-dispatch queue`: which queues does a pool have, and how do they change?"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from cyclopts import App, Parameter

from push_dispatch.cli.backend import connect
from push_dispatch.cli.commands.pools import confirm, line_of, view_of
from push_dispatch.cli.options import Common, whole
from push_dispatch.cli.output import print_json, say
from push_dispatch.cli.pool_options import KeyLimit, StartRate
from push_dispatch.core.errors import Invalid
from push_dispatch.core.model import Pool, Queue
from push_dispatch.ports import Ports

__all__ = ["app"]

PoolName = Annotated[str, Parameter(name=("--pool", "-p"), help="The pool that it belongs to.")]
Limit = Annotated[
    int | None,
    Parameter(
        converter=whole,
        name=("--limit", "--concurrency-limit", "-l"),
        metavar="N",
        help="Runs of the queue at once; 0 starts nothing.",
    ),
]
Priority = Annotated[
    int | None,
    Parameter(
        converter=whole,
        alias="-q",
        metavar="N",
        help="1 is served first. Queues from a taken priority on make room.",
    ),
]
Description = Annotated[str | None, Parameter(help="For people.")]

app = App(name="queue")


@app.command
def create(
    name: str,
    /,
    *,
    pool: PoolName,
    priority: Priority = None,
    limit: Limit = None,
    key_limit: KeyLimit = None,
    rate: StartRate = None,
    paused: Annotated[bool, Parameter(help="Start nothing until resumed.")] = False,
    description: Description = None,
    common: Common = Common(),
) -> None:
    """Create a queue; without a priority it takes the first free one."""
    from push_dispatch.cli.times import rate_of
    from push_dispatch.control.pools import create_queue

    ports = connect(common)
    queue = Queue(
        name,
        1,
        limit=limit,
        key_limit=key_limit,
        rate=None if rate is None else rate_of(rate),
        paused=paused,
        description=description or "",
    )
    after = create_queue(ports, pool, queue, priority=priority)
    _tell(ports, after, name, f"Created queue {name} in pool {pool}.", common)


@app.command
def ls(*, pool: PoolName, common: Common = Common()) -> None:
    """List the queues of a pool, first served first."""
    from push_dispatch.cli.tables import show_queues
    from push_dispatch.control.known import pool_named

    ports = connect(common)
    queues = view_of(ports, pool_named(ports, pool))["queues"]
    print_json(queues) if common.json else show_queues(queues)


@app.command
def inspect(name: str, /, *, pool: PoolName, common: Common = Common()) -> None:
    """Show a queue, how many slots it holds and how many runs wait."""
    from push_dispatch.cli.tables import show_queues
    from push_dispatch.control.known import pool_named, queue_named

    ports = connect(common)
    found = pool_named(ports, pool)
    queue_named(found, name)
    view = _view(ports, found, name)
    print_json(view) if common.json else show_queues([view])


@app.command
def update(
    name: str,
    /,
    *,
    pool: PoolName,
    priority: Priority = None,
    limit: Limit = None,
    key_limit: KeyLimit = None,
    rate: StartRate = None,
    description: Description = None,
    common: Common = Common(),
) -> None:
    """Change the settings that are given, and leave the rest."""
    from push_dispatch.cli.times import rate_of

    changes: dict[str, Any] = {"limit": limit, "key_limit": key_limit, "description": description}
    given = {key: value for key, value in changes.items() if value is not None}
    given |= {} if rate is None else {"rate": rate_of(rate)}
    if not given and priority is None:
        raise Invalid("nothing to change: name a priority, a limit or a description")
    _change(name, pool, f"Updated queue {name}.", common, priority=priority, **given)


@app.command
def pause(name: str, /, *, pool: PoolName, common: Common = Common()) -> None:
    """Stop admitting the queue's runs; running ones continue."""
    _change(name, pool, f"Paused queue {name}.", common, paused=True)


@app.command
def resume(name: str, /, *, pool: PoolName, common: Common = Common()) -> None:
    """Start runs of the queue again."""
    _change(name, pool, f"Resumed queue {name}.", common, paused=False)


@app.command(alias="set-concurrency-limit")
def set_limit(
    name: str,
    limit: Annotated[int, Parameter(converter=whole)],
    /,
    *,
    pool: PoolName,
    common: Common = Common(),
) -> None:
    """Set how many runs of the queue may run at once; 0 starts nothing. Running ones continue."""
    _change(name, pool, f"The limit of queue {name} is {limit}.", common, limit=limit)


@app.command(alias="clear-concurrency-limit")
def clear_limit(name: str, /, *, pool: PoolName, common: Common = Common()) -> None:
    """Remove the queue's limit; the pool's still holds."""
    _change(name, pool, f"Queue {name} has no limit.", common, limit=None)


@app.command
def clear_key_limit(name: str, /, *, pool: PoolName, common: Common = Common()) -> None:
    """Remove the queue's limit per concurrency key; the pool's still holds."""
    _change(name, pool, f"Queue {name} has no limit per key.", common, key_limit=None)


@app.command
def delete(
    name: str,
    /,
    *,
    pool: PoolName,
    force: Annotated[bool, Parameter(help="Do not ask.")] = False,
    common: Common = Common(),
) -> None:
    """Delete a queue; the runs that wait in it move to the default queue."""
    from push_dispatch.control.known import pool_named, queue_named
    from push_dispatch.control.pools import delete_queue

    ports = connect(common)
    queue_named(pool_named(ports, pool), name)
    confirm(f"Delete queue {name} of pool {pool}?", force=force)
    moved = delete_queue(ports, pool, name)
    if common.json:
        print_json({"deleted": name, "pool": pool, "moved_runs": moved})
    else:
        say(f"Deleted queue {name}." + (f" {moved} runs wait in default now." if moved else ""))


# -- details ----------------------------------------------------------------------------------


def _change(
    name: str,
    pool: str,
    done: str,
    common: Common,
    *,
    priority: int | None = None,
    **changes: Any,
) -> None:
    from push_dispatch.control.pools import change_queue

    ports = connect(common)
    after = change_queue(ports, pool, name, lambda q: replace(q, **changes), priority=priority)
    _tell(ports, after, name, done, common)


def _tell(ports: Ports, pool: Pool, name: str, done: str, common: Common) -> None:
    if common.json:
        print_json(_view(ports, pool, name))
    else:
        say(done)


def _view(ports: Ports, pool: Pool, name: str) -> dict[str, Any]:
    from push_dispatch.control.known import queue_named
    from push_dispatch.insight.views import queue_view

    view = queue_view(pool, queue_named(pool, name), ports.store.ledger(pool.name))
    return view | line_of(ports, pool.name, name)
