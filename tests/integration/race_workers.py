"""Who races for the slots of one pool? Processes: dispatchers, finishers, and one who meddles."""

from __future__ import annotations

import pickle
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing import parent_process
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event, Semaphore
from pathlib import Path
from queue import Empty
from typing import Any, ClassVar

from push_dispatch.adapters.dynamodb import items
from push_dispatch.adapters.dynamodb.ledgers import PLAIN_BYTES
from push_dispatch.adapters.dynamodb.store import DynamoStore
from push_dispatch.adapters.secret_stores import secrets_from
from push_dispatch.bootstrap import new_id, now
from push_dispatch.control.pools import change_pool, change_queue
from push_dispatch.core.errors import PushDispatchError
from push_dispatch.core.model import Ledger, Observation, Pool, Ready, Run, Status
from push_dispatch.engine.dispatch import dispatch
from push_dispatch.engine.finish import finish
from push_dispatch.engine.hints import Hints, hints_of
from push_dispatch.engine.push import push
from push_dispatch.platforms.base import Job, Watched
from push_dispatch.ports import Ports
from push_dispatch.ports.messages import Message, Push, Wake
from push_dispatch.ports.store import Change, Overview
from tests import ministack as stack
from tests.integration.race_check import Commit, Limits

#: Settings of the pool between which somebody moves while the race is on.
POOL_LIMITS = (2, 4, 8, 12)
QUEUE_LIMITS = (0, 1, 3, None)
QUEUES = ("high", "low", "default")


@dataclass(frozen=True)
class Race:
    """What every process is told."""

    endpoint: str
    table: str
    pool: str
    #: Where each process writes what it has seen.
    folder: Path
    #: Changes of the stream on their way to a dispatcher: late, twice, in any order.
    hints: Queue[Hints]
    pushes: Queue[Message]
    #: Counts runs that have ended, some of them twice.
    ended: Semaphore
    done: Event
    #: How often limits and pauses change.
    changes: int
    #: Whether the ledger is written without its condition.
    careless: bool = False
    #: How many bytes of holders a ledger has that needs a base: see `Ledgers`.
    plain_bytes: int = PLAIN_BYTES

    @property
    def is_on(self) -> bool:
        starter = parent_process()
        return not self.done.is_set() and (starter is None or starter.is_alive())


def dispatcher(race: Race, number: int) -> None:
    """Dispatches whatever it is told about, again when it fails."""
    recorder = CarelessRecorder if race.careless else Recorder
    store = recorder(_client(race), race.table, plain_bytes=race.plain_bytes)
    ports = _ports(race, store)
    while race.is_on:
        hints = _batch(race)
        try:
            passed = dispatch(ports, race.pool, hints)
        except PushDispatchError:
            race.hints.put(hints)
            continue
        for _ in range(passed.expired):
            race.ended.release()
    (race.folder / f"dispatcher-{number}").write_bytes(pickle.dumps(store.commits))


def finisher(race: Race, number: int) -> None:
    """Is the platform's function, and the platform: pushes, and ends what runs in any order."""
    dice = random.Random(number)
    ports = _ports(race, _store(race))
    under_way: list[Push] = []
    while race.is_on:
        message = _next(race.pushes, 0.02)
        if isinstance(message, Push):
            push(ports, message)
            under_way.append(message)
        if under_way and (message is None or dice.random() < 0.5):
            ended = under_way.pop(dice.randrange(len(under_way)))
            seen = Observation(ended.run, ended.attempt, Status.ENDED, exit_code=0)
            run = finish(ports, seen)
            if run is not None:
                race.ended.release()
                _tell(race, run, times=dice.choice((1, 1, 2)))


def meddler(race: Race, seed: int) -> None:
    """Moves limits and pauses things, and at last lets everything go."""
    dice = random.Random(seed)
    ports = _ports(race, _store(race))
    changed: list[Limits] = []
    for change in (*[_meddle] * race.changes, _let_go):
        race.done.wait(dice.uniform(0.02, 0.3))
        changed.append(_limits_after(ports, change(ports, race.pool, dice)))
        race.hints.put(Hints())
    (race.folder / "meddler").write_bytes(pickle.dumps(changed))


def tell_of_submission(race: Race, runs: Sequence[Run], dice: random.Random) -> None:
    """The stream tells of the runs in batches, in any order, and of some of them twice."""
    reported = [*runs, *dice.sample(runs, len(runs) // 10)]
    dice.shuffle(reported)
    for start in range(0, len(reported), 10):
        changes = [Change(race.pool, None, run) for run in reported[start : start + 10]]
        race.hints.put(hints_of(changes)[race.pool])


# -- the parts ----------------------------------------------------------------------------------


class Recorder(DynamoStore):
    """Keeps every ledger that it has committed, with what was read before."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.commits: list[Commit] = []
        self._pass = Commit(0, Ledger(""), Ledger(""))
        self._dice = random.Random(id(self))

    def overview(self, pool: str) -> Overview:
        """A pass begins with this read."""
        seen = super().overview(pool)
        self._pass = Commit(0, _plain(seen.ledger), seen.ledger)
        for queue, heads in seen.heads.items():
            self._pass.seen.setdefault(queue, []).extend(heads.places)
        return seen

    def line(self, pool: str, queue: str, limit: int, **bounds: Any) -> list[Ready]:
        """Places that the pass knows."""
        places = super().line(pool, queue, limit, **bounds)
        self._pass.seen.setdefault(queue, []).extend(places)
        return places

    def dequeue(self, pool: str, entries: Sequence[Ready]) -> None:
        """Before the commit only stale places are removed."""
        self._pass.dropped |= {entry.slot for entry in entries}
        super().dequeue(pool, entries)

    def commit(self, ledger: Ledger) -> None:
        """Decided a moment ago: time for the others to be faster."""
        time.sleep(self._dice.uniform(0, 0.01))
        super().commit(ledger)
        dropped = set(self._pass.dropped)
        after = _plain(ledger)
        self.commits.append(replace(self._pass, at=now(), after=after, dropped=dropped))


def _plain(ledger: Ledger) -> Ledger:
    """Without the read-only view that cannot travel between processes."""
    return replace(ledger, starts={})


class _Careless(DynamoStore):
    """Writes the ledger whether or not it is still the one that was read."""

    def commit(self, ledger: Ledger) -> None:
        self._table.put(items.ledger_item(ledger))


class CarelessRecorder(Recorder, _Careless):
    """The control: what the condition is good for."""


class _ToQueue:
    """Messages for the platform's function, of which some arrive twice, and for dispatch."""

    def __init__(self, race: Race) -> None:
        self._pushes, self._hints = race.pushes, race.hints
        self._dice = random.Random(id(self))

    def send(self, platform: str, messages: Sequence[Message], delay_seconds: int = 0) -> None:
        twice = [message for message in messages if self._dice.random() < 0.05]
        for message in (*messages, *twice):
            self._pushes.put(message)

    def wake(self, wakes: Sequence[Wake], delay_seconds: int = 0) -> None:
        for wake in wakes:
            self._hints.put(Hints(ended=set(wake.ended), due=set(wake.due)))


class _AtOnce:
    """A platform that starts everything at once."""

    name: ClassVar[str] = "process"

    def push(self, job: Job) -> str:
        return job.name

    def observe(self, jobs: Sequence[Watched]) -> list[Observation]:
        return []

    def cancel(self, handle: str) -> None:
        return None


def _store(race: Race) -> DynamoStore:
    return DynamoStore(_client(race), race.table, plain_bytes=race.plain_bytes)


def ports_of(race: Race) -> Ports:
    """For whoever starts the race."""
    return _ports(race, _store(race))


def _client(race: Race) -> Any:
    return stack.client("dynamodb", race.endpoint)


def _ports(race: Race, store: DynamoStore) -> Ports:
    return Ports(
        store=store,
        messages=_ToQueue(race),
        clock=now,
        new_id=new_id,
        platform=lambda _name: _AtOnce(),
        secrets=secrets_from({}),
    )


def _next(queue: Queue[Any], seconds: float) -> Any:
    try:
        return queue.get(timeout=seconds) if seconds else queue.get_nowait()
    except Empty:
        return None


def _batch(race: Race) -> Hints:
    """What has come in, reduced to one as the function does it."""
    batch = Hints()
    hints = _next(race.hints, 0.2)
    while hints is not None:
        batch.add(hints)
        hints = _next(race.hints, 0) if len(batch.ended) + len(batch.waiting) < 25 else None
    return batch


def _tell(race: Race, run: Run, *, times: int) -> None:
    for _ in range(times):
        race.hints.put(hints_of([Change(race.pool, None, run)])[race.pool])


def _meddle(ports: Ports, pool: str, dice: random.Random) -> Pool:
    queue = dice.choice(QUEUES)
    match dice.randrange(4):
        case 0:
            return change_pool(ports, pool, lambda p: replace(p, limit=dice.choice(POOL_LIMITS)))
        case 1:
            return change_pool(ports, pool, lambda p: replace(p, paused=not p.paused))
        case 2:
            limit = dice.choice(QUEUE_LIMITS)
            return change_queue(ports, pool, queue, lambda q: replace(q, limit=limit))
        case _:
            return change_queue(ports, pool, queue, lambda q: replace(q, paused=not q.paused))


def _let_go(ports: Ports, pool: str, dice: random.Random) -> Pool:
    def change(pool: Pool) -> Pool:
        queues = tuple(replace(queue, limit=None, paused=False) for queue in pool.queues)
        return replace(pool, limit=max(POOL_LIMITS), paused=False, queues=queues)

    return change_pool(ports, pool, change)


def _limits_after(ports: Ports, pool: Pool) -> Limits:
    """The change has returned, so it holds for every ledger after the one that is there now."""
    return replace(Limits.of(pool), holds_from=ports.store.ledger(pool.name).version)


def read_commits(folder: Path) -> list[Commit]:
    files = folder.glob("dispatcher-*")
    return [commit for file in files for commit in pickle.loads(file.read_bytes())]


def read_limits(folder: Path) -> Mapping[int, Limits]:
    changed: list[Limits] = pickle.loads((folder / "meddler").read_bytes())
    return {limits.version: limits for limits in changed}
