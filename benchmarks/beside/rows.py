"""The rows of the table: how each is measured, on every side in turn."""

from __future__ import annotations

import math
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import median
from typing import TypeVar

from benchmarks import backlog
from benchmarks.beside import stats
from benchmarks.beside.ours import Ours
from benchmarks.beside.sides import NOTHING, PROCESS_WORKER, Life, Serving, Side, Spec
from benchmarks.beside.theirs import Theirs

__all__ = ["FULL", "QUICK", "ROWS", "Bench", "Row", "Scale"]

T = TypeVar("T")
S = TypeVar("S", bound=Side)
#: The poll of Prefect's workers, in seconds, unless it is configured.
DEFAULT_POLL = 10
SLOTS, HIGH_LIMIT = 10, 4
#: No row waits longer for its runs.
PATIENCE = 300


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    rounds: int
    #: Single runs a round: ours, and Prefect's at its default poll and at one of a second.
    singles: tuple[int, int, int]
    bursts: tuple[int, ...]
    processes: int
    full: int
    #: Runs in each of the two queues.
    mixed: int
    backlogs: tuple[int, ...]
    pools: int
    idle_seconds: int


FULL = Scale(2, (30, 8, 10), (50, 200, 1000), 200, 120, 60, (0, 1000, 10_000), 100, 60)
QUICK = Scale(1, (20, 4, 5), (50, 200), 50, 40, 20, (0, 1000), 20, 20)


@dataclass(frozen=True)
class Bench:
    """What is up."""

    ours: Ours
    theirs: Sequence[Theirs]
    scale: Scale
    dice: random.Random = field(default_factory=lambda: random.Random(20261127))

    @property
    def sides(self) -> list[Side]:
        return [self.ours, *self.theirs]


@dataclass(frozen=True)
class Row:
    """One figure of every side."""

    name: str
    values: Mapping[str, float]
    #: How a value is shown.
    form: str = "{:,.0f} ms"
    more_is_better: bool = False
    #: Some figures are right or wrong: over a limit is over it.
    compared: bool = True

    def shown(self, side: str) -> str:
        """A value as people read it."""
        value = self.values[side]
        return f"not in {PATIENCE} s" if math.isinf(value) else self.form.format(value)


def idle(bench: Bench) -> Iterator[Row]:
    _each(bench.sides, lambda side: side.create(Spec("idle", "true")))
    yield _idle(bench, ["idle"], "idle, 1 pool: CPU a minute")


def _idle(bench: Bench, pools: Sequence[str], name: str) -> Row:
    """All sides in the same minute: they do nothing, and it is CPU time that counts."""
    with ExitStack() as stack:
        for side in bench.sides:
            stack.enter_context(side.serving(pools, Serving(DEFAULT_POLL)))
        time.sleep(3)
        before = {side.name: side.cpu() for side in bench.sides}
        time.sleep(bench.scale.idle_seconds)
        scale = 60 / bench.scale.idle_seconds
        values = {side.name: (side.cpu() - before[side.name]) * scale for side in bench.sides}
    return Row(name, values, "{:.2f} s")


@dataclass(frozen=True)
class _Kind:
    """How single runs are started: by which worker, and how many come, how far apart."""

    name: str
    worker: str
    how: Serving
    runs: int
    spacing: float


@dataclass
class _Delays:
    """Seconds after the due times."""

    claims: list[float] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)


def singles(bench: Bench) -> Iterator[Row]:
    """One run at a time, at random times: when they come has nothing to do with a poll."""
    count, slow, fast = bench.scale.singles
    kinds = (
        _Kind("polls every 10 s, its default", "light", Serving(DEFAULT_POLL), slow, 4.0),
        _Kind("polls every second", "light", Serving(1), fast, 1.0),
        _Kind("its process worker, every second", PROCESS_WORKER, Serving(1), fast, 1.0),
    )
    ours = _Delays()
    theirs: dict[tuple[str, str], _Delays] = defaultdict(_Delays)
    for turn in range(bench.scale.rounds):
        _singles(bench, bench.ours, turn, _Kind("", "light", Serving(), count, 0.5), ours)
        for kind in kinds:
            for side in bench.theirs:
                _singles(bench, side, turn, kind, theirs[kind.name, side.name])
    for kind in kinds:
        delays = {bench.ours.name: ours}
        delays |= {side.name: theirs[kind.name, side.name] for side in bench.theirs}
        for share in (50, 95):
            for what, field_ in (("claim", "claims"), ("process", "starts")):
                values = {n: getattr(d, field_) for n, d in delays.items()}
                shown = {n: stats.quantile(v, share / 100) * 1000 for n, v in values.items()}
                yield Row(f"one run: due to {what}, p{share} (Prefect {kind.name})", shown)


def _singles(bench: Bench, side: Side, turn: int, kind: _Kind, into: _Delays) -> None:
    name = f"single-{kind.worker}-{kind.how.poll}-{turn}"
    side.create(Spec(name, "true", worker=kind.worker))
    ids = []
    with side.serving([name], kind.how):
        for _ in range(kind.runs):
            early = bench.dice.uniform(0, kind.spacing)
            time.sleep(early)
            ids += side.submit(name)
            time.sleep(kind.spacing - early)
        side.wait(name, ids, ended=True, seconds=PATIENCE)
    claims = side.claims(name, ids)
    for life in side.lives(name, ids):
        if life.started is not None and life.run in claims:
            into.claims.append(claims[life.run] - life.due)
            into.starts.append(life.started - life.due)


def bursts(bench: Bench) -> Iterator[Row]:
    """All runs wait in a paused pool; from its release to the last start."""
    for size in bench.scale.bursts:
        rounds = bench.scale.rounds if size <= 50 else 1
        yield from _burst(bench, f"burst of {size}", size, NOTHING, rounds)
    size = bench.scale.processes
    yield from _burst(bench, f"burst of {size} processes", size, "true", 1)


def _burst(bench: Bench, name: str, size: int, job: str, rounds: int) -> Iterator[Row]:
    seconds: dict[str, list[float]] = defaultdict(list)
    cpu: dict[str, list[float]] = defaultdict(list)
    missing: dict[str, float] = {}
    for turn in range(rounds):
        spec = Spec(f"burst-{size}-{job}-{turn}", job, paused=True)
        ids = _each(bench.sides, partial(_filled, spec, size))
        for side in bench.sides:
            with side.serving([spec.name], Serving(DEFAULT_POLL)):
                these = {spec.name: ids[side.name]}
                taken, used, missing[side.name] = _released(bench, side, [spec.name], these)
            seconds[side.name].append(taken)
            cpu[side.name].append(used * 1000 / size)
    yield Row(f"{name}: all started", {n: median(v) for n, v in seconds.items()}, "{:,.2f} s")
    yield Row(f"{name}: CPU a run", {n: median(v) for n, v in cpu.items()}, "{:,.1f} ms")
    yield from _lost(name, missing)


def _filled(spec: Spec, size: int, side: Side) -> list[str]:
    side.create(spec)
    return side.submit(spec.name, runs=size)


def _released(
    bench: Bench, side: Side, pools: Sequence[str], ids: Mapping[str, Sequence[str]]
) -> tuple[float, float, int]:
    """Seconds from the release of these pools to the last start, the CPU of it, and how many never
    started; infinite if nobody has the patience."""
    time.sleep(bench.dice.uniform(0, DEFAULT_POLL) if side is not bench.ours else 1)
    before, began = side.cpu(), time.time()
    for pool in pools:
        side.unpause(pool)
    until = time.monotonic() + PATIENCE
    try:
        for pool in pools:
            left = max(1.0, until - time.monotonic())
            side.wait(pool, ids[pool], ended=False, seconds=left)
    except TimeoutError:
        return math.inf, math.inf, 0
    used = side.cpu() - before
    lives = [life for pool in pools for life in side.lives(pool, ids[pool])]
    last = max((life.started for life in lives if life.started), default=math.inf)
    return last - began, used, _missing(lives)


def _missing(lives: Sequence[Life]) -> int:
    return sum(life.started is None for life in lives)


def _lost(name: str, missing: Mapping[str, float]) -> Iterator[Row]:
    """A row only if there are some."""
    if any(missing.values()):
        yield Row(f"{name}: never started", missing, "{:.0f}", compared=False)


def full(bench: Bench) -> Iterator[Row]:
    """Processes of a second in a pool that always has more of them."""
    spec = Spec("full", "sleep 1", limit=SLOTS, paused=True)
    ids = _each(bench.sides, partial(_filled, spec, bench.scale.full))
    lives: dict[str, list[Life]] = {}
    for side in bench.sides:
        with side.serving([spec.name], Serving(1)):
            side.unpause(spec.name)
            side.wait(spec.name, ids[side.name], ended=True, seconds=PATIENCE)
        lives[side.name] = side.lives(spec.name, ids[side.name])
    name = f"full pool of {SLOTS}, jobs of 1 s"
    used = {n: stats.used(found, SLOTS) * 100 for n, found in lives.items()}
    yield Row(f"{name}: slots used", used, "{:.1f} %", more_is_better=True)
    for share in (50, 95):
        gaps = {n: stats.handovers(found, SLOTS) for n, found in lives.items()}
        values = {n: stats.quantile(found, share / 100) * 1000 for n, found in gaps.items()}
        yield Row(f"{name}: end to next start, p{share}", values)
    yield _most(f"{name}: at once, at most", lives)
    yield from _lost(name, {n: _missing(found) for n, found in lives.items()})


def mixed(bench: Bench) -> Iterator[Row]:
    """Two queues, one of them first and with a limit; runs that come at random times; three of our
    dispatchers, two of Prefect's workers."""
    queues: Mapping[str, tuple[int, int | None]] = {"high": (1, HIGH_LIMIT), "low": (2, None)}
    spec = Spec("mixed", "sleep 1", limit=SLOTS, queues=queues)
    count = bench.scale.mixed
    # Somewhat more than fit: 2 x count seconds of work for 10 slots.
    length = 2 * count / SLOTS * 0.8
    plan = sorted((bench.dice.uniform(0, length), q) for q in queues for _ in range(count))
    claimed: dict[str, list[Life]] = {}
    lives: dict[str, list[Life]] = {}
    for side in bench.sides:
        side.create(spec)
        with side.serving([spec.name], Serving(1, workers=3 if side is bench.ours else 2)):
            ids = _arriving(side, spec.name, plan)
            side.wait(spec.name, ids, ended=True, seconds=PATIENCE)
        lives[side.name] = side.lives(spec.name, ids)
        claims = side.claims(spec.name, ids)
        # A slot is held from the claim on, and it is claims that overtake each other.
        claimed[side.name] = [replace(x, started=claims.get(x.run)) for x in lives[side.name]]
    name = f"mixed, 2 queues, {2 * count} jobs of 1 s"
    yield _most(f"{name}: at once, limit {SLOTS}", lives)
    high = {n: [life for life in found if life.queue == "high"] for n, found in lives.items()}
    yield _most(f"{name}: at once in the queue of limit {HIGH_LIMIT}", high)
    for tolerance in (0.2, 1.0):
        wrong = {n: stats.inversions(x, "high", HIGH_LIMIT, tolerance) for n, x in claimed.items()}
        yield Row(f"{name}: overtaken for {tolerance:g} s or more", wrong, "{:.0f}", compared=False)
    used = {n: stats.used(found, SLOTS) * 100 for n, found in lives.items()}
    yield Row(f"{name}: slots used", used, "{:.1f} %", more_is_better=True)
    spans = {n: stats.makespan(found) for n, found in lives.items()}
    yield Row(f"{name}: first start to last end", spans, "{:.1f} s")
    yield from _lost(name, {n: _missing(found) for n, found in lives.items()})


def _arriving(side: Side, pool: str, plan: Sequence[tuple[float, str]]) -> list[str]:
    began = time.monotonic()
    sent: list[Future[list[str]]] = []
    with ThreadPoolExecutor(4) as clients:
        for at, queue in plan:
            time.sleep(max(0.0, began + at - time.monotonic()))
            sent.append(clients.submit(side.submit, pool, queue))
    return [run for each in sent for run in each.result()]


def _most(name: str, lives: Mapping[str, Sequence[Life]]) -> Row:
    values = {side: stats.most_at_once(found) for side, found in lives.items()}
    return Row(name, values, "{:.0f}", compared=False)


def backlogs(bench: Bench) -> Iterator[Row]:
    """Ours: a pass in which one run ends and one starts, with its commit. Prefect's: one poll of a
    worker while ten slots are free, without the claims that follow."""
    spec = Spec("backlog", limit=SLOTS)
    few = 2 * SLOTS
    ids = _each(bench.theirs, partial(_filled, spec, few))
    there = few
    for waiting in bench.scale.backlogs:
        if waiting > there:
            more = waiting - there
            for side in bench.theirs:
                side.multiply(ids[side.name][0], more)
            there = waiting
        values = {bench.ours.name: backlog.measured(waiting)}
        values |= {side.name: _poll(side, spec.name) for side in bench.theirs}
        yield Row(f"{waiting} waiting: a dispatch (Prefect: a poll)", values, "{:,.1f} ms")


def _poll(side: Theirs, pool: str) -> float:
    """The median of some, in milliseconds."""
    taken = []
    for _ in range(20):
        began = time.perf_counter()
        found = side.poll(pool)
        taken.append((time.perf_counter() - began) * 1000)
        assert len(found) == SLOTS
    return median(taken)


def pools(bench: Bench) -> Iterator[Row]:
    """Two runs in each of many pools. A worker of Prefect's serves one pool; all of them are in one
    process here."""
    count = bench.scale.pools
    names = [f"of-many-{number}" for number in range(count)]
    specs = [Spec(name, paused=True) for name in names]
    ids = _each(bench.sides, lambda side: {s.name: _filled(s, 2, side) for s in specs})
    seconds: dict[str, float] = {}
    cpu: dict[str, float] = {}
    missing: dict[str, float] = {}
    for side in bench.sides:
        with side.serving(names, Serving(DEFAULT_POLL)):
            found = _released(bench, side, names, ids[side.name])
            seconds[side.name], used, missing[side.name] = found
            cpu[side.name] = used * 1000 / (2 * count)
    yield Row(f"{count} pools, 2 runs in each: all started", seconds, "{:,.2f} s")
    yield Row(f"{count} pools, 2 runs in each: CPU a run", cpu, "{:,.1f} ms")
    yield from _lost(f"{count} pools, 2 runs in each", missing)
    yield _idle(bench, names, f"idle, {count} pools: CPU a minute")


def _each(sides: Sequence[S], do: Callable[[S], T]) -> dict[str, T]:
    """Side by side, what is not measured; by name."""
    with ThreadPoolExecutor(len(sides)) as threads:
        return dict(zip((side.name for side in sides), threads.map(do, sides), strict=True))


#: In this order: the longest near the end, and last what leaves many late runs behind.
ROWS: Mapping[str, Callable[[Bench], Iterator[Row]]] = {
    "idle": idle,
    "singles": singles,
    "full": full,
    "mixed": mixed,
    "pools": pools,
    "bursts": bursts,
    "backlog": backlogs,
}
