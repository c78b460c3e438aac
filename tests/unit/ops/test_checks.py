"""Is each thing that can be wrong with a system told from what is well? By what AWS would say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from push_dispatch.adapters.dynamodb.schema import TABLE
from push_dispatch.engine.sign_in import SignedIn
from push_dispatch.handlers.notify import NOTIFY_FILTERS
from push_dispatch.handlers.stream import STREAM_FILTERS
from push_dispatch.ops.checks import (
    check_clock,
    check_concurrency,
    check_dead_letters,
    check_functions,
    check_pool,
    check_queues,
    check_rules,
    check_sign_in,
    check_streams,
    check_table,
)
from push_dispatch.ops.findings import Finding, Verdict
from push_dispatch.ops.system import Function, Queue, Rule, Source, System

ACCOUNT = "eu-central-1:123456789012"
STREAM = f"arn:aws:dynamodb:{ACCOUNT}:table/t/stream/2026"
OK, WARNING, PROBLEM = Verdict.OK, Verdict.WARNING, Verdict.PROBLEM


def arn(queue: str) -> str:
    return f"arn:aws:sqs:{ACCOUNT}:{queue}"


def url(queue: str) -> str:
    return f"https://sqs.eu-central-1.amazonaws.com/123456789012/{queue}"


def queue(name: str, waiting: int = 0, dead: str = "dead", visibility: int = 180) -> Queue:
    policy = json.dumps({"deadLetterTargetArn": arn(dead), "maxReceiveCount": 5})
    attributes = {"ApproximateNumberOfMessages": str(waiting), "VisibilityTimeout": str(visibility)}
    return Queue(arn(name), url(name), attributes | ({"RedrivePolicy": policy} if dead else {}))


def function(handler: str, *sources: Source, **environ: str) -> Function:
    return Function(
        handler, f"arn:{handler}", f"role-{handler}", handler, 30, environ, sources=sources
    )


def stream(filters: list[dict[str, Any]]) -> Source:
    return Source(STREAM, "Enabled", "OK", tuple(filters), partial=True, on_failure=arn("dead"))


def reads(name: str) -> Source:
    return Source(arn(name), "Enabled", partial=True)


DISPATCH = function(
    "dispatch",
    stream(STREAM_FILTERS),
    reads("wake"),
    PUSH_DISPATCH_WAKE_QUEUE=url("wake"),
    PUSH_DISPATCH_PLATFORM_QUEUES=json.dumps({"ecs": url("ecs"), "managed": url("ecs")}),
)
SUBMIT = function("submit", reads("requests"), PUSH_DISPATCH_REJECTED_QUEUE=url("rejected"))
FUNCTIONS = (
    DISPATCH,
    function("push", reads("ecs")),
    function("finish", reads("finish")),
    function("sweep"),
    SUBMIT,
    function("notify", stream(NOTIFY_FILTERS)),
)
QUEUES = {
    q.arn: q
    for q in (
        *(queue(name) for name in ("wake", "ecs", "finish", "requests")),
        queue("dead", dead=""),
        queue("rejected", dead=""),
    )
}
SOUND = System(FUNCTIONS, QUEUES)


def with_function(handler: str, **changes: Any) -> System:
    changed = [replace(f, **changes) if f.handler == handler else f for f in FUNCTIONS]
    return replace(SOUND, functions=tuple(changed))


def with_queue(changed: Queue) -> System:
    return replace(SOUND, queues={**QUEUES, changed.arn: changed})


def without_queue(name: str) -> System:
    return replace(SOUND, queues={a: q for a, q in QUEUES.items() if q.name != name})


def ill(findings: Any) -> list[tuple[str, Verdict]]:
    """What is not well; each says what to do about it."""
    found: list[Finding] = [f for f in findings if f.verdict is not OK]
    assert all(finding.remedy for finding in found), found
    return [(finding.subject, finding.verdict) for finding in found]


def everything(system: System) -> list[Finding]:
    return [
        *check_functions(system),
        *check_streams(system, STREAM),
        *check_queues(system),
        *check_dead_letters(system),
    ]


def test_a_sound_system_is_well() -> None:
    found = everything(SOUND)
    assert ill(found) == []
    assert [f.check for f in found].count("function") == len(FUNCTIONS)
    assert SOUND.platforms == ("ecs",), "managed needs a cluster of the stack's own"


@pytest.mark.parametrize(
    ("system", "subject", "verdict"),
    [
        (replace(SOUND, functions=FUNCTIONS[1:]), "dispatch", PROBLEM),
        (with_function("sweep", state="Failed: no role"), "sweep", PROBLEM),
        (with_function("sweep", update="Failed: no role"), "sweep", PROBLEM),
        (with_function("sweep", update="InProgress: no reason"), "sweep", WARNING),
        (with_function("dispatch", sources=(reads("wake"),)), "dispatch", PROBLEM),
        (
            with_function("notify", sources=(replace(stream([]), arn=f"{STREAM}0"),)),
            "notify",
            PROBLEM,
        ),
        (with_function("notify", sources=(stream([]),)), "notify", WARNING),
        (
            with_function("notify", sources=(replace(stream(NOTIFY_FILTERS), on_failure=""),)),
            "notify",
            WARNING,
        ),
        (
            with_function("notify", sources=(replace(stream(NOTIFY_FILTERS), state="Disabled"),)),
            "notify",
            PROBLEM,
        ),
        (
            with_function(
                "notify",
                sources=(
                    replace(stream(NOTIFY_FILTERS), last_result="PROBLEM: function call failed"),
                ),
            ),
            "notify",
            PROBLEM,
        ),
        (
            with_function("finish", sources=(replace(reads("finish"), partial=False),)),
            "finish",
            PROBLEM,
        ),
        (without_queue("finish"), "finish", PROBLEM),
        (with_queue(queue("finish", dead="")), "finish", WARNING),
        (with_queue(queue("finish", visibility=179)), "finish", WARNING),
        (with_function("push", sources=()), url("ecs"), PROBLEM),
        (without_queue("dead"), "dead", PROBLEM),
        (with_queue(queue("dead", 2, dead="")), "dead", PROBLEM),
        (with_queue(queue("rejected", 1, dead="")), "rejected", WARNING),
    ],
    ids=[
        "no function",
        "a function that failed",
        "an update that failed",
        "an update under way",
        "no stream",
        "the stream of another table",
        "another filter",
        "no on-failure queue",
        "a stream that is off",
        "a stream that fails",
        "no partial failures",
        "a queue that is gone",
        "no dead-letter queue",
        "messages that come back too soon",
        "a platform without a function",
        "a dead-letter queue that is gone",
        "dead letters",
        "refused requests",
    ],
)
def test_one_thing_that_is_wrong_is_the_only_finding(
    system: System, subject: str, verdict: Verdict
) -> None:
    assert (subject, verdict) in ill(everything(system))
    assert {found for found, _ in ill(everything(system))} == {subject}


def test_a_queue_that_wakes_nobody_is_found() -> None:
    wrong = ill(check_queues(without_queue("wake")))
    assert set(wrong) == {("wake", PROBLEM), (url("wake"), PROBLEM)}


@pytest.mark.parametrize(
    ("skew", "verdict"), [(0, OK), (6, OK), (-6, OK), (7, WARNING), (61, WARNING), (-62, PROBLEM)]
)
def test_a_clock_that_is_wrong_is_found(skew: int, verdict: Verdict) -> None:
    assert check_clock(1_800_000_000_000 + skew * 1000, 1_800_000_000_000).verdict is verdict


def described(**changes: Any) -> Mapping[str, Any]:
    index = {**TABLE["GlobalSecondaryIndexes"][0], "IndexStatus": "ACTIVE"}
    there = {
        "TableName": "t",
        "TableStatus": "ACTIVE",
        "KeySchema": TABLE["KeySchema"],
        "GlobalSecondaryIndexes": [index],
        "StreamSpecification": TABLE["StreamSpecification"],
        "DeletionProtectionEnabled": True,
    }
    return there | changes


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({}, []),
        ({"TableStatus": "ARCHIVED"}, [("table", PROBLEM)]),
        ({"KeySchema": []}, [("table", PROBLEM)]),
        ({"GlobalSecondaryIndexes": []}, [("table", PROBLEM)]),
        ({"StreamSpecification": {"StreamViewType": "NEW_IMAGE"}}, [("stream", PROBLEM)]),
        ({"DeletionProtectionEnabled": False}, [("protection", WARNING)]),
    ],
    ids=["sound", "archived", "other keys", "no index", "another stream", "unprotected"],
)
def test_a_table_that_is_wrong_is_found(
    changes: dict[str, Any], wrong: list[tuple[str, Verdict]]
) -> None:
    found = list(check_table(described(**changes)))
    assert [(f.check, f.verdict) for f in found if f.verdict is not OK] == wrong
    # A table that was restored tells nothing of a stream that it never had.
    bare = {k: v for k, v in described().items() if k != "StreamSpecification"}
    assert ("stream", PROBLEM) in [(f.check, f.verdict) for f in check_table(bare)]


def test_a_rule_that_is_missing_or_off_is_found() -> None:
    assert check_rules("f", [], "x").verdict is PROBLEM
    off = check_rules("f", [Rule("r", "bus", enabled=False)], "nobody hears it")
    assert (off.verdict, off.remedy) == (
        PROBLEM,
        "aws events enable-rule --name r --event-bus-name bus",
    )
    both = [Rule("r", "bus", enabled=False), Rule("s", "bus", enabled=True)]
    assert check_rules("f", both, "x").verdict is OK


def test_pools_and_credentials_are_judged_by_what_is_there() -> None:
    assert list(check_pool("p", ["ecs"], ("ecs",))) == []
    [missing] = check_pool("p", ["ecs", "modal"], ("ecs",))
    assert (missing.verdict, "modal" in missing.message) == (PROBLEM, True)
    assert check_sign_in(SignedIn("ecs", ok=True, message="as me")).verdict is OK
    assert check_sign_in(SignedIn("ours", ok=None, message="cannot be asked")).verdict is WARNING
    denied = check_sign_in(SignedIn("aci", ok=False, message="no", reason="access_denied"))
    assert (denied.verdict, denied.message) == (PROBLEM, "no [access_denied]")
    assert denied.remedy == "Grant the permission named in the message."


@pytest.mark.parametrize(("limit", "verdict"), [(10, WARNING), (49, WARNING), (50, OK), (1000, OK)])
def test_an_account_with_little_concurrency_is_warned_of(limit: int, verdict: Verdict) -> None:
    found = check_concurrency(limit)
    assert found.verdict is verdict
    assert f"{limit:,}" in found.message


def test_a_queue_of_failures_that_a_function_reads_holds_no_dead_letters() -> None:
    """What dispatch fails to handle comes back to it by the queue that wakes it."""
    comes_back = replace(stream(STREAM_FILTERS), on_failure=arn("wake"))
    system = System(
        (function("dispatch", comes_back, reads("wake")),),
        {arn("wake"): queue("wake", waiting=3), arn("dead"): queue("dead", dead="")},
    )
    assert list(system.dead_letter_queues) == [arn("dead")]
    assert [found.verdict for found in check_dead_letters(system)] == [OK]


@pytest.mark.parametrize("text", ["no JSON", "[1]", "7"])
def test_a_variable_that_no_function_can_start_with_is_found(text: str) -> None:
    broken = function("dispatch", PUSH_DISPATCH_PLATFORM_QUEUES=text)
    system = System((broken,), {})
    assert system.platform_queues == {}
    [found] = [
        f for f in check_functions(system) if f.subject == "dispatch" and "JSON" in f.message
    ]
    assert found.verdict is Verdict.PROBLEM
