"""What does one run ask of AWS, call by call? Counted on the client, on a table of moto's.

`tests/integration/test_cost.py` holds docs/reference/cost.md to the same figures. Then what its
units depend on: how many share a commit, how many wait, how many slots are held.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import boto3
from moto import mock_aws

from benchmarks.world import Nowhere, figure
from push_dispatch.adapters.dynamodb.ledgers import PLAIN_BYTES
from push_dispatch.adapters.dynamodb.schema import create_table
from push_dispatch.adapters.dynamodb.store import DynamoStore
from push_dispatch.adapters.secret_stores import secrets_from
from push_dispatch.bootstrap import new_id, now
from push_dispatch.control.pools import change_pool, create_pool
from push_dispatch.core.model import Observation, Pool, Ready, Run, Status
from push_dispatch.core.request import Request
from push_dispatch.engine.dispatch import dispatch
from push_dispatch.engine.finish import finish
from push_dispatch.engine.hints import hints_of
from push_dispatch.engine.push import push
from push_dispatch.engine.sweep import sweep
from push_dispatch.ports import Ports
from push_dispatch.ports.messages import Push
from push_dispatch.ports.store import Change
from tests.fakes.lives import VARIABLES, Accepting, Lives, Step, lives_of
from tests.fakes.meter import metered
from tests.ministack import PLAIN

__all__ = ["main"]

_Start = Callable[[str], Lives]
#: Of one run at idle: calls, write units, read units; what they are held to, and what they were.
_MARKS = (("calls", 12, 26), ("write units", 6, 9), ("read units", 7, 16))
WAITING = 50_000
IDLE_POOLS = 50
_MINUTE = 60_000
#: Slots held; runs, so many that some bases of the ledger are written meanwhile; mark; before.
_HELD = (
    (10, 5, "none", "9"),
    (100, 40, "none", "-"),
    (1000, 80, "15, and 1.3x that of 10", "81"),
    (5000, 140, "25", "341"),
)


def main() -> None:
    """Print the calls of one run at idle, and the units of others: where the stream carries
    everything to dispatch, and where whoever stores something dispatches at once."""
    for way, eager in (("by the stream", False), ("eager", True)):
        with lives_of(eager=eager) as start:
            start("warm").steps(1)
            _idle(start, way)
    with lives_of() as start:
        start("warm").steps(1)
        _shared(start)
        _waiting(start)
    _held()
    _swept()


def _idle(start: _Start, way: str) -> None:
    life = start("etl")
    steps = life.steps(1)
    for (name, step), log in zip(steps.items(), life.logs, strict=True):
        print(f"{name:32} {step[0]:3} calls {step[1]:3} WU {step[2]:5.1f} RU")
        for call in log:
            print(f"    {call}")
    print(f"one run at idle, {way}, in all")
    for total, (name, mark, was) in zip(_sum(steps), _MARKS, strict=True):
        figure(f"{name}, {way}", f"{total:g}", str(mark), str(was))


def _shared(start: _Start) -> None:
    for count, mark, was in ((10, "4.3", "7.2"), (100, "none", "7.08")):
        writes = _sum(start(f"k{count}").steps(count))[1] / count
        figure(f"write units a run, {count} a commit", f"{writes:g}", mark, was)


def _held() -> None:
    """Units of a run in a pool that is full: one run a commit, the oldest holder leaves. Beside
    them those of a ledger that is one item."""
    few = 0.0
    for slots, runs, mark, was in _HELD:
        writes, reads = _steady(slots, runs)
        plain, _ = _steady(slots, 3, 2**40)
        few = few or writes
        figure(f"{slots:,} slots held: write units a run", f"{writes:.2f}", mark, was)
        flat = f"{writes / few:.2f} times those of 10"
        print(f"    {flat}; {reads:.2f} read units; {plain:.2f} in one item")


def _steady(slots: int, runs: int, plain_bytes: int = PLAIN_BYTES) -> tuple[float, float]:
    with lives_of(plain_bytes) as start:
        start("warm").steps(1)
        life = start("full")
        life.hold(slots)
        life.steady(1)
        _, writes, reads = life.steady(runs)
    return writes / runs, reads / runs


def _waiting(start: _Start) -> None:
    """In a full pool: one run ends, the next one starts."""
    empty, crowded = (_sum({"": _handover(start, waiting)}) for waiting in (0, WAITING))
    print(f"one ends and one starts in a full pool where {WAITING:,} more wait")
    for (name, *_), few, many in zip(_MARKS, empty, crowded, strict=True):
        figure(f"{name}, against none", f"{many / few:.2f}x {many:g}", "1.01x", "1.00x")


def _swept() -> None:
    """An hour of sweeps, one a minute, long after anybody has used the pools."""
    at = [now()]
    with mock_aws():
        dynamodb = boto3.client("dynamodb", region_name="us-east-1", config=PLAIN)
        create_table(dynamodb, "idle")
        ports = Ports(
            store=DynamoStore(dynamodb, "idle", clock=lambda: at[0]),
            messages=Nowhere(),
            clock=lambda: at[0],
            new_id=new_id,
            platform=lambda _name: Accepting(),
            secrets=secrets_from({}),
        )
        for number in range(IDLE_POOLS):
            create_pool(ports, Pool(f"pool-{number}", "ecs"), {"job_configuration": {}})
        for _ in range(3):
            at[0] += 61 * _MINUTE
            sweep(ports)
        with metered(dynamodb) as meter:
            for _ in range(60):
                at[0] += _MINUTE
                sweep(ports)
            calls, _, reads = meter.take()
    print(f"{IDLE_POOLS} idle pools, each minute")
    figure("calls a pool", f"{calls / IDLE_POOLS / 60:.2f}", "0", "7")
    figure("read units a pool", f"{reads / IDLE_POOLS / 60:.2f}", "0", "6.5")


def _handover(start: _Start, waiting: int) -> Step:
    life = start(f"full-{waiting}")
    change_pool(life.functions["submit"], life.pool, lambda pool: replace(pool, limit=1))
    held, following = (_arrive(life) for _ in range(2))
    due = following.due
    more = [Ready("default", due, _uuid(n), _uuid(n), 1) for n in range(waiting)]
    life.store.enqueue(life.pool, more, due)
    life.meter.take()
    ended = finish(
        life.functions["finish"], Observation(held.id, 1, Status.ENDED, exit_code=0, version=2)
    )
    assert ended is not None
    assert _dispatch(life, ended) == (1, 1)
    return life.meter.take()


def _arrive(life: Lives) -> Run:
    run = life.submit(Request(life.pool, variables=VARIABLES))
    _dispatch(life, run)
    sent, life.outbox.sent = life.outbox.sent, []
    for message in sent:
        assert isinstance(message, Push)
        push(life.functions["push"], message)
    return run


def _dispatch(life: Lives, run: Run) -> tuple[int, int]:
    hints = hints_of([Change(life.pool, None, run)])[life.pool]
    passed = dispatch(life.functions["dispatch"], life.pool, hints)
    return passed.released, len(passed.admitted)


def _uuid(number: int) -> str:
    """Behind all that are made now."""
    return f"ffffffff-0000-7000-8000-{number:012d}"


def _sum(steps: dict[str, Step]) -> list[float]:
    return [sum(column) for column in zip(*steps.values(), strict=True)]
