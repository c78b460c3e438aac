"""Which errors are there, and what does the caller do next?

Every class is named after the caller's next step, its docstring is its default message, and
every instance carries a *reason*: a stable token from `push_dispatch.core.reasons` that is the same
in the CLI, the API, the logs, the metrics and the documentation.
"""

from __future__ import annotations

from push_dispatch.core.reasons import Reason

__all__ = [
    "Conflict",
    "Invalid",
    "Misconfigured",
    "NoCapacity",
    "NotFound",
    "PlatformError",
    "PushDispatchError",
    "Refused",
    "Rejected",
    "Throttled",
    "Unavailable",
    "Uncertain",
    "Unreadable",
]


class PushDispatchError(Exception):
    """Something went wrong in push-dispatch."""

    #: The token used when the raiser names none.
    default_reason: str = Reason.INTERNAL_ERROR

    def __init__(self, message: str | None = None, *, reason: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        self.reason = reason or self.default_reason
        super().__init__(self.message)


# -- what a person or a program asked for cannot be done -------------------------------------


class Invalid(PushDispatchError):
    """The input is malformed: correct it and ask again."""

    default_reason = Reason.INVALID_INPUT


class NotFound(PushDispatchError):
    """What was named does not exist: check the name."""

    default_reason = Reason.NOT_FOUND


class Refused(PushDispatchError):
    """The request is well-formed, but the present state does not allow it."""

    default_reason = Reason.REFUSED


# -- the store --------------------------------------------------------------------------------


class Conflict(PushDispatchError):
    """Another writer was first: read again, decide again."""

    default_reason = Reason.CONFLICT


class Unavailable(PushDispatchError):
    """The backend cannot be reached or is throttling: try again later."""

    default_reason = Reason.BACKEND_UNAVAILABLE


class Misconfigured(PushDispatchError):
    """The backend refuses this process, or does not exist: correct the rights or the settings."""

    default_reason = Reason.ACCESS_DENIED


class Unreadable(PushDispatchError):
    """An item of the table is malformed: correct it, or remove it."""

    default_reason = Reason.INVALID_INPUT


# -- a platform -------------------------------------------------------------------------------


class PlatformError(PushDispatchError):
    """The platform did not start the attempt."""

    default_reason = Reason.PLATFORM_ERROR


class Rejected(PlatformError):
    """The platform will never accept this request: fail the run."""

    default_reason = Reason.PLATFORM_REJECTED


class Throttled(PlatformError):
    """The platform is rate-limiting: keep the slot and send the same request again later."""

    default_reason = Reason.PLATFORM_THROTTLED

    def __init__(
        self,
        message: str | None = None,
        *,
        reason: str | None = None,
        after_seconds: float | None = None,
    ) -> None:
        super().__init__(message, reason=reason)
        #: How long the platform asked us to wait; None if it did not say.
        self.after_seconds = after_seconds


class NoCapacity(PlatformError):
    """The platform has no room now: take the next fallback, else give the slot back and requeue."""

    default_reason = Reason.NO_CAPACITY


class Uncertain(PlatformError):
    """Whether the attempt was started is unknown: look it up by name, never send again blindly."""

    default_reason = Reason.PUSH_UNCERTAIN
