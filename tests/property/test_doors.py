"""Does every door answer whatever is said to it, and keep what is refused from its neighbours?"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from push_dispatch.adapters.secret_stores import secrets_from
from push_dispatch.api.routes import asked
from push_dispatch.core.model import Observation, RunState, Status
from push_dispatch.core.request import Request
from push_dispatch.engine.finish import finish
from push_dispatch.engine.submit import submit
from push_dispatch.handlers import dispatch, report, submit as submission
from push_dispatch.insight.views import run_view
from push_dispatch.ports.reporter import Reporter
from tests.fakes.world import POOL, World

ID = f"{POOL}.0199c1f0-0000-7000-8000-000000000001"
SCALARS = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    st.sampled_from(["\ud800", POOL, ID, "x" * 600, "claim", "end", 10**4299, float("inf"), -1]),
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
@example('{"pool": "p", "start_within": 5.0}', "")
def test_the_api_answers_with_no_5xx(body: str, content: str) -> None:
    headers = {"content-type": content} if content else {}
    http = {"http": {"method": "POST", "path": "/runs"}, "stage": "$default"}
    event = {"rawPath": "/runs", "requestContext": http, "headers": headers, "body": body}
    answer = asked(World().ports, event, None)
    assert answer["statusCode"] < 500, answer
    json.loads(answer["body"])


@settings(max_examples=150)
@given(BODIES, st.sampled_from(["", "Bearer x", "Bearer \ud800", "Basic x"]), st.booleans())
def test_the_report_function_refuses_and_never_raises(body: str, token: str, encoded: bool) -> None:
    world = World()
    world.ports = _with_reporter(world)
    if encoded:
        body = base64.b64encode(body.encode("utf-8", "replace")).decode()
    headers = {"Authorization": token}
    event = {"headers": headers, "body": body, "isBase64Encoded": encoded}
    assert report.handle(world.ports, event)["statusCode"] in (400, 401)


@settings(max_examples=100)
@given(st.lists(BODIES, max_size=3))
def test_a_request_that_is_refused_is_not_delivered_again(bodies: list[str]) -> None:
    """It would be refused again, five times, and then be a dead letter without a reason."""
    good = json.dumps({"pool": POOL, "job_variables": {"command": "true"}})
    records = [{"messageId": str(n), "body": b} for n, b in enumerate([*bodies, good])]
    world = World()
    answer = submission.handle(world.ports, {"Records": records})
    assert answer == {"batchItemFailures": []}
    assert world.runs()


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
    dispatch.handle(world.ports, {"Records": records})
    assert [holder.run for holder in world.store.ledger(POOL).holders] == [run.uuid]


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


def _with_reporter(world: World) -> Any:
    from dataclasses import replace

    secrets = secrets_from({"PUSH_DISPATCH_SECRETS": "env"})
    reporter = Reporter("https://127.0.0.1:1", lambda: "key")
    return replace(world.ports, reporter=reporter, secrets=secrets)


@pytest.fixture(autouse=True, scope="module")
def _silence() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
