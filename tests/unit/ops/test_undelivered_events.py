"""Is an event that a rule could not deliver sent where it should have gone?"""

from __future__ import annotations

from typing import Any

from push_dispatch.ops.dead_letters import Given, redrive, show
from push_dispatch.ops.system import Queue, System

_ARN = "arn:aws:sqs:eu-central-1:123456789012:"
FINISH = Queue(f"{_ARN}finish", "https://sqs/finish")
DEAD = Queue(f"{_ARN}dead", "https://sqs/dead")
#: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
EVENT = {
    "MessageId": "m",
    "ReceiptHandle": "r",
    "Body": '{"source": "aws.ecs"}',
    "MessageAttributes": {
        "RULE_ARN": {"DataType": "String", "StringValue": "arn:aws:events:x:1:rule/task"},
        "TARGET_ARN": {"DataType": "String", "StringValue": FINISH.arn},
        "ERROR_CODE": {"DataType": "String", "StringValue": "NO_PERMISSIONS"},
        "ERROR_MESSAGE": {"DataType": "String", "StringValue": "KMS.AccessDeniedException"},
    },
}


class Sqs:
    """A dead letter queue with one message, and what is done with it."""

    def __init__(self) -> None:
        self.held = [EVENT]
        self.sent: list[dict[str, Any]] = []

    def client(self, _: str) -> Sqs:
        return self

    def receive_message(self, **_: Any) -> dict[str, Any]:
        return {"Messages": list(self.held)}

    def send_message(self, **given: Any) -> None:
        self.sent.append(given)

    def delete_message(self, **_: Any) -> None:
        self.held.clear()

    def change_message_visibility(self, **_: Any) -> None:
        pass


def test_an_event_goes_to_the_target_of_its_rule() -> None:
    account: Any = Sqs()
    system = System(queues={FINISH.arn: FINISH, DEAD.arn: DEAD})
    done = redrive(account, system, Given(DEAD, ()), lambda: None)
    assert done.sent == {"finish": 1}
    [sent] = account.sent
    assert (sent["QueueUrl"], sent["MessageBody"]) == (FINISH.url, EVENT["Body"])
    assert sent["MessageAttributes"] == {}


def test_why_it_was_not_delivered_is_shown() -> None:
    account: Any = Sqs()
    [letter] = show(account, Given(DEAD, ()), 10)
    assert letter.reason == "KMS.AccessDeniedException"
