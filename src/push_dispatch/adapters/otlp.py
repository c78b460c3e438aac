"""How do traces and metrics reach a collector? By OTLP over HTTP, with OpenTelemetry's own SDK.

The SDK's exporters read the variables that OpenTelemetry names: OTEL_EXPORTER_OTLP_ENDPOINT,
`…_HEADERS`, `…_TIMEOUT` and the others. Needs the extra `otel`.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext as SdkContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util.re import parse_env_headers

from push_dispatch.core.model import Run
from push_dispatch.core.tracing import SpanContext
from push_dispatch.ports.meter import METRICS, Metric, Values, meter_changes
from push_dispatch.ports.spans import Span, pipeline_of, result_of, spans_of
from push_dispatch.ports.store import Change

__all__ = ["Otlp"]

log = logging.getLogger(__name__)

_SCOPE = "push_dispatch"
_VERSION = version("push-dispatch")
_UNITS = {"Count": "1", "Milliseconds": "s", "Seconds": "s"}
#: Seconds. Runs wait and execute for anything from a second to days.
_BOUNDS = (0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 10_800, 43_200, 86_400)


class Otlp:
    """A collector, found by the environment."""

    def __init__(self, environ: Mapping[str, str], headers: str = "", *, lasts: bool) -> None:
        """`lasts` for a process that goes on: its metrics are sent once a minute, as totals. Else
        they are sent by `export`, as what was added since. `headers`, written as in
        OTEL_EXPORTER_OTLP_HEADERS, go with each request."""
        _log_with_ours()
        given = parse_env_headers(headers, liberal=True) or None
        self._resource = _resource(environ)
        self._traces = OTLPSpanExporter(_endpoint(environ, "traces"), headers=given)
        exporter = OTLPMetricExporter(
            _endpoint(environ, "metrics"),
            headers=given,
            preferred_temporality=None if lasts else dict.fromkeys((Counter, Histogram), _DELTA),
        )
        interval = None if lasts else math.inf
        self._reader = PeriodicExportingMetricReader(exporter, export_interval_millis=interval)
        self._lasts = lasts
        self._provider = MeterProvider([self._reader], self._resource, shutdown_on_exit=False)
        self._instruments = _Instruments(self._provider)

    def export(self, runs: Sequence[Run]) -> bool:
        """Send the spans of runs that have ended, and count them. Return whether the collector took
        the spans: after False nothing was counted. Takes at most twice OTEL_EXPORTER_OTLP_TIMEOUT,
        by default 10 seconds. Never raises for what the collector does."""
        spans = [self._sdk_span(span) for run in runs for span in spans_of(run)]
        if spans and self._traces.export(spans) is not SpanExportResult.SUCCESS:
            return False
        for run in runs:
            self._instruments.count(run)
        meter_changes(self.meter, [Change(run.pool, None, run) for run in runs])
        if not self._lasts:
            self._provider.force_flush()
        return True

    def meter(self, values: Values, **dimensions: str) -> None:
        """Take values of `METRICS`, as `ports.meter.Meter` does."""
        for name, given in values.items():
            for value in given if isinstance(given, Sequence) else (given,):
                self._instruments.take(METRICS[name], value, dimensions)

    def close(self) -> None:
        """Send what was counted, and end. Takes at most OTEL_EXPORTER_OTLP_TIMEOUT."""
        self._provider.shutdown()
        self._traces.shutdown()  # type: ignore[no-untyped-call]

    def _sdk_span(self, span: Span) -> ReadableSpan:
        status = Status(StatusCode.ERROR, span.error) if span.error is not None else Status()
        return ReadableSpan(
            span.name,
            context=_context(span.context),
            parent=None if span.parent is None else _context(span.parent, remote=span.entry),
            resource=self._resource,
            attributes=span.attributes,
            events=[Event(name, timestamp=_nanoseconds(at)) for name, at in span.events],
            kind=SpanKind.SERVER if span.entry else SpanKind.INTERNAL,
            status=status,
            start_time=_nanoseconds(span.start),
            end_time=_nanoseconds(span.end),
            instrumentation_scope=InstrumentationScope(_SCOPE, _VERSION),
        )


class _Instruments:
    """The metrics that exist, and those of the conventions for CI/CD."""

    def __init__(self, provider: MeterProvider) -> None:
        self._meter = provider.get_meter(_SCOPE, _VERSION)
        self._made: dict[str, Any] = {}
        self._duration = self._histogram(
            "cicd.pipeline.run.duration", "Time that runs spend waiting and executing."
        )
        self._errors = self._meter.create_counter(
            "cicd.pipeline.run.errors", "{error}", "Runs that ended as FAILED or CRASHED."
        )

    def count(self, run: Run) -> None:
        """Count a run that has ended."""
        pipeline = {"cicd.pipeline.name": pipeline_of(run)}
        result = result_of(run)
        error = {"error.type": run.reason or "_OTHER"} if result in _FAILED else {}
        started = next((a.started_at or a.pushed_at for a in run.attempts), None)
        ended = run.ended_at or run.submitted_at
        # The due time of a run that was retried is that of its last attempt.
        since = run.submitted_at if run.failures or run.crashes else run.due
        waited = (started or ended) - max(since, run.submitted_at)
        self._duration.record(max(0, waited) / 1000, pipeline | {_STATE: "pending"})
        if started:
            how = {_STATE: "executing", "cicd.pipeline.result": result}
            self._duration.record(max(0, ended - started) / 1000, pipeline | how | error)
        if error:
            self._errors.add(1, pipeline | error)

    def take(self, metric: Metric, value: float, dimensions: Mapping[str, str]) -> None:
        """Take one value."""
        instrument = self._made.get(metric.name) or self._made.setdefault(
            metric.name, self._make(metric)
        )
        attributes = {f"push_dispatch.{name}": what for name, what in dimensions.items()}
        if metric.is_level:
            instrument.set(value, attributes)
        elif metric.unit == "Milliseconds":
            instrument.record(value / 1000, attributes)
        else:
            instrument.add(value, attributes)

    def _make(self, metric: Metric) -> Any:
        name = "push_dispatch." + re.sub(r"(?<!^)(?=[A-Z])", "_", metric.name).lower()
        if metric.is_level:
            return self._meter.create_gauge(name, _UNITS[metric.unit], metric.sentence)
        if metric.unit == "Milliseconds":
            return self._histogram(name, metric.sentence)
        return self._meter.create_counter(name, _UNITS[metric.unit], metric.sentence)

    def _histogram(self, name: str, sentence: str) -> Any:
        return self._meter.create_histogram(
            name, "s", sentence, explicit_bucket_boundaries_advisory=_BOUNDS
        )


_DELTA = AggregationTemporality.DELTA
_STATE = "cicd.pipeline.run.state"
_FAILED = ("failure", "error", "timeout")


def _endpoint(environ: Mapping[str, str], signal: str) -> str:
    if own := environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"):
        return own
    return f"{environ['OTEL_EXPORTER_OTLP_ENDPOINT'].removesuffix('/')}/v1/{signal}"


def _resource(environ: Mapping[str, str]) -> Resource:
    """What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say wins."""
    found = Resource.create()
    unnamed = str(found.attributes[SERVICE_NAME]).startswith("unknown_service")
    name = environ.get("POWERTOOLS_SERVICE_NAME") or "push-dispatch"
    named = Resource({SERVICE_NAME: name} if unnamed else {})
    return Resource({SERVICE_VERSION: _VERSION}).merge(found).merge(named)


def _context(context: SpanContext, *, remote: bool = False) -> SdkContext:
    flags = TraceFlags(TraceFlags.SAMPLED if context.sampled else TraceFlags.DEFAULT)
    return SdkContext(int(context.trace_id, 16), int(context.span_id, 16), remote, flags)


def _nanoseconds(milliseconds: int) -> int:
    return milliseconds * 1_000_000


def _log_with_ours() -> None:
    """What the SDK says about a collector goes where our own log goes."""
    sdk, ours = logging.getLogger("opentelemetry"), logging.getLogger("push_dispatch")
    if ours.handlers:
        sdk.handlers, sdk.propagate = ours.handlers, False
