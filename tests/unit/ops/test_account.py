"""Is what AWS answers about a system read as it is, and what is gone left out?"""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from push_dispatch.ops.account import Account, FunctionFailed, code_of

TABLE = "pools"
ARN = "arn:aws:sqs:eu-west-1:1:"


class Aws:
    """Three functions, of which two are the system's, and their queues."""

    queues = ("ecs", "dead", "wake")

    def __init__(self) -> None:
        self.answer: dict[str, Any] = {"Payload": io.BytesIO(b"null")}

    def client(self, service: str, **_: Any) -> Any:
        return self

    def get_paginator(self, verb: str) -> Any:
        self.verb = verb
        return self

    def paginate(self, **received: Any) -> list[dict[str, Any]]:
        if self.verb == "list_functions":
            mine = {"Variables": {"PUSH_DISPATCH_TABLE": TABLE}}
            sends = {
                "PUSH_DISPATCH_TABLE": TABLE,
                "PUSH_DISPATCH_PLATFORM_QUEUES": json.dumps({"ecs": "url/ecs", "aci": "url/gone"}),
                "PUSH_DISPATCH_WAKE_QUEUE": "url/wake",
            }
            return [
                {"Functions": [{"FunctionName": "push", "Environment": mine}]},
                {
                    "Functions": [
                        {"FunctionName": "other", "Environment": {"Variables": {}}},
                        {"FunctionName": "theirs"},
                        {"FunctionName": "dispatch", "Environment": {"Variables": sends}},
                    ]
                },
            ]
        if received["FunctionName"] != "push":
            return [{"EventSourceMappings": []}]
        source = {"EventSourceArn": f"{ARN}ecs", "State": "Enabled"}
        return [{"EventSourceMappings": [source]}]

    def get_function_configuration(self, FunctionName: str) -> dict[str, Any]:  # noqa: N803
        state = {"State": "Failed", "StateReason": "no image"} if FunctionName == "push" else {}
        return {
            "FunctionArn": f"arn:{FunctionName}",
            "Role": "arn:role",
            "Handler": f"push_dispatch.handlers.{FunctionName}.handler",
            "Timeout": 30,
            **state,
        }

    def get_queue_url(self, QueueName: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        return {"QueueUrl": f"url/{QueueName}"}

    def get_queue_attributes(self, QueueUrl: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        name = QueueUrl.removeprefix("url/")
        if name not in self.queues:
            code = "AWS.SimpleQueueService.NonExistentQueue"
            raise ClientError({"Error": {"Code": code}}, "GetQueueAttributes")
        redrive = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": f"{ARN}dead"})}
        more = redrive if name == "ecs" else {}
        return {"Attributes": {"QueueArn": f"{ARN}{name}", **more}}

    def invoke(self, **received: Any) -> dict[str, Any]:
        assert json.loads(received["Payload"]) == {"sign_in": True}
        return self.answer


@pytest.fixture
def aws() -> Aws:
    return Aws()


@pytest.fixture
def account(aws: Aws) -> Account:
    return Account(aws)  # type: ignore[arg-type]


def test_the_system_is_what_names_the_table(account: Account) -> None:
    system = account.system(TABLE)
    assert [function.name for function in system.functions] == ["push", "dispatch"]
    assert [function.handler for function in system.functions] == ["push", "dispatch"]
    assert [function.state for function in system.functions] == ["Failed: no image", "Active"]
    # Each once: from an environment, from what invokes a function, and from a redrive policy. The
    # queue that is gone is not there.
    assert sorted(system.queues) == [f"{ARN}dead", f"{ARN}ecs", f"{ARN}wake"]


def test_another_error_than_that_a_queue_is_gone_is_not_kept_quiet(
    account: Account, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "GetQueueAttributes")

    monkeypatch.setattr(aws, "get_queue_attributes", denied)
    with pytest.raises(ClientError) as caught:
        account.queues(["url/ecs"])
    assert code_of(caught.value) == "AccessDenied"
    assert code_of(ValueError("x")) == ""


def test_what_a_function_answers_is_its_answer_or_its_failure(account: Account, aws: Aws) -> None:
    aws.answer = {"Payload": io.BytesIO(b'{"signed in": "as runner"}')}
    assert account.invoke("push", {"sign_in": True}) == {"signed in": "as runner"}
    for payload, words in (
        (b'{"errorMessage": "no module"}', "push failed: no module"),
        (b'"killed"', "push failed: killed"),
    ):
        aws.answer = {"Payload": io.BytesIO(payload), "FunctionError": "Unhandled"}
        with pytest.raises(FunctionFailed, match=words):
            account.invoke("push", {"sign_in": True})
