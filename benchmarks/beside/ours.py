"""push-dispatch's local runtime, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Self

from benchmarks.beside.sides import NOTHING, Life, Marks, Serving, Spec, cpu_of, until
from push_dispatch.control.pools import change_pool, create_pool
from push_dispatch.core.model import DEFAULT_QUEUE, Pool, Queue, Run
from push_dispatch.core.request import Request, copies
from push_dispatch.engine.submit import submit_many
from push_dispatch.local.connect import ports_of
from push_dispatch.local.discovery import Record
from push_dispatch.ports import Ports

__all__ = ["Ours"]

_ROOT = Path(__file__).parents[2]


class Runtime:
    """One runtime, and how to talk to it."""

    def __init__(self, folder: Path, name: str, marks: Path | None = None) -> None:
        self.marks = Marks(marks) if marks else None
        more = [str(marks)] if marks else []
        self.child = _child(folder, name, str(folder / name), *more)
        assert self.child.stdout is not None
        self.record = self.child.stdout.readline()
        self.ports: Ports = ports_of(Record(**json.loads(self.record)))


class Ours:
    """Two runtimes: one starts processes, the platform of the other starts nothing."""

    name = "push-dispatch"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._of_pool: dict[str, Runtime] = {}
        self._paused: dict[str, bool] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._real = Runtime(self._folder, "real")
            stack.callback(_end, self._real.child)
            self._light = Runtime(self._folder, "light", self._folder / "marks")
            stack.callback(_end, self._light.child)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def create(self, spec: Spec) -> None:
        runtime = self._light if spec.job == NOTHING else self._real
        self._of_pool[spec.name] = runtime
        self._paused[spec.name] = spec.paused
        named = [Queue(name, *order) for name, order in spec.queues.items()]
        queues = (*named, Queue(DEFAULT_QUEUE, len(named) + 1))
        pool = Pool(spec.name, "process", limit=spec.limit, queues=queues, paused=spec.paused)
        create_pool(
            runtime.ports, pool, {"job_configuration": {"command": spec.job}, "variables": {}}
        )

    def submit(self, pool: str, queue: str = "default", runs: int = 1) -> list[str]:
        requests = copies(Request(pool, queue=queue), runs)
        ports = self._of_pool[pool].ports
        ids = [each.run.id for each in submit_many(ports, requests)]
        if self._paused.get(pool):  # They get into line a moment later.
            until(lambda: len(ports.store.line(pool, queue, runs)) == runs, 60)
        return ids

    def unpause(self, pool: str) -> None:
        self._paused[pool] = False
        change_pool(self._of_pool[pool].ports, pool, lambda pool: replace(pool, paused=False))

    @contextmanager
    def serving(self, pools: Sequence[str], how: Serving) -> Iterator[None]:
        """The runtime always does; more dispatchers are processes of their own."""
        with ExitStack() as stack:
            for pool in pools if how.workers > 1 else ():
                for _ in range(how.workers - 1):
                    rival = _child(self._folder, "--rival", self._of_pool[pool].record, pool)
                    stack.callback(_end, rival)
                    assert rival.stdout is not None
                    rival.stdout.readline()
            yield

    def wait(self, pool: str, ids: Sequence[str], *, ended: bool, seconds: float) -> None:
        runtime = self._of_pool[pool]
        if marks := runtime.marks:
            until(lambda: marks.read()["start"].keys() >= set(ids), seconds)
            return
        left = set(ids)

        def over() -> bool:
            runs = self._runs(pool, left)
            left.difference_update(r.id for r in runs if r.state.ended or (_began(r) and not ended))
            return not left

        until(over, seconds, 0.02 if len(left) == 1 else 0.3)

    def lives(self, pool: str, ids: Sequence[str]) -> list[Life]:
        marks = self._of_pool[pool].marks
        starts = marks.read()["start"] if marks else {}
        return [_life(run, starts.get(run.id)) for run in self._runs(pool, set(ids))]

    def claims(self, pool: str, ids: Sequence[str]) -> dict[str, float]:
        runs = self._runs(pool, set(ids))
        return {r.id: r.attempts[0].claimed_at / 1000 for r in runs if r.attempts}

    def cpu(self) -> float:
        # Without their children: those are jobs.
        return cpu_of([each.child.pid for each in (self._real, self._light)], children=False)

    def _runs(self, pool: str, ids: set[str]) -> list[Run]:
        store = self._of_pool[pool].ports.store
        return [run for run in store.list_runs(pool) if run.id in ids]


def _life(run: Run, marked: float | None) -> Life:
    due = run.due / 1000
    if not run.attempts:
        return Life(run.id, run.queue, due)
    started, ended = run.attempts[0].started_at, run.attempts[0].ended_at
    return Life(run.id, run.queue, due, marked or _seconds(started), _seconds(ended))


def _began(run: Run) -> bool:
    return bool(run.attempts and run.attempts[0].started_at)


def _seconds(milliseconds: int | None) -> float | None:
    return milliseconds / 1000 if milliseconds else None


def _child(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.beside.runtime", *arguments],
        cwd=_ROOT,
        env={**os.environ, "XDG_STATE_HOME": str(folder / "home")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )


def _end(child: subprocess.Popen[str]) -> None:
    child.terminate()
    child.wait(60)
