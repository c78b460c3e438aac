"""How do schedules fire in AWS? Each is a schedule of EventBridge Scheduler, in the stack's group.

It sends `{"deployment", "schedule", "time"}` to the queue of requests, which keeps a firing until
it could be submitted: an invocation of the function would be dropped after three tries within
three minutes. Scheduler delivers at least once; the time it was scheduled for is part of the run's
idempotency key.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from push_dispatch.adapters.aws import translated
from push_dispatch.core.errors import Invalid
from push_dispatch.core.reasons import Reason
from push_dispatch.core.schedule import Schedule, expression_of

if TYPE_CHECKING:
    from mypy_boto3_scheduler import EventBridgeSchedulerClient

__all__ = ["EventBridgeSchedules", "name_of"]

#: https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html
_LONGEST_NAME = 64
#: https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
_TIME = "<aws.scheduler.scheduled-time>"


class EventBridgeSchedules:
    """Keeps the schedules of deployments in one group."""

    def __init__(
        self, client: EventBridgeSchedulerClient, group: str, target: str, role: str
    ) -> None:
        """`target` is the ARN of the queue of requests, `role` the one that may send to it."""
        self._client = client
        self._group = group
        self._target = target
        self._role = role

    def sync(self, deployment: str, active: Sequence[Schedule], known: Sequence[Schedule]) -> None:
        """Raises Invalid (`invalid_time`) if AWS refuses an expression,
        Misconfigured, Unavailable."""
        wanted = {name_of(deployment, schedule.name) for schedule in active}
        with translated("EventBridge Scheduler"):
            try:
                for schedule in active:
                    self._put(deployment, schedule)
            except self._client.exceptions.ValidationException as error:
                message = error.response["Error"]["Message"]
                raise Invalid(
                    f"EventBridge Scheduler: {message}", reason=Reason.INVALID_TIME
                ) from error
            for schedule in known:
                if (name := name_of(deployment, schedule.name)) not in wanted:
                    with suppress(self._client.exceptions.ResourceNotFoundException):
                        self._client.delete_schedule(GroupName=self._group, Name=name)

    def astray(self) -> list[str]:
        """Return the names of the group's schedules that do not fire at this target, such as those
        that were saved by an earlier version. Raises Misconfigured, Unavailable."""
        with translated("EventBridge Scheduler"):
            pages = self._client.get_paginator("list_schedules").paginate(GroupName=self._group)
            found = [schedule for page in pages for schedule in page["Schedules"]]
        return [s["Name"] for s in found if s["Target"]["Arn"] != self._target]

    def _put(self, deployment: str, schedule: Schedule) -> None:
        arguments = self._arguments(deployment, schedule)
        try:
            self._client.update_schedule(**arguments)
        except self._client.exceptions.ResourceNotFoundException:
            self._client.create_schedule(**arguments)

    def _arguments(self, deployment: str, schedule: Schedule) -> dict[str, Any]:
        firing = {"deployment": deployment, "schedule": schedule.name, "time": _TIME}
        return {
            "GroupName": self._group,
            "Name": name_of(deployment, schedule.name),
            "Description": f"deployment {deployment}, schedule {schedule.name}"[:512],
            "ScheduleExpression": expression_of(schedule),
            "ScheduleExpressionTimezone": schedule.timezone,
            # The jitter is drawn from the firing's key, so that a second delivery draws the same.
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "ActionAfterCompletion": "DELETE" if schedule.at else "NONE",
            "State": "ENABLED",
            "Target": {"Arn": self._target, "RoleArn": self._role, "Input": json.dumps(firing)},
        }


def name_of(deployment: str, schedule: str) -> str:
    """The name of a schedule: readable if it fits, and unique in any case."""
    name = f"{deployment}.{schedule}"
    if len(name) <= _LONGEST_NAME and re.fullmatch(r"[0-9a-zA-Z_.-]+", name):
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    readable = re.sub(r"[^0-9a-zA-Z_.-]", "-", name)[: _LONGEST_NAME - 17]
    return f"{readable}.{digest}"
