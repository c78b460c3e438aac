"""What must each function's role allow? IAM actions, by handler and by platform.

Data, so that a deployment can be checked against it; template.yaml and infra/terraform grant it,
each on the resources that it is about. tests/integration/test_least_privilege.py keeps it equal to
what the functions ask AWS for. What Lambda does in a function's name (read queues and the stream,
write logs) is not in it, nor what table and queues do with a key of one's own (`kms:Decrypt`,
`kms:GenerateDataKey`).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["CONTEXT", "NEEDED", "PLATFORM_NEEDS", "WEBHOOK_NEEDS"]

#: On the system's own table, queues, bus and report key, by module of `push_dispatch.handlers`.
NEEDED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "api": (
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
        ),
        "dispatch": (
            "dynamodb:BatchGetItem",
            "dynamodb:BatchWriteItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "sqs:SendMessage",
        ),
        "finish": ("dynamodb:GetItem", "dynamodb:PutItem"),
        "notify": ("events:PutEvents",),
        "push": ("dynamodb:GetItem", "dynamodb:PutItem", "sqs:SendMessage"),
        "report": (
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "secretsmanager:GetSecretValue",
            "sqs:SendMessage",
        ),
        "submit": ("dynamodb:GetItem", "dynamodb:PutItem", "sqs:SendMessage"),
        "sweep": (
            "dynamodb:BatchGetItem",
            "dynamodb:BatchWriteItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
            "sqs:SendMessage",
        ),
    }
)

#: Of `notify` beside, where there are webhooks: it signs with their secrets.
WEBHOOK_NEEDS: tuple[str, ...] = ("secretsmanager:GetSecretValue",)

#: Of the function that pushes to a platform beside, by the platform's name. `ecs` and `managed`
#: have one function together. Secrets only where templates refer to some, or the reporter is used;
#: `sts:GetWebIdentityToken` only where another cloud trusts the role.
PLATFORM_NEEDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "aci": (
            "secretsmanager:DescribeSecret",
            "secretsmanager:GetSecretValue",
            "sts:GetWebIdentityToken",
        ),
        "cloud-run": ("secretsmanager:GetSecretValue", "sts:GetWebIdentityToken"),
        "ecs": (
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcs",
            "ecs:DescribeTaskDefinition",
            "ecs:DescribeTasks",
            "ecs:ListTasks",
            "ecs:RegisterTaskDefinition",
            "ecs:RunTask",
            "ecs:StopTask",
            "ecs:TagResource",
            "iam:PassRole",
            "secretsmanager:DescribeSecret",
            "secretsmanager:GetSecretValue",
        ),
        "managed": (
            "ecs:DescribeTaskDefinition",
            "ecs:DescribeTasks",
            "ecs:ListTasks",
            "ecs:RegisterTaskDefinition",
            "ecs:RunTask",
            "ecs:StopTask",
            "ecs:TagResource",
            "iam:PassRole",
            "secretsmanager:DescribeSecret",
            "secretsmanager:GetSecretValue",
        ),
        "modal": ("secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"),
    }
)

#: Condition keys that the granted statements look at, and a value that passes, for
#: iam:SimulatePrincipalPolicy. Two more have values of the deployment: `ecs:cluster` of
#: `ecs:ListTasks` (an ARN of any cluster of the account and region), `sts:IdentityTokenAudience` of
#: `sts:GetWebIdentityToken` (`https:` and PUSH_DISPATCH_GOOGLE_AUDIENCE; on ACI
#: `api://AzureADTokenExchange`).
CONTEXT: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "ecs:TagResource": MappingProxyType({"ecs:CreateAction": "RunTask"}),
        "iam:PassRole": MappingProxyType({"iam:PassedToService": "ecs-tasks.amazonaws.com"}),
    }
)
