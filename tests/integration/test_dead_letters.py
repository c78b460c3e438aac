"""Is what was given up done after all, by one command, and is nothing lost on the way?

The system is the template, deployed to MiniStack, which redrives as SQS does. It leaves no notes of
batches that a function failed to handle: they are written here, in Lambda's words, about changes
that are in the table's stream.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from push_dispatch.adapters.dynamodb import items, keys
from push_dispatch.core.model import Run
from tests.infra.tools.uncoded import Deployed, environment
from tests.ministack import client

POOL = "given-up"
OLD = "000000000000000000001"


@pytest.fixture
def quiet(deployed: Deployed) -> Iterator[Deployed]:
    """A pool, and functions that nobody invokes but the test."""
    lambdas = deployed.client("lambda")
    off = [
        deployed.source(*named)
        for named in (
            ("dispatch", "dynamodb"),
            ("finish", "sqs"),
            ("submit", "sqs"),
            ("push", "sqs"),
        )
    ]
    with deployed.unswept():
        for uuid in off:
            lambdas.update_event_source_mapping(UUID=uuid, Enabled=False)
        deployed.cli.ok("pool", "create", POOL, "--type", "ecs")
        yield deployed
        for url in deployed.queues.values():
            deployed.client("sqs").purge_queue(QueueUrl=url)
        _remove(deployed)
        for uuid in off:
            lambdas.update_event_source_mapping(UUID=uuid, Enabled=True)


def test_messages_go_back_to_their_queues_and_changes_to_their_function(quiet: Deployed) -> None:
    run = _submitted(quiet)
    _given_up_by_a_queue(quiet, "FinishQueue", "an end")
    _note(quiet, "dispatch", *_in_stream(quiet, run))
    _send(quiet, "DeadLetters", "whose is this?")
    listed = {given["queue"]: given for given in quiet.cli.ok("dead-letters", "ls", "--json").json}
    assert listed[_name(quiet, "DeadLetters")]["messages"] == 3
    shown = quiet.cli.ok("dead-letters", "inspect", "push-dispatch-Dead").out
    assert "FinishQueue" in shown
    assert "the table's stream" in shown
    done = quiet.cli("dead-letters", "redrive", "--json")
    redriven = {reported["queue"]: reported for reported in done.json}
    assert redriven[_name(quiet, "DeadLetters")] == {
        "queue": _name(quiet, "DeadLetters"),
        "sent": {
            _name(quiet, "FinishQueue"): 1,
            quiet.functions["dispatch"]["FunctionName"]: 1,
        },
        "kept": {"nothing says where they come from": 1},
    }
    assert done.code == 1, "one is still there"
    assert _bodies(quiet, "FinishQueue") == ["an end"]
    assert _bodies(quiet, "DeadLetters") == ["whose is this?"]
    # Dispatch has handled the change: the run has been given a slot.
    assert quiet.cli.ok("pool", "inspect", POOL, "--json").json["slots_used"] == 1


def test_what_the_stream_has_forgotten_is_found_by_a_recount(quiet: Deployed) -> None:
    run = _submitted(quiet)
    _age(quiet, run)
    _, shard = _in_stream(quiet, run)
    _note(quiet, "dispatch", OLD, shard)
    _note(quiet, "notify", OLD, shard)
    done = quiet.cli("dead-letters", "redrive", _name(quiet, "DeadLetters"), "--json")
    [redriven] = done.json
    assert redriven["sent"] == {"a recount of every run: they are older than a day": 1}
    [why] = redriven["kept"]
    assert "will not receive them" in why
    assert quiet.cli.ok("pool", "inspect", POOL, "--json").json["queues"][0]["waiting"] == 1


def test_a_function_that_fails_again_keeps_its_changes(quiet: Deployed) -> None:
    run = _submitted(quiet)
    number, shard = _in_stream(quiet, run)
    _note(quiet, "dispatch", number, shard)
    dispatch = quiet.functions["dispatch"]
    gone = json.dumps({"ecs": quiet.queues["EcsQueue"] + "-gone"})
    broken = {"PUSH_DISPATCH_PLATFORM_QUEUES": gone}
    with environment(quiet.client("lambda"), dispatch, **broken):
        done = quiet.cli("dead-letters", "redrive", _name(quiet, "DeadLetters"))
    assert done.code == 1
    assert "fails to handle them: read its log" in done.out
    assert (
        quiet.cli.ok("dead-letters", "redrive", _name(quiet, "DeadLetters"), "--json").json[0][
            "kept"
        ]
        == {}
    )


def test_refused_requests_are_sent_again_when_they_are_asked_for(quiet: Deployed) -> None:
    request = {"id": "1", "detail": {"pool": "there-soon"}}
    quiet.client("sqs").send_message(
        QueueUrl=quiet.queues["RejectedQueue"],
        MessageBody=json.dumps(request),
        MessageAttributes={
            name: {"DataType": "String", "StringValue": text}
            for name, text in (("reason", "pool_not_found"), ("message", "there is no pool"))
        },
    )
    assert quiet.cli.ok("dead-letters", "redrive", "--json").json[-1]["sent"] == {}
    assert "there is no pool" in quiet.cli.ok("dead-letters", "inspect", "rejected").out
    [redriven] = quiet.cli.ok("dead-letters", "redrive", "rejected", "--json").json
    assert redriven["sent"] == {_name(quiet, "RequestQueue"): 1}
    assert [json.loads(body) for body in _bodies(quiet, "RequestQueue")] == [request]
    assert _bodies(quiet, "RejectedQueue") == []


def test_a_queue_has_to_be_named_well_enough(deployed: Deployed) -> None:
    several = deployed.cli("dead-letters", "redrive", "dead")
    assert (several.code, "several queues have 'dead'" in several.err) == (1, True)
    none = deployed.cli("dead-letters", "inspect", "nowhere")
    assert (none.code, "no queue has 'nowhere'" in none.err) == (1, True)


# -- how --------------------------------------------------------------------------------------


def _remove(system: Deployed) -> None:
    """The pool and its runs, as if they had never been."""
    dynamodb = system.client("dynamodb")
    for partition in (keys.runs(POOL), keys.pool(POOL), keys.POOLS):
        found = dynamodb.query(
            TableName=system.table,
            KeyConditionExpression="PK = :pk",
            ExpressionAttributeValues={":pk": {"S": partition}},
        )["Items"]
        for item in found:
            key = {"PK": item["PK"], "SK": item["SK"]}
            dynamodb.delete_item(TableName=system.table, Key=key)


def _submitted(system: Deployed) -> str:
    """The id of a run whose change nobody has handled."""
    return system.cli.ok("run", "submit", POOL).out.strip()


def _age(system: Deployed, run: str) -> None:
    """It was submitted long ago."""
    key = {"PK": {"S": f"RUNS#{POOL}"}, "SK": {"S": run.rpartition(".")[2]}}
    dynamodb = system.client("dynamodb")
    stored: Run = items.read_run(dynamodb.get_item(TableName=system.table, Key=key)["Item"])
    dynamodb.update_item(
        TableName=system.table,
        Key=key,
        UpdateExpression="SET submitted_at = :then",
        ExpressionAttributeValues={":then": {"N": str(stored.submitted_at - 90_000)}},
    )


def _in_stream(system: Deployed, run: str) -> tuple[str, str]:
    """Where in the table's stream the run's insertion is: sequence number and shard."""
    streams = client("dynamodbstreams", system.endpoint)
    arn = _stream(system)
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        iterator = streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        for record in streams.get_records(ShardIterator=iterator)["Records"]:
            if record["dynamodb"]["Keys"]["SK"]["S"] == run.rpartition(".")[2]:
                return record["dynamodb"]["SequenceNumber"], shard["ShardId"]
    raise AssertionError(run)


def _stream(system: Deployed) -> str:
    described = system.client("dynamodb").describe_table(TableName=system.table)
    return str(described["Table"]["LatestStreamArn"])


def _note(system: Deployed, handler: str, number: str, shard: str) -> None:
    """What Lambda leaves behind of a batch of one change, in the words of
    docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html"""
    note = {
        "requestContext": {
            "requestId": "1",
            "functionArn": f"{system.functions[handler]['FunctionArn']}:$LATEST",
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": 11,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST"},
        "version": "1.0",
        "timestamp": "2026-11-25T10:00:00.000Z",
        "DDBStreamBatchInfo": {
            "shardId": shard,
            "startSequenceNumber": number,
            "endSequenceNumber": number,
            "approximateArrivalOfFirstRecord": "2026-11-25T09:59:00Z",
            "approximateArrivalOfLastRecord": "2026-11-25T09:59:00Z",
            "batchSize": 1,
            "streamArn": _stream(system),
        },
    }
    _send(system, "DeadLetters", json.dumps(note))


def _given_up_by_a_queue(system: Deployed, queue: str, body: str) -> None:
    """Received once more than it may be."""
    sqs, url = system.client("sqs"), system.queues[queue]
    _send(system, queue, body)
    for _ in range(200):
        if not sqs.receive_message(QueueUrl=url, VisibilityTimeout=0).get("Messages"):
            return
    raise AssertionError(f"{queue} never gives it up")


def _send(system: Deployed, queue: str, body: str) -> None:
    system.client("sqs").send_message(QueueUrl=system.queues[queue], MessageBody=body)


def _bodies(system: Deployed, queue: str) -> list[str]:
    """What is in a queue; it is taken out."""
    sqs, url = system.client("sqs"), system.queues[queue]
    taken: list[Any] = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        taken += messages
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return [message["Body"] for message in taken]


def _name(system: Deployed, queue: str) -> str:
    return system.queues[queue].rpartition("/")[2]
