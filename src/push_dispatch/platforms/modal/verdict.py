"""What does the result of a sandbox say about the attempt? A pure function."""

from __future__ import annotations

from typing import Any

from modal_proto import api_pb2

from push_dispatch.core.model import Observation
from push_dispatch.core.reasons import Reason
from push_dispatch.platforms.ends import BROKEN, KILLED, End, ended, ends

__all__ = ["ended_with", "has_ended", "status_of"]

ENDS = ends(__name__)
#: Codes of a process that was killed, or that left none.
_KILLED = KILLED | {0}


def has_ended(result: Any) -> bool:
    """Return whether there is a result."""
    return bool(result.status)


def status_of(result: Any) -> str:
    """Return the name of its status, such as `SUCCESS`; that of a later version is `UNKNOWN`."""
    known = api_pb2.GenericResult.GenericStatus
    name = known.Name(result.status) if result.status in known.values() else "UNKNOWN"
    return str(name).removeprefix("GENERIC_STATUS_")


def ended_with(seen: Observation, result: Any) -> Observation:
    """Return `seen`, ended with this result."""
    name, code, message = status_of(result), result.exitcode, result.exception
    if name == "SUCCESS":
        return ended(seen, End(), message, exit_code=0)
    end = next((end for end in ENDS if end.matches(name)), None)
    if end and end.reason == Reason.OUT_OF_MEMORY and code not in _KILLED:
        end = None  # a child was killed: the process itself went on, and said how it ended
    return ended(seen, end or (End() if code else BROKEN), message, exit_code=code or None)
