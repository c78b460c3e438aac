"""How do the functions log and count? JSON lines and CloudWatch's embedded metric format."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence

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
    """Print them to standard output as CloudWatch reads them: as metrics with the dimensions
    given, and once more for the whole system, which is what alarms look at."""
    for part in _parts(values):
        document = AmazonCloudWatchEMFProvider(namespace=NAMESPACE, service=_SERVICE)
        for name, measured in part.items():
            for value in measured:
                document.add_metric(name, METRICS[name].unit, value)
        for dimension, what in dimensions.items():
            document.add_dimension(dimension, what)
        document.add_dimensions(service=_SERVICE)
        document.flush_metrics()


def _parts(values: Values) -> Iterator[dict[str, Sequence[float]]]:
    lists = {name: v if isinstance(v, Sequence) else (v,) for name, v in values.items()}
    for start in range(0, max(map(len, lists.values()), default=0), _VALUES):
        end = start + _VALUES
        yield {name: v[start:end] for name, v in lists.items() if v[start:end]}
