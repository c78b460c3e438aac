"""A platform on the virtual clock: it starts each name once, takes its time, and goes wrong.

It behaves as ECS is documented to: a request token protects an attempt for an hour after it was
first sent, what was just started is not known everywhere at once, ends are told by events that may
be lost, late or repeated.
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

from push_dispatch.core.errors import NoCapacity, PlatformError, Rejected, Throttled, Uncertain
from push_dispatch.core.model import Observation, Status
from push_dispatch.platforms.base import Capabilities, Job, Watched
from tests.simulation.timeline import Timeline

__all__ = ["Cloud", "Container"]

#: As the adapter of ECS: after this time it looks for what it may have started, and sends nothing.
TOKEN_MS = 50 * 60_000


@dataclass(eq=False)
class Container:
    """One attempt on the platform."""

    job: Job
    born: int
    began: int | None = None
    ended: int | None = None
    exit_code: int | None = None
    stopping: bool = False
    gone: bool = False

    @property
    def live(self) -> bool:
        return self.ended is None and not self.gone


@dataclass
class Cloud:
    """The handle of an attempt is its name."""

    name: ClassVar[str] = "ecs"
    capabilities: ClassVar[Capabilities] = Capabilities(
        finds_by_name=True, reports_events=True, cleans_up=True
    )

    timeline: Timeline
    #: How long an attempt of this run runs, and with which code it ends.
    script: Callable[[Job], tuple[int, int]]
    #: Takes what the platform says by itself.
    tell: Callable[[Mapping[str, Any]], None]
    chance: Callable[[], float]
    #: Containers that there is room for.
    room: int | None = None
    containers: dict[str, Container] = field(default_factory=dict)
    starts: Counter[str] = field(default_factory=Counter)
    #: Calls of `push`, by the name of the attempt.
    pushes: Counter[str] = field(default_factory=Counter)
    #: What it answers now instead of starting anything, and whether it can be reached.
    refuses: PlatformError | None = None
    down: bool = False
    #: The next push: its reply is lost, or it is rejected.
    loses_reply: bool = False
    rejects: bool = False
    #: Names that were rejected, that have vanished, and whose reply was lost.
    rejected: set[str] = field(default_factory=set)
    vanished: set[str] = field(default_factory=set)
    in_doubt: set[str] = field(default_factory=set)
    #: Is told of each start.
    started: Callable[[Container], None] = lambda _container: None
    hurry: bool = False
    #: Whether what was just started may be unknown to an observer.
    lags: bool = True
    refusals: int = 0
    last_refusal: int = 0

    def push(self, job: Job) -> str:
        self.pushes[job.name] += 1
        if self.down:
            raise Uncertain("no connection")
        if self._known(job.name):
            return job.name
        if self.timeline.now - job.claimed_at > TOKEN_MS and job.claimed_at:
            raise Uncertain(f"{job.name} was sent long ago, and not found")
        if self.rejects:
            self.rejects = False
            self.rejected.add(job.name)
            raise Rejected("not like that")
        if self.refuses is not None:
            self._refused()
            raise self.refuses
        if self.room is not None and len(self.live()) >= self.room:
            self._refused()
            raise NoCapacity("no room")
        self._start(job)
        if self.loses_reply:
            self.loses_reply = False
            self.in_doubt.add(job.name)
            raise Uncertain("the reply was lost")
        return job.name

    def find(self, job: Job) -> str | None:
        if self.down:
            raise Uncertain("no connection")
        return job.name if self._known(job.name) else None

    def observe(self, jobs: Sequence[Watched]) -> list[Observation]:
        if self.down:
            return [_seen(job, Status.UNKNOWN) for job in jobs]
        return [self._observed(job) for job in jobs]

    def cancel(self, handle: str) -> None:
        if self.down:
            raise Uncertain("no connection")
        found = self.containers.get(handle)
        if found is not None and found.live and not found.stopping:
            found.stopping = True
            self._in(1000 + self.chance() * 20_000, lambda: self._end(found, 143))

    def clean_up(self, handle: str) -> None:
        if self.down:
            raise Throttled("later")
        found = self.containers.get(handle)
        if found is not None and not found.live:
            found.gone = True

    def parse(self, event: Mapping[str, Any]) -> Observation | None:
        detail = dict(event["detail"])
        return Observation(
            detail["run"],
            detail["attempt"],
            Status(detail["status"]),
            detail["handle"],
            exit_code=detail["exit_code"],
            started_at=detail["started_at"],
            ended_at=detail["ended_at"],
        )

    # -- what happens there ------------------------------------------------------------------------

    def live(self) -> list[Container]:
        """What is not over."""
        return [c for c in self.containers.values() if c.live]

    def vanish(self, container: Container) -> None:
        """It is gone, and no event says so."""
        container.gone = True
        self.vanished.add(container.job.name)

    def fall_silent(self) -> None:
        """It reports nothing from now on, and says so."""
        self.capabilities = Capabilities(finds_by_name=True, cleans_up=True)  # type: ignore[misc]
        self.tell = lambda _event: None

    def hurry_up(self) -> None:
        """Everything ends within a minute from now on."""
        self.hurry = True
        for container in self.live():
            self._in(self.chance() * 60_000, partial(self._end, container, None))

    def _known(self, name: str) -> bool:
        """What has vanished, or was cleaned up, is not found."""
        found = self.containers.get(name)
        return found is not None and not found.gone

    def _start(self, job: Job) -> None:
        container = Container(job, self.timeline.now)
        self.containers[job.name] = container
        self.starts[job.name] += 1
        self.started(container)
        self._in(500 + self.chance() * 30_000, lambda: self._begin(container))

    def _begin(self, container: Container) -> None:
        if not container.live or container.stopping:
            return
        container.began = self.timeline.now
        self._tell(container, Status.RUNNING)
        duration, _ = self.script(container.job)
        most = 20_000 if self.hurry else duration
        self._in(min(duration, most), lambda: self._end(container, None))

    def _end(self, container: Container, code: int | None) -> None:
        if not container.live:
            return
        if code is None:
            if container.began is None:
                container.began = self.timeline.now
            code = 143 if container.stopping else self.script(container.job)[1]
        container.ended, container.exit_code = self.timeline.now, code
        self._tell(container, Status.ENDED)

    def _refused(self) -> None:
        self.refusals += 1
        self.last_refusal = self.timeline.now

    def _in(self, milliseconds: float, act: Callable[[], None]) -> None:
        self.timeline.at(self.timeline.now + int(milliseconds), act)

    def _tell(self, container: Container, status: Status) -> None:
        job = container.job
        detail = {
            "run": job.run_id,
            "attempt": job.attempt,
            "status": status.value,
            "handle": job.name,
            "exit_code": container.exit_code,
            "started_at": container.began,
            "ended_at": container.ended,
        }
        self.tell({"source": "aws.ecs", "detail": detail})

    def _observed(self, job: Watched) -> Observation:
        found = self.containers.get(job.handle)
        if found is None or found.gone:
            return _seen(job, Status.LOST)
        if self.lags and self.timeline.now - found.born < 15_000 and self.chance() < 0.3:
            return _seen(job, Status.LOST)  # Not known everywhere yet.
        if found.ended is not None:
            return Observation(
                job.run_id,
                job.attempt,
                Status.ENDED,
                job.handle,
                exit_code=found.exit_code,
                started_at=found.began,
                ended_at=found.ended,
            )
        status = Status.STARTING if found.began is None else Status.RUNNING
        return _seen(job, status, started_at=found.began)


def _seen(job: Watched, status: Status, **fields: Any) -> Observation:
    return Observation(job.run_id, job.attempt, status, job.handle, **fields)
