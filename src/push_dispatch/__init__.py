"""What is push-dispatch? Self-hosted push work pools.

The public API of the package: `Client`, its `RunHandle` and `Job`, and the errors that they raise.
Importing it costs next to nothing: no SDK, no third-party module is loaded until the part that
needs it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from push_dispatch.api.client import Client, Job, RunFailed, RunHandle, TimedOut
    from push_dispatch.core.errors import (
        Conflict,
        Invalid,
        NotFound,
        PushDispatchError,
        Refused,
        Unavailable,
    )
    from push_dispatch.core.model import RunState

    __version__: str

__all__ = [
    "Client",
    "Conflict",
    "Invalid",
    "Job",
    "NotFound",
    "PushDispatchError",
    "Refused",
    "RunFailed",
    "RunHandle",
    "RunState",
    "TimedOut",
    "Unavailable",
    "__version__",
]

_CLIENT = ("Client", "Job", "RunFailed", "RunHandle", "TimedOut")


def __getattr__(name: str) -> Any:
    """Load what is asked for: the functions need none of it, and `importlib.metadata` takes tens
    of milliseconds."""
    from importlib import import_module  # noqa: PLC0415 - the point of this function

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "__version__":
        return import_module("importlib.metadata").version("push-dispatch")
    if name in _CLIENT:
        return getattr(import_module("push_dispatch.api.client"), name)
    module = "core.model" if name == "RunState" else "core.errors"
    return getattr(import_module(f"push_dispatch.{module}"), name)
