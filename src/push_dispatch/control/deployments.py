"""How are deployments declared, changed and deleted?"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from push_dispatch.control.known import pool_named
from push_dispatch.control.occurrences import check_fires, next_time
from push_dispatch.control.pools import change_pool
from push_dispatch.core.deployment import (
    Deployment,
    active_schedules,
    command_of,
    from_document,
    request_of,
    to_document,
    variables_of,
)
from push_dispatch.core.errors import Invalid, NotFound, Unreadable
from push_dispatch.core.model import Pool, check_description, check_limit, check_name
from push_dispatch.core.reasons import Reason
from push_dispatch.core.request import check_request
from push_dispatch.core.schedule import Schedule, check_schedule
from push_dispatch.core.secret_references import check_secrets, secret_references
from push_dispatch.core.template import Layer
from push_dispatch.core.validation import check
from push_dispatch.core.waiting import check_max_waiting
from push_dispatch.platforms.registry import needs_command
from push_dispatch.ports import Ports

__all__ = [
    "all_deployments",
    "delete_deployment",
    "deployment_named",
    "save_deployment",
    "schedules_of",
]

log = logging.getLogger(__name__)


def save_deployment(ports: Ports, deployment: Deployment) -> None:
    """Create or replace a deployment, and bring its limits into the pool's configuration, where
    admission and submissions read them. Idempotent.

    Raises Invalid (also `invalid_variables`, `enforced_variable`, `invalid_parameters`), NotFound
    (`pool_not_found`, `queue_not_found`), Refused (`schedules_unknown`). Nothing is stored then.
    """
    pool = pool_named(ports, deployment.pool)
    template = ports.store.template(pool.name, pool.template)
    before = ports.store.deployment(deployment.name)
    known, now = schedules_of(before), _moment(ports)
    check_deployment(pool, deployment, template or {}, now=now, known=known)
    # What is over would be refused: EventBridge takes no time of the past.
    active = [s for s in active_schedules(deployment) if next_time(s, now) is not None]
    # First: what is refused there is not stored here.
    ports.schedules.sync(deployment.name, active, known)
    ports.store.put_deployment(deployment.name, to_document(deployment))
    if before and before.get("pool", deployment.pool) != deployment.pool:
        _set_limits(ports, before["pool"], deployment.name, None, None)
    limits = deployment.limit, deployment.max_waiting
    _set_limits(ports, deployment.pool, deployment.name, *limits)


def check_deployment(
    pool: Pool,
    deployment: Deployment,
    template: Mapping[str, Any],
    *,
    now: datetime,
    known: Collection[Schedule] = (),
) -> None:
    """Raises Invalid, or NotFound (`queue_not_found`), if runs of it could not be made: by its
    schedules as they are, or by somebody who adds what is missing. A schedule that it had before,
    one of `known`, may be over."""
    name = check_name(deployment.name, "deployment")
    check_limit(deployment.limit, f"deployment {name!r}")
    check_max_waiting(deployment.max_waiting, f"deployment {name!r}")
    check_description(deployment.description, f"deployment {name!r}")
    if deployment.command and deployment.entrypoint:
        raise Invalid(f"deployment {name!r} has both a command and an entrypoint: name one")
    if deployment.entrypoint:
        command_of(deployment.entrypoint)
    check_request(request_of(deployment))
    if pool.queue(deployment.queue) is None:
        raise NotFound(
            f"deployment {name!r}: pool {pool.name!r} has no queue {deployment.queue!r}",
            reason=Reason.QUEUE_NOT_FOUND,
        )
    names = [schedule.name for schedule in deployment.schedules]
    for schedule in deployment.schedules:
        check_schedule(schedule)
        if schedule not in known:
            check_name(schedule.name, "schedule")
            check_fires(schedule, now)
        if names.count(schedule.name) > 1:
            raise Invalid(f"deployment {name!r} has two schedules named {schedule.name!r}")
    for variables in (variables_of(deployment), *(s.job_variables for s in deployment.schedules)):
        check_secrets(pool.name, pool.secrets, secret_references(variables))
    if deployment.schedules:
        for schedule in deployment.schedules:
            layers = _layers(deployment, schedule.job_variables)
            check(template, layers, needs_command(pool.type))
    else:
        check({**template, "variables": _optional(template)}, _layers(deployment, {}), partial=True)


def schedules_of(document: Mapping[str, Any] | None) -> tuple[Schedule, ...]:
    """The schedules in a stored document; none if there is none."""
    return from_document("", document).schedules if document else ()


def deployment_named(ports: Ports, name: str) -> Deployment:
    """The deployment. Raises NotFound (`deployment_not_found`)."""
    document = ports.store.deployment(name)
    if document is None:
        raise NotFound(f"there is no deployment {name!r}", reason=Reason.DEPLOYMENT_NOT_FOUND)
    return from_document(name, document)


def delete_deployment(ports: Ports, name: str) -> None:
    """Forget a deployment and its schedules. Its runs stay. Raises NotFound."""
    deployment = deployment_named(ports, name)
    ports.schedules.sync(name, (), deployment.schedules)
    ports.store.delete_deployment(name)
    if ports.store.pool(deployment.pool) is not None:
        _set_limits(ports, deployment.pool, name, None, None)


def all_deployments(ports: Ports) -> list[Deployment]:
    """Every deployment, in the order of names. One that is malformed in the table is left out, with
    a warning in the log that says what is wrong with it. Raises Unavailable."""
    found = []
    for name, document in sorted(ports.store.deployments().items()):
        try:
            found.append(from_document(name, document))
        except Unreadable as error:
            log.warning("%s", error.message)
    return found


# -- details ----------------------------------------------------------------------------------


def _layers(deployment: Deployment, variables: Mapping[str, Any]) -> list[Layer]:
    return [Layer("deployment", variables_of(deployment)), Layer("schedule", variables)]


def _optional(template: Mapping[str, Any]) -> dict[str, Any]:
    """The variables' schema when a run may still give what is required."""
    schema = template.get("variables") or {}
    return {key: value for key, value in schema.items() if key != "required"}


def _moment(ports: Ports) -> datetime:
    return datetime.fromtimestamp(ports.clock() / 1000, UTC)


def _set_limits(
    ports: Ports, pool: str, name: str, limit: int | None, max_waiting: int | None
) -> None:
    def change(current: Pool) -> Pool:
        return replace(
            current,
            deployment_limits=_with(current.deployment_limits, name, limit),
            deployment_max_waiting=_with(current.deployment_max_waiting, name, max_waiting),
        )

    change_pool(ports, pool, change)


def _with(limits: Mapping[str, int], name: str, limit: int | None) -> Mapping[str, int]:
    """The limits with another one of that name; the same object if nothing changes."""
    if limits.get(name) == limit:
        return limits
    others = {key: value for key, value in limits.items() if key != name}
    return others if limit is None else {**others, name: limit}
