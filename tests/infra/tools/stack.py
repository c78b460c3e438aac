"""What is in the deployed stack, and how do people and other systems talk to it?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fakes.ecs import FakeEcs
from tests.local import Cli
from tests.ministack import client

__all__ = ["KEYS", "Stack", "deployed", "listener", "repair_mappings", "tell_of"]

#: The emulator takes any credentials.
KEYS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@dataclass(frozen=True)
class Stack:
    endpoint: str
    outputs: Mapping[str, str]
    #: Configurations by logical name, such as DispatchFunction.
    functions: Mapping[str, Mapping[str, Any]]
    mappings: tuple[Mapping[str, Any], ...]
    #: URLs by logical name, such as FinishQueue.
    queues: Mapping[str, str]
    #: Where the functions find ECS.
    ecs: FakeEcs
    #: URL of a queue of ours that hears what the stack tells on its bus.
    heard: str
    cli: Cli

    def client(self, service: str) -> Any:
        return client(service, self.endpoint)

    def ask_for(self, **detail: Any) -> None:
        """Put a `Run Requested` event on the stack's bus, as any application may."""
        entry = {
            "EventBusName": self.outputs["BusName"],
            "Source": "my.app",
            "DetailType": "Run Requested",
            "Detail": json.dumps(detail),
        }
        reply = self.client("events").put_events(Entries=[entry])
        assert reply["FailedEntryCount"] == 0, reply

    def tell_of(self, token: str) -> None:
        """Do with what ECS tells of a task what the default bus does with it."""
        tell_of(token, self.ecs, self.endpoint)

    def runs(self, pool: str) -> list[dict[str, Any]]:
        """The pool's runs as the command line shows them, the oldest first."""
        listed = self.cli.ok("run", "ls", "--pool", pool, "--json").json
        shown = [self.cli.ok("run", "inspect", run["id"], "--json").json for run in listed]
        return sorted(shown, key=lambda run: str(run["scheduled_time"]))

    def tasks(self, pool: str) -> list[str]:
        """The tokens of the tasks that were started for a pool, in their order."""
        mine = [
            t for t in self.ecs.tasks.values() if t.shown["startedBy"].startswith(f"pd/{pool}/")
        ]
        return [task.token for task in mine]

    def send(self, arn: str, body: str) -> None:
        """A message to the queue of that ARN."""
        _send(arn, body, self.endpoint)

    def take(self, url: str) -> list[Any]:
        """The messages of a queue, which are taken out of it."""
        sqs, taken = self.client("sqs"), []
        while messages := sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            for message in messages:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            taken += messages
        return taken


def deployed(name: str, endpoint: str, ecs: FakeEcs, home: Path) -> Stack:
    """Look up what the stack of that name consists of."""
    [stack] = client("cloudformation", endpoint).describe_stacks(StackName=name)["Stacks"]
    outputs = {o["OutputKey"]: o["OutputValue"] for o in stack["Outputs"]}
    functions = client("lambda", endpoint)
    urls: list[str] = client("sqs", endpoint).list_queues()["QueueUrls"]
    environ = {
        **KEYS,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ENDPOINT_URL_ECS": ecs.url,
        "PUSH_DISPATCH_TABLE": outputs["TableName"],
    }
    return Stack(
        endpoint,
        outputs,
        {_logical(f["FunctionName"]): f for f in functions.list_functions()["Functions"]},
        tuple(functions.list_event_source_mappings()["EventSourceMappings"]),
        {_logical(url): url for url in urls},
        ecs,
        listener(endpoint, outputs["BusName"]),
        Cli(home, environ),
    )


def _logical(physical: str) -> str:
    """`FinishQueue` of `…/push-dispatch-FinishQueue-83E1D7A651B41`."""
    return physical.rsplit("-", 2)[1]


def listener(endpoint: str, bus: str) -> str:
    """URL of a new queue that hears what the system tells on that bus."""
    sqs, events = client("sqs", endpoint), client("events", endpoint)
    url: str = sqs.create_queue(QueueName="heard")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    pattern = json.dumps({"source": ["push-dispatch"]})
    events.put_rule(Name="heard", EventBusName=bus, EventPattern=pattern)
    target = {"Id": "heard", "Arn": attributes["Attributes"]["QueueArn"]}
    events.put_targets(Rule="heard", EventBusName=bus, Targets=[target])
    return url


def repair_mappings(endpoint: str) -> None:
    """Say as a number what MiniStack has taken from a template as text: until then it serves no
    queue. It cannot be seen whether that is needed, as boto3 reads either as a number."""
    lambdas = client("lambda", endpoint)
    for mapping in lambdas.list_event_source_mappings()["EventSourceMappings"]:
        if limit := mapping.get("ScalingConfig", {}).get("MaximumConcurrency"):
            lambdas.update_event_source_mapping(
                UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": limit}
            )


def tell_of(token: str, ecs: FakeEcs, endpoint: str) -> None:
    """Do with what ECS tells of a task what the default bus does with it: at least once and in no
    order. The bus itself takes no events in the name of a service of AWS."""
    events = client("events", endpoint)
    rules = [rule for rule in events.list_rules()["Rules"] if "EventPattern" in rule]
    for reported in ecs.events_as_delivered(token):
        event = json.dumps({"time": "2026-11-23T10:00:00Z", **reported})
        for rule in rules:
            if events.test_event_pattern(EventPattern=rule["EventPattern"], Event=event)["Result"]:
                for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]:
                    _send(target["Arn"], event, endpoint)


def _send(arn: str, body: str, endpoint: str) -> None:
    sqs = client("sqs", endpoint)
    url = sqs.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=body)
