"""Do runs of a local runtime reach a collector, without anything having to wait for it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from push_dispatch.control.pools import create_pool
from push_dispatch.core.model import Pool, Run, RunState
from push_dispatch.core.request import Request
from push_dispatch.core.tracing import span_of_attempt
from push_dispatch.engine.submit import submit
from push_dispatch.local.runtime import LocalRuntime
from push_dispatch.local.traces import Traces, collector_of
from tests.fakes.collector import FakeCollector
from tests.local import eventually

TEMPLATE = {"job_configuration": {"command": "printenv TRACEPARENT"}, "variables": {}}


def test_a_run_of_a_local_runtime_is_traced_from_submission_to_its_job(tmp_path: Path) -> None:
    with FakeCollector() as collector:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        with LocalRuntime("traced", tmp_path, environ) as runtime:
            create_pool(runtime.ports, Pool("etl", "process"), TEMPLATE)
            run = submit(runtime.ports, Request("etl")).run
            eventually(lambda: len(collector.spans) == 2)
            handed = "\n".join(f.read_text() for f in tmp_path.glob("processes/*/log"))
        points = collector.points
    assert handed.strip() == span_of_attempt(run, 1).traceparent
    whole, attempt = collector.spans
    assert whole.trace_id == attempt.trace_id
    assert whole.trace_id.hex() == run.uuid.replace("-", "")
    assert handed.split("-")[2] == attempt.span_id.hex()
    assert {"push_dispatch.admitted", "push_dispatch.ended", "cicd.pipeline.run.duration"} <= set(
        points
    )


@pytest.mark.parametrize("address", ["collector:4317", "", None])
def test_what_is_no_url_is_no_collector(
    address: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    assert collector_of({} if address is None else {"OTEL_EXPORTER_OTLP_ENDPOINT": address}) is None
    assert ("no traces" in caplog.text) is bool(address)


def test_opentelemetrys_own_switch_switches_it_off() -> None:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"}
    assert collector_of(environ) is None


# -- a collector that takes nothing ---------------------------------------------------------------


class Collector:
    """Takes what it is to take."""

    def __init__(self) -> None:
        self.takes = False
        self.tries = 0
        self.taken: list[str] = []

    def export(self, runs: Sequence[Run]) -> bool:
        self.tries += 1
        self.taken += [run.uuid for run in runs] if self.takes else []
        return self.takes

    def close(self) -> None:
        pass


ENDED = Run("etl", "0199c1f0-1111-7222-8333-000000000000", "default", 1, 1, "o")


def runs(number: int) -> list[Run]:
    return [replace(ENDED, uuid=str(n), state=RunState.FAILED) for n in range(number)]


def test_what_is_not_taken_is_sent_again_in_its_order_and_ever_more_rarely() -> None:
    collector = Collector()
    traces = Traces(collector)  # type: ignore[arg-type]
    traces._keep(runs(3))
    assert [traces._step() for _ in range(5)] == [5, 10, 20, 40, 60]
    collector.takes = True
    traces._step()
    assert collector.taken == ["0", "1", "2"]
    traces._keep(runs(1))
    collector.takes = False
    assert traces._step() == 5


def test_the_oldest_are_left_out_when_too_many_wait(caplog: pytest.LogCaptureFixture) -> None:
    collector = Collector()
    traces = Traces(collector)  # type: ignore[arg-type]
    traces._keep(runs(5_003))
    assert "traces of 3 runs are lost" in caplog.text
    collector.takes = True
    traces._step()
    assert collector.taken[0] == "3"
    assert len(collector.taken) == 5_000


def test_a_stop_does_not_wait_for_a_collector_that_hangs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("push_dispatch.local.traces._LAST_SECONDS", 0.01)
    collector = Collector()
    traces = Traces(collector)  # type: ignore[arg-type]
    traces.start()
    traces._keep(runs(1))
    traces.close()
    assert "did not take the last traces" in caplog.text
