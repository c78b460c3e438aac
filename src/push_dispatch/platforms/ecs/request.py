"""What exactly is asked of RunTask for a job? A pure function: the same job asks for the same.

ECS refuses a request token that comes back with another request, so nothing here may depend on
the time, the process or the order of a set.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from push_dispatch.core.errors import Rejected
from push_dispatch.core.reasons import Reason
from push_dispatch.platforms.base import Job
from push_dispatch.platforms.ecs.definition import (
    CPU,
    MEMORY,
    container_in,
    definition_for,
    family_of,
    pairs,
    without_unset,
)
from push_dispatch.platforms.ecs.handle import ROLE, RUN_ID, started_by
from push_dispatch.platforms.shared import invalid, secret_values, text_of, texts, words

__all__ = ["OVERRIDES_LIMIT", "Plan", "is_fargate", "parameters", "plan_for", "size_of"]

#: Characters of `overrides`, JSON's own included (RunTask's reference).
OVERRIDES_LIMIT = 8192
#: Tags of one task, ours included (the same).
_TAGS = 50

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
    vpc: str | None
    #: ARN of the role that asks for it, in the account of the cluster; empty for our own.
    role: str = ""
    # The rest depends on the definition: see `on`.
    #: Container of the command.
    container: str = ""
    fargate: bool = False
    #: The template's awsvpcConfiguration, if the definition takes one.
    network: Mapping[str, Any] | None = None
    #: The request must name subnets and the template has none.
    wants_subnets: bool = False

    def on(self, definition: Mapping[str, Any], configuration: Mapping[str, Any]) -> Plan:
        """Return the plan for a definition: our own, or a named one as ECS describes it."""
        network = None
        awsvpc = definition.get("networkMode") == "awsvpc"
        if awsvpc:
            # Bridges and hosts take none: ECS refuses the request.
            network = _network(configuration)
        name = configuration.get("container_name")
        return replace(
            self,
            container=container_in(definition["containerDefinitions"], name),
            fargate=is_fargate(configuration, definition),
            network=network,
            wants_subnets=awsvpc and network is None,
        )


def plan_for(job: Job, region: str) -> Plan:
    """Return what the job needs; a plan that names a definition still has to be put `on` it.

    Raises Rejected (`template_invalid`) if the configuration cannot become a task.
    """
    configuration = job.configuration
    _refuse_keys(configuration)
    _refuse_reporter_on_windows(configuration)
    request = configuration.get("task_run_request") or {}
    cluster = request.get("cluster") or configuration.get("cluster") or "default"
    region = region_of(cluster) or _credentials(configuration).get("region_name") or region
    if not region:
        raise Rejected("no region: set AWS_REGION, or give the cluster's ARN")
    arn = request.get("taskDefinition")
    vpc, role = configuration.get("vpc_id"), _role(configuration)
    secrets = _secret_arns(job)
    if arn:
        if secrets:
            raise invalid(
                f"secret {min(secrets)}: declare it in the task definition {arn}, ECS takes none "
                "here"
            )
        return Plan(region, cluster, None, "", arn, vpc, role)
    fargate = is_fargate(configuration)
    definition = definition_for(
        configuration, secrets, fargate=fargate, region=region, pool=job.pool
    )
    family = family_of(definition, (configuration.get("task_definition") or {}).get("family"))
    plan = Plan(region, cluster, definition, family, None, vpc, role)
    return plan.on(definition, configuration)


def parameters(
    job: Job, plan: Plan, definition: str, container: str, subnets: list[str] | None
) -> dict[str, Any]:
    """Return RunTask's parameters, with the command for `container`.

    Raises Rejected: `template_invalid`, `overrides_too_long`.
    """
    configuration = job.configuration
    request: dict[str, Any] = without_unset(
        deepcopy(dict(configuration.get("task_run_request") or {}))
    )
    overrides = _overrides(request.get("overrides") or {}, job, container, fargate=plan.fargate)
    _check_length(overrides)
    _place(request, plan)
    request.pop("networkConfiguration", None)
    request |= {
        "cluster": plan.cluster,
        "taskDefinition": definition,
        "count": 1,
        "clientToken": job.name,
        "startedBy": started_by(job),
        "overrides": overrides,
        "tags": _tags(request.get("tags"), configuration.get("labels"), job),
    }
    network = plan.network
    if network is None and subnets:
        # On instances, tasks cannot have public addresses.
        public = {"assignPublicIp": "ENABLED"} if plan.fargate else {}
        network = {"subnets": subnets, **public}
    if network is not None:
        request["networkConfiguration"] = {"awsvpcConfiguration": dict(network)}
    return request


def is_fargate(
    configuration: Mapping[str, Any], definition: Mapping[str, Any] | None = None
) -> bool:
    """Whether the task runs on Fargate: by its capacity providers, else its launch type, else what
    the task definition is made for."""
    request = configuration.get("task_run_request") or {}
    strategy = request.get("capacityProviderStrategy") or []
    if strategy:
        return all(provider.get("capacityProvider") in _FARGATE for provider in strategy)
    launch_type = request.get("launchType")
    if launch_type:
        return launch_type in _FARGATE
    made = definition or configuration.get("task_definition") or {}
    compatible = made.get("requiresCompatibilities") or made.get("compatibilities")
    return not compatible or "FARGATE" in compatible


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
        raise invalid(f"cpu or memory: {error}") from error


# -- the parts ---------------------------------------------------------------------------------


def _overrides(given: Mapping[str, Any], job: Job, name: str, *, fargate: bool) -> dict[str, Any]:
    configuration = job.configuration
    containers = [dict(override) for override in given.get("containerOverrides") or []]
    main = next((c for c in containers if c.get("name") == name), None)
    main = main or next((c for c in containers if "name" not in c), None)
    if main is None:
        main = {}
        containers.insert(0, main)
    main["name"] = name
    main["command"] = configuration.get("command") or main.get("command")
    if configuration.get("gpu"):
        main["resourceRequirements"] = _gpus(configuration["gpu"], fargate=fargate)
    for container in containers:
        _complete(container)
    _add_environment(main, job)
    overrides = {**given, "containerOverrides": containers}
    size = size_of(configuration)
    if fargate and size:
        overrides |= {"cpu": str(size[0]), "memory": str(size[1])}
    return {k: str(v) if k in {"cpu", "memory"} else v for k, v in overrides.items()}


def _gpus(count: Any, *, fargate: bool) -> list[dict[str, str]]:
    if fargate:
        raise invalid("gpu: Fargate has none; set launch_type to EC2, or name a capacity provider")
    return [{"type": "GPU", "value": str(_whole(count, "gpu"))}]


def _complete(override: dict[str, Any]) -> None:
    """Bring one container's override into ECS's types."""
    command = words(override.pop("command", None))
    if command:
        override["command"] = command
    environment = pairs(override.pop("environment", None))
    if environment:
        override["environment"] = _listed(environment)
    for key in ("cpu", "memory", "memoryReservation"):
        if key in override:
            override[key] = _whole(override[key], f"{override.get('name')}: {key}")


def _add_environment(main: dict[str, Any], job: Job) -> None:
    """The job's own environment, over the template's and without what is unset (null). A variable
    must not come both from a secret and in clear: ECS refuses that. The run's id is always there:
    events tell the container of the command by it."""
    own = job.configuration.get("env") or {}
    environment = pairs(main.pop("environment", None)) | texts(own) | _values(job)
    unset = {name for name, value in own.items() if value is None} | set(_secret_arns(job))
    kept = {name: value for name, value in environment.items() if name not in unset}
    role = _role(job.configuration).partition(":role/")[2]
    ours = {RUN_ID: job.run_id} | ({ROLE: role} if role else {})
    main["environment"] = _listed(ours | kept)


def _listed(environment: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": environment[name]} for name in sorted(environment)]


def _secret_arns(job: Job) -> dict[str, str]:
    """Secrets that ECS reads itself, by variable."""
    arns = {name: secret.arn for name, secret in job.secrets.items() if secret.arn}
    for variable in ("PREFECT_API_KEY", "PREFECT_API_AUTH_STRING"):
        arn = job.configuration.get(f"{variable.lower()}_secret_arn")
        if arn:
            arns[variable] = arn
    return arns


def _values(job: Job) -> dict[str, str]:
    """Secrets of stores that ECS cannot read, such as the local runtime's file."""
    readable = {name: secret for name, secret in job.secrets.items() if not secret.arn}
    return secret_values(replace(job, secrets=readable))


def _check_length(overrides: Mapping[str, Any]) -> None:
    length = len(json.dumps(overrides, separators=(",", ":"), ensure_ascii=False))
    if length > OVERRIDES_LIMIT:
        raise Rejected(
            f"command and environment take {length} characters, ECS allows {OVERRIDES_LIMIT}: put "
            "large values into the image, a file or a secret",
            reason=Reason.OVERRIDES_TOO_LONG,
        )


def _place(request: dict[str, Any], plan: Plan) -> None:
    """Launch type or capacity providers: ECS takes one of them. Neither means the cluster's own
    providers, where the definition is made for instances."""
    launch_type = request.pop("launchType", None)
    if request.get("capacityProviderStrategy"):
        return
    request.pop("capacityProviderStrategy", None)
    if launch_type == "FARGATE_SPOT":
        spot = {"capacityProvider": "FARGATE_SPOT", "weight": 1}
        request["capacityProviderStrategy"] = [spot]
    elif launch_type or plan.fargate:
        request["launchType"] = launch_type or "FARGATE"


def _tags(given: Any, labels: Any, job: Job) -> list[dict[str, str]]:
    """Tags are for people and for the bill; nothing depends on them, as StopTask removes them."""
    if not isinstance(given, Mapping):
        given = {tag.get("key"): tag.get("value") for tag in given or []}
    ours = {"push-dispatch:pool": job.pool, "push-dispatch:run": job.run_id}
    tags = texts({**given, **texts(labels, "labels"), **ours}, "tags")
    clean = {
        _NOT_IN_A_TAG.sub("-", key)[:128]: _NOT_IN_A_TAG.sub("-", value)[:256]
        for key, value in tags.items()
        if not key.lower().startswith("aws:")
    }
    if len(clean) > _TAGS:
        raise invalid(
            f"labels: {len(clean) - len(ours)} are given, a task has {_TAGS} tags at most"
            f" and needs {len(ours)} of them itself"
        )
    return [{"key": key, "value": clean[key]} for key in sorted(clean)]


def _network(configuration: Mapping[str, Any]) -> Mapping[str, Any] | None:
    request = configuration.get("task_run_request") or {}
    given = request.get("networkConfiguration") or configuration.get("network_configuration")
    if not given:
        return None
    network: Mapping[str, Any] = given.get("awsvpcConfiguration", given)
    return network


def region_of(cluster: str) -> str | None:
    parts = cluster.split(":")
    return parts[3] if len(parts) == 6 and parts[0] == "arn" else None


def _credentials(configuration: Mapping[str, Any]) -> Mapping[str, Any]:
    given = configuration.get("aws_credentials")
    return given if isinstance(given, Mapping) else {}


def _role(configuration: Mapping[str, Any]) -> str:
    """The whole ARN: the push function's own account may be another one."""
    role = str(_credentials(configuration).get("assume_role_arn") or "")
    if role and not re.fullmatch(r"arn:[\w-]+:iam::\d{12}:role/[\w+=,.@/-]+", role):
        raise invalid(f"aws_credentials.assume_role_arn: {role!r} is not the ARN of a role")
    return role


def _refuse_keys(configuration: Mapping[str, Any]) -> None:
    """Keys in a job cannot be used later, when only the handle is known; a half-working pool is
    worse than a clear no."""
    if _credentials(configuration).get("aws_access_key_id"):
        raise invalid(
            "aws_credentials holds access keys; tasks are started with the role of the push "
            "function: grant it what the pool needs, or name an assume_role_arn"
        )


def _refuse_reporter_on_windows(configuration: Mapping[str, Any]) -> None:
    """Its wrapper is a script for a POSIX shell."""
    platform = (configuration.get("task_definition") or {}).get("runtimePlatform") or {}
    windows = str(platform.get("operatingSystemFamily")).startswith("WINDOWS")
    if windows and "PUSH_DISPATCH_REPORT_TOKEN" in (configuration.get("env") or {}):
        raise invalid("reporter: it is for Linux; leave it out where tasks run on Windows")


def _units(value: Any, unit: str) -> int:
    """CPU units or MiB, which ECS also takes as '.5 vCPU' or '2 GB'."""
    text = str(value).strip().lower()
    if text.endswith(unit):
        return round(float(text.removesuffix(unit)) * 1024)
    return int(text)


def _whole(value: Any, field: str) -> int:
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        text = text_of(value)
        raise invalid(f"{field}: {text!r} is not a whole number") from error
