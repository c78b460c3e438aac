"""Do memory, file descriptors, disk and latency stay flat while runs go through a local runtime?

python -m benchmarks soak         1,000 runs in 100 pools; RUNS=10000 changes that
SECONDS=3600 python -m benchmarks soak         rounds of 1,000 runs for an hour
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from statistics import median

import psutil

from benchmarks.world import figure
from push_dispatch.control.pools import create_pool
from push_dispatch.core.model import Pool, Run
from push_dispatch.core.request import Request
from push_dispatch.engine.submit import submit, submit_many
from push_dispatch.local.runtime import LocalRuntime
from push_dispatch.ports import Ports

__all__ = ["main"]

POOLS, ROUNDS, SINGLE = 100, 10, 9
_HELD = ("memory", "descriptors", "threads", "files a run", "KB a run", "due to pushed, p50")


def main() -> None:
    """Print what the process and its directory hold after each round, and how long one run took
    from due to pushed while nothing else was under way."""
    runs, seconds = int(os.environ.get("RUNS", "1000")), int(os.environ.get("SECONDS", "0"))
    each = 1000 if seconds else runs // ROUNDS
    print(f"processes in {POOLS} pools, in rounds of {each}")
    print(
        "    ended    memory  descriptors  threads  files a run  KB a run  seconds  due to pushed"
    )
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        LocalRuntime("soak", Path(folder)) as runtime,
    ):
        template = {"job_configuration": {"command": "true"}, "variables": {}}
        for number in range(POOLS):
            create_pool(runtime.ports, Pool(f"pool-{number}", "process", limit=4), template)
        until = time.monotonic() + seconds
        rounds: list[tuple[float, ...]] = []
        while time.monotonic() < until if seconds else len(rounds) < ROUNDS:
            taken = _round(runtime.ports, each)
            held = _held(Path(folder), (len(rounds) + 1) * each, _latency(runtime.ports))
            rounds.append(held)
            _show(len(rounds) * each, taken, held)
    # The first round fills caches and starts threads.
    first, last = rounds[min(1, len(rounds) - 1)], rounds[-1]
    for name, before, after in zip(_HELD, first, last, strict=True):
        figure(f"{name}, last round against second", f"{after / before:.2f}x", "flat", "-")


def _round(ports: Ports, runs: int) -> float:
    began = time.monotonic()
    submitted = submit_many(ports, [Request(f"pool-{n % POOLS}") for n in range(runs)])
    for one in submitted:
        _ended(ports, one.run)
    return time.monotonic() - began


def _latency(ports: Ports) -> float:
    """The median of a few runs, one after the other, in milliseconds."""
    waits = []
    for _ in range(SINGLE):
        run = _ended(ports, submit(ports, Request("pool-0")).run)
        waits.append((run.attempts[0].pushed_at or run.due) - run.due)
    return median(waits)


def _ended(ports: Ports, run: Run) -> Run:
    while (after := ports.store.run(run.pool, run.uuid)) is None or not after.state.ended:
        time.sleep(0.02)
    return after


def _held(folder: Path, runs: int, latency: float) -> tuple[float, ...]:
    """As `_HELD` has it."""
    me = psutil.Process()
    files = [file for file in folder.rglob("*") if file.is_file()]
    kilobytes = sum(file.stat().st_blocks for file in files) / 2
    memory = me.memory_info().rss / 1e6
    disk = (len(files) / runs, kilobytes / runs)
    return (memory, me.num_fds(), me.num_threads(), *disk, latency)


def _show(runs: int, seconds: float, held: tuple[float, ...]) -> None:
    memory, descriptors, threads, files, kilobytes, latency = held
    print(
        f"  {runs:>7} {memory:>6.0f} MB {descriptors:>12} {threads:>8}"
        f" {files:>12.1f} {kilobytes:>9.1f} {seconds:>8.1f} {latency:>8.0f} ms"
    )
