"""A local runtime with a platform whose starts return at once, to measure the way to it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar

from benchmarks.results import Figure
from push_dispatch.control.pools import create_pool
from push_dispatch.core.model import Observation, Pool, Status
from push_dispatch.local.runtime import LocalRuntime
from push_dispatch.platforms.base import Job, Watched
from push_dispatch.ports import Ports

__all__ = ["FIGURES", "Instant", "Nowhere", "figure", "instant_runtime", "process_runtime", "until"]

POOL = "bench"
#: What was measured since the start.
FIGURES: list[Figure] = []


class Instant:
    """Notes when it was asked to start what, in epoch milliseconds."""

    name: ClassVar[str] = "process"

    def __init__(self) -> None:
        self.starts: dict[str, int] = {}
        self._lock = Lock()

    def push(self, job: Job) -> str:
        with self._lock:
            self.starts.setdefault(job.run_id, time.time_ns() // 1_000_000)
        return job.name

    def observe(self, jobs: Sequence[Watched]) -> list[Observation]:
        return [Observation(j.run_id, j.attempt, Status.RUNNING, j.handle) for j in jobs]

    def cancel(self, handle: str) -> None:
        pass


class Nowhere:
    """Messages that reach nobody."""

    def send(self, *_: Any) -> None:
        """Send nothing: no platform takes part."""

    def wake(self, *_: Any) -> None:
        """Wake nobody."""


@contextmanager
def instant_runtime(limit: int | None = None) -> Iterator[tuple[Ports, Instant]]:
    """A local runtime with one pool, and what its platform has seen."""
    instant = Instant()
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        LocalRuntime("bench", Path(folder), platforms={"process": instant}) as runtime,
    ):
        template = {"job_configuration": {"command": "true"}, "variables": {}}
        create_pool(runtime.ports, Pool(POOL, "process", limit=limit), template)
        yield runtime.ports, instant


def until(instant: Instant, count: int, seconds: float) -> None:
    """Wait for so many starts. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while len(instant.starts) < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(instant.starts)} of {count} starts after {seconds} s")
        time.sleep(0.002)


@contextmanager
def process_runtime(command: str, limit: int | None = None) -> Iterator[Ports]:
    """A local runtime with one pool whose runs are real processes."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        LocalRuntime("bench", Path(folder)) as runtime,
    ):
        template = {"job_configuration": {"command": command}, "variables": {}}
        create_pool(runtime.ports, Pool(POOL, "process", limit=limit), template)
        yield runtime.ports


def figure(name: str, value: str, mark: str, was: str) -> None:
    """Print what was measured, beside its mark and what it was with the state in an emulator."""
    FIGURES.append(Figure("", name, value, mark, was))
    print(f"  {name:<44} {value:>10}   (mark {mark}; was {was})")
