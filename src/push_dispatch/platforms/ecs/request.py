"""What exactly is asked of RunTask for a job? A pure function: the same job asks for the same.

ECS refuses a request token that comes back with another request, so nothing here may depend on
the time, the process or the order of a set.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from push_dispatch.core.errors import Rejected
from push_dispatch.platforms.base import Job
from push_dispatch.platforms.ecs.definition import (
    CPU,
    MEMORY,
    definition_for,
    family_of,
    pairs,
    without_unset,
)
from push_dispatch.platforms.ecs.handle import started_by

__all__ = ["OVERRIDES_LIMIT", "Plan", "is_fargate", "parameters", "plan_for", "size_of"]

#: Characters of `overrides`, JSON's own included (RunTask's reference).
OVERRIDES_LIMIT = 8192

_FARGATE = {"FARGATE", "FARGATE_SPOT"}
_NOT_IN_A_TAG = re.compile(r"[^\w .:/=+@-]")


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to be there before RunTask can be asked."""

    region: str
    cluster: str
    #: Content of the task definition to be found or registered, and its family;
    definition: Mapping[str, Any] | None
    family: str
    #: or the one that the template names.
    definition_arn: str | None
    #: Container of the command; empty if only the named definition knows it.
    container: str
    #: The request must name subnets and the template has none.
    wants_subnets: bool
    vpc: str | None


def plan_for(job: Job, region: str) -> Plan:
    """Raises Rejected (`template_invalid`) if the configuration cannot become a task."""
    configuration = job.configuration
    _refuse_keys(configuration)
    request = configuration.get("task_run_request") or {}
    cluster = request.get("cluster") or configuration.get("cluster") or "default"
    region = region_of(cluster) or _credentials(configuration).get("region_name") or region
    if not region:
        raise Rejected("no region: set AWS_REGION, or give the cluster's ARN")
    arn = request.get("taskDefinition")
    fargate = is_fargate(configuration)
    definition = None
    secrets = _secret_arns(job)
    if not arn:
        definition = definition_for(
            configuration, secrets, fargate=fargate, region=region, pool=job.pool
        )
    elif secrets:
        raise Rejected(
            f"secret {min(secrets)}: declare it in the task definition {arn}, ECS takes none here",
            reason="template_invalid",
        )
    awsvpc = fargate if definition is None else definition.get("networkMode") == "awsvpc"
    named = _network(configuration) is not None
    return Plan(
        region=region,
        cluster=cluster,
        definition=definition,
        family=family_of(definition, _family(configuration)) if definition else "",
        definition_arn=arn,
        container=definition["containerDefinitions"][0]["name"]
        if definition
        else configuration.get("container_name") or "",
        wants_subnets=awsvpc and not named,
        vpc=configuration.get("vpc_id"),
    )


def parameters(
    job: Job, plan: Plan, definition: str, container: str, subnets: list[str] | None
) -> dict[str, Any]:
    """RunTask's parameters. Raises Rejected: `template_invalid`, `overrides_too_long`."""
    configuration = job.configuration
    request: dict[str, Any] = without_unset(
        deepcopy(dict(configuration.get("task_run_request") or {}))
    )
    overrides = _overrides(request.get("overrides") or {}, job, container)
    _check_length(overrides)
    _place(request, configuration)
    request |= {
        "cluster": plan.cluster,
        "taskDefinition": definition,
        "count": 1,
        "clientToken": job.name,
        "startedBy": started_by(job),
        "overrides": overrides,
        "tags": _tags(request.get("tags"), configuration.get("labels"), job),
    }
    network = _network(configuration)
    if network is None and subnets:
        network = {"awsvpcConfiguration": {"subnets": subnets, "assignPublicIp": "ENABLED"}}
    if network is not None:
        request["networkConfiguration"] = network
    return request


def is_fargate(configuration: Mapping[str, Any]) -> bool:
    """Whether the task runs on Fargate, judged by its launch type or its capacity providers."""
    request = configuration.get("task_run_request") or {}
    strategy = request.get("capacityProviderStrategy") or []
    if strategy:
        return all(provider.get("capacityProvider") in _FARGATE for provider in strategy)
    launch_type = request.get("launchType")
    return launch_type in _FARGATE if launch_type else not _only_instances(configuration)


def size_of(configuration: Mapping[str, Any]) -> tuple[int, int] | None:
    """CPU units and MiB of the task; None if only the task definition that it names knows."""
    request = configuration.get("task_run_request") or {}
    overrides = request.get("overrides") or {}
    definition = configuration.get("task_definition") or {}
    cpu, memory = (overrides.get(key) or definition.get(key) for key in ("cpu", "memory"))
    if request.get("taskDefinition") and not (cpu and memory):
        return None
    try:
        return _units(cpu or CPU, "vcpu"), _units(memory or MEMORY, "gb")
    except ValueError as error:
        raise Rejected(f"cpu or memory: {error}", reason="template_invalid") from error


# -- the parts ---------------------------------------------------------------------------------


def _overrides(given: Mapping[str, Any], job: Job, name: str) -> dict[str, Any]:
    configuration = job.configuration
    containers = [dict(override) for override in given.get("containerOverrides") or []]
    main = next((c for c in containers if c.get("name") == name), None)
    main = main or next((c for c in containers if "name" not in c), None)
    if main is None:
        main = {}
        containers.insert(0, main)
    main["name"] = name
    main["command"] = configuration.get("command") or main.get("command")
    for container in containers:
        _complete(container)
    _add_environment(main, job)
    overrides = {**given, "containerOverrides": containers}
    size = size_of(configuration)
    if is_fargate(configuration) and size:
        overrides |= {"cpu": str(size[0]), "memory": str(size[1])}
    return {k: str(v) if k in {"cpu", "memory"} else v for k, v in overrides.items()}


def _complete(override: dict[str, Any]) -> None:
    """Bring one container's override into ECS's types."""
    command = _words(override.pop("command", None))
    if command:
        override["command"] = command
    environment = pairs(override.pop("environment", None))
    if environment:
        override["environment"] = _listed(environment)
    for key in ("cpu", "memory", "memoryReservation"):
        if key in override:
            override[key] = int(override[key])


def _add_environment(main: dict[str, Any], job: Job) -> None:
    """The job's own environment, over the template's and without what is unset (null). A variable
    must not come both from a secret and in clear: ECS refuses that."""
    own = job.configuration.get("env") or {}
    environment = pairs(main.pop("environment", None)) | pairs(own) | _secret_values(job)
    unset = {name for name, value in own.items() if value is None} | set(_secret_arns(job))
    kept = {name: value for name, value in environment.items() if name not in unset}
    if kept:
        main["environment"] = _listed(kept)


def _listed(environment: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": environment[name]} for name in sorted(environment)]


def _words(command: Any) -> list[str]:
    if not isinstance(command, str):
        return [str(word) for word in command or []]
    try:
        return shlex.split(command)
    except ValueError as error:
        raise Rejected(f"command {command!r}: {error}", reason="template_invalid") from error


def _secret_arns(job: Job) -> dict[str, str]:
    """Secrets that ECS reads itself, by variable."""
    arns = {name: secret.arn for name, secret in job.secrets.items() if secret.arn}
    for variable in ("PREFECT_API_KEY", "PREFECT_API_AUTH_STRING"):
        arn = job.configuration.get(f"{variable.lower()}_secret_arn")
        if arn:
            arns[variable] = arn
    return arns


def _secret_values(job: Job) -> dict[str, str]:
    """Secrets of stores that ECS cannot read, such as the local runtime's file."""
    try:
        return {name: secret.read() for name, secret in job.secrets.items() if not secret.arn}
    except KeyError as error:
        raise Rejected(f"secret {error} cannot be read", reason="secret_unavailable") from error


def _check_length(overrides: Mapping[str, Any]) -> None:
    length = len(json.dumps(overrides, separators=(",", ":"), ensure_ascii=False))
    if length > OVERRIDES_LIMIT:
        raise Rejected(
            f"command and environment take {length} characters, ECS allows {OVERRIDES_LIMIT}: put "
            "large values into the image, a file or a secret",
            reason="overrides_too_long",
        )


def _place(request: dict[str, Any], configuration: Mapping[str, Any]) -> None:
    """Launch type or capacity providers: ECS takes one of them. Neither means the cluster's own
    providers, where the definition is made for instances."""
    launch_type = request.pop("launchType", None)
    if request.get("capacityProviderStrategy"):
        return
    request.pop("capacityProviderStrategy", None)
    if launch_type == "FARGATE_SPOT":
        spot = {"capacityProvider": "FARGATE_SPOT", "weight": 1}
        request["capacityProviderStrategy"] = [spot]
    elif launch_type or not _only_instances(configuration):
        request["launchType"] = launch_type or "FARGATE"


def _tags(given: Any, labels: Any, job: Job) -> list[dict[str, str]]:
    """Tags are for people and for the bill; nothing depends on them, as StopTask removes them."""
    if not isinstance(given, Mapping):
        given = {tag.get("key"): tag.get("value") for tag in given or []}
    ours = {"push-dispatch:pool": job.pool, "push-dispatch:run": job.run_id}
    tags = {str(k): str(v) for k, v in {**given, **(labels or {}), **ours}.items() if v is not None}
    clean = {
        _NOT_IN_A_TAG.sub("-", key)[:128]: _NOT_IN_A_TAG.sub("-", value)[:256]
        for key, value in tags.items()
        if not key.lower().startswith("aws:")
    }
    return [{"key": key, "value": clean[key]} for key in sorted(clean)]


def _network(configuration: Mapping[str, Any]) -> dict[str, Any] | None:
    request = configuration.get("task_run_request") or {}
    given = request.get("networkConfiguration") or configuration.get("network_configuration")
    if not given:
        return None
    return dict(given) if "awsvpcConfiguration" in given else {"awsvpcConfiguration": dict(given)}


def _only_instances(configuration: Mapping[str, Any]) -> bool:
    compatible = (configuration.get("task_definition") or {}).get("requiresCompatibilities") or []
    return "EC2" in compatible and "FARGATE" not in compatible


def _family(configuration: Mapping[str, Any]) -> str | None:
    family: str | None = (configuration.get("task_definition") or {}).get("family")
    return family


def region_of(cluster: str) -> str | None:
    parts = cluster.split(":")
    return parts[3] if len(parts) == 6 and parts[0] == "arn" else None


def _credentials(configuration: Mapping[str, Any]) -> Mapping[str, Any]:
    given = configuration.get("aws_credentials")
    return given if isinstance(given, Mapping) else {}


def _refuse_keys(configuration: Mapping[str, Any]) -> None:
    """Keys in a job cannot be used later, when only the handle is known; a half-working pool is
    worse than a clear no."""
    if _credentials(configuration).get("aws_access_key_id"):
        raise Rejected(
            "aws_credentials holds access keys; tasks are started with the role of the push "
            "function: grant it what the pool needs and leave only region_name",
            reason="template_invalid",
        )


def _units(value: Any, unit: str) -> int:
    """CPU units or MiB, which ECS also takes as '.5 vCPU' or '2 GB'."""
    text = str(value).strip().lower()
    if text.endswith(unit):
        return round(float(text.removesuffix(unit)) * 1024)
    return int(text)
