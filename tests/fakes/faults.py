"""What if a function is killed, or another one does its work, between any two external calls?

Every call of the engine to something outside (store, queue, platform) goes through `Faults`,
which may do something just before it or just after it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Crash", "Faults", "Watch"]

#: Is told of each call: its name, its arguments, and whether it is done.
Watch = Callable[[str, tuple[Any, ...], bool], None]


class Crash(BaseException):
    """The function is killed. Nothing in the engine catches it."""


@dataclass
class Faults:
    """Counts the points before and after each external call, and acts at one of them."""

    passed: int = 0
    _at: int | None = None
    _act: Callable[[], None] | None = None

    def arm(self, point: int, act: Callable[[], None]) -> None:
        """Act at the `point`-th point to come; 0 is the next one. What raises there is raised by
        the call: before it took effect at an even point, after it (a lost reply) at an odd one."""
        self._at, self._act = self.passed + point, act

    def disarm(self) -> None:
        """Let everything pass."""
        self._at = self._act = None

    def point(self) -> None:
        """One of the points."""
        now, self.passed = self.passed, self.passed + 1
        if now == self._at and self._act is not None:
            act = self._act
            self.disarm()
            act()

    def around(self, target: object, watch: Watch | None = None) -> Any:
        """The same object, with a point before and after each call of its methods."""
        return _Faulty(target, self, watch or _ignore)


class _Faulty:
    def __init__(self, target: object, faults: Faults, watch: Watch) -> None:
        self._target, self._faults, self._watch = target, faults, watch

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if not callable(value):
            return value

        def call(*arguments: Any, **options: Any) -> Any:
            self._faults.point()
            self._watch(name, arguments, False)
            result = value(*arguments, **options)
            self._watch(name, arguments, True)
            self._faults.point()
            return result

        return call


def _ignore(_name: str, _arguments: tuple[Any, ...], _done: bool) -> None:
    """Nobody watches."""
