"""How do runs execute on the stack's own cluster, with nothing to configure?

The `ecs` platform, with everything but the job itself taken from the deployment:

    PUSH_DISPATCH_MANAGED_CLUSTER             name or ARN
    PUSH_DISPATCH_MANAGED_SUBNETS             separated by commas
    PUSH_DISPATCH_MANAGED_SECURITY_GROUPS     separated by commas; may be empty
    PUSH_DISPATCH_MANAGED_PUBLIC_IP           ENABLED (public subnets) or DISABLED (the default)
    PUSH_DISPATCH_MANAGED_EXECUTION_ROLE_ARN
    PUSH_DISPATCH_MANAGED_TASK_ROLE_ARN       may be empty
    PUSH_DISPATCH_MANAGED_LOG_GROUP
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from push_dispatch.platforms.base import Capabilities, Job
from push_dispatch.platforms.built_in import BUILT_IN
from push_dispatch.platforms.ecs import Ecs
from push_dispatch.platforms.ecs.cost import estimate
from push_dispatch.platforms.shared import building, invalid, not_configured, words

__all__ = ["Managed"]

_PREFIX = "PUSH_DISPATCH_MANAGED_"
_NEEDED = ("CLUSTER", "SUBNETS", "EXECUTION_ROLE_ARN", "LOG_GROUP")


class Managed(Ecs):
    """Fargate on the cluster that was deployed with push-dispatch."""

    name: ClassVar[str] = "managed"
    capabilities: ClassVar[Capabilities] = BUILT_IN[name]
    #: Its template names subnets and task definitions by content: no look-up in EC2.
    iam_actions: ClassVar[tuple[str, ...]] = tuple(
        action for action in Ecs.iam_actions if not action.startswith("ec2:")
    )

    def __init__(self, environ: Mapping[str, str], **options: Any) -> None:
        super().__init__(environ, **options)
        self._environ = environ

    def push(self, job: Job) -> str:
        """See `Platform.push`. Rejected (`platform_not_configured`) without a cluster."""
        with building():
            complete = self._complete(job.configuration)
        return super().push(replace(job, configuration=complete))

    @staticmethod
    def estimate_cost(configuration: Mapping[str, Any], seconds: float) -> float | None:
        """See `EstimatesCost.estimate_cost`."""
        return estimate(_sized(configuration), seconds)

    def sign_in(self) -> str:
        """See `SignsIn`. Lists tasks of the stack's cluster. Rejected (`platform_not_configured`)
        without one, or if it does not exist."""
        self._check()
        cluster = self._setting("CLUSTER")
        if not self._has_cluster(cluster):
            raise not_configured(
                f"the stack's own cluster {cluster} does not exist (any more): deploy the stack "
                "again"
            )
        return f"signed in to Amazon ECS, with the cluster {cluster}"

    def _check(self) -> None:
        missing = [_PREFIX + name for name in _NEEDED if not self._setting(name)]
        if missing:
            raise not_configured(
                f"the stack has no cluster of its own: {', '.join(missing)} not set. Deploy it "
                "with the parameter ManagedSubnets (in Terraform: managed)"
            )

    def _complete(self, configuration: Mapping[str, Any]) -> dict[str, Any]:
        """The configuration of an `ecs` pool for the stack's cluster."""
        self._check()
        complete = _sized(configuration)
        complete["task_definition"]["executionRoleArn"] = self._setting("EXECUTION_ROLE_ARN")
        complete["task_run_request"]["overrides"]["taskRoleArn"] = self._setting("TASK_ROLE_ARN")
        return complete | {
            "command": _command(configuration),
            "cluster": self._setting("CLUSTER"),
            "network_configuration": {
                "subnets": _split(self._setting("SUBNETS")),
                "securityGroups": _split(self._setting("SECURITY_GROUPS")),
                "assignPublicIp": self._setting("PUBLIC_IP") or "DISABLED",
            },
            "configure_cloudwatch_logs": True,
            "cloudwatch_logs_options": {
                "awslogs-group": self._setting("LOG_GROUP"),
                "awslogs-create-group": "false",
            },
            "cloudwatch_logs_prefix": "run",
        }

    def _setting(self, name: str) -> str:
        return self._environ.get(_PREFIX + name, "").strip()


def _sized(configuration: Mapping[str, Any]) -> dict[str, Any]:
    size = {key: configuration.get(key) for key in ("cpu", "memory")}
    return {
        "env": configuration.get("env"),
        "labels": configuration.get("labels"),
        "task_definition": {"containerDefinitions": [{"image": configuration.get("image")}]},
        "task_run_request": {
            "launchType": "FARGATE_SPOT" if configuration.get("spot") else "FARGATE",
            "overrides": size,
        },
    }


def _command(configuration: Mapping[str, Any]) -> list[str]:
    """The command, after the packages are installed; a failing installation is its exit code."""
    command = words(configuration.get("command"))
    packages = [str(package) for package in configuration.get("pip_packages") or []]
    if not packages:
        return command
    if not command:
        raise invalid("pip_packages needs a command: the image's own is not known here")
    install = shlex.join(["python", "-m", "pip", "install", "--quiet", *packages])
    return ["sh", "-c", f'{install} && exec "$@"', "sh", *command]


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
