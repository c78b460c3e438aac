"""Does every door answer whatever is said to it, and keep what is refused from its neighbours?

In bounded time and memory, and without the value of a secret that it can read.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given, settings, strategies as st

from push_dispatch.adapters.secret_stores import secrets_from
from push_dispatch.api.gateway import answered
from push_dispatch.core.model import Observation, RunState, Status
from push_dispatch.core.request import Request
from push_dispatch.engine.finish import finish
from push_dispatch.engine.submit import submit
from push_dispatch.handlers import dispatch, finish as ends, report, submit as submission
from push_dispatch.insight.views import run_view
from push_dispatch.platforms.ecs.adapter import Ecs
from push_dispatch.platforms.ecs.handle import Handle
from push_dispatch.ports import Ports
from push_dispatch.ports.reporter import Reporter
from tests.bounded import bounded
from tests.fakes.world import POOL, World

CANARY = "S3cr3t-C4n4ry"
ID = f"{POOL}.0199c1f0-0000-7000-8000-000000000001"
SCALARS = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    st.sampled_from(["\ud800", POOL, ID, "x" * 600, "claim", "end", 10**4299, float("inf"), -1]),
    st.sampled_from(["{{ secrets.x }}", "{{ secrets.push-dispatch/report-key }}"]),
    st.sampled_from(["9999-12-31T23:59:59-23:59", "2026-12-01T08:00Z", "0001-01-01T00:00+14:00"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
FIELDS = (
    *("pool", "queue", "job_variables", "parameters", "deployment", "at", "in_seconds", "tags"),
    *("start_within", "timeout_seconds", "retries", "idempotency_key", "concurrency_key", "name"),
    *("run", "attempt", "what", "by", "exit_code", "schedule", "time", "detail", "id", "verb"),
    *("ended", "due"),
)
DOCUMENTS = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6).map(
    lambda document: json.dumps({"pool": POOL, **document})
)
BODIES = st.one_of(
    DOCUMENTS,
    VALUES.map(json.dumps),
    st.text(max_size=20),
    st.sampled_from(["", "{", "[" * 3000 + "]" * 3000, '{"a":' * 3000 + "1" + "}" * 3000]),
    st.sampled_from(["1" * 5000, '{"pool": NaN}', '{"attempt": 1e999}', "\x00"]),
)


@settings(max_examples=150)
@given(BODIES, st.sampled_from(["", "application/json", "multipart/form-data", "text/plain"]))
@example('{"start_within": 5.0}', "")
def test_the_api_answers_with_no_5xx(body: str, content: str) -> None:
    headers = {"content-type": content} if content else {}
    body = body.replace(f'"pool": "{POOL}", ', "")  # It is in the path.
    path = f"/v1/pools/{POOL}/runs"
    http = {"http": {"method": "POST", "path": path}, "stage": "$default"}
    event = {"rawPath": path, "requestContext": http, "headers": headers, "body": body}
    world = World()
    with bounded():
        answer = answered(_with_secrets(world), event)
    assert answer["statusCode"] < 500, answer
    json.loads(answer["body"])
    assert CANARY not in answer["body"] + repr(world.runs())


@settings(max_examples=150)
@given(BODIES, st.sampled_from(["", "Bearer x", "Bearer \ud800", "Basic x"]), st.booleans())
def test_the_report_function_refuses_and_never_raises(body: str, token: str, encoded: bool) -> None:
    world = World()
    world.ports = _with_secrets(world)
    if encoded:
        body = base64.b64encode(body.encode("utf-8", "replace")).decode()
    headers = {"Authorization": token}
    event = {"headers": headers, "body": body, "isBase64Encoded": encoded}
    with bounded():
        answer = report.handle(world.ports, event)
    assert answer["statusCode"] in (400, 401)
    assert CANARY not in repr(answer)


@settings(max_examples=100)
@given(st.lists(BODIES, max_size=3))
def test_a_request_that_is_refused_is_not_delivered_again(bodies: list[str]) -> None:
    """It would be refused again, five times, and then be a dead letter without a reason."""
    good = json.dumps({"pool": POOL, "job_variables": {"command": "true"}})
    records = [{"messageId": str(n), "body": b} for n, b in enumerate([*bodies, good])]
    world = World()
    with bounded():
        answer = submission.handle(_with_secrets(world), {"Records": records})
    assert answer == {"batchItemFailures": []}
    assert world.runs()
    assert CANARY not in repr(world.runs())


@settings(max_examples=100)
@given(st.lists(BODIES, max_size=3))
def test_a_malformed_wake_costs_no_other(bodies: list[str]) -> None:
    world = World()
    run = submit(world.ports, Request(POOL)).run
    world.deliver_changes(10)
    wakes = [*bodies, json.dumps({"verb": "wake", "pool": POOL, "ended": []})]
    records = [
        {"eventSource": "aws:sqs", "messageId": str(n), "body": body}
        for n, body in enumerate(wakes)
    ]
    with bounded():
        dispatch.handle(world.ports, {"Records": records})
    assert [holder.run for holder in world.store.ledger(POOL).holders] == [run.uuid]


TASK: dict[str, Any] = {
    "taskArn": "arn:aws:ecs:eu-west-1:1:task/c/1",
    "startedBy": "",
    "lastStatus": "STOPPED",
    "desiredStatus": "STOPPED",
    "clusterArn": "arn:aws:ecs:eu-west-1:1:cluster/c",
    "containers": [{"name": "prefect", "exitCode": 0, "lastStatus": "STOPPED", "reason": "x"}],
    "overrides": {"containerOverrides": [{"name": "prefect", "environment": [{"name": "A"}]}]},
    "startedAt": "2026-11-26T08:00:00Z",
    "stoppedAt": "2026-11-26T08:01:00Z",
    "stoppedReason": "Essential container in task exited",
    "stopCode": "EssentialContainerExited",
}
INNER = st.sampled_from(["name", "exitCode", "reason", "lastStatus", "environment", "value"])
SPOILED = VALUES | st.lists(st.dictionaries(INNER, VALUES, max_size=3) | VALUES, max_size=2)


@settings(max_examples=150)
@given(
    detail=VALUES,
    spoiled=st.dictionaries(st.sampled_from(list(TASK)), SPOILED, max_size=3),
    body=BODIES,
)
def test_an_event_of_ecs_ends_its_own_run_whatever_stands_beside_it(
    detail: Any, spoiled: dict[str, Any], body: str
) -> None:
    world = World()
    run = submit(world.ports, Request(POOL)).run
    task = TASK | {"startedBy": f"pd/{POOL}/{UUID(run.uuid).hex}/1"}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(world.platform, "push", lambda _job: str(Handle.of(task)))
        world.deliver_all()
    events = [
        {"source": "aws.ecs", "detail-type": "ECS Task State Change", "detail": each}
        for each in (detail, task | spoiled, task)
    ]
    bodies = [body, *map(json.dumps, events)]
    records = [{"messageId": str(n), "body": each} for n, each in enumerate(bodies)]
    ecs = Ecs({"AWS_REGION": "eu-west-1"})
    ports = replace(_with_secrets(world), platform=lambda _name: ecs)
    with bounded():
        answer = ends.handle(ports, {"Records": records})
    assert {"itemIdentifier": "3"} not in answer["batchItemFailures"]
    [after] = world.runs()
    assert after.uuid == run.uuid
    assert after.state.ended
    json.dumps(run_view(after, None), allow_nan=False).encode()


@settings(max_examples=100)
@given(
    started=st.integers() | st.none(),
    ended=st.integers() | st.none(),
    message=st.text() | st.just("x" * 500_000) | st.just("\ud800"),
    code=st.integers(-(2**31), 2**32),
)
def test_whatever_a_platform_says_can_be_kept_and_shown(
    started: int | None, ended: int | None, message: str, code: int
) -> None:
    world = World()
    run = submit(world.ports, Request(POOL)).run
    world.deliver_all()
    world.deliver_all()
    seen = Observation(
        *(run.id, 1, Status.ENDED),
        exit_code=code,
        started_at=started,
        ended_at=ended,
        message=message,
    )
    after = finish(world.ports, seen)
    assert after is not None
    assert after.state in (RunState.COMPLETED, RunState.FAILED)
    assert len(json.dumps(run_view(after, None)).encode()) < 10_000


def _with_secrets(world: World) -> Ports:
    """It can read a secret, and the key of its reporter: both are the same, to be searched for."""
    secrets = secrets_from({"PUSH_DISPATCH_SECRETS": "env", "PUSH_DISPATCH_SECRET_x": CANARY})
    reporter = Reporter("https://127.0.0.1:1", lambda: CANARY)
    return replace(world.ports, reporter=reporter, secrets=secrets)


@pytest.fixture(autouse=True, scope="module")
def _silence() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
