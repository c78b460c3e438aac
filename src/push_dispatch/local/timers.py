"""What EventBridge Scheduler does in AWS: the schedules of deployments."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from push_dispatch.control.deployments import Deployment, from_document
from push_dispatch.control.occurrences import occurrences
from push_dispatch.core.errors import PushDispatchError
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
        """Fire what has become due since the last step."""
        now = self._ports.clock()
        for firing in self._due(self._until, now):
            self._fire(firing)
        self._until = now
        return 1

    def _due(self, after: int, until: int) -> Iterator[dict[str, Any]]:
        for name, document in self._ports.store.deployments().items():
            deployment = from_document(name, document)
            if not deployment.paused:
                yield from _firings(deployment, _moment(after), _moment(until))


def _firings(deployment: Deployment, after: datetime, until: datetime) -> Iterator[dict[str, Any]]:
    for schedule in deployment.schedules:
        if not schedule.active:
            continue
        try:
            for count, moment in enumerate(occurrences(schedule, after)):
                if moment > until or count == _MOST:
                    break
                yield {
                    "deployment": deployment.name,
                    "schedule": schedule.name,
                    "time": moment.astimezone(UTC).isoformat().replace("+00:00", "Z"),
                }
        except PushDispatchError as error:
            log.warning("schedule %s of %s: %s", schedule.name, deployment.name, error.message)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
