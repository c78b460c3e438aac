"""Which options describe a run? Shared by everything that makes one, or shows what it would be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from push_dispatch.cli.options import whole
from push_dispatch.cli.times import duration, moment
from push_dispatch.core.errors import Invalid
from push_dispatch.core.reasons import Reason
from push_dispatch.core.request import Request
from push_dispatch.ports import Ports

__all__ = ["Command", "Wanted", "fields_of", "request_for"]

Command = Annotated[str, Parameter(help="What to execute: -- python job.py --fast")]


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a run. What is not given is left to the deployment, or to the defaults."""

    queue: Annotated[str | None, Parameter(alias="-q", help="By default `default`.")] = None
    var: Annotated[
        tuple[str, ...],
        Parameter(
            metavar="KEY=VALUE",
            help="A job variable: JSON if it is valid JSON, else text. May be repeated.",
        ),
    ] = ()
    vars: Annotated[
        Path | None,
        Parameter(
            allow_leading_hyphen=True,
            metavar="FILE",
            help="Job variables as JSON or YAML; - is stdin.",
        ),
    ] = None
    param: Annotated[
        tuple[str, ...],
        Parameter(metavar="KEY=VALUE", help="A parameter, which the process gets as JSON."),
    ] = ()
    at: Annotated[
        str | None, Parameter(metavar="TIME", help="Start then: ISO 8601 with a time zone.")
    ] = None
    in_: Annotated[
        str | None,
        Parameter(name="--in", metavar="DURATION", help="Start after that: 90s, 5m, 1h30m."),
    ] = None
    key: Annotated[str | None, Parameter(help="The same key never creates two runs.")] = None
    retries: Annotated[
        int | None, Parameter(converter=whole, help="Further attempts if the process fails.")
    ] = None
    crash_retries: Annotated[
        int | None, Parameter(converter=whole, help="Further attempts if it crashes.")
    ] = None
    retry_delay: Annotated[
        str | None,
        Parameter(metavar="DURATION", help="Before the first retry (10s); doubles each time."),
    ] = None
    timeout: Annotated[
        str | None, Parameter(metavar="DURATION", help="Stop an attempt that runs longer.")
    ] = None
    start_within: Annotated[
        str | None, Parameter(metavar="DURATION", help="Do not start it later than that.")
    ] = None
    start_by: Annotated[
        str | None,
        Parameter(
            metavar="DURATION",
            help="It should start within so long: those of its queue that should earlier go first.",
        ),
    ] = None
    tag: Annotated[tuple[str, ...], Parameter(help="May be repeated.")] = ()
    name: Annotated[str | None, Parameter(help="For people.")] = None
    concurrency_key: Annotated[str | None, Parameter(help="Counts against the limit per key.")] = (
        None
    )


def request_for(
    ports: Ports,
    pool: str | None,
    deployment: str | None,
    wanted: Wanted,
    command: tuple[str, ...],
) -> Request:
    """The request for a run of a pool, or of a deployment. Raises Invalid, NotFound."""
    from push_dispatch.control.deployments import deployment_named
    from push_dispatch.control.documents import check_parameters
    from push_dispatch.core.deployment import request_of

    fields = fields_of(ports, wanted, command)
    if deployment is None:
        if pool is None:
            raise Invalid("name a pool, or a deployment with --deployment")
        return Request(pool, **fields)
    if pool is not None:
        raise Invalid("a deployment has its own pool: name one or the other")
    found = deployment_named(ports, deployment)
    check_parameters(found, fields.get("parameters", {}))
    return request_of(found, **fields)


def fields_of(ports: Ports, wanted: Wanted, command: tuple[str, ...]) -> dict[str, Any]:
    """The fields of a `Request` that are given. Raises Invalid."""
    from push_dispatch.cli.inputs import read_pairs

    fields: dict[str, Any] = {
        "queue": wanted.queue,
        "variables": _variables(wanted, command) or None,
        "parameters": read_pairs(wanted.param, "--param") or None,
        "at": _due(ports, wanted),
        "idempotency_key": wanted.key,
        "retries": wanted.retries,
        "crash_retries": wanted.crash_retries,
        "retry_delay_seconds": _seconds(wanted.retry_delay, "--retry-delay"),
        "timeout_seconds": _seconds(wanted.timeout, "--timeout"),
        "start_within": _seconds(wanted.start_within, "--start-within"),
        "start_by_seconds": _seconds(wanted.start_by, "--start-by"),
        "tags": wanted.tag or None,
        "name": wanted.name,
        "concurrency_key": wanted.concurrency_key,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _variables(wanted: Wanted, command: tuple[str, ...]) -> dict[str, object]:
    """The file's, then the pairs', then the command."""
    import shlex

    from push_dispatch.cli.inputs import read_mapping, read_pairs

    variables = (read_mapping(wanted.vars) if wanted.vars else {}) | read_pairs(wanted.var)
    if command:
        if "command" in variables:
            raise Invalid("the command is given twice: after -- and as a job variable")
        variables["command"] = shlex.join(command)
    return variables


def _due(ports: Ports, wanted: Wanted) -> int | None:
    if wanted.at is not None and wanted.in_ is not None:
        raise Invalid("--at and --in exclude each other", reason=Reason.INVALID_TIME)
    if wanted.in_ is not None:
        return ports.clock() + duration(wanted.in_, "--in") * 1000
    return None if wanted.at is None else moment(wanted.at)


def _seconds(text: str | None, option: str) -> int | None:
    return None if text is None else duration(text, option)
