"""Do memory, file descriptors and disk stay flat while runs go through a local runtime?

python -m benchmarks soak         1,000 runs in 100 pools; RUNS=10000 changes that
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import psutil

from push_dispatch.control.pools import create_pool
from push_dispatch.core.model import Pool
from push_dispatch.core.request import Request
from push_dispatch.engine.submit import submit_many
from push_dispatch.local.runtime import LocalRuntime
from push_dispatch.ports import Ports

__all__ = ["main"]

POOLS, ROUNDS = 100, 10


def main() -> None:
    """Print what the process and its directory hold after each tenth of the runs."""
    runs = int(os.environ.get("RUNS", "1000"))
    print(f"{runs} processes in {POOLS} pools, in {ROUNDS} rounds")
    print("    ended    memory  descriptors  threads  files a run  KB a run  seconds")
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        LocalRuntime("soak", Path(folder)) as runtime,
    ):
        template = {"job_configuration": {"command": "true"}, "variables": {}}
        for number in range(POOLS):
            create_pool(runtime.ports, Pool(f"pool-{number}", "process", limit=4), template)
        for turn in range(1, ROUNDS + 1):
            seconds = _round(runtime.ports, runs // ROUNDS)
            _show(Path(folder), turn * (runs // ROUNDS), seconds)


def _round(ports: Ports, runs: int) -> float:
    began = time.monotonic()
    submit_many(ports, [Request(f"pool-{n % POOLS}") for n in range(runs)])
    for number in range(POOLS):
        while not all(run.state.ended for run in ports.store.list_runs(f"pool-{number}")):
            time.sleep(0.05)
    return time.monotonic() - began


def _show(folder: Path, runs: int, seconds: float) -> None:
    me = psutil.Process()
    files = [file for file in folder.rglob("*") if file.is_file()]
    kilobytes = sum(file.stat().st_blocks for file in files) / 2
    memory = me.memory_info().rss / 1e6
    print(
        f"  {runs:>7} {memory:>6.0f} MB {me.num_fds():>12} {me.num_threads():>8}"
        f" {len(files) / runs:>12.1f} {kilobytes / runs:>9.1f} {seconds:>8.1f}"
    )
