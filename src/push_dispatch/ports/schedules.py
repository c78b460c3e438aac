"""Who fires the schedules of deployments?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from push_dispatch.core.errors import Refused
from push_dispatch.core.reasons import Reason

if TYPE_CHECKING:
    from push_dispatch.core.schedule import Schedule  # with cron: the path of a run reads neither

__all__ = ["NoSchedules", "Schedules", "UnknownSchedules"]


class Schedules(Protocol):
    """Whatever fires schedules."""

    def sync(self, deployment: str, active: Sequence[Schedule], known: Sequence[Schedule]) -> None:
        """Make exactly the `active` schedules of this deployment fire; `known` are those that it
        had before. Idempotent. Raises Unavailable."""
        ...


class NoSchedules:
    """For backends that read schedules from the table themselves, such as the local runtime."""

    def sync(self, deployment: str, active: Sequence[Schedule], known: Sequence[Schedule]) -> None:
        """See `Schedules.sync`."""


class UnknownSchedules:
    """For an AWS deployment whose schedule group is not configured."""

    def sync(self, deployment: str, active: Sequence[Schedule], known: Sequence[Schedule]) -> None:
        """See `Schedules.sync`. Raises Refused (`schedules_unknown`) if there are any: saved here
        they would never fire, and deleted here they would go on."""
        if active or known:
            raise Refused(
                f"the schedules of deployment {deployment!r} cannot be reached: nothing says where "
                "the system keeps them",
                reason=Reason.SCHEDULES_UNKNOWN,
            )
