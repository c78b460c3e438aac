"""`push-dispatch pool`: which pools are there, and how do they change?"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from push_dispatch.cli.backend import connect
from push_dispatch.cli.options import Common, whole
from push_dispatch.cli.output import print_json, say
from push_dispatch.cli.pool_options import (
    AllowSecret,
    Description,
    GiveUp,
    Hold,
    KeyLimit,
    Limit,
    PlatformRate,
    Provision,
    SecurityGroups,
    StartRate,
    Subnets,
    Template,
    Variables,
)
from push_dispatch.core.errors import Invalid, Refused

if TYPE_CHECKING:
    from push_dispatch.core.model import Pool
    from push_dispatch.ports import Ports

__all__ = ["app", "confirm", "line_of", "tell", "view_of"]

app = App(name="pool")
for _name, _help in (
    ("set_capacity", "Set how much of each unit the pool's runs may take at once."),
    ("set_ageing", "Let runs of lower queues go first after they have waited long enough."),
    ("set_named_limit", "Add or replace a limit that all queues and deployments share."),
    ("clear_named_limit", "Remove a limit by name."),
    ("set_max_waiting", "Refuse submissions while so many runs wait."),
):
    app.command(
        f"push_dispatch.cli.commands.sharing:{_name}", name=_name.replace("_", "-"), help=_help
    )


@app.command
def create(
    name: str,
    /,
    *,
    type: Annotated[str, Parameter(alias="-t", help="Such as process, ecs or cloud-run-v2:push.")],
    base_job_template: Template = None,
    var: Variables = None,
    paused: Annotated[bool, Parameter(help="Start nothing until resumed.")] = False,
    limit: Limit = None,
    key_limit: KeyLimit = None,
    rate: StartRate = None,
    platform_rate: PlatformRate = None,
    hold: Hold = None,
    give_up: GiveUp = None,
    allow_secret: AllowSecret = None,
    description: Description = None,
    provision: Provision = False,
    subnet: Subnets = None,
    security_group: SecurityGroups = None,
    common: Common = Common(),
) -> None:
    """Create a pool with its default queue."""
    from push_dispatch.cli.commands.provision import Needs, provisioned
    from push_dispatch.cli.times import rate_of
    from push_dispatch.control.pools import check_new_pool, create_pool
    from push_dispatch.core.model import Pool
    from push_dispatch.core.template import with_defaults

    variables = _defaults(var)
    template: Mapping[str, Any] = with_defaults(_template(base_job_template, type), variables)
    pool = Pool(
        name,
        type,
        limit=limit,
        key_limit=key_limit,
        rate=None if rate is None else rate_of(rate),
        paused=paused,
        description=description or "",
        **_platform_settings(platform_rate, hold, give_up),
        secrets=tuple(dict.fromkeys(allow_secret or ())),
    )
    ports = connect(common)
    check_new_pool(ports, pool, template)
    if provision:
        needs = Needs(subnet or (), security_group or (), base_job_template, variables)
        completed = provisioned(pool, template, needs, common)
        if completed is None:
            return
        template = completed
    elif subnet or security_group:
        raise Invalid("--subnet and --security-group say something with --provision only")
    created = create_pool(ports, pool, template)
    tell(ports, created, f"Created pool {name}.", common)


@app.command
def ls(*, common: Common = Common()) -> None:
    """List the pools."""
    from push_dispatch.cli.tables import show_pools
    from push_dispatch.control.known import pools_of
    from push_dispatch.insight.views import pool_view

    views = [pool_view(pool, ledger) for pool, ledger in pools_of(connect(common))]
    print_json(views) if common.json else show_pools(views)


@app.command
def inspect(name: str, /, *, common: Common = Common()) -> None:
    """Show a pool, its queues, how many slots they hold and how many runs wait."""
    from push_dispatch.cli.tables import show_pool
    from push_dispatch.control.known import pool_named

    ports = connect(common)
    view = view_of(ports, pool_named(ports, name))
    print_json(view) if common.json else show_pool(view)


@app.command
def update(
    name: str,
    /,
    *,
    base_job_template: Template = None,
    var: Variables = None,
    limit: Limit = None,
    key_limit: KeyLimit = None,
    rate: StartRate = None,
    platform_rate: PlatformRate = None,
    hold: Hold = None,
    give_up: GiveUp = None,
    allow_secret: AllowSecret = None,
    forbid_secret: Annotated[
        list[str] | None,
        Parameter(
            name="--forbid-secret",
            metavar="NAME",
            negative=(),
            help="Take back what --allow-secret NAME has allowed.",
        ),
    ] = None,
    description: Description = None,
    common: Common = Common(),
) -> None:
    """Change the settings that are given, and leave the rest."""
    from push_dispatch.cli.inputs import read_mapping
    from push_dispatch.cli.times import rate_of
    from push_dispatch.control.pools import change_pool, keep_defaults

    changes: dict[str, Any] = {"limit": limit, "key_limit": key_limit, "description": description}
    changes = {key: value for key, value in changes.items() if value is not None}
    changes |= {} if rate is None else {"rate": rate_of(rate)}
    changes |= _platform_settings(platform_rate, hold, give_up)
    template = read_mapping(base_job_template) if base_job_template else None
    variables = _defaults(var)
    if not (changes or template is not None or variables or allow_secret or forbid_secret):
        raise Invalid("nothing to change: name a limit, a description or a base job template")
    ports = connect(common)

    def changed(pool: Pool) -> Pool:
        if unknown := set(forbid_secret or ()) - set(pool.secrets):
            allowed = ", ".join(pool.secrets) or "none"
            raise Invalid(f"--forbid-secret {min(unknown)}: pool {name!r} allows {allowed}")
        named = (*pool.secrets, *(allow_secret or ()))
        kept = dict.fromkeys(s for s in named if s not in (forbid_secret or ()))
        digest = keep_defaults(ports, pool, template, variables)
        return replace(pool, secrets=tuple(kept), template=digest, **changes)

    tell(ports, change_pool(ports, name, changed), f"Updated pool {name}.", common)


@app.command
def pause(name: str, /, *, common: Common = Common()) -> None:
    """Stop admitting runs; running ones continue."""
    _change(connect(common), name, f"Paused pool {name}.", common, paused=True)


@app.command
def resume(name: str, /, *, common: Common = Common()) -> None:
    """Start runs again."""
    _change(connect(common), name, f"Resumed pool {name}.", common, paused=False)


@app.command(alias="set-concurrency-limit")
def set_limit(
    name: str, limit: Annotated[int, Parameter(converter=whole)], /, *, common: Common = Common()
) -> None:
    """Set how many runs may run at once; 0 starts nothing. Running ones continue."""
    _change(connect(common), name, f"The limit of pool {name} is {limit}.", common, limit=limit)


@app.command(alias="clear-concurrency-limit")
def clear_limit(name: str, /, *, common: Common = Common()) -> None:
    """Remove the pool's limit."""
    _change(connect(common), name, f"Pool {name} has no limit.", common, limit=None)


@app.command
def clear_key_limit(name: str, /, *, common: Common = Common()) -> None:
    """Remove the pool's limit per concurrency key; those of queues still hold."""
    done = f"Pool {name} has no limit per key."
    _change(connect(common), name, done, common, key_limit=None)


@app.command
def delete(
    name: str,
    /,
    *,
    force: Annotated[
        bool,
        Parameter(help="Do not ask, cancel the runs that wait, also if deployments name it."),
    ] = False,
    common: Common = Common(),
) -> None:
    """Delete a pool and its queues. Runs that hold a slot keep it from being deleted."""
    from push_dispatch.control.known import pool_named
    from push_dispatch.control.pools import delete_pool

    ports = connect(common)
    pool_named(ports, name)
    confirm(f"Delete pool {name} with its queues?", force=force)
    cancelled = delete_pool(ports, name, force=force)
    if common.json:
        print_json({"deleted": name, "cancelled_runs": cancelled})
    else:
        say(f"Deleted pool {name}." + (f" {cancelled} runs cancelled." if cancelled else ""))


@app.command
def explain(name: str, /, *, common: Common = Common()) -> None:
    """Show who holds the slots, who waits, and why."""
    from push_dispatch.cli.commands.explanation import show_pool_explanation
    from push_dispatch.insight.explain import explain_pool

    ports = connect(common)
    show_pool_explanation(ports, explain_pool(ports, name), as_json=common.json)


@app.command
def preview(
    name: str,
    /,
    *,
    hours: Annotated[float, Parameter(metavar="N", help="How far to look ahead.")] = 12,
    common: Common = Common(),
) -> None:
    """Show what will happen to runs that wait, are due or will be scheduled, if runs take as long
    as the last ones did."""
    from push_dispatch.cli.commands.simulate import show_simulation
    from push_dispatch.insight.load import forecast

    if not 0 < hours <= 24 * 366:
        raise Invalid(f"--hours {hours} is not valid: more than 0, at most a year")
    ports = connect(common)
    found = forecast(ports, name, ports.clock() + int(hours * 3_600_000))
    ledger, ends = found.ledger, found.ends
    show_simulation(found.pool, found.arrivals, ledger=ledger, remaining=ends, as_json=common.json)


@app.command
def get_default_template(
    *,
    type: Annotated[str, Parameter(alias="-t", help="Such as process or ecs.")],
) -> None:
    """Print the base job template that pools of this type have unless they bring their own."""
    from push_dispatch.platforms.templates import default_template

    print_json(default_template(type))


# -- shared with the commands for queues ------------------------------------------------------


def view_of(ports: Ports, pool: Pool) -> dict[str, Any]:
    """The pool's view, with how many runs wait in each queue."""
    from push_dispatch.insight.views import pool_view

    view = pool_view(pool, ports.store.ledger(pool.name))
    for queue in view["queues"]:
        queue.update(line_of(ports, pool.name, queue["name"]))
    return view


def line_of(ports: Ports, pool: str, queue: str) -> dict[str, Any]:
    """How many runs wait in a queue, up to a thousand."""
    from push_dispatch.engine.snapshot import waiting_in

    waiting, more = waiting_in(ports, pool, queue)
    return {"waiting": waiting, "waiting_more": more}


def confirm(question: str, *, force: bool) -> None:
    """Ask on a terminal, unless forced. Raises Refused if the answer is no."""
    if force or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Refused("nothing was deleted")


# -- details ----------------------------------------------------------------------------------


def _platform_settings(
    platform_rate: str | None, hold: str | None, give_up: str | None
) -> dict[str, Any]:
    """What is given of how the pool deals with its platform. Raises Invalid."""
    from push_dispatch.cli.times import duration, rate_of

    given: dict[str, Any] = {}
    if platform_rate is not None:
        given["platform_rate"] = rate_of(platform_rate, "--platform-rate")
    if hold is not None:
        given["hold_seconds"] = duration(hold, "--hold")
    if give_up is not None:
        never = give_up == "never"
        given["give_up_seconds"] = None if never else duration(give_up, "--give-up")
    return given


def _change(ports: Ports, name: str, done: str, common: Common, **changes: Any) -> None:
    from push_dispatch.control.pools import change_pool

    pool = change_pool(ports, name, lambda p: replace(p, **changes))
    tell(ports, pool, done, common)


def tell(ports: Ports, pool: Pool, done: str, common: Common) -> None:
    """Print what was done, or the pool as it is now."""
    from push_dispatch.insight.views import pool_view

    if common.json:
        print_json(pool_view(pool, ports.store.ledger(pool.name)))
    else:
        say(done)


def _defaults(var: list[str] | None) -> dict[str, Any]:
    from push_dispatch.cli.inputs import read_pairs

    return read_pairs(var or ())


def _template(file: Path | None, pool_type: str) -> Mapping[str, Any]:
    from push_dispatch.cli.inputs import read_mapping
    from push_dispatch.platforms.templates import default_template

    return default_template(pool_type) if file is None else read_mapping(file)
