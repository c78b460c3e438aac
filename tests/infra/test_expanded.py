"""Is what SAM makes of template.yaml what we want to deploy?

CloudFormation never sees template.yaml, but what SAM's transform makes of it: what SAM adds by
itself is in no source.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from samtranslator.translator.transform import transform  # type: ignore[import-untyped]

from tests.infra.tools.cfn import sam_template

#: The only managed policy: AWS's for the execution role of tasks.
MANAGED = {"ExecutionRole": "service-role/AmazonECSTaskExecutionRolePolicy"}


class _NoPolicies:
    """Where SAM looks up AWS's managed policies; nothing of ours names one to it."""

    def load(self) -> dict[str, str]:
        return {}


@cache
def expanded() -> dict[str, Any]:
    template = json.loads(json.dumps(sam_template()))
    # Where `sam package` puts the code.
    template["Globals"]["Function"]["CodeUri"] = "s3://bucket/key"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        made: dict[str, Any] = transform(template, {}, _NoPolicies())
    return made


def _lint(template: Mapping[str, Any], folder: Path) -> str:
    file = folder / "expanded.json"
    file.write_text(json.dumps(template, indent=1))
    program = [str(Path(sys.executable).with_name("cfn-lint")), str(file)]
    return subprocess.run(program, capture_output=True, text=True, check=False).stdout


@pytest.mark.slow
def test_cfn_lint_finds_nothing_in_what_is_deployed(tmp_path: Path) -> None:
    assert _lint(expanded(), tmp_path) == ""
    # A linter that reads nothing finds nothing.
    mapping = {"FunctionName": "f", "BatchSize": "many"}
    broken = {"Type": "AWS::Lambda::EventSourceMapping", "Properties": mapping}
    assert "E3012" in _lint({"Resources": {"Mapping": broken}}, tmp_path)


def test_sam_adds_no_resource_that_nobody_has_asked_for() -> None:
    ours = set(sam_template()["Resources"])
    added = {
        (name, made["Type"]) for name, made in expanded()["Resources"].items() if name not in ours
    }
    kinds = {kind for _, kind in added}
    assert kinds == {
        "AWS::Events::Rule",
        "AWS::Lambda::EventInvokeConfig",
        "AWS::Lambda::EventSourceMapping",
        "AWS::Lambda::Permission",
    }


def test_no_role_may_use_every_queue_or_stream() -> None:
    roles = {n: r for n, r in expanded()["Resources"].items() if r["Type"] == "AWS::IAM::Role"}
    assert len(roles) > 10
    for name, role in roles.items():
        managed = json.dumps(role["Properties"].get("ManagedPolicyArns", []))
        assert managed == "[]" or MANAGED.get(name, "none") in managed, name
        for statement in _statements(role):
            actions = statement["Action"]
            for action in actions if isinstance(actions, list) else [actions]:
                if action.split(":")[0] in {"sqs", "dynamodb", "logs", "lambda", "kms"}:
                    assert statement["Resource"] != "*", (name, action)


def test_every_function_has_a_role_of_its_own() -> None:
    functions = {
        name: made["Properties"]["Role"]
        for name, made in expanded()["Resources"].items()
        if made["Type"] == "AWS::Lambda::Function"
    }
    assert len(functions) > 6
    for name, role in functions.items():
        assert role == {"Fn::GetAtt": [f"{name}Role", "Arn"]}, name


def _statements(role: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for policy in role["Properties"].get("Policies", []):
        assert policy["PolicyDocument"]["Version"] == "2012-10-17"
        for statement in policy["PolicyDocument"]["Statement"]:
            for each in statement.get("Fn::If", ["", statement])[1:]:
                if "Action" in each:
                    yield each
