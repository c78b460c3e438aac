"""The API function: pools, deployments and runs, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from push_dispatch import bootstrap
from push_dispatch.adapters.telemetry import LambdaContext
from push_dispatch.api.gateway import answered

__all__ = ["handler"]


def handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Lambda entry point for a function URL or an HTTP API (payload format 2.0)."""
    return answered(bootstrap.ports(), event)
