"""push-dispatch's processes: a local runtime, or one more dispatcher on its state.

python -m benchmarks.beside.runtime NAME DATA_DIR [MARKS]     MARKS: its platform starts nothing
python -m benchmarks.beside.runtime --rival RECORD POOL
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import ClassVar

from push_dispatch.core.errors import Conflict, Unavailable
from push_dispatch.core.model import Observation, Status
from push_dispatch.engine.dispatch import dispatch
from push_dispatch.local.connect import ports_of
from push_dispatch.local.discovery import Record
from push_dispatch.local.runtime import LocalRuntime
from push_dispatch.platforms.base import Job, Watched

#: Seconds between the passes of one more dispatcher.
RIVAL_SECONDS = 0.02


class Marking:
    """Writes down when it is called, and starts nothing: each run is over at the next look."""

    name: ClassVar[str] = "process"

    def __init__(self, marks: Path) -> None:
        # Unbuffered: one write for each line, and threads' lines stay whole.
        self._file = marks.open("ab", buffering=0)

    def push(self, job: Job) -> str:
        self._file.write(f"start {job.run_id} {time.time()}\n".encode())
        return job.name

    def observe(self, jobs: Sequence[Watched]) -> list[Observation]:
        return [Observation(j.run_id, j.attempt, Status.ENDED, j.handle, exit_code=0) for j in jobs]

    def cancel(self, handle: str) -> None:
        pass


def _up(name: str, data: str, marks: str = "") -> None:
    platforms = {"process": Marking(Path(marks))} if marks else {}
    record = LocalRuntime(name, Path(data), platforms=platforms).start()
    print(json.dumps(asdict(record)), flush=True)
    threading.Event().wait()


def _rival(record: str, pool: str) -> None:
    ports = ports_of(Record(**json.loads(record)))
    print("up", flush=True)
    while True:
        try:
            dispatch(ports, pool)
        except (Conflict, Unavailable):
            continue
        time.sleep(RIVAL_SECONDS)


if __name__ == "__main__":
    if sys.argv[1] == "--rival":
        _rival(*sys.argv[2:])
    else:
        _up(*sys.argv[1:])
