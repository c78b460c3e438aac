"""`push-dispatch deployment`: named ways to make runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from push_dispatch.cli.backend import connect
from push_dispatch.cli.commands.schedules import schedule_of
from push_dispatch.cli.options import Common, whole
from push_dispatch.cli.output import print_json, say
from push_dispatch.cli.run_options import Command, Wanted, request_for
from push_dispatch.core.model import Collision, Edge

if TYPE_CHECKING:
    from push_dispatch.core.deployment import Deployment
    from push_dispatch.ports import Ports

__all__ = ["app"]

app = App(name="deployment")


@app.command
def create(
    name: str,
    /,
    *command: Command,
    pool: Annotated[str, Parameter(alias="-p")],
    entrypoint: Annotated[
        str, Parameter(help="path.py, path.py:function or module:function.")
    ] = "",
    image: str = "",
    wanted: Wanted = Wanted(),
    parameter_schema: Annotated[
        Path | None,
        Parameter(
            allow_leading_hyphen=True, metavar="FILE", help="JSON Schema that parameters must fit."
        ),
    ] = None,
    limit: Annotated[
        int | None, Parameter(converter=whole, alias="-l", metavar="N", help="Runs of it at once.")
    ] = None,
    max_waiting: Annotated[
        int | None,
        Parameter(converter=whole, metavar="N", help="Runs of it that may wait; more are refused."),
    ] = None,
    collision: Annotated[
        Collision,
        Parameter(
            help="What becomes of a run at the limit: ENQUEUE waits, CANCEL_NEW is cancelled, "
            "CANCEL_RUNNING replaces the running one, LATEST waits and cancels those that wait."
        ),
    ] = Collision.ENQUEUE,
    debounce: Annotated[
        str | None,
        Parameter(
            metavar="DURATION",
            help="Of its runs with the same concurrency key that come within so long one starts.",
        ),
    ] = None,
    debounce_edge: Annotated[
        Edge, Parameter(help="Which one: the last, after that time, or the first, at once.")
    ] = Edge.TRAILING,
    cron: Annotated[
        str | None, Parameter(help="Crontab's five fields, or EventBridge's six.")
    ] = None,
    every: Annotated[
        str | None, Parameter(metavar="DURATION", help="Whole minutes: 15m, 6h.")
    ] = None,
    once: Annotated[
        str | None, Parameter(metavar="LOCAL-TIME", help="A single run: 2026-12-01T09:00.")
    ] = None,
    timezone: Annotated[str, Parameter(help="IANA name, for the schedule.")] = "UTC",
    jitter: Annotated[
        str, Parameter(metavar="DURATION", help="Each scheduled run is up to this late.")
    ] = "0s",
    paused: Annotated[bool, Parameter(help="Make no runs by schedule.")] = False,
    description: str = "",
    common: Common = Common(),
) -> None:
    """Create or replace a deployment. More schedules than one are declared with `apply`."""
    from push_dispatch.cli.inputs import read_mapping
    from push_dispatch.cli.run_options import fields_of
    from push_dispatch.cli.times import duration
    from push_dispatch.control.deployments import save_deployment
    from push_dispatch.core.deployment import Deployment

    ports = connect(common)
    schedule = schedule_of("default", cron, every, once, timezone)
    if schedule is not None:
        schedule = replace(schedule, jitter_seconds=duration(jitter, "--jitter"))
    deployment = Deployment(
        name=name,
        pool=pool,
        entrypoint=entrypoint,
        image=image,
        parameter_schema=read_mapping(parameter_schema) if parameter_schema else {},
        limit=limit,
        max_waiting=max_waiting,
        collision=collision,
        debounce_seconds=None if debounce is None else duration(debounce, "--debounce"),
        debounce_edge=debounce_edge,
        paused=paused,
        schedules=(schedule,) if schedule else (),
        description=description,
        **_defaults(fields_of(ports, wanted, command)),
    )
    save_deployment(ports, deployment)
    _tell(deployment, f"Saved deployment {name}.", common)


@app.command
def ls(*, common: Common = Common()) -> None:
    """List the deployments."""
    from push_dispatch.cli.tables import show_table
    from push_dispatch.control.deployments import all_deployments

    ports = connect(common)
    found = all_deployments(ports)
    if common.json:
        print_json([_view(deployment) for deployment in found])
        return
    show_table(
        ("DEPLOYMENT", "POOL", "QUEUE", "SCHEDULES", ""),
        [
            (
                d.name,
                d.pool,
                d.queue,
                "; ".join(map(_schedule, d.schedules)),
                "paused" if d.paused else "",
            )
            for d in found
        ],
        nothing="There is no deployment yet: push-dispatch deployment create NAME --pool POOL",
    )


@app.command
def inspect(name: str, /, *, common: Common = Common()) -> None:
    """Show a deployment."""
    import json

    from push_dispatch.cli.tables import show_facts
    from push_dispatch.control.deployments import deployment_named

    deployment = deployment_named(connect(common), name)
    view = _view(deployment)
    if common.json:
        print_json(view)
        return
    plain = {k: v if isinstance(v, str) else json.dumps(v) for k, v in view.items() if v}
    show_facts(plain.items())


@app.command
def run(
    name: str,
    /,
    *command: Command,
    wanted: Wanted = Wanted(),
    count: Annotated[
        int | None, Parameter(converter=whole, metavar="N", help="Submit N of them.")
    ] = None,
    wait: Annotated[bool, Parameter(help="Wait for the end; 1 if a run did not complete.")] = False,
    dry_run: Annotated[
        bool, Parameter(help="Show what would be sent, and submit nothing.")
    ] = False,
    common: Common = Common(),
) -> int:
    """Submit a run of a deployment, now or --at a time; options override the deployment's."""
    from push_dispatch.cli.commands.runs import submit_all

    ports = connect(common)
    request = request_for(ports, None, name, wanted, command)
    return submit_all(ports, request, common, count=count, wait=wait, dry_run=dry_run)


@app.command
def pause(name: str, /, *, common: Common = Common()) -> None:
    """Stop submitting runs by schedule."""
    _change(connect(common), name, f"Paused deployment {name}.", common, paused=True)


@app.command
def resume(name: str, /, *, common: Common = Common()) -> None:
    """Submit runs by schedule again."""
    _change(connect(common), name, f"Resumed deployment {name}.", common, paused=False)


@app.command
def delete(name: str, /, *, common: Common = Common()) -> None:
    """Delete a deployment and its schedules; its runs stay."""
    from push_dispatch.control.deployments import delete_deployment

    delete_deployment(connect(common), name)
    print_json({"deleted": name}) if common.json else say(f"Deleted deployment {name}.")


# -- details ----------------------------------------------------------------------------------


def _defaults(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a request as those of a deployment."""
    from push_dispatch.core.errors import Invalid

    for field, option in (
        ("at", "--at and --in"),
        ("idempotency_key", "--key"),
        ("name", "--name"),
    ):
        if field in fields:
            raise Invalid(f"{option}: belongs to a run, not to a deployment")
    variables = dict(fields.pop("variables", {}))
    fields["command"] = variables.pop("command", "")
    return {**fields, "job_variables": variables}


def _change(ports: Ports, name: str, done: str, common: Common, **changes: Any) -> None:
    from push_dispatch.control.deployments import deployment_named, save_deployment

    deployment = replace(deployment_named(ports, name), **changes)
    save_deployment(ports, deployment)
    _tell(deployment, done, common)


def _tell(deployment: Deployment, done: str, common: Common) -> None:
    print_json(_view(deployment)) if common.json else say(done)


def _view(deployment: Deployment) -> dict[str, Any]:
    from push_dispatch.core.deployment import to_document

    return {"name": deployment.name, **to_document(deployment)}


def _schedule(schedule: Any) -> str:
    from push_dispatch.core.errors import Invalid
    from push_dispatch.core.schedule import expression_of

    zone = "" if schedule.timezone == "UTC" else f" {schedule.timezone}"
    try:
        return f"{expression_of(schedule)}{zone}"
    except Invalid:  # stored by another version
        return f"{schedule.cron or schedule.at} (not valid)"
