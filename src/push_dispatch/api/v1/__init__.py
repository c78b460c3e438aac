"""What does version 1 of the HTTP API do? `TABLE` has its routes; it dispatches and documents."""

from __future__ import annotations

from push_dispatch.api.v1 import deployments, insights, pools, runs, system
from push_dispatch.api.v1.http import Reply, Request, problem
from push_dispatch.api.v1.table import TABLE

__all__ = [
    "TABLE",
    "Reply",
    "Request",
    "deployments",
    "insights",
    "pools",
    "problem",
    "runs",
    "system",
]
