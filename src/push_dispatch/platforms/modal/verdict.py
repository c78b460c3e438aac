"""What does the result of a sandbox say about the attempt? A pure function."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from modal_proto import api_pb2

from push_dispatch.core.model import Observation, Status

__all__ = ["ended", "has_ended", "status_of"]

#: Reasons of ends that are not the process's own doing. By name: not every version of the client
#: knows all of them.
_REASONS = {
    "TERMINATED": "stopped_on_request",
    "TIMEOUT": "timed_out",
    "IDLE_TIMEOUT": "timed_out",
    "INIT_FAILURE": "resource_initialization_failed",
    "INTERNAL_FAILURE": "infrastructure_failure",
    "MEMORY_MANAGER_EVICTION": "out_of_memory",
    "MEMORY_THRASHING_EVICTION": "out_of_memory",
    "KERNEL_OOM_KILL": "out_of_memory",
}
#: Codes of a process that was killed, or that left none.
_KILLED = {0, 137, 143}


def has_ended(result: Any) -> bool:
    """Return whether there is a result."""
    return bool(result.status)


def status_of(result: Any) -> str:
    """Return the name of its status, such as `SUCCESS`; that of a later version is `UNKNOWN`."""
    known = api_pb2.GenericResult.GenericStatus
    name = known.Name(result.status) if result.status in known.values() else "UNKNOWN"
    return str(name).removeprefix("GENERIC_STATUS_")


def ended(seen: Observation, result: Any) -> Observation:
    """Return `seen`, ended with this result."""
    done = replace(seen, status=Status.ENDED, message=result.exception[:500] or None)
    name, code = status_of(result), result.exitcode
    if name == "SUCCESS":
        return replace(done, exit_code=0)
    reason = _REASONS.get(name)
    if reason == "out_of_memory" and code not in _KILLED:
        reason = None  # a child was killed: the process itself went on, and said how it ended
    if reason is None and code:
        return replace(done, exit_code=code)
    return replace(
        done,
        reason=reason or "infrastructure_failure",
        retryable=name != "INIT_FAILURE",
        exit_code=code or None,
    )
