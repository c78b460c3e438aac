"""Between the use cases and everything outside: time passes, faults strike, the oracle looks.

Every call of a port goes through `Wire`. It takes a while, before and after its effect; the effect
itself is one moment. A fault may strike before the effect or after it: then the reply is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any, Protocol

from greenlet import getcurrent

from push_dispatch.core.errors import Unavailable
from push_dispatch.core.model import Ledger
from push_dispatch.ports.store import Overview
from tests.simulation.plan import Fault
from tests.simulation.timeline import Killed, Task, Timeline

__all__ = ["LISTS", "Watcher", "Wire"]

#: Milliseconds that a call takes at least, and how many more at most.
_TAKES = {"table": (2, 10), "queues": (4, 20), "platform": (60, 840)}
#: Which argument of a verb is a list whose first half may take effect alone.
LISTS = {"add_runs": 0, "enqueue": 1, "dequeue": 1, "send": 1, "wake": 0}


class Watcher(Protocol):
    """Looks at each call after its effect."""

    def after(
        self, task: Task | None, port: str, verb: str, arguments: tuple[Any, ...], result: Any
    ) -> None: ...


class Wire:
    """Where all calls pass."""

    def __init__(self, timeline: Timeline, rng: Random, watcher: Watcher) -> None:
        self.timeline, self._watcher, self._chance = timeline, watcher, rng.random
        self._strikes: list[Fault] = []
        #: Share of the calls of the table that are throttled now, in percent.
        self.table_throttles = 0
        #: Faults that have happened, by kind.
        self.fired: Counter[str] = Counter()
        self.last_fault = 0
        self.calls: Counter[str] = Counter()
        self.note: Callable[[str], None] = lambda _text: None
        #: Lets another function do something right now.
        self.rival: Callable[[], None] = lambda: None
        #: Has the platform do it at the push that is coming.
        self.at_platform: Callable[[Fault], None] = lambda _fault: None
        #: What the table has of a pool now.
        self.ledger: Callable[[str], Ledger] = Ledger

    def arm(self, strike: Fault) -> None:
        """It strikes at the first call that fits."""
        self._strikes.append(strike)

    def disarm(self) -> None:
        """Let everything pass."""
        self._strikes.clear()
        self.table_throttles = 0

    def fire(self, kind: str) -> None:
        """Count a fault that has happened."""
        self.fired[kind] += 1
        self.last_fault = self.timeline.now

    def around(self, port: str, target: Any) -> Any:
        """The same object, reached by this wire."""
        return _Proxy(self, port, target)

    def call(
        self, port: str, verb: str, method: Callable[..., Any], args: tuple[Any, ...], options: Any
    ) -> Any:
        """One call of a port."""
        task = getcurrent()
        if not isinstance(task, Task):
            return self._effect(None, port, verb, method, args, options)
        self.calls[verb] += 1
        least, more = _TAKES[port]
        self.timeline.sleep(least + int(self._chance() * more))
        strike = self._strike(port, verb) if self._strikes else None
        if strike is not None and not strike.after:
            self._hit(strike, port, verb, method, args)
        throttled = port == "table" and self._is_throttled()
        if throttled and self._chance() < 0.8:
            raise Unavailable(f"simulated: {verb} is throttled")
        result = self._effect(task, port, verb, method, args, options)
        if isinstance(result, Overview):
            result = self._later_ledger(result)
        if throttled:
            raise Unavailable(f"simulated: the reply of {verb} was lost")
        if strike is not None and strike.after:
            self._hit(strike, port, verb, method, ())
        self.timeline.sleep(1 + int(self._chance() * least))
        return result

    def _later_ledger(self, seen: Overview) -> Overview:
        """A query is no snapshot: others may write between the items that it reads."""
        self.timeline.sleep(1 + int(self._chance() * 3))
        return replace(seen, ledger=self.ledger(seen.ledger.pool))

    def _effect(
        self,
        task: Task | None,
        port: str,
        verb: str,
        method: Callable[..., Any],
        args: tuple[Any, ...],
        options: Any,
    ) -> Any:
        try:
            result = method(*args, **options)
        except Exception as error:
            self._watcher.after(task, port, verb, args, error)
            raise
        if hasattr(result, "__next__"):
            result = iter(list(result))
        self._watcher.after(task, port, verb, args, result)
        return result

    def _strike(self, port: str, verb: str) -> Fault | None:
        for number, strike in enumerate(self._strikes):
            if strike.verb in (verb, "any"):
                del self._strikes[number]
                return strike
            if strike.kind in ("lost_reply", "reject") and verb == "push":
                del self._strikes[number]
                self.at_platform(strike)
                self.fire(strike.kind)
                return None
        return None

    def _hit(
        self,
        strike: Fault,
        port: str,
        verb: str,
        method: Callable[..., Any],
        args: tuple[Any, ...],
    ) -> None:
        kind = strike.kind
        self.fire(kind)
        self.note(f"! {kind} {'after' if strike.after else 'before'} {verb}")
        match kind:
            case "slow":
                self.timeline.sleep(strike.amount)
            case "rival":
                self.rival()
                self.timeline.sleep(400)
            case "unavailable" if port != "platform":
                raise Unavailable("simulated")
            case "half":
                self._do_half(port, verb, method, args)
                raise Killed
            case _:
                raise Killed

    def _do_half(
        self, port: str, verb: str, method: Callable[..., Any], args: tuple[Any, ...]
    ) -> None:
        place = LISTS.get(verb)
        if place is None or len(args) <= place:
            return
        part = args[place][: (len(args[place]) + 1) // 2]
        halved = (*args[:place], part, *args[place + 1 :])
        self._effect(None, port, verb, method, halved, {})

    def _is_throttled(self) -> bool:
        if not self.table_throttles or self._chance() * 100 >= self.table_throttles:
            return False
        self.fire("throttled")
        return True


class _Proxy:
    def __init__(self, wire: Wire, port: str, target: Any) -> None:
        self.__dict__["_held"] = (wire, port, target)

    def __getattr__(self, name: str) -> Any:
        wire, port, target = self.__dict__["_held"]
        method = getattr(target, name)
        if not callable(method) or name.startswith("_") or name in ("parse", "capabilities"):
            return method

        def call(*args: Any, **options: Any) -> Any:
            return wire.call(port, name, method, args, options)

        self.__dict__[name] = call
        return call
