"""Does everybody hear of a change, whatever is wrong with one record, one hook, or the bus?"""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from push_dispatch.adapters.dynamodb import items
from push_dispatch.adapters.event_bus import EventBus
from push_dispatch.core.model import Run
from push_dispatch.handlers import notify

LIMIT = 262_144


class Bus:
    """Takes what EventBridge takes."""

    def __init__(self, refuses: str = "") -> None:
        self.reported: list[str] = []
        self._refuses = refuses

    def put_events(self, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        size = sum(len(json.dumps(entry).encode()) for entry in Entries)
        refused = any(entry["Resources"] == [self._refuses] for entry in Entries)
        if len(Entries) > 10 or size > LIMIT or refused:
            raise ClientError({"Error": {"Code": "ValidationException"}}, "PutEvents")
        self.reported += [entry["Resources"][0] for entry in Entries]
        return {"FailedEntryCount": 0, "Entries": []}


def run(pool: str = "p", *tags: str, **more: Any) -> Run:
    uuid = str(uuid4())
    return Run(pool, uuid, "default", 1, 1, uuid, tags=tags, **more)


def event(*runs: Run) -> dict[str, Any]:
    return {
        "Records": [
            {
                "dynamodb": {
                    "SequenceNumber": str(number),
                    "Keys": {"PK": {"S": f"RUNS#{each.pool}"}, "SK": {"S": each.uuid}},
                    "NewImage": items.run_item(each),
                }
            }
            for number, each in enumerate(runs)
        ]
    }


@pytest.mark.parametrize("tag", ["x" * 100, "é" * 100, "\x01" * 100])
def test_a_run_with_many_tags_silences_nobody(tag: str) -> None:
    runs = [run("a", *[tag] * 3300) for _ in range(4)] + [run("b") for _ in range(30)]
    bus = Bus()
    answer = notify.handle(EventBus("b", bus), event(*runs))  # type: ignore[arg-type]
    assert answer == {"batchItemFailures": []}
    assert bus.reported == [each.id for each in runs]


def test_what_the_bus_never_takes_is_left_out_alone() -> None:
    runs = [run() for _ in range(12)]
    bus = Bus(refuses=runs[3].id)
    answer = notify.handle(EventBus("b", bus), event(*runs))  # type: ignore[arg-type]
    assert answer == {"batchItemFailures": []}
    assert bus.reported == [each.id for each in runs if each is not runs[3]]


def test_a_malformed_run_is_told_of_when_it_is_ended() -> None:
    wrong = event(run(), run())
    wrong["Records"][0]["dynamodb"]["NewImage"]["due"] = {"N": "1800000000000000"}
    bus = Bus()
    answer = notify.handle(EventBus("b", bus), wrong)  # type: ignore[arg-type]
    assert answer == {"batchItemFailures": []}
    assert len(bus.reported) == 1
