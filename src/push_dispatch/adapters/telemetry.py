"""How do the functions log and count? JSON lines and CloudWatch's embedded metric format."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import (
    AmazonCloudWatchEMFProvider,
)
from aws_lambda_powertools.utilities.typing import LambdaContext

from push_dispatch.ports.meter import METRICS, Values

__all__ = ["NAMESPACE", "LambdaContext", "logger", "meter"]

NAMESPACE = "PushDispatch"
#: Name of the system: of the stack in AWS. Systems of one account are told apart by it.
_SERVICE = os.environ.get("POWERTOOLS_SERVICE_NAME") or "push-dispatch"
#: Values of one metric in one document; CloudWatch takes 100, and the library writes a document
#: without its dimensions when it has as many.
_VALUES = 50

logger = Logger(service=_SERVICE, log_uncaught_exceptions=False)

# What the use cases log with the standard library comes out in the same JSON.
logging.getLogger("push_dispatch").handlers = logger.handlers
logging.getLogger("push_dispatch").setLevel(logger.log_level)
logging.getLogger("push_dispatch").propagate = False


def meter(values: Values, **dimensions: str) -> None:
    """Print them to standard output as CloudWatch reads them, each metric once: with the dimensions
    given, or for the whole system where alarms look at it (`Metric.of_system`)."""
    for of_system in (False, True):
        some = {n: v for n, v in values.items() if METRICS[n].of_system is of_system}
        for part in _parts(some):
            _print(part, {} if of_system else dimensions, dimensions if of_system else {})


def _print(
    values: Mapping[str, Sequence[float]], dimensions: Mapping[str, str], notes: Mapping[str, str]
) -> None:
    """One document. Notes are in the log, where a query finds them, and cost nothing more."""
    document = AmazonCloudWatchEMFProvider(namespace=NAMESPACE, service=_SERVICE)
    for name, measured in values.items():
        for value in measured:
            document.add_metric(name, METRICS[name].unit, value)
    for dimension, what in dimensions.items():
        document.add_dimension(dimension, what)
    for note, what in notes.items():
        document.add_metadata(note, what)
    document.flush_metrics()


def _parts(values: Values) -> Iterator[dict[str, Sequence[float]]]:
    lists = {name: v if isinstance(v, Sequence) else (v,) for name, v in values.items()}
    for start in range(0, max(map(len, lists.values()), default=0), _VALUES):
        end = start + _VALUES
        yield {name: v[start:end] for name, v in lists.items() if v[start:end]}
