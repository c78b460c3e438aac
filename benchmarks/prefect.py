"""What does a Prefect server's pool cost and take with its own worker, and with push-dispatch?

Ten ad-hoc runs, one after the other, of a job that takes milliseconds: from the moment at which a
run is due to its claim, and to the start of its job; requests to the server and its CPU time for
each run but those of the job itself; what the server is asked in an idle minute.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from tests.local import Cli, LocalUp
from tests.prefect_server import FLOWS, VERSIONS, PrefectServer, environment

RUNS = 10
#: Those of the job itself, for each run: Running and Completed.
JOBS = 2
IDLE_SECONDS = 60


def main() -> None:
    """Measure both with the newest version that is installed."""
    versions = [version for version in VERSIONS if environment(version)]
    if not versions:
        print("prefect: not installed (make env-prefect-3.9)")
        return
    print(f"a pool of a Prefect {versions[-1]} server on SQLite, {RUNS} runs one by one")
    for name, serving in (("its worker", _worker), ("push-dispatch", _bridge)):
        with tempfile.TemporaryDirectory() as folder:
            server = PrefectServer(
                Path(folder) / "server",
                versions[-1],
                settings={"PREFECT_SERVER_LOGGING_LEVEL": "INFO"},
            )
            with server:
                server.create_pool("etl")
                with serving(server, Path(folder)):
                    _measure(name, server, Path(folder))


def _measure(name: str, server: PrefectServer, folder: Path) -> None:
    marks = folder / "times"
    command = f"sh -c 'date +%s.%N >> {marks}; sh {FLOWS / 'stub.sh'} {folder}'"
    deployment = server.deploy("d", "etl", command=command)
    _one(server, deployment, marks)  # warm
    before, cpu, own = _requests(server), _cpu(server), _OURS[0]
    claims, starts = [], []
    for _ in range(RUNS):
        claimed, started = _one(server, deployment, marks)
        claims.append(claimed)
        starts.append(started)
    asked = _requests(server) - before - (_OURS[0] - own)
    used = _cpu(server) - cpu
    before = _requests(server)
    time.sleep(IDLE_SECONDS)
    idle = _requests(server) - before
    print(f"  {name}")
    print(f"    due to claim         p50 {median(claims):6.2f} s   worst {max(claims):6.2f} s")
    print(f"    due to start of job  p50 {median(starts):6.2f} s   worst {max(starts):6.2f} s")
    print(f"    server, each run     {asked / RUNS - JOBS:6.1f} requests, and {JOBS} of the job")
    print(f"    server, each run     {used / RUNS * 1000:6.0f} ms of CPU, this benchmark included")
    print(f"    server, idle minute  {idle:6.0f} requests")
    print(f"    load of the machine  {os.getloadavg()[0]:6.1f}, of {os.cpu_count()} cores")


#: Requests of the benchmark itself, which are not counted.
_OURS = [0]


def _one(server: PrefectServer, deployment: str, marks: Path) -> tuple[float, float]:
    """Seconds from due to claim, and to the start of the job."""
    known = len(marks.read_text().split()) if marks.exists() else 0
    run = server.run(deployment)
    _OURS[0] += 1
    while not marks.exists() or len(marks.read_text().split()) == known:
        time.sleep(0.01)
    started = float(marks.read_text().split()[-1])
    while True:
        found: Any = server.flow_run(run)
        _OURS[0] += 1
        if found["state_type"] == "COMPLETED":
            break
        time.sleep(0.2)
    states = server.states(run)
    _OURS[0] += 1
    due = datetime.fromisoformat(found["expected_start_time"]).timestamp()
    claimed = next(s["timestamp"] for s in states if s["type"] == "PENDING")
    return datetime.fromisoformat(claimed).timestamp() - due, started - due


def _requests(server: PrefectServer) -> int:
    """Lines of the server's access log."""
    return (server.home / "server.log").read_text().count(" HTTP/1.1")


def _cpu(server: PrefectServer) -> float:
    root = psutil.Process(server.pid)
    times = [p.cpu_times() for p in (root, *root.children(recursive=True))]
    return sum(each.user + each.system for each in times)


@contextmanager
def _worker(server: PrefectServer, folder: Path) -> Iterator[None]:
    with (folder / "worker.log").open("wb") as log:
        worker = subprocess.Popen(
            [str(server.programs / "prefect"), "worker", "start", "--pool", "etl"],
            env=server.environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield
    finally:
        worker.terminate()
        worker.wait(30)


@contextmanager
def _bridge(server: PrefectServer, folder: Path) -> Iterator[None]:
    cli = Cli(folder / "home")
    with LocalUp(cli, ("--data-dir", str(folder / "data"))):
        cli.ok("prefect", "attach", "etl", "--api-url", server.url)
        yield


if __name__ == "__main__":
    main()
