"""What EventBridge Scheduler does in AWS: the schedules of deployments."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice, takewhile
from typing import Any

from push_dispatch.control.deployments import all_deployments
from push_dispatch.control.occurrences import occurrences
from push_dispatch.core.deployment import Deployment
from push_dispatch.core.errors import Misconfigured, Unavailable
from push_dispatch.ports import Ports

__all__ = ["ScheduleTimer"]

log = logging.getLogger(__name__)

#: Firings of one schedule in one step: a laptop that slept does not make up for a whole night.
_MOST = 10


class ScheduleTimer:
    """Fires what has become due between two steps. Firing twice makes one run."""

    def __init__(self, ports: Ports, fire: Callable[[Mapping[str, Any]], object]) -> None:
        self._ports = ports
        self._fire = fire
        self._until = ports.clock()

    def step(self) -> float:
        """Fire what has become due since the last step. A schedule that fails touches no other.
        Raises Unavailable if the store cannot be reached: all of it is due again."""
        now = self._ports.clock()
        unavailable: Misconfigured | Unavailable | None = None
        for firing in self._due(self._until, now):
            try:
                self._fire(firing)
            except (Misconfigured, Unavailable) as error:
                unavailable = error
            except Exception:
                log.exception("schedule %(schedule)s of %(deployment)s cannot fire", firing)
        if unavailable is not None:
            raise unavailable
        self._until = now
        return 1

    def _due(self, after: int, until: int) -> Iterator[dict[str, Any]]:
        for deployment in all_deployments(self._ports):
            if not deployment.paused:
                yield from _firings(deployment, _moment(after), _moment(until))


def _firings(deployment: Deployment, after: datetime, until: datetime) -> Iterator[dict[str, Any]]:
    for schedule in deployment.schedules:
        if not schedule.active:
            continue
        try:
            times = list(
                islice(takewhile(lambda t: t <= until, occurrences(schedule, after)), _MOST)
            )
        except Exception:
            # Not only what is known to go wrong: the others have to fire whatever it is.
            log.exception("schedule %s of %s", schedule.name, deployment.name)
            continue
        for moment in times:
            yield {
                "deployment": deployment.name,
                "schedule": schedule.name,
                "time": moment.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            }


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
