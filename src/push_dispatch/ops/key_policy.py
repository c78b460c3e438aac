"""What must the policy of a customer managed key allow? AWS services use it in their own names.

A function uses the key by its role; CloudWatch Logs, EventBridge and CloudWatch's alarms have no
role of the account's, so the key itself has to let them. Without EventBridge, ends of tasks and
requests on the bus are dropped, and nothing says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

__all__ = ["key_policy", "lacking"]

Statement = Mapping[str, Any]


def key_policy(partition: str, region: str, account: str) -> dict[str, Any]:
    """Return the whole policy of a key for one account and region."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Account",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:{partition}:iam::{account}:root"},
                "Action": "kms:*",
                "Resource": "*",
            },
            *_statements(partition, region, account).values(),
        ],
    }


def lacking(policy: Mapping[str, Any], key_arn: str) -> dict[str, Statement]:
    """Return the statements that a key's policy lacks, by the service that they are for.

    Conditions are not evaluated: a statement that lets a service decrypt and generate data keys at
    all is taken to be right. What only alarms need is left out.
    """
    _, partition, _, region, account, _ = key_arn.split(":", 5)
    wanted = _statements(partition, region, account)
    del wanted["cloudwatch.amazonaws.com"]
    held = _listed(policy.get("Statement", []))
    return {
        service: statement
        for service, statement in wanted.items()
        if not all(
            any(_allows(each, service, action) for each in held)
            for action in ("kms:Decrypt", "kms:GenerateDataKey")
        )
    }


def _statements(partition: str, region: str, account: str) -> dict[str, Statement]:
    logs = f"logs.{region}.amazonaws.com"
    by_alarms, by_rules = "cloudwatch.amazonaws.com", "events.amazonaws.com"
    group = f"arn:{partition}:logs:{region}:{account}:*"
    return {
        logs: {
            "Sid": "Logs",
            "Effect": "Allow",
            "Principal": {"Service": logs},
            "Action": [
                "kms:Decrypt*",
                "kms:Describe*",
                "kms:Encrypt*",
                "kms:GenerateDataKey*",
                "kms:ReEncrypt*",
            ],
            "Resource": "*",
            "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": group}},
        },
        by_rules: _for_service("Rules", by_rules, account),
        by_alarms: _for_service("Alarms", by_alarms, account),
    }


def _for_service(sid: str, service: str, account: str) -> Statement:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:SourceAccount": account}},
    }


def _allows(statement: Statement, service: str, action: str) -> bool:
    principal = statement.get("Principal", {})
    services = ["*"] if principal == "*" else _listed(principal.get("Service", []))
    actions = _listed(statement.get("Action", []))
    return (
        statement.get("Effect") == "Allow"
        and any(each in ("*", service) for each in services)
        and any(fnmatchcase(action, each) for each in actions)
    )


def _listed(held: Any) -> list[Any]:
    return held if isinstance(held, list) else [held]
