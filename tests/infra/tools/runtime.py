"""Do the built functions work in Lambda's own runtime client, called as Lambda calls them?

What MiniStack does for the deployed functions is switched off, and done by the project's own pumps
instead, with the filters, sources and destinations of the deployed mappings: partial batch
responses, halving, a limit of deliveries and the on-failure queue are what MiniStack leaves out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from push_dispatch.adapters.dynamodb import keys
from push_dispatch.local.loops import Loop
from push_dispatch.local.queues import QueuePump
from push_dispatch.local.shards import StreamPump
from push_dispatch.local.stream import Delivery
from tests.infra.tools.lambda_runtime import Function, runtime_client
from tests.infra.tools.stack import KEYS, Stack
from tests.local import eventually

__all__ = ["Runtime"]

_EVENTS = Path(__file__).parents[3] / "events"


class Runtime:
    """The functions of a deployed stack, executed here while it lives."""

    def __init__(
        self, stack: Stack, build: Path, folder: Path, elsewhere: Mapping[str, str]
    ) -> None:
        """`elsewhere` says where the functions find services that are not the emulator's."""
        self._stack = stack
        self.log = folder / "functions.log"
        client = runtime_client(folder)
        aws = KEYS | {"AWS_ENDPOINT_URL": stack.endpoint} | dict(elsewhere)
        self._functions = {
            name: Function(
                name=config["FunctionName"],
                handler=config["Handler"],
                code=build / name,
                environ=aws | config["Environment"]["Variables"],
                timeout_seconds=config["Timeout"],
                client=client,
                log=self.log,
            )
            for name, config in stack.functions.items()
        }
        self._loops: list[Loop] = []
        #: Records that a function failed to handle, each with the ARN of where their note goes.
        self._given_up: list[tuple[str, dict[str, Any]]] = []

    def __enter__(self) -> Self:
        _switch_off(self._stack)
        for mapping in self._stack.mappings:
            assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"], mapping
            pump = self._pump(mapping)
            self._loops.append(Loop(mapping["EventSourceArn"], pump.step))
        for loop in self._loops:
            loop.start()
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        for loop in self._loops:
            loop.stop()
        for loop in self._loops:
            loop.join()
        for function in self._functions.values():
            function.close()
        if kind is not None:
            print(self.log.read_text())

    def sweep(self) -> None:
        """Once, with the event that the schedule sends; no pool may fail."""
        # The schedule's own sweep may have come within the minute.
        self._stack.client("dynamodb").delete_item(
            TableName=self._stack.outputs["TableName"],
            Key={"PK": {"S": keys.SWEEP}, "SK": {"S": keys.SWEEP}},
        )
        swept = self._functions["SweepFunction"](_event("schedule-sweep"))
        assert swept["pools"] > 0, swept
        assert swept["failed"] == [], swept

    def pass_over_a_bad_record(self) -> None:
        """A pool that nobody can read costs its neighbours nothing, and the stream goes on."""
        cli = self._stack.cli
        assert self._given_up == []
        cli.ok("pool", "create", "neighbour", "--type", "ecs")
        cli.ok("pool", "create", "spoiled", "--type", "ecs")
        self._spoil("spoiled")
        self._stack.ask_for(pool="neighbour", job_variables={"image": "app:1"})
        eventually(lambda: len(self._stack.tasks("neighbour")) == 1)
        # Delivered again it would be just as malformed: the batch goes on without it.
        assert self._given_up == []

    def _pump(self, mapping: Mapping[str, Any]) -> StreamPump | QueuePump:
        source: str = mapping["EventSourceArn"]
        function = self._function(mapping["FunctionArn"])
        if ":sqs:" in source:
            url = self._stack.client("sqs").get_queue_url(QueueName=source.rpartition(":")[2])
            return QueuePump(self._stack.client("sqs"), url["QueueUrl"], function)
        destination = mapping["DestinationConfig"]["OnFailure"]["Destination"]
        delivery = Delivery(
            function,
            [json.loads(f["Pattern"]) for f in mapping["FilterCriteria"]["Filters"]],
            lambda records: self._give_up(destination, records),
        )
        pump = StreamPump(self._stack.client("dynamodbstreams"), source, delivery)
        pump.begin()
        return pump

    def _function(self, arn: str) -> Function:
        return next(f for f in self._functions.values() if arn.endswith(f":{f.name}"))

    def _give_up(self, destination: str, records: list[dict[str, Any]]) -> None:
        """Lambda would send a note of where they are; here they are kept, to be looked at."""
        self._given_up += [(destination, record) for record in records]

    def _spoil(self, pool: str) -> None:
        """Leave a ledger that cannot be read, and a change that has the pool dispatched."""
        table = self._stack.client("dynamodb")
        name = self._stack.outputs["TableName"]
        partition = {"PK": {"S": keys.pool(pool)}}
        table.put_item(TableName=name, Item={**partition, "SK": {"S": keys.LEDGER}})
        table.update_item(
            TableName=name,
            Key={**partition, "SK": {"S": keys.CONFIG}},
            UpdateExpression="SET touched = :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )


def _switch_off(stack: Stack) -> None:
    for mapping in stack.mappings:
        stack.client("lambda").update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    events = stack.client("events")
    for rule in events.list_rules()["Rules"]:
        if "ScheduleExpression" in rule:
            events.disable_rule(Name=rule["Name"])


def _event(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((_EVENTS / f"{name}.json").read_text())
    return loaded
