"""What must each function's role allow on what the system has? IAM actions, by handler.

Data, so that a deployment can be checked against it; template.yaml and infra/terraform grant it,
each on the resources that it is about. tests/integration/test_least_privilege.py keeps it equal to
what the functions ask AWS for. What Lambda does in a function's name (read queues and the stream,
write logs) is not in it, nor what table and queues do with a key of one's own (`kms:Decrypt`,
`kms:GenerateDataKey`), what webhooks need, and what each platform needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["NEEDED"]

#: On the system's own table, queues, bus and report key, by module of `push_dispatch.handlers`.
NEEDED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "api": (
            "dynamodb:BatchGetItem",
            "dynamodb:BatchWriteItem",
            "dynamodb:DeleteItem",
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
        "prefect": (
            "dynamodb:BatchGetItem",
            "dynamodb:BatchWriteItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
            "secretsmanager:GetSecretValue",
            "sqs:SendMessage",
        ),
        "push": ("dynamodb:GetItem", "dynamodb:PutItem", "sqs:SendMessage"),
        "report": (
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "secretsmanager:GetSecretValue",
            "sqs:SendMessage",
        ),
        "submit": (
            "dynamodb:BatchGetItem",
            "dynamodb:BatchWriteItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "sqs:SendMessage",
        ),
        "sweep": (
            "dynamodb:BatchGetItem",
            "dynamodb:BatchWriteItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
            "sqs:SendMessage",
        ),
        # It signs with their secrets.
        "webhook": ("secretsmanager:GetSecretValue",),
    }
)
