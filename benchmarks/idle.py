"""What does a local runtime cost that has nothing to do?"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.world import figure
from push_dispatch.control.pools import create_pool
from push_dispatch.core.model import Pool
from push_dispatch.local.runtime import LocalRuntime

__all__ = ["main"]

POOLS, SECONDS = 100, 30


def main() -> None:
    """Print the CPU time of a minute."""
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        LocalRuntime("bench", Path(folder)) as runtime,
    ):
        template = {"job_configuration": {"command": "true"}, "variables": {}}
        for number in range(POOLS):
            create_pool(runtime.ports, Pool(f"pool-{number}", "process", limit=10), template)
        time.sleep(2)
        before = time.process_time()
        time.sleep(SECONDS)
        taken = (time.process_time() - before) * 60 / SECONDS
    print(f"a local runtime with {POOLS} idle pools")
    figure("CPU a minute", f"{taken:.3f} s", "0.2 s", "12.3 s")
