"""A Prefect server on one database, and its workers."""

from __future__ import annotations

import sqlite3
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from benchmarks.beside.postgres import Postgres
from benchmarks.beside.sides import PROCESS_WORKER, Life, Marks, Serving, Spec, cpu_of, until
from tests.prefect_server import PrefectServer

__all__ = ["Theirs"]

_WORKER = Path(__file__).parent / "worker.py"
#: Requests that are under way at once, of this benchmark.
_CLIENTS = 4
#: Seconds between looks for runs that have crashed.
LOOK_SECONDS = 5
#: What a copy of a flow run that waits takes over; its id and times of change are its own.
_COLUMNS = """
  flow_id, deployment_id, work_queue_id, work_queue_name, name, parameters, context,
  empirical_policy, tags, labels, job_variables, auto_scheduled, run_count, total_run_time,
  state_id, state_type, state_name, state_timestamp, expected_start_time,
  next_scheduled_start_time
"""


class Theirs:
    """Prefect."""

    def __init__(self, folder: Path, version: str, postgres: Postgres | None) -> None:
        self.name = "Prefect, PostgreSQL" if postgres else "Prefect, SQLite"
        folder.mkdir()
        self._folder, self._postgres = folder, postgres
        settings = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": postgres.url} if postgres else {}
        self.server = PrefectServer(folder / "server", version, settings=settings)
        self._marks_file = folder / "marks"
        self._marks = Marks(self._marks_file)
        self._specs: dict[str, Spec] = {}
        self._deployments: dict[tuple[str, str], str] = {}
        self._workers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self.server.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.server.stop()
        self._marks.close()

    def create(self, spec: Spec) -> None:
        self._specs[spec.name] = spec
        type_ = PROCESS_WORKER if spec.worker == PROCESS_WORKER else "light"
        self.server.create_pool(
            spec.name, type=type_, concurrency_limit=spec.limit, is_paused=spec.paused
        )
        for queue, (priority, limit) in spec.queues.items():
            self.server.create_queue(spec.name, queue, priority=priority, concurrency_limit=limit)
        for queue in (*spec.queues, "default"):
            self._deployments[spec.name, queue] = self._deploy(spec, queue)

    def _deploy(self, spec: Spec, queue: str) -> str:
        job = spec.job
        if spec.worker == PROCESS_WORKER:
            marked = f"echo start $PREFECT__FLOW_RUN_ID $(date +%s.%N) >> {self._marks_file}"
            job = f"sh -c '{marked}; {spec.job}'"
        return self.server.deploy(f"{spec.name}-{queue}", spec.name, queue=queue, command=job)

    def submit(self, pool: str, queue: str = "default", runs: int = 1) -> list[str]:
        deployment = self._deployments[pool, queue]
        if runs == 1:
            return [self.server.run(deployment)]
        with ThreadPoolExecutor(_CLIENTS) as clients:
            return list(clients.map(lambda _: self.server.run(deployment), range(runs)))

    def unpause(self, pool: str) -> None:
        self.server.call("PATCH", f"/work_pools/{pool}", {"is_paused": False})

    @contextmanager
    def serving(self, pools: Sequence[str], how: Serving) -> Iterator[None]:
        """One process for each of the workers, with all of the pools: one for each would cost
        Prefect a Python a pool."""
        with ExitStack() as stack:
            for number in range(how.workers):
                log = self._folder / f"worker-{pools[0]}-{number}.log"
                worker = self._worker(pools, how.poll, log)
                self._workers.append(worker)
                stack.callback(self._end, worker)
                until(lambda log=log: log.read_text().count(" started!") == len(pools), 180, 0.1)  # type: ignore[misc]
            yield

    def _worker(self, pools: Sequence[str], poll: int, log: Path) -> subprocess.Popen[bytes]:
        own = {"PREFECT_WORKER_QUERY_SECONDS": str(poll), "BESIDE_MARKS": str(self._marks_file)}
        command = [str(self.server.programs / "python"), str(_WORKER), *pools]
        if self._specs[pools[0]].worker == PROCESS_WORKER:
            command = [str(self.server.programs / "prefect"), "worker", "start", "--pool", pools[0]]
        with log.open("wb") as to:
            return subprocess.Popen(
                command,
                env={**self.server.environ, **own},
                stdin=subprocess.DEVNULL,
                stdout=to,
                stderr=to,
            )

    def _end(self, worker: subprocess.Popen[bytes]) -> None:
        self._workers.remove(worker)
        worker.terminate()
        try:
            worker.wait(10)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()

    def wait(self, pool: str, ids: Sequence[str], *, ended: bool, seconds: float) -> None:
        """See `Side.wait`. Waits for nobody who will never start: on SQLite the server answers some
        requests with 503 while it is busy, and its worker ends such a run as crashed."""
        what = "end" if ended and self._specs[pool].worker != PROCESS_WORKER else "start"
        left, dead, asked = set(ids), set[str](), time.monotonic()

        def over() -> bool:
            nonlocal dead, asked
            if time.monotonic() - asked > LOOK_SECONDS:
                dead, asked = self._dead(ids), time.monotonic()
            left.difference_update(self._marks.read()[what])
            return left <= dead

        until(over, seconds)

    def _dead(self, ids: Sequence[str]) -> set[str]:
        types = {"type": {"any_": ["CRASHED", "FAILED", "CANCELLED"]}}
        return {run["id"] for run in self.server.flow_runs(id={"any_": list(ids)}, state=types)}

    def lives(self, pool: str, ids: Sequence[str]) -> list[Life]:
        del pool
        marks = self._marks.read()
        found: list[Life] = []
        for at in range(0, len(ids), 200):
            for run in self.server.flow_runs(id={"any_": ids[at : at + 200]}):
                times = (marks[what].get(run["id"]) for what in ("start", "end"))
                due = _epoch(run["expected_start_time"])
                found.append(Life(run["id"], run["work_queue_name"], due, *times))
        return found

    def claims(self, pool: str, ids: Sequence[str]) -> dict[str, float]:
        """When each was set to Pending: one request a run."""
        del pool
        pending = {
            run: [s["timestamp"] for s in self.server.states(run) if s["type"] == "PENDING"]
            for run in ids
        }
        return {run: _epoch(times[0]) for run, times in pending.items() if times}

    def cpu(self) -> float:
        roots = [self.server.pid, *(worker.pid for worker in self._workers)]
        return cpu_of([*roots, self._postgres.pid] if self._postgres else roots)

    def poll(self, pool: str) -> list[Any]:
        """What a worker asks for in each poll."""
        before = (datetime.now(UTC) + timedelta(seconds=10)).isoformat()
        path = f"/work_pools/{pool}/get_scheduled_flow_runs"
        return list(self.server.call("POST", path, {"scheduled_before": before}))

    def multiply(self, run: str, to: int) -> None:
        """Copy a run that waits, in the database, as no request makes more than one."""
        numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {to})"
        copy = f"SELECT {_COLUMNS} FROM flow_run, n WHERE flow_run.id = '{run}'"
        self._execute(f"INSERT INTO flow_run ({_COLUMNS}) {numbers} {copy}")
        self._execute("ANALYZE flow_run")

    def _execute(self, statement: str) -> None:
        if self._postgres:
            self._postgres.execute(statement)
            return
        with closing(sqlite3.connect(self.server.home / "prefect.db", timeout=60)) as database:
            database.execute(statement)
            database.commit()


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
