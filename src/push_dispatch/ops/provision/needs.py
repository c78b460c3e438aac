"""What does a pool of type ecs need of an account, and what of it does its template not name?

All pools share what is made, under names that do not change: the system's function may pass only
roles that somebody has granted it, and that is done once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = [
    "EXECUTION_POLICY",
    "LOG_DAYS",
    "NAME",
    "TAGS",
    "TRUST",
    "Found",
    "Kind",
    "lacking",
    "properties_of",
    "secrets_policy",
]

#: Name of the cluster, and start of the other names; those of the Terraform module platform-ecs,
#: called with this name and, as the roles are for all regions, this role_prefix.
NAME = "push-dispatch-pools"
TAGS = {"push-dispatch:made-by": "pool create --provision"}
#: Days for which the log group that is made keeps what tasks write.
LOG_DAYS = 30
#: AWS's own, in whatever partition: pull an image from ECR, write a log.
EXECUTION_POLICY = "policy/service-role/AmazonECSTaskExecutionRolePolicy"
#: The prefix of secrets that templates may refer to, unless a system has another one.
_SECRETS = "push-dispatch/*"

TRUST: Mapping[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "ecs-tasks.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
_NOTHING: tuple[Any, ...] = (None, "", {}, [])


class Kind(StrEnum):
    """What is needed, in the order in which it is seen to: where nothing is made, first."""

    NETWORK = "network"
    CLUSTER = "cluster"
    EXECUTION_ROLE = "execution role"
    LOG_GROUP = "log group"


@dataclass(frozen=True, slots=True)
class Found:
    """What is there now."""

    kind: Kind
    #: For people: a name or an ARN, and what is worth knowing.
    shown: str
    #: What the job variables of its kind are to be.
    defaults: Mapping[str, Any]
    #: Whether it was not there before.
    made: bool = False


#: The job variable that names it; if the template has a default for it, nothing is lacking.
_NAMED_BY = {
    Kind.NETWORK: "network_configuration",
    Kind.CLUSTER: "cluster",
    Kind.EXECUTION_ROLE: "execution_role_arn",
    Kind.LOG_GROUP: "configure_cloudwatch_logs",
}


def lacking(template: Mapping[str, Any]) -> tuple[Kind, ...]:
    """What the template has job variables for, and no values. `false` is one: it wants no logs."""
    defaults = {name: declared.get("default") for name, declared in properties_of(template).items()}
    unset = {name for name, default in defaults.items() if default in _NOTHING}
    if defaults.get("vpc_id"):
        unset.discard("network_configuration")
    return tuple(kind for kind in Kind if _NAMED_BY[kind] in unset)


def secrets_policy(role_arn: str) -> dict[str, Any]:
    """What ECS may read in the role's account when it starts a task: the secrets that templates may
    refer to.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_execution_IAM_role.html
    """
    _, partition, _, _, account, _ = role_arn.split(":", 5)
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "secretsmanager:GetSecretValue",
                "Resource": f"arn:{partition}:secretsmanager:*:{account}:secret:{_SECRETS}",
            }
        ],
    }


def properties_of(template: Mapping[str, Any]) -> Mapping[str, dict[str, Any]]:
    """The job variables of a template, by name."""
    variables: Mapping[str, Any] = template.get("variables") or {}
    return variables.get("properties") or {}
