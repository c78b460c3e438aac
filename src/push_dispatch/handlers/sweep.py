"""The sweep function: called every minute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from push_dispatch import bootstrap
from push_dispatch.adapters.telemetry import LambdaContext, logger
from push_dispatch.engine.sweep import sweep
from push_dispatch.ports import Ports

__all__ = ["handle", "handler"]


def handler(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Lambda entry point for the schedule."""
    return handle(bootstrap.ports())


def handle(ports: Ports) -> dict[str, Any]:
    """Sweep every pool, and say what was done."""
    swept = asdict(sweep(ports))
    if any(swept.values()):
        logger.debug("swept", extra=swept)
    return swept
