"""A collector of OpenTelemetry: OTLP over HTTP, decoded with OpenTelemetry's own messages."""

from __future__ import annotations

from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.fakes.rest_server import Answer, Request, RestServer

__all__ = ["FakeCollector", "attributes_of"]


_KINDS: dict[str, Any] = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
}


class FakeCollector(RestServer):
    """Takes everything; `refuse_next` makes it refuse."""

    def __init__(self) -> None:
        super().__init__()
        #: What it took, repetitions included.
        self.requests: list[Any] = []
        self.headers: list[dict[str, str]] = []

    def answer(self, request: Request) -> Answer:
        self.requests.append(_KINDS[request.path].FromString(request.body))
        self.headers.append(dict(request.headers))
        return Answer(200, b"", {"Content-Type": "application/x-protobuf"})

    @property
    def resources(self) -> list[dict[str, Any]]:
        """The attributes of each resource that spans are of."""
        return [attributes_of(group.resource) for group in self._groups("resource_spans")]

    @property
    def spans(self) -> list[Any]:
        return [
            span
            for group in self._groups("resource_spans")
            for scope in group.scope_spans
            for span in scope.spans
        ]

    @property
    def points(self) -> dict[str, list[Any]]:
        """The data points of each metric, those of later requests behind those of earlier ones."""
        found: dict[str, list[Any]] = {}
        for group in self._groups("resource_metrics"):
            for scope in group.scope_metrics:
                for metric in scope.metrics:
                    data = getattr(metric, metric.WhichOneof("data"))
                    found.setdefault(metric.name, []).extend(data.data_points)
        return found

    def _groups(self, field: str) -> list[Any]:
        with self.lock:
            return [g for request in self.requests for g in getattr(request, field, ())]


def attributes_of(holder: Any) -> dict[str, Any]:
    """The attributes of a span, a resource or a data point."""
    return {pair.key: _value(pair.value) for pair in holder.attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, kind)
