"""What does a collector get to know of a run? Over HTTP, decoded with OpenTelemetry's messages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from push_dispatch.adapters.otlp import Otlp
from push_dispatch.core.model import Attempt, Run, RunState
from push_dispatch.core.reasons import Reason
from push_dispatch.core.request import Request
from push_dispatch.core.tracing import span_of, span_of_attempt
from push_dispatch.engine.stop import cancel
from push_dispatch.engine.submit import submit
from push_dispatch.platforms.base import Job
from push_dispatch.ports.meter import METRICS
from tests.fakes.collector import FakeCollector, attributes_of
from tests.fakes.rest_server import Answer
from tests.fakes.world import POOL, START, World

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
OK, ERROR = 0, 2  # of a span's status: unset, error
INTERNAL, SERVER = 1, 2


@pytest.fixture
def collector() -> Iterator[FakeCollector]:
    with FakeCollector() as made:
        yield made


@pytest.fixture
def otlp(collector: FakeCollector, monkeypatch: pytest.MonkeyPatch) -> Iterator[Otlp]:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    made = Otlp({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}, lasts=False)
    yield made
    made.close()


class Life(World):
    """Runs a run to its end: each attempt waits for a minute, and takes another one."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: list[Job] = []
        self.platform.refuse = self.jobs.append

    def run(self, exits: list[int], **received: Any) -> Run:
        run = submit(self.ports, Request(POOL, **received)).run
        for code in exits:
            self.now += 60_000
            self.sweep()
            self.deliver_all()
            [container] = self.platform.live()
            self.platform.begin(container)
            self.deliver_all()
            self.now += 60_000
            self.platform.end(container, code)
            self.deliver_all()
        return self.ended(run)

    def ended(self, run: Run) -> Run:
        found = self.store.run(POOL, run.uuid)
        assert found is not None
        assert found.state.ended, found.state
        return found


def sent(otlp: Otlp, collector: FakeCollector, run: Run) -> list[Any]:
    assert otlp.export([run])
    return collector.spans


def test_a_run_is_a_span_from_its_submission_to_its_end(
    otlp: Otlp, collector: FakeCollector
) -> None:
    run = replace(Life().run([0], name="nightly", tags=("a", "b")), deployment="report")
    whole, attempt = sent(otlp, collector, run)
    assert whole.name == "RUN report"
    assert whole.kind == SERVER
    assert whole.trace_id.hex() == run.uuid.replace("-", "")
    assert whole.span_id.hex() == span_of(run).span_id
    assert whole.parent_span_id == b""
    assert whole.start_time_unix_nano == START * 1_000_000
    assert whole.end_time_unix_nano == (START + 120_000) * 1_000_000
    assert whole.status.code == OK
    assert attributes_of(whole) == {
        "cicd.pipeline.action.name": "RUN",
        "cicd.pipeline.name": "report",
        "cicd.pipeline.result": "success",
        "cicd.pipeline.run.id": run.id,
        "push_dispatch.pool": POOL,
        "push_dispatch.queue": "default",
        "push_dispatch.reason": "completed",
        "push_dispatch.run.name": "nightly",
        "push_dispatch.run.tags": ["a", "b"],
    }
    assert attempt.trace_id == whole.trace_id
    assert attempt.parent_span_id == whole.span_id
    assert attempt.span_id.hex() == span_of_attempt(run, 1).span_id
    assert attempt.kind == INTERNAL
    assert attempt.name == "attempt process"
    assert attempt.start_time_unix_nano == (START + 60_000) * 1_000_000
    assert attempt.end_time_unix_nano == whole.end_time_unix_nano
    assert [event.name for event in attempt.events] == ["accepted", "running"]
    assert attributes_of(attempt) == {
        "cicd.pipeline.name": "report",
        "cicd.pipeline.run.id": run.id,
        "cicd.pipeline.task.name": "attempt process",
        "cicd.pipeline.task.run.id": f"{run.id}/1",
        "cicd.pipeline.task.run.result": "success",
        "process.exit.code": 0,
        "push_dispatch.attempt": 1,
        "push_dispatch.handle": run.attempts[0].handle,
        "push_dispatch.platform": "process",
        "push_dispatch.pool": POOL,
        "push_dispatch.queue": "default",
    }
    assert collector.resources[0]["service.name"] == "push-dispatch"


def test_a_run_that_was_retried_has_a_span_for_each_attempt(
    otlp: Otlp, collector: FakeCollector
) -> None:
    whole, first, second = sent(otlp, collector, Life().run([3, 0], retries=1))
    assert whole.status.code == OK
    assert (first.status.code, first.status.message) == (ERROR, "exit_code")
    assert attributes_of(first)["cicd.pipeline.task.run.result"] == "failure"
    assert attributes_of(first)["error.type"] == "exit_code"
    assert attributes_of(first)["process.exit.code"] == 3
    assert attributes_of(second)["cicd.pipeline.task.run.result"] == "success"
    assert first.parent_span_id == second.parent_span_id == whole.span_id
    assert first.end_time_unix_nano <= second.start_time_unix_nano


def test_a_failure_is_an_error_that_names_its_reason(otlp: Otlp, collector: FakeCollector) -> None:
    whole, attempt = sent(otlp, collector, Life().run([3]))
    for span in (whole, attempt):
        assert span.status.code == ERROR
        assert attributes_of(span)["error.type"] == "exit_code"
    assert attributes_of(whole)["cicd.pipeline.result"] == "failure"


def test_a_run_that_is_cancelled_is_no_error(otlp: Otlp, collector: FakeCollector) -> None:
    world = Life()
    waiting = submit(world.ports, Request(POOL, at=START + 999_000)).run
    cancel(world.ports, waiting.id)
    running = submit(world.ports, Request(POOL)).run
    world.deliver_all()
    world.deliver_all()
    cancel(world.ports, running.id)
    world.drain()
    assert otlp.export([world.ended(waiting), world.ended(running)])
    never, whole, attempt = collector.spans
    results = [attributes_of(span)["cicd.pipeline.result"] for span in (never, whole)]
    assert results == ["cancellation", "cancellation"]
    assert attributes_of(attempt)["cicd.pipeline.task.run.result"] == "cancellation"
    assert {span.status.code for span in collector.spans} == {OK}
    assert not any("error.type" in attributes_of(span) for span in collector.spans)


ENDED = Run(POOL, "0199c1f0-1111-7222-8333-444455556666", "default", 1000, 1000, "o", ended_at=5000)


@pytest.mark.parametrize(
    ("state", "reason", "result", "status"),
    [
        (RunState.CRASHED, Reason.TIMED_OUT, "timeout", ERROR),
        (RunState.CRASHED, Reason.START_TIMEOUT, "timeout", ERROR),
        (RunState.CRASHED, Reason.OUT_OF_MEMORY, "error", ERROR),
        (RunState.CRASHED, None, "error", ERROR),
        (RunState.CANCELLED, Reason.EXPIRED, "skip", OK),
        (RunState.CANCELLED, Reason.SUPERSEDED, "skip", OK),
    ],
)
def test_how_a_run_ended_is_said_in_the_words_of_the_conventions(
    otlp: Otlp,
    collector: FakeCollector,
    state: RunState,
    reason: Reason | None,
    result: str,
    status: int,
) -> None:
    [span] = sent(otlp, collector, replace(ENDED, state=state, reason=reason))
    found = attributes_of(span)
    assert found["cicd.pipeline.result"] == result
    assert span.status.code == status
    assert found.get("error.type") == (None if status == OK else reason or "_OTHER")


def test_a_clock_that_is_behind_makes_no_span_end_before_it_starts(
    otlp: Otlp, collector: FakeCollector
) -> None:
    attempt = Attempt(1, "ecs", claimed_at=7000, ended_at=6500, reason="exit_code")
    run = replace(ENDED, state=RunState.FAILED, ended_at=900, attempts=(attempt,))
    for span in sent(otlp, collector, run):
        assert span.end_time_unix_nano >= span.start_time_unix_nano


def test_a_run_joins_the_trace_of_who_submitted_it(otlp: Otlp, collector: FakeCollector) -> None:
    given = f"00-{TRACE}-{PARENT}-01"
    whole, attempt = sent(otlp, collector, Life().run([0], traceparent=given))
    assert whole.trace_id.hex() == attempt.trace_id.hex() == TRACE
    assert whole.parent_span_id.hex() == PARENT
    assert attempt.parent_span_id == whole.span_id


def test_a_trace_that_is_not_recorded_is_not_sent(otlp: Otlp, collector: FakeCollector) -> None:
    run = replace(ENDED, state=RunState.COMPLETED, traceparent=f"00-{TRACE}-{PARENT}-00")
    assert sent(otlp, collector, run) == []
    assert collector.points["push_dispatch.ended"]


def test_a_run_that_is_sent_twice_is_the_same_spans_twice(
    otlp: Otlp, collector: FakeCollector
) -> None:
    run = Life().run([3, 0], retries=1)
    spans = sent(otlp, collector, run)
    assert sent(otlp, collector, run) == [*spans, *spans]


def test_a_job_is_handed_the_span_of_its_attempt() -> None:
    given = f"00-{TRACE}-{PARENT}-01"
    for traces in (True, False):
        world = Life()
        world.ports = replace(world.ports, traces=traces)
        run = world.run([3, 0], retries=1, traceparent=given)
        handed = [job.configuration["env"]["TRACEPARENT"] for job in world.jobs]
        spans = [span_of_attempt(run, number).traceparent for number in (1, 2)]
        assert handed == (spans if traces else [given, given])


# -- metrics --------------------------------------------------------------------------------------


def test_ends_are_counted_under_the_conventions(otlp: Otlp, collector: FakeCollector) -> None:
    world = Life()
    assert otlp.export([world.run([0]), world.run([3])])
    points = collector.points
    durations = {
        tuple(sorted(attributes_of(point).items())): (point.count, point.sum)
        for point in points["cicd.pipeline.run.duration"]
    }
    name, state = ("cicd.pipeline.name", POOL), "cicd.pipeline.run.state"
    result = "cicd.pipeline.result"
    assert durations == {
        (name, (state, "pending")): (2, 120.0),
        (name, (result, "success"), (state, "executing")): (1, 60.0),
        (name, (result, "failure"), (state, "executing"), ("error.type", "exit_code")): (1, 60.0),
    }
    [errors] = points["cicd.pipeline.run.errors"]
    assert attributes_of(errors) == {"cicd.pipeline.name": POOL, "error.type": "exit_code"}
    states = {
        attributes_of(point)["push_dispatch.state"]: point.as_int
        for point in points["push_dispatch.ended"]
    }
    assert states == {"COMPLETED": 1, "FAILED": 1}


def test_what_was_counted_is_sent_once(otlp: Otlp, collector: FakeCollector) -> None:
    """By a process that may end at any time: as what was added, not as totals."""
    world = Life()
    assert otlp.export([world.run([0])])
    assert otlp.export([world.run([0])])
    assert [point.count for point in collector.points["push_dispatch.dispatch_latency"]] == [1, 1]


def test_every_metric_can_be_sent(collector: FakeCollector) -> None:
    otlp = Otlp({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}, lasts=True)
    for name, metric in METRICS.items():
        otlp.meter({name: [1000, 2000]}, **dict.fromkeys(metric.dimensions, "x"))
    otlp.close()
    points = collector.points
    assert len(points) == len(METRICS)
    [slots] = points["push_dispatch.slots_used"]
    assert (slots.as_double or slots.as_int) == 2000, "the last one, not the sum"
    [calls] = points["push_dispatch.platform_call_latency"]
    assert (calls.count, calls.sum) == (2, 3.0)
    assert attributes_of(calls) == {"push_dispatch.call": "x", "push_dispatch.platform": "x"}


# -- faults ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 404, 413, 429, 500, 503])
def test_what_a_collector_refuses_is_not_counted(
    otlp: Otlp, collector: FakeCollector, status: int
) -> None:
    run = replace(ENDED, state=RunState.COMPLETED)
    collector.refuse_next(Answer(status, {}, {"Retry-After": "60"}))
    assert not otlp.export([run])
    assert not collector.requests
    assert otlp.export([run])
    assert [point.count for point in collector.points["cicd.pipeline.run.duration"]] == [1]


def test_metrics_that_are_refused_cost_no_trace(otlp: Otlp, collector: FakeCollector) -> None:
    collector.refuse_next(Answer(404), path="/v1/metrics")
    assert otlp.export([replace(ENDED, state=RunState.COMPLETED)])
    assert len(collector.spans) == 1


def test_a_collector_that_is_not_there_is_no_exception(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")
    otlp = Otlp({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1/"}, lasts=False)
    assert not otlp.export([replace(ENDED, state=RunState.COMPLETED)])
    otlp.close()


def test_headers_and_the_name_of_the_service_are_the_callers(
    collector: FakeCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-other=1")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "POWERTOOLS_SERVICE_NAME": "stack"}
    otlp = Otlp(environ, "api-key=a%20b,x-team=c", lasts=False)
    assert otlp.export([replace(ENDED, state=RunState.COMPLETED)])
    otlp.close()
    for headers in collector.headers:
        assert (headers["api-key"], headers["x-team"], headers["x-other"]) == ("a b", "c", "1")
    [resource] = collector.resources
    assert resource["service.name"] == "stack"
    assert resource["deployment.environment.name"] == "test"
