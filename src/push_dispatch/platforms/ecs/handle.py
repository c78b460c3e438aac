"""How is an attempt named towards ECS, and an ECS task towards us?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from push_dispatch.core.model import parse_run_id
from push_dispatch.platforms.base import Job
from push_dispatch.platforms.ecs.definition import container_in

__all__ = ["ROLE", "RUN_ID", "Handle", "own_container", "run_of", "started_by"]

#: The environment variable that marks the container of the command, in requests and in events.
RUN_ID = "PUSH_DISPATCH_RUN_ID"
#: The same for the role of another account, by its path and name.
ROLE = "PUSH_DISPATCH_ROLE"

_ARN = re.compile(
    r"arn:[\w-]+:ecs:(?P<region>[\w-]+):(?P<account>\d*):task/(?:(?P<cluster>[\w-]+)/)?(?P<id>[\w-]+)"
)
_HANDLE = re.compile(
    r"(?P<task>[^#]+)(?:#(?:(?P<definition>[\w-]+:\d+)/(?P<container>[\w-]+))?"
    r"(?:@(?P<role>[\w+=,.@/-]+))?)?"
)
_STARTED_BY = re.compile(r"pd/([\w-]+)/([0-9a-f]{32})/(\d+)")


@dataclass(frozen=True, slots=True)
class Handle:
    """A task, and where its logs are: ECS forgets a task an hour after its end, but not its
    definition. Reads `<task ARN>#<family>:<revision>/<container>`, and with `@<role>` behind it
    for tasks of another account, where only that role may ask for them."""

    task: str
    definition: str = ""
    container: str = ""
    #: Path and name of the role, in the account of the task.
    role: str = ""

    @classmethod
    def parse(cls, text: str) -> Handle:
        """The handle in `text`, which may be a bare ARN; raises ValueError."""
        match = _HANDLE.fullmatch(text)
        if match is None or not _ARN.fullmatch(match["task"]):
            raise ValueError(f"{text!r} is no handle of an ECS task")
        named = (match[group] or "" for group in ("definition", "container", "role"))
        return cls(match["task"], *named)

    @classmethod
    def of(
        cls, task: Mapping[str, Any], definition: str = "", container: str = "", role: str = ""
    ) -> Handle:
        """The handle of a task as RunTask, DescribeTasks or an event shows it, and the ARN of the
        role that asked for it. A replayed RunTask may leave out everything but the task's ARN, so
        what was asked for stands in."""
        shown = own_container(task)
        name = container or (shown.get("name", "") if shown else "")
        arn = task.get("taskDefinitionArn") or definition
        role_name = role.partition(":role/")[2] or _role_of(task)
        return cls(task["taskArn"], arn.rpartition("/")[2], name, role_name)

    def on(self, task: Mapping[str, Any]) -> Handle:
        """Return the handle for a poll of its task. An old one may name no container; then it is
        the one that its request would have named."""
        if self.container or own_container(task):
            return self
        containers = task.get("containers") or []
        return replace(self, container=container_in(containers, None)) if containers else self

    def __str__(self) -> str:
        where = f"{self.definition}/{self.container}" if self.definition and self.container else ""
        who = f"@{self.role}" if self.role else ""
        return f"{self.task}#{where}{who}" if where or who else self.task

    @property
    def role_arn(self) -> str:
        """Empty for tasks of our own account."""
        partition = self.task.split(":")[1]
        account = self._part("account")
        return f"arn:{partition}:iam::{account}:role/{self.role}" if self.role else ""

    @property
    def region(self) -> str:
        return self._part("region")

    @property
    def cluster(self) -> str:
        return self._part("cluster") or "default"

    @property
    def task_id(self) -> str:
        return self._part("id")

    def _part(self, name: str) -> str:
        match = _ARN.fullmatch(self.task)
        return (match[name] or "") if match else ""


def started_by(job: Job) -> str:
    """The task's `startedBy`: it is in every event and survives StopTask, which drops the tags.

    At most 128 letters, digits, `-_/` (RunTask's reference); ours has at most 110.
    """
    pool, uuid = parse_run_id(job.run_id)
    return f"pd/{pool}/{UUID(uuid).hex}/{job.attempt}"


def run_of(started_by: str) -> tuple[str, int] | None:
    """The run's id and the attempt in a `startedBy`; None if the task is not ours."""
    match = _STARTED_BY.fullmatch(started_by)
    return (f"{match[1]}.{UUID(match[2])}", int(match[3])) if match else None


def own_container(task: Mapping[str, Any], name: str = "") -> Mapping[str, Any] | None:
    """Return the container that runs the command: the one named, else the one whose override says
    whose run it is, else the only one. None if that is not known: never a guess."""
    containers: list[Mapping[str, Any]] = task.get("containers") or []
    wanted = name or _marked(task)
    if wanted:
        return next((shown for shown in containers if shown.get("name") == wanted), None)
    return containers[0] if len(containers) == 1 else None


def _marked(task: Mapping[str, Any]) -> str:
    """Return the name of the container whose override has the run's id; empty if not just one."""
    names = [str(override.get("name", "")) for override in _overrides_of(task)]
    return names[0] if len(names) == 1 else ""


def _role_of(task: Mapping[str, Any]) -> str:
    """Return the role that asked for the task, which its events say as well."""
    values = (_environment(override).get(ROLE, "") for override in _overrides_of(task))
    return next((value for value in values if value), "")


def _overrides_of(task: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    overrides = (task.get("overrides") or {}).get("containerOverrides") or []
    return [override for override in overrides if RUN_ID in _environment(override)]


def _environment(override: Mapping[str, Any]) -> dict[str, str]:
    entries = override.get("environment") or []
    return {str(entry.get("name")): str(entry.get("value")) for entry in entries}
