"""What is asked of each of the systems that are measured, and what is known of a run afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psutil

__all__ = [
    "NOTHING",
    "PROCESS_WORKER",
    "Life",
    "Marks",
    "Serving",
    "Side",
    "Spec",
    "cpu_of",
    "until",
]

#: A job that starts nothing: its run has started when the platform is called.
NOTHING = "none"
#: Prefect's own worker for processes; any other pool has the light one of `worker.py`.
PROCESS_WORKER = "process"


@dataclass(frozen=True)
class Spec:
    """A pool: its job is a command, or NOTHING."""

    name: str
    job: str = NOTHING
    limit: int | None = None
    #: Priority and limit of its queues by name.
    queues: Mapping[str, tuple[int, int | None]] = field(default_factory=dict)
    paused: bool = False
    worker: str = "light"


@dataclass(frozen=True)
class Life:
    """One run, in epoch seconds."""

    run: str
    queue: str
    due: float
    started: float | None = None
    ended: float | None = None


@dataclass(frozen=True)
class Serving:
    """Who starts the runs: Prefect's workers and the seconds between their polls. For push-dispatch
    `workers` is the number of processes that decide, and nobody polls."""

    poll: int = 1
    workers: int = 1


class Side(Protocol):
    """A system."""

    name: str

    def create(self, spec: Spec) -> None:
        """Create a pool."""

    def submit(self, pool: str, queue: str = "default", runs: int = 1) -> list[str]:
        """Submit runs that are due at once; their ids, as soon as all of them wait."""

    def unpause(self, pool: str) -> None: ...

    def serving(self, pools: Sequence[str], how: Serving) -> AbstractContextManager[None]:
        """Meanwhile the runs of these pools are started."""

    def wait(self, pool: str, ids: Sequence[str], *, ended: bool, seconds: float) -> None:
        """Until all of them have started, or ended. Raises TimeoutError."""

    def lives(self, pool: str, ids: Sequence[str]) -> list[Life]: ...

    def claims(self, pool: str, ids: Sequence[str]) -> dict[str, float]:
        """When each was claimed: Prefect's state Pending."""

    def cpu(self) -> float:
        """Seconds of CPU of all of its processes but the jobs."""


class Marks:
    """Lines `start ID TIME` and `end ID TIME` of a file that others append to."""

    def __init__(self, path: Path) -> None:
        path.touch()
        self._file = path.open(encoding="ascii")
        self._rest = ""
        self.times: dict[str, dict[str, float]] = {"start": {}, "end": {}}

    def read(self) -> dict[str, dict[str, float]]:
        """By `start` and `end` the times by run, of those that are there."""
        *lines, self._rest = (self._rest + self._file.read()).split("\n")
        for line in lines:
            what, run, at = line.split()
            self.times[what].setdefault(run, float(at))
        return self.times

    def close(self) -> None:
        self._file.close()


def until(condition: Callable[[], bool], seconds: float, pause: float = 0.02) -> None:
    """Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:.0f} s")
        time.sleep(pause)


def cpu_of(roots: Iterable[int], *, children: bool = True) -> float:
    """Seconds of CPU of these processes, and of those that they have started and that live."""
    alive = [psutil.Process(pid) for pid in roots]
    if children:
        alive += [child for root in alive for child in root.children(recursive=True)]
    total = 0.0
    for process in alive:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:  # a job
            continue
        total += times.user + times.system
    return total
