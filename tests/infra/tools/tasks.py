"""What ECS does by itself: tasks begin, write their logs, end, and others are told of it.

The fake of ECS waits to be steered; this steers it. A task executes its command on this machine,
whatever its image is. Its output goes where its definition says, to the emulator's logs.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from types import TracebackType
from typing import Any, Self

from tests.fakes.ecs import FakeEcs
from tests.fakes.ecs_service import Task
from tests.infra.tools.stack import tell_of
from tests.ministack import client

__all__ = ["Tasks"]

_TASK_SECONDS = 30
_PAUSE_SECONDS = 0.2


class Tasks:
    """Within the `with`, tasks run, one after the other."""

    def __init__(self, ecs: FakeEcs, endpoint: str) -> None:
        self._ecs = ecs
        self._endpoint = endpoint
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._leave.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._leave.wait(_PAUSE_SECONDS):
            for task in list(self._ecs.tasks.values()):
                if task.stopped is None:
                    self._execute(task)

    def _execute(self, task: Task) -> None:
        token = task.token
        self._ecs.begin(token)
        tell_of(token, self._ecs, self._endpoint)
        container = task.definition["containerDefinitions"][0]
        [override] = task.shown["overrides"]["containerOverrides"]
        done = subprocess.run(
            override["command"],
            env={"PATH": os.environ["PATH"], **self._ecs.environment(token)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_TASK_SECONDS,
        )
        self._log(task, container, done.stdout)
        self._ecs.finish(token, done.returncode)
        tell_of(token, self._ecs, self._endpoint)

    def _log(self, task: Task, container: Any, written: str) -> None:
        """As the awslogs driver does. The group has to be there."""
        options = container["logConfiguration"]["options"]
        task_id = task.shown["taskArn"].rpartition("/")[2]
        where = {
            "logGroupName": options["awslogs-group"],
            "logStreamName": f"{options['awslogs-stream-prefix']}/{container['name']}/{task_id}",
        }
        logs = client("logs", self._endpoint)
        logs.create_log_stream(**where)
        now = int(time.time() * 1000)
        events = [{"timestamp": now, "message": line} for line in written.splitlines()]
        logs.put_log_events(**where, logEvents=events)
