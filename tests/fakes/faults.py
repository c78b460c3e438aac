"""What if a function is killed, or another one does its work, between any two external calls?

Every call of the engine to something outside (store, queue, platform) goes through `Faults`,
which may do something just before it or just after it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

__all__ = ["Crash", "Faults", "Point", "Watch"]

#: Is told of each call: its name, its arguments, and whether it is done.
Watch = Callable[[str, tuple[Any, ...], bool], None]


class Crash(BaseException):
    """The function is killed. Nothing in the engine catches it."""


@dataclass(frozen=True)
class Point:
    """A moment between two external calls: right before or after one of them."""

    verb: str
    #: Whether the call has taken effect: what is raised then is a lost reply.
    after: bool = False
    #: How many calls of that verb are let pass.
    skip: int = 0


@dataclass
class Faults:
    """Sees the points before and after each external call, and acts at some of them."""

    _armed: list[tuple[Point, Callable[[], None]]] = field(default_factory=list)

    def arm(self, at: Point, act: Callable[[], None]) -> None:
        """Act once when that point is reached; what it raises is raised by the call."""
        self._armed.append((at, act))

    def disarm(self) -> None:
        """Let everything pass."""
        self._armed.clear()

    def reached(self, verb: str, *, after: bool) -> None:
        """One of the points."""
        for number, (at, act) in enumerate(self._armed):
            if (at.verb, at.after) == (verb, after):
                if at.skip:
                    self._armed[number] = (replace(at, skip=at.skip - 1), act)
                else:
                    del self._armed[number]
                    act()
                return

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
            self._faults.reached(name, after=False)
            self._watch(name, arguments, False)
            result = value(*arguments, **options)
            self._watch(name, arguments, True)
            self._faults.reached(name, after=True)
            return result

        return call


def _ignore(_name: str, _arguments: tuple[Any, ...], _done: bool) -> None:
    """Nobody watches."""
