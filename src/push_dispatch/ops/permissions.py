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

_RUNS = ("dynamodb:GetItem", "dynamodb:PutItem")
_LINE = ("dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:Query")
_CHANGE = "dynamodb:UpdateItem"
_SEND = "sqs:SendMessage"
_SECRET = "secretsmanager:GetSecretValue"  # noqa: S105 - an action

#: On the system's own table, queues, bus and report key, by module of `push_dispatch.handlers`.
NEEDED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "api": (*_RUNS, *_LINE, _CHANGE, _SEND, "dynamodb:DeleteItem"),
        "dispatch": (*_RUNS, *_LINE, _SEND),
        "finish": (*_RUNS, *_LINE, _SEND),
        "notify": ("events:PutEvents",),
        "prefect": (*_RUNS, *_LINE, _CHANGE, _SECRET, _SEND),
        "push": (*_RUNS, _CHANGE, _SEND),
        "report": (*_RUNS, _SECRET, _SEND),
        "submit": (*_RUNS, *_LINE, _SEND),
        "sweep": (*_RUNS, *_LINE, _CHANGE, _SEND),
        # It reads the runs, and the headers that the collector wants.
        "trace": ("dynamodb:GetItem", _SECRET),
        # It signs with their secrets.
        "webhook": (_SECRET,),
    }
)
