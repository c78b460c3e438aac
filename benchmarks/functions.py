"""What does `kill -9` of dispatchers, pushers, finishers and sweeps lose, at random moments?

python -m benchmarks functions    1,000 kills; KILLS and SEED change that

Each function is a process of its own on one state file, two dispatchers and three pushers among
them, as Lambda runs them; one is killed every few milliseconds, and another takes its place. Their
clock is faster than the real one, so that leases end in time.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from benchmarks.world import POOL, figure
from push_dispatch.adapters.secret_stores import secrets_from
from push_dispatch.adapters.sqlite.database import Database
from push_dispatch.adapters.sqlite.feed import Feed
from push_dispatch.adapters.sqlite.queues import PLATFORMS, WAKES, Queues
from push_dispatch.adapters.sqlite.store import SqliteStore
from push_dispatch.bootstrap import new_id, rest
from push_dispatch.control.pools import create_pool
from push_dispatch.core.model import Observation, Pool, Status
from push_dispatch.core.request import Request, copies
from push_dispatch.engine.finish import finish
from push_dispatch.engine.submit import submit_many
from push_dispatch.handlers import dispatch, push, sweep
from push_dispatch.handlers.stream import STREAM_FILTERS
from push_dispatch.local.queues import MessagePump
from push_dispatch.local.stream import Delivery, FeedPump, log_failed
from push_dispatch.platforms.base import Capabilities, Job, Watched
from push_dispatch.ports import Ports

__all__ = ["main"]

LIMIT, RUNS_A_KILL, JOB_SECONDS = 5, 0.5, 0.03
#: Seconds of theirs in one of ours.
_FAST = 60
_ROLES = ("stream", "wake", "push", "push", "push", "finish", "sweep")
_BEGAN = 1_800_000_000


class Journal:
    """A platform whose attempts are files: made once, and over after a moment."""

    name: ClassVar[str] = "process"
    capabilities: ClassVar[Capabilities] = Capabilities(finds_by_name=True)

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def push(self, job: Job) -> str:
        with suppress(FileExistsError):
            os.close(os.open(self._folder / job.name, os.O_CREAT | os.O_EXCL))
        return job.name

    def find(self, job: Job) -> str | None:
        return job.name if (self._folder / job.name).exists() else None

    def observe(self, jobs: Sequence[Watched]) -> list[Observation]:
        return [self._seen(job) for job in jobs]

    def cancel(self, handle: str) -> None:
        del handle

    def _seen(self, job: Watched) -> Observation:
        try:
            age = time.time() - (self._folder / job.handle).stat().st_mtime
        except FileNotFoundError:
            return Observation(job.run_id, job.attempt, Status.LOST, job.handle)
        if age < JOB_SECONDS:
            return Observation(job.run_id, job.attempt, Status.RUNNING, job.handle)
        return Observation(job.run_id, job.attempt, Status.ENDED, job.handle, exit_code=0)


def main() -> None:
    """Print how many runs were lost, started twice, or held a slot over the limit."""
    kills, seed = int(os.environ.get("KILLS", "1000")), int(os.environ.get("SEED", "1"))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        runs, killed, found = _measure(Path(folder), kills, seed)
    roles = ", ".join(f"{role} {count}" for role, count in sorted(killed.items()))
    print(f"{kills} times kill -9 of a function ({roles}), {runs} runs, seed {seed}")
    for name in ("lost", "started twice", "slots held at the end", "most at once"):
        figure(name, str(found[name]), str(LIMIT) if name == "most at once" else "0", "-")


def _measure(folder: Path, kills: int, seed: int) -> tuple[int, Counter[str], Counter[str]]:
    rng, killed = random.Random(seed), Counter[str]()
    (folder / "attempts").mkdir()
    (folder / "began").write_text(str(time.time()))
    runs = _submit(folder, int(kills * RUNS_A_KILL))
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["benchmarks.functions"])
    children = [processes.Process(target=_serve, args=(folder, role)) for role in _ROLES]
    for child in children:
        child.start()
    try:
        while sum(killed.values()) < kills:
            time.sleep(rng.uniform(0, 0.06))  # The moment of the kill is what is random.
            place = rng.randrange(len(_ROLES))
            children[place].kill()
            children[place].join()
            killed[_ROLES[place]] += 1
            children[place] = processes.Process(target=_serve, args=(folder, _ROLES[place]))
            children[place].start()
        found = _count(folder, runs)
    finally:
        for child in children:
            child.kill()
            child.join()
    return len(runs), killed, found


def _submit(folder: Path, count: int) -> list[str]:
    ports = _ports(folder)[0]
    template = {"job_configuration": {"command": "true"}, "variables": {}}
    create_pool(ports, Pool(POOL, "process", limit=LIMIT), template)
    return [one.run.id for one in submit_many(ports, copies(Request(POOL), count))]


def _ports(folder: Path) -> tuple[Ports, Database, Queues]:
    began = float((folder / "began").read_text())

    def clock() -> int:
        return int((_BEGAN + (time.time() - began) * _FAST) * 1000)

    database = Database(folder / "state.db")
    queues, journal = Queues(database, clock), Journal(folder / "attempts")
    ports = Ports(
        store=SqliteStore(database, clock),
        messages=queues,
        clock=clock,
        new_id=new_id,
        platform=lambda _name: journal,
        secrets=secrets_from({}),
        rest=rest,
    )
    return ports, database, queues


def _serve(folder: Path, role: str) -> None:
    """Be a function until somebody kills it."""
    logging.disable(logging.CRITICAL)
    step = _step(folder, role)
    while True:
        step()
        time.sleep(0.005)


def _step(folder: Path, role: str) -> Callable[[], object]:
    ports, database, queues = _ports(folder)

    def dispatching(event: object) -> object:
        return dispatch.handle(ports, event)  # type: ignore[arg-type]

    def pushing(event: object) -> object:
        return push.handle(ports, event)  # type: ignore[arg-type]

    match role:
        case "stream":
            delivery = Delivery(dispatching, STREAM_FILTERS, log_failed)  # type: ignore[arg-type]
            return FeedPump(Feed(database), delivery).step
        case "wake":
            return _pump(ports, queues, WAKES, dispatching)
        case "push":
            return _pump(ports, queues, PLATFORMS, pushing)
        case "finish":
            return lambda: _finish(ports)
        case _:
            return lambda: sweep.handle(ports)


def _pump(
    ports: Ports, queues: Queues, queue: str, handler: Callable[[object], object]
) -> Callable[[], object]:
    receives = 1000  # Each kill of a function costs its messages one.
    return MessagePump(queues, queue, handler, clock=ports.clock, receives=receives).step  # type: ignore[arg-type]


def _finish(ports: Ports) -> None:
    """What the platform reports by itself."""
    platform = ports.platform("process")
    for holder in ports.store.ledger(POOL).holders:
        run = ports.store.run(POOL, holder.run)
        if run and run.current and run.current.handle:
            job = Watched(run.current.handle, run.id, run.attempt)
            for seen in platform.observe([job]):
                finish(ports, seen)


def _count(folder: Path, ids: list[str]) -> Counter[str]:
    ports = _ports(folder)[0]
    deadline = time.monotonic() + 300
    while any(not run.state.ended for run in ports.store.list_runs(POOL)):
        if time.monotonic() > deadline:
            break
        time.sleep(0.2)
    runs = {run.id: run for run in ports.store.list_runs(POOL)}
    while ports.store.ledger(POOL).holders and time.monotonic() < deadline:
        time.sleep(0.05)
    attempts = list((folder / "attempts").iterdir())
    started = Counter(path.name.rpartition("-")[0] for path in attempts)
    well = {i for i in ids if i in runs and runs[i].state.value == "COMPLETED"}
    return Counter(
        {
            "lost": len(ids) - len(well),
            "started twice": sum(count > 1 for count in started.values()),
            "slots held at the end": len(ports.store.ledger(POOL).holders),
            "most at once": _most_at_once([path.stat().st_mtime for path in attempts]),
        }
    )


def _most_at_once(starts: Sequence[float]) -> int:
    """How many attempts ran at the same moment: a slot is free only when its attempt is over."""
    ordered = sorted(starts)
    return max(
        sum(begun <= at < begun + JOB_SECONDS for begun in ordered[max(0, n - 50) : n + 1])
        for n, at in enumerate(ordered)
    )
