"""What does `kill -9` of a local runtime lose, at random moments under load?

python -m benchmarks kills        200 kills; KILLS and SEED change that
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.world import POOL, figure
from push_dispatch.control.pools import create_pool
from push_dispatch.core.model import Pool
from push_dispatch.core.request import Request, copies
from push_dispatch.engine.submit import submit_many
from push_dispatch.local.connect import ports_of
from push_dispatch.local.discovery import Record, locals_up
from push_dispatch.ports import Ports

__all__ = ["Lost", "main", "measure"]

RUNS_A_KILL, LIMIT, JOB_SECONDS = 10, 5, 0.2
_RUNTIME = """
import signal, sys, threading
from pathlib import Path
from push_dispatch.local.runtime import LocalRuntime
with LocalRuntime("kills", Path(sys.argv[1])):
    print("up", flush=True)
    threading.Event().wait()
"""


class Lost(Exception):
    """Runs did not end in time."""


def main() -> None:
    """Print how many runs were lost, doubled or counted twice."""
    kills, seed = int(os.environ.get("KILLS", "200")), int(os.environ.get("SEED", "1"))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        runs, found = measure(Path(folder), kills, seed)
    print(f"{kills} times kill -9 of a local runtime under load, {runs} runs, seed {seed}")
    figure("runs lost", str(found["lost"]), "0", "all")
    figure("runs doubled", str(found["doubled"]), "0", "-")
    figure("slots held at the end", str(found["held"]), "0", "-")


def measure(folder: Path, kills: int, seed: int) -> tuple[int, Counter[str]]:
    """Kill a runtime again and again, then let everything end. Raises Lost."""
    rng, marks, ids = random.Random(seed), folder / "marks", []
    marks.touch()
    os.environ["XDG_STATE_HOME"] = str(folder / "home")
    for kill in range(kills + 1):
        child = _start(folder / "data")
        ports = ports_of(_record())
        if not kill:
            job = f"sh -c 'echo $PUSH_DISPATCH_RUN_ID >> {marks}; sleep {JOB_SECONDS}'"
            template = {"job_configuration": {"command": job}, "variables": {}}
            create_pool(ports, Pool(POOL, "process", limit=LIMIT), template)
        if kill < kills:
            ids += [s.run.id for s in submit_many(ports, copies(Request(POOL), RUNS_A_KILL))]
            time.sleep(rng.uniform(0, 0.8))  # The moment of the kill is what is random.
            child.send_signal(signal.SIGKILL)
        else:
            _until_ended(ports, len(ids))
            found = _count(ports, ids, marks.read_text().split())
            child.terminate()
        child.wait(60)
    return len(ids), found


def _start(data: Path) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", _RUNTIME, str(data)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    return child


def _record() -> Record:
    return next(record for record in locals_up() if record.name == "kills")


def _until_ended(ports: Ports, runs: int) -> None:
    deadline = time.monotonic() + 60 + runs * JOB_SECONDS
    while any(not run.state.ended for run in ports.store.list_runs(POOL)):
        if time.monotonic() > deadline:
            raise Lost([r.id for r in ports.store.list_runs(POOL) if not r.state.ended][:10])
        time.sleep(0.5)
    while ports.store.ledger(POOL).holders and time.monotonic() < deadline:
        time.sleep(0.1)


def _count(ports: Ports, ids: list[str], started: list[str]) -> Counter[str]:
    runs = {run.id: run for run in ports.store.list_runs(POOL)}
    executed = Counter(started)
    well = {i for i in ids if i in runs and runs[i].state.value == "COMPLETED" and executed[i]}
    return Counter(
        lost=len(ids) - len(well),
        doubled=sum(count > 1 for count in executed.values()),
        held=len(ports.store.ledger(POOL).holders),
    )
