"""Deployments and their schedules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from push_dispatch.api.v1 import answers, declarations, queries
from push_dispatch.api.v1.configuration import check_match, creates_only, fields_of
from push_dispatch.api.v1.table import TABLE, Answer, Call, Nothing
from push_dispatch.control.deployments import (
    all_deployments,
    delete_deployment,
    deployment_named,
    save_deployment,
)
from push_dispatch.control.occurrences import next_time, occurrences
from push_dispatch.core.canonical import digest_of
from push_dispatch.core.deployment import Deployment, to_document
from push_dispatch.core.errors import Invalid, NotFound, Refused
from push_dispatch.core.reasons import Reason
from push_dispatch.core.schedule import Schedule
from push_dispatch.ports import Ports

__all__: list[str] = []

_CONDITIONS = ("If-Match", "If-None-Match")


@TABLE.route("GET", "/v1/deployments", {200: answers.Page[answers.Deployment]})
def list_deployments(call: Call[queries.Cursor, Nothing]) -> Answer:
    """List the deployments, in the order of names."""
    rest = [d for d in all_deployments(call.ports) if d.name > call.query.after]
    page = rest[: call.query.limit]
    following = page[-1].name if len(rest) > len(page) else None
    return Answer({"items": [_view(call.ports, d) for d in page], "next": following})


@TABLE.route("GET", "/v1/deployments/{deployment}", {200: answers.Deployment}, etag=True)
def show_deployment(call: Call[Nothing, Nothing]) -> Answer:
    """Show a deployment with its schedules."""
    return _answer(call.ports, deployment_named(call.ports, call.path["deployment"]))


@TABLE.route(
    "PUT",
    "/v1/deployments/{deployment}",
    {200: answers.Deployment, 201: answers.Deployment},
    headers=_CONDITIONS,
    etag=True,
)
def put_deployment(call: Call[Nothing, declarations.DeploymentSettings]) -> Answer:
    """Create or replace a deployment with its schedules."""
    name = call.path["deployment"]
    exists = call.ports.store.deployment(name) is not None
    before = deployment_named(call.ports, name) if exists else None
    check_match(call.headers, _etag(before) if before else None, f"deployment {name!r}")
    if before and creates_only(call.headers):
        problem = f"deployment {name!r} exists"
        raise Refused(problem, reason=Reason.PRECONDITION_FAILED)
    given = fields_of(call.body)
    given["schedules"] = tuple(_schedule(each.name, each) for each in call.body.schedules)
    wanted = Deployment(name, **given)
    save_deployment(call.ports, wanted)
    return _answer(call.ports, wanted, 200 if before else 201)


@TABLE.route(
    "PATCH",
    "/v1/deployments/{deployment}",
    {200: answers.Deployment},
    headers=("If-Match",),
    etag=True,
)
def change_deployment(call: Call[Nothing, declarations.DeploymentChange]) -> Answer:
    """Change what is given of a deployment, and leave the rest; null clears a limit."""
    return _changed(call, **fields_of(call.body))


@TABLE.route("DELETE", "/v1/deployments/{deployment}", {200: answers.Deleted})
def remove_deployment(call: Call[Nothing, Nothing]) -> Answer:
    """Delete a deployment and its schedules; its runs stay."""
    delete_deployment(call.ports, call.path["deployment"])
    return Answer({"deleted": call.path["deployment"], "runs": 0})


@TABLE.route("POST", "/v1/deployments/{deployment}/pause", {200: answers.Deployment}, etag=True)
def pause_deployment(call: Call[Nothing, Nothing]) -> Answer:
    """Stop submitting runs by schedule."""
    return _changed(call, paused=True)


@TABLE.route("POST", "/v1/deployments/{deployment}/resume", {200: answers.Deployment}, etag=True)
def resume_deployment(call: Call[Nothing, Nothing]) -> Answer:
    """Submit runs by schedule again."""
    return _changed(call, paused=False)


# -- schedules --------------------------------------------------------------------------------


@TABLE.route(
    "GET",
    "/v1/deployments/{deployment}/schedules",
    {200: answers.Items[answers.Schedule]},
    etag=True,
)
def list_schedules(call: Call[Nothing, Nothing]) -> Answer:
    """List the schedules of a deployment."""
    deployment = deployment_named(call.ports, call.path["deployment"])
    items = _view(call.ports, deployment)["schedules"]
    return Answer({"items": items}, etag=_etag(deployment))


@TABLE.route(
    "PUT",
    "/v1/deployments/{deployment}/schedules/{schedule}",
    {200: answers.Deployment},
    headers=("If-Match",),
    etag=True,
)
def put_schedule(call: Call[Nothing, declarations.ScheduleSettings]) -> Answer:
    """Add a schedule to a deployment, or replace it."""
    name = call.path["schedule"]
    before = deployment_named(call.ports, call.path["deployment"]).schedules
    added = _schedule(name, call.body)
    if any(schedule.name == name for schedule in before):
        schedules = tuple(added if s.name == name else s for s in before)
    else:
        schedules = (*before, added)
    return _changed(call, schedules=schedules)


@TABLE.route(
    "DELETE", "/v1/deployments/{deployment}/schedules/{schedule}", {200: answers.Deployment}
)
def remove_schedule(call: Call[Nothing, Nothing]) -> Answer:
    """Remove a schedule from a deployment."""
    deployment, name = call.path["deployment"], call.path["schedule"]
    before = deployment_named(call.ports, deployment).schedules
    kept = tuple(schedule for schedule in before if schedule.name != name)
    if len(kept) == len(before):
        raise NotFound(f"deployment {deployment!r} has no schedule {name!r}")
    return _changed(call, schedules=kept)


@TABLE.route("GET", "/v1/deployments/{deployment}/times", {200: answers.Items[answers.Firing]})
def list_times(call: Call[queries.TimesQuery, Nothing]) -> Answer:
    """List the next times at which the schedules of a deployment fire."""
    deployment = deployment_named(call.ports, call.path["deployment"])
    now = _now(call.ports)
    times = [
        {"schedule": schedule.name, "time": moment.astimezone(UTC)}
        for schedule in deployment.schedules
        if schedule.active
        for moment in islice(occurrences(schedule, now), call.query.count)
    ]
    times.sort(key=lambda each: (each["time"], each["schedule"]))
    return Answer({"items": times[: call.query.count]})


# -- details ----------------------------------------------------------------------------------


def _changed(call: Call[Any, Any], **changes: Any) -> Answer:
    name = call.path["deployment"]
    before = deployment_named(call.ports, name)
    check_match(call.headers, _etag(before), f"deployment {name!r}")
    after = replace(before, **changes)
    save_deployment(call.ports, after)
    return _answer(call.ports, after)


def _answer(ports: Ports, deployment: Deployment, status: int = 200) -> Answer:
    location = f"/v1/deployments/{deployment.name}" if status == 201 else None
    return Answer(_view(ports, deployment), status, _etag(deployment), location)


def _etag(deployment: Deployment) -> str:
    return digest_of(to_document(deployment))


def _schedule(name: str, given: declarations.ScheduleSettings) -> Schedule:
    settings = {field: value for field, value in fields_of(given).items() if field != "name"}
    return Schedule(name, **settings)


def _view(ports: Ports, deployment: Deployment) -> dict[str, Any]:
    """Every field, whether it has its default or not."""
    view = {field.name: getattr(deployment, field.name) for field in fields(deployment)}
    return view | {"schedules": _schedules(ports, deployment.schedules)}


def _schedules(ports: Ports, schedules: Sequence[Schedule]) -> list[dict[str, Any]]:
    now = _now(ports)
    return [
        {field.name: getattr(schedule, field.name) for field in fields(schedule)}
        | {"next_time": _next(schedule, now)}
        for schedule in schedules
    ]


def _next(schedule: Schedule, now: datetime) -> datetime | None:
    try:
        moment = next_time(schedule, now) if schedule.active else None
    except Invalid:  # stored by another version
        return None
    return moment.astimezone(UTC) if moment else None


def _now(ports: Ports) -> datetime:
    return datetime.fromtimestamp(ports.clock() / 1000, UTC)
