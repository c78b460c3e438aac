"""One virtual clock, and functions that take turns on it.

Every function is a greenlet. It runs until it calls something outside, which takes a while; what
else is due by then happens first. So calls of different functions interleave in any order, and the
same seed gives the same order.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import Any

from greenlet import getcurrent, greenlet

__all__ = ["Killed", "Task", "Timeline"]


class Killed(BaseException):
    """The function's process is gone. Nothing in the engine catches it."""


class Task(greenlet):
    """One invocation of a function."""

    def __init__(self, name: str, number: int, act: Callable[[], Any], parent: greenlet) -> None:
        super().__init__(self._live, parent)
        self.name = name
        self.number = number
        self.act = act
        self.done: Callable[[Any, BaseException | None], None] = lambda _result, _error: None
        #: When the platform kills it.
        self.deadline: int | None = None
        #: How far the clock of its machine is off, in milliseconds.
        self.skew = 0
        #: By function, how often it was invoked in the chain of messages that led here.
        self.chain: dict[str, int] = {}
        #: What the oracle remembers of this invocation.
        self.memory: dict[str, Any] = {}

    def _live(self) -> None:
        try:
            result = self.act()
        except (Exception, Killed) as error:
            self.done(None, error)
        else:
            self.done(result, None)


class Timeline:
    """Milliseconds since the epoch, and what happens when."""

    def __init__(self, start: int) -> None:
        self.now = start
        self._main = getcurrent()
        self._agenda: list[tuple[int, int, Callable[[], Any]]] = []
        self._order = count()
        self._tasks = count(1)
        self._until = start

    def at(self, when: int, act: Callable[[], Any]) -> None:
        """Have `act` called at that time, or now if that has passed."""
        heapq.heappush(self._agenda, (max(when, self.now), next(self._order), act))

    def task(self, name: str, act: Callable[[], Any]) -> Task:
        """An invocation that has not begun."""
        return Task(name, next(self._tasks), act, self._main)

    def start(self, task: Task, when: int | None = None) -> None:
        """Begin it."""
        self.at(self.now if when is None else when, task.switch)

    def sleep(self, milliseconds: int) -> None:
        """Let time pass inside a task. Raises Killed if the task's time is over by then."""
        task = getcurrent()
        if not isinstance(task, Task):
            return
        wake = self.now + milliseconds
        if task.deadline is not None and wake > task.deadline:
            self._wait(task, task.deadline)
            raise Killed
        self._wait(task, wake)

    def _wait(self, task: Task, until: int) -> None:
        if until <= self._until and (not self._agenda or self._agenda[0][0] > until):
            self.now = max(self.now, until)  # Nobody else has anything to do before.
            return
        self.at(until, task.switch)
        self._main.switch()

    def run(self, until: int, stop: Callable[[], bool] = lambda: False) -> None:
        """Let everything happen that happens until then, or until `stop` says so."""
        self._until = until
        while self._agenda and self._agenda[0][0] <= until:
            if stop():
                return
            self.now, _, act = heapq.heappop(self._agenda)
            act()
        self.now = max(self.now, until)
