"""What does a cold start of the dispatch function cost, compared with its one inevitable client?"""

from __future__ import annotations

import os
import subprocess
import sys
from statistics import median

from benchmarks.world import figure

__all__ = ["main"]

ROUNDS = 15
_CLIENT = 'import boto3; boto3.client("dynamodb", region_name="us-east-1")'
#: The handler alone; then with everything that its first call makes.
_MEASURED = {
    "the dispatch function": "import push_dispatch.handlers.dispatch",
    "the dispatch function and the client": f"import push_dispatch.handlers.dispatch; {_CLIENT}",
}
#: What both were, as a multiple of the client alone.
_WAS = (1.13, 1.29)
_ENVIRON = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


def main() -> None:
    """Print medians of fresh processes, and their ratio to the client alone."""
    statements = {'boto3.client("dynamodb")': _CLIENT, **_MEASURED}
    times: dict[str, list[float]] = {name: [] for name in statements}
    # In turn, so that whatever else the machine does meets all of them. The first round, which
    # fills the disk's cache, does not count.
    for number in range(ROUNDS + 1):
        for name, statement in statements.items():
            taken = _seconds(statement)
            if number:
                times[name].append(taken)
    medians = {name: median(taken) for name, taken in times.items()}
    alone = next(iter(medians.values()))
    print(f"time to import, medians of {ROUNDS} fresh processes in turn")
    print(f"  the client alone: {alone * 1000:.0f} ms")
    for name, was in zip(_MEASURED, _WAS, strict=True):
        taken = medians[name]
        ratio = f"{taken / alone:.2f}x {taken * 1000:.0f} ms"
        figure(name, ratio, "1.1x" if "client" in name else "none", f"{was}x")


def _seconds(statement: str) -> float:
    """By the process itself, without the start of the interpreter."""
    script = f"import time; began = time.perf_counter(); {statement}\n"
    script += "print(time.perf_counter() - began)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | _ENVIRON,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return float(done.stdout)
