"""May AWS's services use a customer managed key?"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from push_dispatch.ops.checks import check_key
from push_dispatch.ops.findings import Verdict
from push_dispatch.ops.key_policy import key_policy, lacking

PAGE = Path(__file__).parents[3] / "docs/security.md"
ACCOUNT, REGION = "123456789012", "eu-central-1"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/k"
POLICY = key_policy("aws", REGION, ACCOUNT)
LOGS = f"logs.{REGION}.amazonaws.com"


def test_the_page_shows_the_policy_that_is_printed() -> None:
    [shown] = re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert json.loads(shown) == POLICY


def test_what_is_printed_lacks_nothing() -> None:
    assert lacking(POLICY, KEY) == {}
    assert check_key(KEY, POLICY).verdict is Verdict.OK


@pytest.mark.parametrize(("sid", "service"), [("Logs", LOGS), ("Rules", "events.amazonaws.com")])
def test_a_statement_that_is_missing_is_said_word_by_word(sid: str, service: str) -> None:
    statements = [s for s in POLICY["Statement"] if s["Sid"] != sid]
    finding = check_key(KEY, {"Statement": statements})
    assert finding.verdict is Verdict.PROBLEM
    assert service in finding.message
    [wanted] = [s for s in POLICY["Statement"] if s["Sid"] == sid]
    assert json.dumps(wanted) in finding.remedy


@pytest.mark.parametrize(
    "statement",
    [
        {"Effect": "Deny", "Principal": {"Service": "events.amazonaws.com"}, "Action": "kms:*"},
        {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "kms:*"},
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*"},
        {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "kms:Decrypt",
        },
    ],
)
def test_less_does_not_do(statement: dict[str, Any]) -> None:
    assert "events.amazonaws.com" in lacking({"Statement": statement}, KEY)


def test_services_may_share_a_statement() -> None:
    together = {
        "Effect": "Allow",
        "Principal": {"Service": [LOGS, "events.amazonaws.com"]},
        "Action": ["kms:Decrypt*", "kms:GenerateDataKey*"],
    }
    assert lacking({"Statement": [together]}, KEY) == {}
