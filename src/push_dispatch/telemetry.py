"""How do the functions log and count? JSON lines and CloudWatch's embedded metric format."""

from __future__ import annotations

import logging

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

__all__ = ["LambdaContext", "logger", "metrics"]

logger = Logger(service="push-dispatch", log_uncaught_exceptions=False)
metrics = Metrics(namespace="PushDispatch", service="push-dispatch")

# What the use cases log with the standard library comes out in the same JSON.
logging.getLogger("push_dispatch").handlers = logger.handlers
logging.getLogger("push_dispatch").setLevel(logger.log_level)
logging.getLogger("push_dispatch").propagate = False
