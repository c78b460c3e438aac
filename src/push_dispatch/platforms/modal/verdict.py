"""What does the result of a sandbox say about the attempt? A pure function."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from modal_proto import api_pb2

from push_dispatch.core.model import Observation, Status

__all__ = ["ended", "has_ended"]

_STATUS = api_pb2.GenericResult.GenericStatus
#: Reasons of ends that are not the process's own doing.
_REASONS = {
    _STATUS.Value("GENERIC_STATUS_TERMINATED"): "stopped_on_request",
    _STATUS.Value("GENERIC_STATUS_TIMEOUT"): "timed_out",
    _STATUS.Value("GENERIC_STATUS_IDLE_TIMEOUT"): "timed_out",
    _STATUS.Value("GENERIC_STATUS_INIT_FAILURE"): "resource_initialization_failed",
    _STATUS.Value("GENERIC_STATUS_INTERNAL_FAILURE"): "infrastructure_failure",
    _STATUS.Value("GENERIC_STATUS_MEMORY_MANAGER_EVICTION"): "out_of_memory",
    _STATUS.Value("GENERIC_STATUS_MEMORY_THRASHING_EVICTION"): "out_of_memory",
    _STATUS.Value("GENERIC_STATUS_KERNEL_OOM_KILL"): "out_of_memory",
}
_NOT_AGAIN = {_STATUS.Value("GENERIC_STATUS_INIT_FAILURE")}


def has_ended(result: Any) -> bool:
    """Whether there is a result."""
    return bool(result.status)


def ended(seen: Observation, result: Any) -> Observation:
    """`seen`, ended with this result."""
    done = replace(seen, status=Status.ENDED, message=result.exception[:500] or None)
    if result.status in _REASONS:
        reason, again = _REASONS[result.status], result.status not in _NOT_AGAIN
        return replace(done, reason=reason, retryable=again, exit_code=result.exitcode or None)
    code = 0 if result.status == _STATUS.Value("GENERIC_STATUS_SUCCESS") else result.exitcode
    if code == 0 and result.status == _STATUS.Value("GENERIC_STATUS_FAILURE"):
        return replace(done, reason="infrastructure_failure")
    return replace(done, exit_code=code)
