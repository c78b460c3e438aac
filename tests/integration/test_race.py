"""Do many dispatchers at once keep every limit and every priority, and lose no slot?"""

from __future__ import annotations

import random
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from push_dispatch.adapters.dynamodb.ledgers import PLAIN_BYTES
from push_dispatch.control.pools import create_pool
from push_dispatch.core.model import Backfill, Collision, NamedLimit, Pool, Queue, Run
from push_dispatch.core.request import Request
from push_dispatch.engine.submit import submit_many
from push_dispatch.ports import Ports
from tests import ministack as stack
from tests.forks import PROCESSES
from tests.integration.race_check import Limits, violations
from tests.integration.race_workers import (
    QUEUES,
    Race,
    dispatcher,
    finisher,
    meddler,
    ports_of,
    read_commits,
    read_limits,
    tell_of_submission,
)

TEMPLATE = {"job_configuration": {"command": "true"}, "variables": {"properties": {}}}


#: What becomes of a slot that two dispatchers wrote about.
LOST = re.compile("gone before its end|held for ever")

#: What the runs may take at once, in a race with everything switched on.
CAPACITY = 6

#: Runs submitted at a time: MiniStack reads a whole partition to find the head of a line.
WAVE = 40


# The slower the machine, the longer a race: they end by their own limits, not by the test's.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def test_four_dispatchers_break_no_rule(ministack: str, tmp_path: Path) -> None:
    # The ledger has a base from its second holder on.
    found, runs = race(ministack, tmp_path, dispatchers=4, count=80, seconds=240, plain_bytes=80)
    assert all(run.state.ended for run in runs)
    assert found == []


def test_without_the_condition_on_the_ledger_they_do(ministack: str, tmp_path: Path) -> None:
    """The control: the same race is lost by a store that misses one condition. How often depends on
    the machine: there is another race until one is lost in each way."""
    found: list[str] = []
    for number in range(12):
        folder = tmp_path / str(number)
        folder.mkdir()
        found += race(ministack, folder, dispatchers=4, count=80, seconds=8, careless=True)[0]
        written_twice = any("was written twice" in problem for problem in found)
        if written_twice and any(LOST.search(problem) for problem in found):
            return
    pytest.fail(f"the store without the condition loses nothing: {found}")


@pytest.mark.parametrize("shared", [False, True])
def test_eight_dispatchers_break_no_rule(ministack: str, tmp_path: Path, *, shared: bool) -> None:
    found, runs = race(ministack, tmp_path, dispatchers=8, count=200, seconds=300, shared=shared)
    assert all(run.state.ended for run in runs)
    assert found == []


def race(
    endpoint: str,
    folder: Path,
    *,
    dispatchers: int,
    count: int,
    seconds: float,
    careless: bool = False,
    shared: bool = False,
    plain_bytes: int = PLAIN_BYTES,
) -> tuple[list[str], list[Run]]:
    """What went wrong, and the runs: when all slots are free again, or the time is over. With
    `shared`, everything that runs can share is switched on, at random; `plain_bytes` is that of
    `Ledgers`."""
    # With eight that import at once, the first would be through before the last has begun.
    PROCESSES.set_forkserver_preload(["tests.integration.race_workers"])
    table = f"race-{uuid.uuid4().hex[:8]}"
    stack.table(endpoint, table)
    contest = Race(
        endpoint=endpoint,
        table=table,
        pool="contest",
        folder=folder,
        hints=PROCESSES.Queue(),
        pushes=PROCESSES.Queue(),
        ended=PROCESSES.Semaphore(0),
        done=PROCESSES.Event(),
        changes=count // 4,
        careless=careless,
        plain_bytes=plain_bytes,
    )
    ports = ports_of(contest)
    queues = tuple(Queue(name, number) for number, name in enumerate(QUEUES, start=1))
    dice = random.Random(count)
    more = _shares(dice) if shared else {}
    pool = create_pool(
        ports, Pool(contest.pool, "process", limit=8, queues=queues, **more), TEMPLATE
    )

    deadline = time.monotonic() + seconds
    with processes(contest, dispatchers):
        for _ in range(0, count, WAVE):
            received = [
                Request(
                    contest.pool, queue=dice.choice(QUEUES), **(_shared(dice) if shared else {})
                )
                for _ in range(WAVE)
            ]
            runs = [submitted.run for submitted in submit_many(ports, received)]
            tell_of_submission(contest, runs, dice)
            # The next wave comes when most of this one is through.
            for _ in range(WAVE * 3 // 4):
                contest.ended.acquire(timeout=max(0, deadline - time.monotonic()))
        while not _is_drained(ports, contest.pool) and time.monotonic() < deadline:
            time.sleep(0.2)
    limits = {**read_limits(folder), pool.version: Limits.of(pool)}
    after = list(ports.store.list_runs(contest.pool))
    known = {run.uuid: run for run in after}
    return violations(read_commits(folder), limits, known, CAPACITY if shared else None), after


def _shares(dice: random.Random) -> dict[str, Any]:
    """What a pool has that its runs share."""
    return {
        "limits": (NamedLimit("team", "{{ tags.team }}", limit=1, max_waiting=1000),),
        "capacity": {"w": CAPACITY * 1000},
        "weights": {"w": "{{ parameters.w }}"},
        "backfill": dice.choice(list(Backfill)),
        "ageing_seconds": dice.choice((None, 1, 60)),
        "key_limit": 1,
    }


def _shared(dice: random.Random) -> dict[str, Any]:
    """What a run has of it."""
    return {
        "parameters": {"w": dice.choice((0.5, 1, 2, CAPACITY))},
        "tags": dice.choice(((), (), ("team:x",), ("team:y",))),
        "concurrency_key": dice.choice(("", "", "", "k")),
        "collision": dice.choice((*[Collision.ENQUEUE] * 6, *Collision)),
        "start_by_seconds": dice.choice((None, None, 60, 3600)),
        "timeout_seconds": dice.choice((None, 60)),
    }


def _is_drained(ports: Ports, pool: str) -> bool:
    if ports.store.ledger(pool).holders:
        return False
    return all(run.state.ended for run in ports.store.list_runs(pool))


@contextmanager
def processes(contest: Race, dispatchers: int) -> Iterator[None]:
    work: list[tuple[Callable[[Race, int], None], int]] = [
        *((dispatcher, number) for number in range(dispatchers)),
        (finisher, 0),
        (finisher, 1),
        (meddler, 5),
    ]
    children = [PROCESSES.Process(target=what, args=(contest, number)) for what, number in work]
    for child in children:
        child.start()
    try:
        yield
    finally:
        contest.done.set()
        # A child ends only when what it has put into a queue was taken out.
        for queue in (contest.hints, contest.pushes):
            queue.cancel_join_thread()
        for child in children:
            child.join(60)
            child.kill()
    assert [child.exitcode for child in children] == [0] * len(children)
