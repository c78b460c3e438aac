"""Which errors does the client raise? Those of the core, and two about runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from push_dispatch.core.errors import (
    Conflict,
    Invalid,
    NotFound,
    PushDispatchError,
    Refused,
    Unavailable,
)
from push_dispatch.core.reasons import Reason

__all__ = ["RunFailed", "TimedOut", "error_of"]


class RunFailed(PushDispatchError):
    """The run has ended and is not COMPLETED: see `run` for its reason and its attempts."""

    default_reason = Reason.EXIT_CODE

    def __init__(self, run: Mapping[str, Any]) -> None:
        #: The run as the API shows it.
        self.run = dict(run)
        words = f": {run['message']}" if run.get("message") else ""
        super().__init__(f"run {run['id']} is {run['state']}{words}", reason=run.get("reason"))

    def __reduce__(self) -> tuple[type[RunFailed], tuple[dict[str, Any]]]:
        return type(self), (self.run,)


class TimedOut(PushDispatchError, TimeoutError):
    """What was waited for did not happen in time."""

    default_reason = Reason.TIMEOUT


def error_of(status: int, problem: Any) -> PushDispatchError:
    """The error that a reply is; the same class as where the API runs in this process."""
    fields: Mapping[str, Any] = problem if isinstance(problem, Mapping) else {}
    message = str(fields.get("detail") or f"the API answered with status {status}")
    reason = fields.get("reason")
    kind = _KINDS.get(status, Refused if 400 <= status < 500 else Unavailable)
    return (Conflict if reason == Reason.CONFLICT else kind)(message, reason=reason)


_KINDS: dict[int, type[PushDispatchError]] = {
    400: Invalid,
    404: NotFound,
    413: Invalid,
    415: Invalid,
    422: Invalid,
    500: PushDispatchError,
}
