"""How do Python programs use push-dispatch? `Client` is the public API of the package."""

from __future__ import annotations

from push_dispatch.api.client.client import Client
from push_dispatch.api.client.errors import RunFailed, TimedOut
from push_dispatch.api.client.handle import RunHandle
from push_dispatch.api.client.jobs import Job

__all__ = ["Client", "Job", "RunFailed", "RunHandle", "TimedOut"]
