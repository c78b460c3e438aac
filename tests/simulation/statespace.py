"""Admission and release, small enough to be explored exhaustively.

Two dispatchers, an unreliable stream, pushes that may be delivered twice, a platform and a sweep
share a ledger and a few runs. `explore` visits every state that any interleaving of their steps can
reach, every crash between two steps included, and checks each: safety in all of them, and from each
of them a way to the end on which nothing breaks any more.

    python -m tests.simulation.statespace

A model, not the code: it has the same steps in the same order, and nothing else. What it leaves
out (time, queues, keys) is the simulator's.
"""

from __future__ import annotations

import argparse
import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

__all__ = ["Explored", "Model", "State", "explore"]

#: Of a run: it waits for attempt 1, is claimed, runs, or is over.
_WAITS, _CLAIMED, _RUNS, _OVER = range(4)
#: Of a pass: none; it has read the ledger, the line, the runs; it has committed; it has sent.
_IDLE, _LEDGER, _LINE, _CHECKED, _COMMITTED, _SENT = range(6)


class Pass(NamedTuple):
    """A pass of one dispatcher, and what it still needs of what it has read. Sets of runs are bits
    of a number."""

    step: int = _IDLE
    #: Whether the ledger has still the version that was read.
    current: bool = True
    held: int = 0
    #: Runs whose end it was told of.
    ended: int = 0
    line: int = 0
    #: Admitted by its commit; or held and still in line: an unfinished hand-over.
    chosen: int = 0


_NONE = Pass()


class State(NamedTuple):
    """All there is. Whatever was sent may arrive at any time from then on, and again: so there are
    no queues, only what was sent, and what is lost of it."""

    runs: tuple[int, ...]
    passes: tuple[Pass, ...]
    #: Containers that live, that were started, and that were started twice.
    alive: int = 0
    started: int = 0
    twice: int = 0
    held: int = 0
    line: int = 0
    #: Orders that were sent.
    orders: int = 0
    crashes: int = 0
    #: Whose first record, whose record of the end, and whose first order never arrives.
    lost: tuple[int, int, int] = (0, 0, 0)


_Steps = Iterator[tuple[str, State]]


@dataclass(frozen=True)
class Model:
    """How many of what, and which rule is broken on purpose."""

    runs: int = 2
    limit: int = 1
    dispatchers: int = 2
    crashes: int = 1
    losses: int = 1
    #: "version": a commit does not look at it. "release": a stop frees the slot before the end.
    #: "sweep": nobody finishes hand-overs and finds ends. "audit": nobody finds lost records.
    #: "claim": an order starts whatever it finds.
    without: str = ""

    def first(self) -> Iterator[State]:
        """Every run was just submitted: a state for each choice of what gets lost."""
        start = State((_WAITS,) * self.runs, (_NONE,) * self.dispatchers)
        for lost in product(range(1 << self.runs), repeat=3):
            if sum(bits.bit_count() for bits in lost) <= self.losses:
                records, ends, orders = lost
                yield start._replace(lost=(records, ends, orders))

    def steps(self, state: State) -> _Steps:
        """Whatever may happen next. Nothing may depend on names with `!`: faults, and what
        people do."""
        yield from self._stream(state)
        for number, one in enumerate(state.passes):
            if one.step:
                yield from self._pass(state, number, one)
        yield from self._orders(state)
        yield from self._platform(state)

    # -- dispatch ----------------------------------------------------------------------------------

    def _stream(self, state: State) -> _Steps:
        """The stream, the audit and the sweep begin passes, and put runs in line."""
        everyone = (1 << self.runs) - 1
        for run in _members(everyone & ~(state.lost[0] | state.line)):
            yield f"the record puts {run} in line", state._replace(line=state.line | 1 << run)
        if self.without != "audit":
            for run in _members(_in(state, _WAITS) & ~(state.line | state.held)):
                yield f"the audit puts {run} in line", state._replace(line=state.line | 1 << run)
        free = next((n for n, one in enumerate(state.passes) if not one.step), None)
        if free is not None:
            begun = Pass(_LEDGER, held=state.held, ended=self._swept(state))
            yield "a pass begins", _with(state, free, begun)
            for run in _members(_in(state, _OVER) & ~state.lost[1]):
                reported = Pass(_LEDGER, held=state.held, ended=1 << run)
                yield f"a pass hears that {run} is over", _with(state, free, reported)

    def _swept(self, state: State) -> int:
        return 0 if self.without == "sweep" else state.held & _in(state, _OVER)

    def _pass(self, state: State, number: int, one: Pass) -> _Steps:
        if state.crashes < self.crashes:
            crashed = state._replace(crashes=state.crashes + 1)
            yield "! a pass crashes", _with(crashed, number, _NONE)
        if one.step == _LEDGER:
            read = one._replace(step=_LINE, line=state.line)
            yield "a pass reads the line", _with(state, number, read)
        elif one.step == _LINE:
            stale = one.line & ~_in(state, _WAITS)
            checked = one._replace(step=_CHECKED, line=one.line & ~stale)
            cleaned = state._replace(line=state.line & ~stale)
            yield "a pass reads the runs", _with(cleaned, number, checked)
        elif one.step == _CHECKED:
            yield self._commit(state, number, one)
        elif one.step == _COMMITTED:
            sent = state._replace(orders=state.orders | (one.chosen & ~state.lost[2]))
            yield "a pass sends orders", _with(sent, number, one._replace(step=_SENT))
        else:
            done = state._replace(line=state.line & ~one.chosen)
            yield "a pass removes places", _with(done, number, _NONE)

    def _commit(self, state: State, number: int, one: Pass) -> tuple[str, State]:
        held = one.held & ~one.ended
        admitted = 0
        for run in _members(one.line & ~held):
            if (held | admitted).bit_count() < self.limit:
                admitted |= 1 << run
        unfinished = 0 if self.without == "sweep" else one.line & held
        chosen = admitted | unfinished
        following = Pass(_COMMITTED, chosen=chosen) if chosen else _NONE
        if not admitted and held == one.held:
            return "a pass has nothing to commit", _with(state, number, following)
        if not one.current and self.without != "version":
            again = Pass(_LEDGER, held=state.held, ended=one.ended)
            return "a pass loses the race, and reads again", _with(state, number, again)
        committed = state._replace(
            held=held | admitted,
            # Whoever read the ledger before has read another version.
            passes=tuple(
                p._replace(current=False) if p.step in (_LEDGER, _LINE, _CHECKED) else p
                for p in state.passes
            ),
        )
        return "a pass commits", _with(committed, number, following)

    # -- push, platform ----------------------------------------------------------------------------

    def _orders(self, state: State) -> _Steps:
        for run in _members(state.orders):
            found = state.runs[run]
            if found == _WAITS:
                yield f"a push claims {run}", _run(state, run, _CLAIMED)
            elif found == _CLAIMED or (self.without == "claim" and found == _RUNS):
                yield f"a push starts {run}", self._start(_run(state, run, _RUNS), 1 << run)
        if self.without != "sweep":
            unsent = (_in(state, _WAITS) | _in(state, _CLAIMED)) & state.held & ~state.orders
            for run in _members(unsent):
                yield f"the sweep sends {run} again", state._replace(orders=state.orders | 1 << run)

    def _start(self, state: State, bit: int) -> State:
        """A platform starts a name once, however often it is sent."""
        if state.started & bit and self.without != "claim":
            return state
        return state._replace(
            alive=state.alive | bit,
            started=state.started | bit,
            twice=state.twice | (state.started & bit),
        )

    def _platform(self, state: State) -> _Steps:
        for run in _members(state.alive):
            yield f"{run} ends", state._replace(alive=state.alive & ~(1 << run))
            if self.without == "release" and state.runs[run] == _RUNS:
                yield f"{run} is asked to stop", _over(state, run)
        for run in _members(_in(state, _RUNS) & ~state.alive):
            yield f"the end of {run} is seen", _over(state, run)
        for run in _members(_in(state, _WAITS)):
            yield f"! somebody cancels {run} before it starts", _over(state, run)

    # -- what must hold ----------------------------------------------------------------------------

    def broken(self, state: State) -> str:
        """Which promise this state breaks; empty if none."""
        if state.held.bit_count() > self.limit:
            return f"{state.held.bit_count()} slots are held of {self.limit}"
        if state.twice:
            return "an attempt was started twice"
        if state.alive & ~state.held:
            return "a container lives without a slot"
        if (_in(state, _CLAIMED) | _in(state, _RUNS)) & ~state.held:
            return "a run is in flight without a slot"
        return ""

    def is_end(self, state: State) -> bool:
        """Whether everything is over and given back."""
        return not (state.held or state.alive) and all(run == _OVER for run in state.runs)


def _members(bits: int) -> Iterator[int]:
    run = 0
    while bits:
        if bits & 1:
            yield run
        bits, run = bits >> 1, run + 1


def _in(state: State, found: int) -> int:
    return sum(1 << run for run, is_in in enumerate(state.runs) if is_in == found)


def _with(state: State, number: int, one: Pass) -> State:
    """Passes are alike: which of them is which does not matter."""
    others = [*state.passes[:number], one, *state.passes[number + 1 :]]
    return state._replace(passes=tuple(sorted(others)))


def _run(state: State, run: int, found: int) -> State:
    return state._replace(runs=(*state.runs[:run], found, *state.runs[run + 1 :]))


def _over(state: State, run: int) -> State:
    return _run(state, run, _OVER)


# -- the search -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Explored:
    """What was found."""

    states: int
    steps: int
    depth: int
    #: What is broken, and the steps that lead there; empty if nothing is.
    broken: str = ""
    path: tuple[str, ...] = ()


def explore(model: Model, most: int = 3_000_000) -> Explored:
    """Visit every state that can be reached, breadth first: a path that breaks something is one of
    the shortest. Raises OverflowError at more than `most` states."""
    found = list(model.first())
    numbers = {state: number for number, state in enumerate(found)}
    #: The state from which each was reached first; and every step that is sure to come.
    parents, sources, targets = array("i", [-1] * len(found)), array("i"), array("i")
    steps = depth = begin = 0
    while begin < len(found):
        end = len(found)
        for number in range(begin, end):
            for name, after in model.steps(found[number]):
                steps += 1
                reached = numbers.setdefault(after, len(found))
                if reached == len(found):
                    found.append(after)
                    parents.append(number)
                    if broken := model.broken(after):
                        path = _path(model, found, parents, reached)
                        return Explored(len(found), steps, depth + 1, broken, path)
                if not name.startswith("!"):
                    sources.append(number)
                    targets.append(reached)
        if len(found) > most:
            raise OverflowError(f"more than {most:,} states")
        begin, depth = end, depth + (end < len(found))
    if (stuck := _stuck(model, found, sources, targets)) is not None:
        path = _path(model, found, parents, stuck)
        what = "no way leads from here to the end"
        return Explored(len(found), steps, depth, what, path)
    return Explored(len(found), steps, depth)


def _stuck(
    model: Model, found: list[State], sources: array[int], targets: array[int]
) -> int | None:
    """The first state from which what is sure to come does not lead to the end."""
    good = bytearray(len(found))
    for number, state in enumerate(found):
        good[number] = model.is_end(state)
    grows = True
    while grows:
        grows = False
        for place in range(len(sources) - 1, -1, -1):
            if good[targets[place]] and not good[sources[place]]:
                good[sources[place]] = grows = True
    number = good.find(0)
    return None if number < 0 else number


def _path(model: Model, found: list[State], parents: array[int], last: int) -> tuple[str, ...]:
    names: list[str] = []
    while (before := parents[last]) >= 0:
        steps = model.steps(found[before])
        names.append(next(name for name, after in steps if after == found[last]))
        last = before
    return tuple(reversed(names))


def main(arguments: list[str] | None = None) -> int:
    """0 if nothing is broken."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation.statespace", description=__doc__.partition("\n")[0]
    )
    for name, default in (("runs", 2), ("limit", 1), ("crashes", 1), ("losses", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--without", default="", help="a rule that is broken on purpose")
    given = parser.parse_args(arguments)
    began = time.monotonic()
    found = explore(Model(**vars(given)))
    print(
        f"{found.states:,} states, {found.steps:,} steps, {found.depth} deep, "
        f"{time.monotonic() - began:.0f} s: {found.broken or 'nothing is broken'}"
    )
    print("\n".join(f"  {number:2} {name}" for number, name in enumerate(found.path, 1)))
    return 1 if found.broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
