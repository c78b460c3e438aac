"""What is a deployment? A named way to make runs: where, what, with which overrides, and when."""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from push_dispatch.control.occurrences import check_fires, next_time
from push_dispatch.control.pools import change_pool, pool_named
from push_dispatch.core.errors import Invalid, NotFound, Unreadable
from push_dispatch.core.model import DEFAULT_QUEUE, Collision, Pool, check_limit, check_name
from push_dispatch.core.schedule import Schedule, check_schedule
from push_dispatch.core.secret_references import check_secrets, secret_references
from push_dispatch.core.template import Layer
from push_dispatch.core.validation import check
from push_dispatch.engine.submit import Request, check_request
from push_dispatch.platforms.registry import needs_command
from push_dispatch.ports import Ports

__all__ = [
    "Deployment",
    "active_schedules",
    "all_deployments",
    "delete_deployment",
    "deployment_named",
    "from_document",
    "request_of",
    "save_deployment",
    "schedules_of",
    "to_document",
]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Deployment:
    """Defaults of the runs that are made by its name. Durations in seconds."""

    name: str
    pool: str
    queue: str = DEFAULT_QUEUE
    #: What to execute: a command line, or an entrypoint `path.py` or `module:function`. Neither
    #: leaves it to the job variables and the image.
    command: str = ""
    entrypoint: str = ""
    image: str = ""
    #: Override the pool's defaults, and are overridden by a run's own.
    job_variables: Mapping[str, Any] = field(default_factory=dict)
    #: Given to the process in PUSH_DISPATCH_PARAMETERS, as JSON.
    parameters: Mapping[str, Any] = field(default_factory=dict)
    #: JSON Schema that the parameters of every run must satisfy.
    parameter_schema: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    retries: int = 0
    crash_retries: int = 0
    retry_delay_seconds: int = 10
    timeout_seconds: int | None = None
    start_within: int | None = None
    concurrency_key: str = ""
    #: Slots that its runs may hold at once.
    limit: int | None = None
    collision: Collision = Collision.ENQUEUE
    #: A paused deployment makes no runs by schedule.
    paused: bool = False
    schedules: tuple[Schedule, ...] = ()
    description: str = ""


def save_deployment(ports: Ports, deployment: Deployment) -> None:
    """Create or replace a deployment, and bring its limit into the pool's configuration, where
    admission reads it. Idempotent.

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
        _set_limit(ports, before["pool"], deployment.name, None)
    _set_limit(ports, deployment.pool, deployment.name, deployment.limit)


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
    if deployment.command and deployment.entrypoint:
        raise Invalid(f"deployment {name!r} has both a command and an entrypoint: name one")
    if deployment.entrypoint:
        _command_of(deployment.entrypoint)
    check_request(request_of(deployment))
    if pool.queue(deployment.queue) is None:
        raise NotFound(
            f"deployment {name!r}: pool {pool.name!r} has no queue {deployment.queue!r}",
            reason="queue_not_found",
        )
    names = [schedule.name for schedule in deployment.schedules]
    for schedule in deployment.schedules:
        check_schedule(schedule)
        if schedule not in known:
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
        raise NotFound(f"there is no deployment {name!r}", reason="deployment_not_found")
    return from_document(name, document)


def delete_deployment(ports: Ports, name: str) -> None:
    """Forget a deployment and its schedules. Its runs stay. Raises NotFound."""
    deployment = deployment_named(ports, name)
    ports.schedules.sync(name, (), deployment.schedules)
    ports.store.delete_deployment(name)
    if ports.store.pool(deployment.pool) is not None:
        _set_limit(ports, deployment.pool, name, None)


def active_schedules(deployment: Deployment) -> tuple[Schedule, ...]:
    """Those that are to fire."""
    return () if deployment.paused else tuple(s for s in deployment.schedules if s.active)


def request_of(deployment: Deployment, **overrides: Any) -> Request:
    """The request for a run of it; `overrides` are fields of `Request` that the run sets itself."""
    parameters = {**deployment.parameters, **overrides.pop("parameters", {})}
    tags = (*deployment.tags, *overrides.pop("tags", ()))
    given = {key: value for key, value in overrides.items() if value is not None}
    base = Request(
        pool=deployment.pool,
        queue=deployment.queue,
        tags=tuple(dict.fromkeys(tags)),
        retries=deployment.retries,
        crash_retries=deployment.crash_retries,
        retry_delay_seconds=deployment.retry_delay_seconds,
        timeout_seconds=deployment.timeout_seconds,
        start_within=deployment.start_within,
        concurrency_key=deployment.concurrency_key,
        deployment=deployment.name,
        deployment_variables=variables_of(deployment),
        collision=deployment.collision,
        parameters=parameters,
    )
    return replace(base, **given)


def variables_of(deployment: Deployment) -> dict[str, Any]:
    """Its job variables, those from command, entrypoint and image among them."""
    variables: dict[str, Any] = dict(deployment.job_variables)
    if deployment.image:
        variables["image"] = deployment.image
    if deployment.command:
        variables["command"] = deployment.command
    if deployment.entrypoint:
        variables["command"] = _command_of(deployment.entrypoint)
    return variables


def to_document(deployment: Deployment) -> dict[str, Any]:
    """The deployment as plain data without its name; only what differs from the defaults."""
    empty = Deployment("", "")
    document = {
        key: value
        for key, value in asdict(deployment).items()
        if key not in ("name", "schedules") and value != getattr(empty, key)
    }
    if deployment.tags:
        document["tags"] = list(deployment.tags)
    if deployment.schedules:
        document["schedules"] = [
            {key: value for key, value in asdict(schedule).items() if value not in ("", None, {})}
            for schedule in deployment.schedules
        ]
    return document


def from_document(name: str, document: Mapping[str, Any]) -> Deployment:
    """The deployment that `to_document` has described, without fields that are not known here: a
    newer version may have written it. Raises Unreadable."""
    try:
        values = _known(Deployment, document)
        values["tags"] = tuple(values.get("tags", ()))
        entries = values.get("schedules", ())
        values["schedules"] = tuple(Schedule(**_known(Schedule, entry)) for entry in entries)
        if "collision" in values:
            values["collision"] = Collision(values["collision"])
        return Deployment(**{**values, "name": name})
    except (TypeError, ValueError, AttributeError) as error:
        raise Unreadable(f"deployment {name!r} is malformed in the table: {error}") from error


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


def _known(cls: type[Any], document: Mapping[str, Any]) -> dict[str, Any]:
    names = {entry.name for entry in fields(cls)}
    return {key: value for key, value in document.items() if key in names}


# -- details ----------------------------------------------------------------------------------


def _layers(deployment: Deployment, variables: Mapping[str, Any]) -> list[Layer]:
    return [Layer("deployment", variables_of(deployment)), Layer("schedule", variables)]


def _optional(template: Mapping[str, Any]) -> dict[str, Any]:
    """The variables' schema when a run may still give what is required."""
    schema = template.get("variables") or {}
    return {key: value for key, value in schema.items() if key != "required"}


#: What `python3 -c` executes: `module:function` as Python finds it, Prefect's `path.py:function` by
#: its path, with the other modules of its folder.
_CALL = (
    "import importlib.util, json, operator, os, sys; {load}"
    "operator.attrgetter({function!r})(module)"
    "(**json.loads(os.environ.get('PUSH_DISPATCH_PARAMETERS') or '{{}}'))"
)
_BY_NAME = "module = importlib.import_module({module!r}); "
_BY_PATH = (
    "sys.path.insert(0, os.path.abspath({folder!r})); "
    "spec = importlib.util.spec_from_file_location({name!r}, {path!r}); "
    "module = importlib.util.module_from_spec(spec); "
    "sys.modules.setdefault({name!r}, module); spec.loader.exec_module(module); "
)
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


def _command_of(entrypoint: str) -> str:
    """`path.py` is executed; `path.py:function` and `module:function` are called with the
    parameters. Raises Invalid."""
    module, colon, function = entrypoint.rpartition(":")
    if not colon:
        return shlex.join(["python3", entrypoint])
    path = PurePosixPath(module)
    by_path = path.suffix == ".py"
    if not _DOTTED.fullmatch(function) or not (by_path or _DOTTED.fullmatch(module)):
        raise Invalid(
            f"entrypoint {entrypoint!r} is not valid: write path.py, flows/etl.py:main or "
            "flows.etl:main"
        )
    if by_path:
        load = _BY_PATH.format(folder=str(path.parent), name=path.stem, path=module)
    else:
        load = _BY_NAME.format(module=module)
    return shlex.join(["python3", "-c", _CALL.format(load=load, function=function)])


def _moment(ports: Ports) -> datetime:
    return datetime.fromtimestamp(ports.clock() / 1000, UTC)


def _set_limit(ports: Ports, pool: str, name: str, limit: int | None) -> None:
    def change(current: Pool) -> Pool:
        limits = {key: value for key, value in current.deployment_limits.items() if key != name}
        if limit is not None:
            limits[name] = limit
        same = limits == dict(current.deployment_limits)
        return current if same else replace(current, deployment_limits=limits)

    change_pool(ports, pool, change)
