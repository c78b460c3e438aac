"""A platform in memory that tells the truth, starts each name once, and fails on demand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from push_dispatch.core.errors import NoCapacity, Rejected, Throttled, Uncertain
from push_dispatch.core.model import Observation, Status
from push_dispatch.platforms.base import Job, Watched

__all__ = ["FAILURES", "Container", "MemoryPlatform"]

#: How a push may fail. With `lost` the attempt is started all the same.
FAILURES = ("throttled", "no_capacity", "lost", "unreachable", "rejected")


@dataclass
class Container:
    """One attempt on the platform."""

    job: Job
    running: bool = False
    ended: bool = False
    exit_code: int | None = None
    stop_asked: bool = False
    started_at: int | None = None
    ended_at: int | None = None


@dataclass
class MemoryPlatform:
    """The handle of an attempt is its name."""

    name: ClassVar[str] = "process"

    containers: dict[str, Container] = field(default_factory=dict)
    #: How often each name was started, also of what has been cleaned up since.
    starts: Counter[str] = field(default_factory=Counter)
    #: What the platform has sent as events and was not delivered yet.
    events: list[Observation] = field(default_factory=list)
    #: The next pushes fail with these, oldest first.
    failures: list[str] = field(default_factory=list)
    #: In epoch milliseconds. Without it the platform does not say when anything happened.
    clock: Callable[[], int | None] = lambda: None
    #: Runs of which an attempt has ended by itself, with success.
    succeeded: set[str] = field(default_factory=set)
    #: Names that were started after that.
    repeated: list[str] = field(default_factory=list)
    #: Asked before each push: raises what the platform answers now, if it takes nothing.
    refuse: Callable[[Job], None] = lambda _job: None

    def push(self, job: Job) -> str:
        self.refuse(job)
        failure = self.failures.pop(0) if self.failures else ""
        match failure:
            case "throttled":
                raise Throttled("slow down")
            case "no_capacity":
                raise NoCapacity("no room")
            case "unreachable":
                raise Uncertain("no connection")
            case "rejected" if job.name not in self.containers:
                raise Rejected("not like that")
        if job.name not in self.containers:
            self.containers[job.name] = Container(job)
            self.starts[job.name] += 1
            if job.run_id in self.succeeded:
                self.repeated.append(job.name)
        if failure == "lost":
            raise Uncertain("the reply was lost")
        return job.name

    def find(self, job: Job) -> str | None:
        return job.name if job.name in self.containers else None

    def observe(self, jobs: Sequence[Watched]) -> list[Observation]:
        return [self._seen(job) for job in jobs]

    def cancel(self, handle: str) -> None:
        if handle in self.containers:
            self.containers[handle].stop_asked = True

    def clean_up(self, handle: str) -> None:
        found = self.containers.get(handle)
        if found is not None and found.ended:
            del self.containers[handle]

    # -- what the test does ------------------------------------------------------------------------

    def live(self) -> list[Container]:
        """What is not over."""
        return [c for c in self.containers.values() if not c.ended]

    def begin(self, container: Container) -> None:
        """The code runs."""
        container.running = True
        container.started_at = container.started_at or self.clock()
        self.events.append(_of(container))

    def end(self, container: Container, exit_code: int) -> None:
        """The code has ended."""
        container.ended, container.exit_code = True, exit_code
        container.ended_at = self.clock()
        if exit_code == 0 and not container.stop_asked:
            self.succeeded.add(container.job.run_id)
        self.events.append(_of(container))

    def vanish(self, container: Container) -> None:
        """It is gone, and nobody will say how it ended."""
        del self.containers[container.job.name]

    def _seen(self, job: Watched) -> Observation:
        found = self.containers.get(job.handle)
        if found is None:
            return Observation(job.run_id, job.attempt, Status.LOST, job.handle)
        return _of(found)


def _of(container: Container) -> Observation:
    job = container.job
    status = Status.STARTING
    if container.ended:
        status = Status.ENDED
    elif container.running:
        status = Status.RUNNING
    return Observation(
        job.run_id,
        job.attempt,
        status,
        job.name,
        exit_code=container.exit_code,
        started_at=container.started_at,
        ended_at=container.ended_at,
    )
