"""Which task definition does a job need? A pure function of its configuration.

RunTask can override command, environment, roles, cpu and memory, but not the image. So a
definition is made of what cannot be overridden, is named after its content, and is shared by all
runs with the same content.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from push_dispatch.platforms.shared import invalid, merged_env, words

__all__ = [
    "CPU",
    "INSTANCES",
    "MEMORY",
    "container_in",
    "definition_for",
    "family_of",
    "pairs",
    "without_unset",
]

#: Name of the container that runs the command, if the template gives none: Prefect's own.
CONTAINER = "prefect"
#: Size of a Fargate task that asks for none: CPU units (1024 a vCPU) and MiB; Prefect's defaults.
CPU, MEMORY = 1024, 2048

#: Where logs go if the template turns them on and names no group.
LOG_GROUP = "push-dispatch"

_DEFAULT_FAMILY = "pd"
_SIZES = ("cpu", "memory", "memoryReservation")
#: Launch type and compatibility of instances that AWS manages.
INSTANCES = "MANAGED_INSTANCES"
#: What DescribeTaskDefinition and the console show and RegisterTaskDefinition does not take.
_READ_ONLY = (
    "compatibilities",
    "deleteRequestedAt",
    "deregisteredAt",
    "registeredAt",
    "registeredBy",
    "requiresAttributes",
    "revision",
    "status",
    "taskDefinitionArn",
)


def definition_for(
    configuration: Mapping[str, Any],
    secrets: Mapping[str, str],
    *,
    fargate: bool,
    region: str,
    pool: str,
) -> dict[str, Any]:
    """RegisterTaskDefinition's parameters, without the family: see `family_of`. `secrets` are
    ARNs by variable: ECS itself reads them, so that the values pass nowhere through us.

    Raises Rejected (`template_invalid`) if it cannot become a task definition.
    """
    definition: dict[str, Any] = without_unset(
        deepcopy(dict(configuration.get("task_definition") or {}))
    )
    for key in ("family", *_READ_ONLY):
        definition.pop(key, None)
    containers = [_container(c) for c in definition.get("containerDefinitions") or [] if c]
    main = _main(containers, configuration.get("container_name"))
    if not main.get("image"):
        raise invalid("no image: set the job variable 'image', or 'task_definition_arn'")
    definition["containerDefinitions"] = containers
    _add_secrets(main, secrets)
    if configuration.get("configure_cloudwatch_logs"):
        main["logConfiguration"] = _logs(configuration, region, pool)
    if fargate and not definition.get("executionRoleArn"):
        _refuse_without_role(main)
    if fargate:
        _size_for_fargate(definition)
    else:
        _size_for_instances(definition, main)
    managed = (configuration.get("task_run_request") or {}).get("launchType") == INSTANCES
    if managed:
        definition.setdefault("requiresCompatibilities", [INSTANCES])
    if "networkMode" not in definition and (fargate or configuration.get("network_configuration")):
        definition["networkMode"] = "awsvpc"
    elif managed:
        # Bridges, the default on instances of one's own, are not known to managed ones.
        definition.setdefault("networkMode", "host")
    return definition


def container_in(containers: Sequence[Mapping[str, Any]], name: str | None) -> str:
    """Return the name of the container for the command, in Prefect's order: `name`, the one called
    `prefect`, one without a name (which gets that), the first."""
    names = [container.get("name") for container in containers]
    if name:
        return name
    return CONTAINER if CONTAINER in names or not all(names) or not names else str(names[0])


def family_of(definition: Mapping[str, Any], prefix: str | None) -> str:
    """The name under which this very content is registered; any process finds it again by it.

    A family has at most 255 letters, digits, `-` and `_` (RegisterTaskDefinition's reference).
    """
    content = json.dumps(definition, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(content.encode()).hexdigest()[:24]
    stem = re.sub(r"[^\w-]", "-", prefix or _DEFAULT_FAMILY, flags=re.ASCII)[:200]
    return f"{stem}-{digest}"


def without_unset(value: Any) -> Any:
    """`value` without nulls and what is empty, which ECS refuses: a template has them where a
    variable is not set. Only the value of an environment variable may be empty."""
    if isinstance(value, dict):
        kept = {key: without_unset(item) for key, item in value.items() if item is not None}
        return {k: v for k, v in kept.items() if v not in ("", [], {}) or k == "value"}
    if isinstance(value, list):
        return [without_unset(item) for item in value if item is not None]
    return value


def pairs(environment: Any) -> dict[str, str]:
    """An environment as a mapping, be it written as one or as ECS's list of name and value; unset
    (null) variables are left out."""
    entries = merged_env(environment, None, "environment")
    return {name: entry["value"] for name, entry in entries.items() if "value" in entry}


def _container(container: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(container)
    if "environment" in made:
        values = pairs(made["environment"])
        made["environment"] = [{"name": n, "value": v} for n, v in sorted(values.items())]
    for key in ("command", "entryPoint"):
        if key in made:
            made[key] = words(made[key], key)
    return made


def _main(containers: list[dict[str, Any]], name: str | None) -> dict[str, Any]:
    """Return the container for the command, which is named if need be and made if there is none."""
    wanted = container_in(containers, name)
    main = next((c for c in containers if c.get("name") == wanted), None)
    main = main or next((c for c in containers if "name" not in c), None)
    if main is None and containers:
        raise invalid(f"container {wanted!r} is not in task_definition.containerDefinitions")
    if main is None:
        main = {}
        containers.append(main)
    main["name"] = wanted
    return main


def _add_secrets(main: dict[str, Any], arns: Mapping[str, str]) -> None:
    known = {}
    for index, secret in enumerate(main.get("secrets", [])):
        for key in ("name", "valueFrom"):
            if not secret.get(key):
                raise invalid(f"container {main['name']}: secrets[{index}].{key} is not set")
        known[secret["name"]] = secret["valueFrom"]
    merged = sorted((known | dict(arns)).items())
    if merged:
        main["secrets"] = [{"name": name, "valueFrom": arn} for name, arn in merged]
    if "environment" in main:
        main["environment"] = [v for v in main["environment"] if v["name"] not in arns]


def _logs(configuration: Mapping[str, Any], region: str, pool: str) -> dict[str, Any]:
    options = {
        "awslogs-create-group": "true",
        "awslogs-group": LOG_GROUP,
        "awslogs-region": region,
        "awslogs-stream-prefix": configuration.get("cloudwatch_logs_prefix") or pool,
    }
    own = without_unset(dict(configuration.get("cloudwatch_logs_options") or {}))
    return {"logDriver": "awslogs", "options": options | own}


def _refuse_without_role(main: Mapping[str, Any]) -> None:
    """Fargate writes logs and reads secrets with the execution role, and with nothing else."""
    for key, what in (("logConfiguration", "CloudWatch logs"), ("secrets", "a secret")):
        if main.get(key):
            raise invalid(f"{what} on Fargate: set the job variable 'execution_role_arn'")


def _size_for_fargate(definition: dict[str, Any]) -> None:
    """Fargate wants a size, and RunTask overrides it: so it is no part of the content, unless
    containers divide it among themselves."""
    containers = definition["containerDefinitions"]
    divided = any(key in container for container in containers for key in _SIZES)
    definition["cpu"] = str((divided and definition.get("cpu")) or CPU)
    definition["memory"] = str((divided and definition.get("memory")) or MEMORY)
    compatible = definition.setdefault("requiresCompatibilities", [])
    if "FARGATE" not in compatible:
        compatible.append("FARGATE")


def _size_for_instances(definition: dict[str, Any], main: dict[str, Any]) -> None:
    """On instances a container needs a memory limit if the task has none, and a share of the CPU:
    without one ECS places tasks by their memory only."""
    for key in ("cpu", "memory"):
        if key in definition:
            definition[key] = str(definition[key])
    if "cpu" not in definition:
        main.setdefault("cpu", CPU)
    if "memory" not in definition and not {"memory", "memoryReservation"} & set(main):
        main["memory"] = MEMORY
