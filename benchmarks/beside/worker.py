"""Prefect workers that start nothing heavy. Executed in Prefect's environment, one for each pool.

Prefect's own worker for processes starts Python for a flow, which takes a second and is the same
for every system. This one is a worker of Prefect's in every respect but that: it spawns the
deployment's command and reports Running and Completed, as the flow's engine would; for the command
`none` it is over when it is called. Times are appended to the file BESIDE_MARKS.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
import time
from typing import Any

from prefect.states import Completed, Running
from prefect.workers.base import BaseJobConfiguration, BaseWorker, BaseWorkerResult


class Result(BaseWorkerResult):
    """How a run ended."""


class Light(BaseWorker[Any, Any, Result]):
    """Starts commands."""

    type = "light"
    job_configuration = BaseJobConfiguration

    async def run(self, flow_run: Any, configuration: Any, task_status: Any = None) -> Result:
        """Start it, and wait for its end."""
        if configuration.command == "none":
            _mark("start", flow_run.id)
            task_status.started("none")
            return Result(status_code=0, identifier="none")
        env = {name: value for name, value in configuration.env.items() if value is not None}
        child = await asyncio.create_subprocess_exec(
            *shlex.split(configuration.command), env={**os.environ, **env}
        )
        _mark("start", flow_run.id)
        task_status.started(child.pid)
        await self.client.set_flow_run_state(flow_run.id, Running())
        code = await child.wait()
        _mark("end", flow_run.id)
        await self.client.set_flow_run_state(flow_run.id, Completed())
        return Result(status_code=code, identifier=str(child.pid))


def _mark(what: str, run: object) -> None:
    os.write(_MARKS, f"{what} {run} {time.time()}\n".encode())


async def _all(pools: list[str]) -> None:
    await asyncio.gather(*(Light(work_pool_name=pool).start(printer=_tell) for pool in pools))


def _tell(*words: object) -> None:
    print(*words, flush=True)


if __name__ == "__main__":
    _MARKS = os.open(os.environ["BESIDE_MARKS"], os.O_WRONLY | os.O_APPEND)
    asyncio.run(_all(sys.argv[1:]))
