"""What does IAM ask for when somebody calls this operation of AWS?

Mostly the action of the same name. Where more is asked for, or something else, the source is the
service's page of docs.aws.amazon.com/service-authorization/latest/reference, or is named. What
nobody has thought of is asked for on all resources, which no statement here allows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.fakes.ecs_service import ACCOUNT, REGION
from tests.fakes.iam import Need

__all__ = ["SUFFIX", "arn", "needs_of", "role_arns"]

#: What Secrets Manager puts behind a secret's name to make its ARN.
SUFFIX = "-a1B2c3"

Body = Mapping[str, Any]


def needs_of(service: str, operation: str, body: Body) -> list[Need]:
    """What the caller of an operation needs. Of a task definition that RunTask only names, the
    roles are left to whoever knows it; see `role_arns`."""
    find = _RESOURCES.get(service)
    return list(find(operation, body)) if find else [Need(f"{service}:{operation}")]


def arn(service: str, resource: str, region: str = REGION) -> str:
    """An ARN of this account."""
    return f"arn:aws:{service}:{region}:{ACCOUNT}:{resource}"


def role_arns(holder: Body) -> list[Need]:
    """What it takes to hand over the roles in a task definition or in its overrides: "IAM
    permissions required to pass a role", ECS developer guide, task execution role."""
    named = (holder.get(name) for name in ("executionRoleArn", "taskRoleArn"))
    context = {"iam:PassedToService": ("ecs-tasks.amazonaws.com",)}
    return [Need("iam:PassRole", role, context) for role in named if role]


# -- DynamoDB, SQS, Secrets Manager, EventBridge, STS ---------------------------------------------


def _dynamodb(operation: str, body: Body) -> Iterator[Need]:
    """A query of an index asks for the index, and not for its table. What a batch does item by item
    is not asked for beside it."""
    tables = body["RequestItems"] if "RequestItems" in body else [body["TableName"]]
    for table in tables:
        index = f"/index/{body['IndexName']}" if "IndexName" in body else ""
        yield Need(f"dynamodb:{operation}", arn("dynamodb", f"table/{table}{index}"))


def _sqs(operation: str, body: Body) -> Iterator[Need]:
    """A batch has no action of its own: SQS developer guide, "Amazon SQS API permissions"."""
    action = operation.removesuffix("Batch")
    yield Need(f"sqs:{action}", arn("sqs", body["QueueUrl"].rpartition("/")[2]))


def _secretsmanager(operation: str, body: Body) -> Iterator[Need]:
    secret = arn("secretsmanager", f"secret:{body['SecretId']}{SUFFIX}")
    yield Need(f"secretsmanager:{operation}", secret)


def _events(operation: str, body: Body) -> Iterator[Need]:
    for bus in {entry["EventBusName"] for entry in body["Entries"]}:
        yield Need(f"events:{operation}", arn("events", f"event-bus/{bus}"))


def _sts(operation: str, body: Body) -> Iterator[Need]:
    """IAM user guide, "Controlling access with IAM policies" of outbound identity federation."""
    audience = tuple(value for key, value in body.items() if key.startswith("Audience.member."))
    yield Need(f"sts:{operation}", context={"sts:IdentityTokenAudience": audience})


# -- ECS ------------------------------------------------------------------------------------------


def _ecs(operation: str, body: Body) -> Iterator[Need]:
    action, cluster = f"ecs:{operation}", _arn_in("ecs", "cluster", body.get("cluster", "default"))
    in_cluster = {"ecs:cluster": (cluster,)}
    match operation:
        case "RunTask":
            definition = _arn_in("ecs", "task-definition", body["taskDefinition"])
            yield Need(action, definition, in_cluster)
            yield from role_arns(body.get("overrides") or {})
            yield from _tagging(operation, body, f"task/{cluster.rpartition('/')[2]}/*")
        case "RegisterTaskDefinition":
            # The reference knows a resource type; ECS's own examples allow it on all resources.
            yield Need(action)
            yield from role_arns(body)
            yield from _tagging(operation, body, f"task-definition/{body['family']}:*")
        case "StopTask":
            yield Need(action, body["task"], in_cluster)
        case "DescribeTasks":
            for task in body["tasks"]:
                yield Need(action, task, in_cluster)
        case "ListTasks":
            # Of a cluster, and not of one of its instances: on all resources, whatever the
            # reference's only resource type is. github.com/cdklabs/construct-hub/pull/1207 has what
            # ECS answers otherwise.
            yield Need(action, context=in_cluster)
        case _:
            yield Need(action)


def _tagging(operation: str, body: Body, resource: str) -> Iterator[Need]:
    """ECS developer guide, "Grant permission to tag resources on creation"."""
    if body.get("tags"):
        yield Need("ecs:TagResource", arn("ecs", resource), {"ecs:CreateAction": (operation,)})


def _arn_in(service: str, kind: str, name: str) -> str:
    return name if name.startswith("arn:") else arn(service, f"{kind}/{name}")


_RESOURCES: Mapping[str, Callable[[str, Body], Iterator[Need]]] = {
    "dynamodb": _dynamodb,
    "ecs": _ecs,
    "events": _events,
    "secretsmanager": _secretsmanager,
    "sqs": _sqs,
    "sts": _sts,
}
