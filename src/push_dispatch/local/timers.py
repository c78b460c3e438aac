"""What EventBridge Scheduler does in AWS: the schedules of deployments."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from push_dispatch.control.deployments import all_deployments
from push_dispatch.control.occurrences import occurrences
from push_dispatch.core.deployment import Deployment
from push_dispatch.core.errors import Misconfigured, Unavailable
from push_dispatch.core.schedule import Schedule
from push_dispatch.ports import Ports

__all__ = ["POLLING_SECONDS", "SIGNALLED_SECONDS", "ScheduleTimer"]

log = logging.getLogger(__name__)

#: Firings of one schedule in one step: a laptop that slept does not make up for a whole night.
_MOST = 10
#: Until the deployments are read again, if nobody tells of a change and if somebody does.
POLLING_SECONDS, SIGNALLED_SECONDS = 1.0, 30.0
#: What has become due for so long fires of a deployment that is new to us; not what came before it.
_NEW_MS = 1000


class ScheduleTimer:
    """Fires what has become due between two steps. Firing twice makes one run."""

    def __init__(
        self,
        ports: Ports,
        fire: Callable[[Mapping[str, Any]], object],
        longest: float = POLLING_SECONDS,
    ) -> None:
        """`longest` is for how many seconds a step may let us sleep."""
        self._ports = ports
        self._fire = fire
        self._longest = longest
        self._until = ports.clock()
        #: As of the last step; None before the first.
        self._known: dict[str, Deployment] | None = None

    def step(self) -> float:
        """Fire what has become due since the last step, and return the seconds until the next will
        be. A schedule that fails touches no other.
        Raises Unavailable if the store cannot be reached: all of it is due again."""
        now = self._ports.clock()
        deployments = {d.name: d for d in all_deployments(self._ports) if not d.paused}
        unavailable: Misconfigured | Unavailable | None = None
        following = now + round(self._longest * 1000)
        for deployment, schedule, moment in self._moments(deployments.values(), now):
            if moment > now:
                following = min(following, moment)
                continue
            firing = _firing(deployment, schedule, moment)
            try:
                self._fire(firing)
            except (Misconfigured, Unavailable) as error:
                unavailable = error
            except Exception:
                log.exception("schedule %(schedule)s of %(deployment)s cannot fire", firing)
        if unavailable is not None:
            raise unavailable
        self._until, self._known = now, deployments
        return (following - now) / 1000

    def _moments(
        self, deployments: Iterable[Deployment], now: int
    ) -> Iterator[tuple[Deployment, Schedule, int]]:
        """When each schedule fires since the last step, and the first time after now."""
        for deployment in deployments:
            after = self._until
            if self._known is not None and self._known.get(deployment.name) != deployment:
                after = max(after, now - _NEW_MS)
            for schedule in deployment.schedules:
                for moment in _times(deployment, schedule, after, now):
                    yield deployment, schedule, moment


def _times(deployment: Deployment, schedule: Schedule, after: int, now: int) -> list[int]:
    """The moments later than `after`, up to the first that is later than `now`."""
    if not schedule.active:
        return []
    times: list[int] = []
    try:
        for moment in islice(occurrences(schedule, _moment(after)), _MOST):
            times.append(round(moment.timestamp() * 1000))
            if times[-1] > now:
                break
    except Exception:
        # Not only what is known to go wrong: the others have to fire whatever it is.
        log.exception("schedule %s of %s", schedule.name, deployment.name)
        return []
    return times


def _firing(deployment: Deployment, schedule: Schedule, moment: int) -> dict[str, Any]:
    return {
        "deployment": deployment.name,
        "schedule": schedule.name,
        "time": _moment(moment).isoformat().replace("+00:00", "Z"),
    }


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
