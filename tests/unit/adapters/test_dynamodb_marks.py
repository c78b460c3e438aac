"""Does a sweep in DynamoDB come only to pools where there may be something to do?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any
from zlib import crc32

import boto3
import pytest
from moto import mock_aws
from uuid_utils import uuid7

from push_dispatch.adapters.dynamodb import items, keys
from push_dispatch.adapters.dynamodb.schema import create_table
from push_dispatch.adapters.dynamodb.store import DynamoStore
from push_dispatch.core.model import Pool
from tests.contract.store import values
from tests.ministack import PLAIN

TABLE = "marks"
MINUTE = 60_000
UUID = "0199c1f0-1111-7222-8333-444455556666"
_NUMBERS = count()

#: A process of its own, which has not read anything so far.
Process = Callable[[], DynamoStore]


@dataclass
class Clock:
    """Epoch milliseconds."""

    now: int = values.NOW

    def __call__(self) -> int:
        return self.now

    def turn_of(self, pool: str) -> None:
        """The next minute in which each hour's sweep comes to this pool."""
        self.now += MINUTE
        while self.now // MINUTE % 60 != crc32(pool.encode()) % 60:
            self.now += MINUTE


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with mock_aws():
        made = boto3.client("dynamodb", region_name="us-east-1", config=PLAIN)
        create_table(made, TABLE)
        yield made


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def process(client: Any, clock: Clock) -> Process:
    return lambda: DynamoStore(client, TABLE, clock=clock)


@pytest.fixture
def store(process: Process) -> DynamoStore:
    """That of the sweep."""
    return process()


@pytest.fixture
def pool(store: DynamoStore) -> str:
    """A new pool."""
    name = f"pool-{next(_NUMBERS)}"
    store.create_pool(Pool(name, "process"))
    return name


@pytest.fixture
def idle(store: DynamoStore, clock: Clock, pool: str) -> str:
    """A pool in which nothing has happened for an hour."""
    clock.now += 61 * MINUTE
    assert swept(store, pool)
    assert not is_marked(store, clock, pool)
    return pool


def swept(store: DynamoStore, pool: str, *, held: bool = False) -> bool:
    """Whether a sweep comes to the pool; what it finds is noted."""
    comes = pool in store.unsettled_pools()
    if comes:
        store.settle(pool, held=held)
    return comes


def is_marked(store: DynamoStore, clock: Clock, pool: str) -> bool:
    """Whether a sweep comes to it though it is not its turn in the hour."""
    clock.turn_of(pool)
    clock.now += MINUTE
    return pool in store.unsettled_pools()


def admit(store: DynamoStore, pool: str, run: str) -> None:
    version = store.ledger(pool).version + 1
    store.commit(values.ledger(pool, version, values.holder(run)))


WORK: dict[str, Callable[[DynamoStore, str], object]] = {
    "run": lambda store, pool: store.add_run(values.run(pool, UUID)),
    "runs": lambda store, pool: store.add_runs([values.run(pool, str(uuid7())) for _ in "ab"]),
    "place": lambda store, pool: store.enqueue(pool, [values.place(UUID)], values.NOW),
    "lane": lambda store, pool: store.enqueue(pool, [values.place(UUID, lane="0" * 10)], 0),
    "slot": lambda store, pool: admit(store, pool, UUID),
}


def test_a_pool_is_settled_an_hour_after_it_was_marked(
    store: DynamoStore, clock: Clock, pool: str
) -> None:
    clock.now += 59 * MINUTE
    assert swept(store, pool)
    assert pool in store.unsettled_pools()
    clock.now += MINUTE
    assert swept(store, pool)
    assert not is_marked(store, clock, pool)


@pytest.mark.parametrize("work", WORK)
def test_who_leaves_work_marks_the_pool_before(
    client: Any, process: Process, store: DynamoStore, clock: Clock, idle: str, work: str
) -> None:
    calls = written(client)
    WORK[work](process(), idle)
    puts = [key for key in calls if key]
    assert puts[:2] == [(keys.POOLS, idle), (keys.pool(idle), keys.MARK)]
    assert is_marked(store, clock, idle)


@pytest.mark.parametrize("work", WORK)
def test_a_pool_with_something_in_it_is_never_settled(
    process: Process, store: DynamoStore, clock: Clock, pool: str, work: str
) -> None:
    WORK[work](process(), pool)
    for _ in range(3):
        clock.now += 50 * MINUTE
        assert swept(store, pool, held=work == "slot")
        assert is_marked(store, clock, pool)


def test_a_mark_that_comes_while_the_sweep_looks_stays(
    process: Process, store: DynamoStore, clock: Clock, pool: str
) -> None:
    clock.now += 61 * MINUTE
    assert pool in store.unsettled_pools()
    admit(process(), pool, UUID)
    store.settle(pool, held=False)  # It has read the ledger before.
    assert is_marked(store, clock, pool)


def test_a_fresh_mark_costs_nobody_a_write_and_a_pass_no_call(
    client: Any, process: Process, clock: Clock, pool: str
) -> None:
    clock.now += 29 * MINUTE
    other = process()
    other.overview(pool)
    calls = written(client)
    admit(other, pool, UUID)
    assert calls == [(), (keys.pool(pool), keys.LEDGER)], "the ledger is read, and written"


def test_a_mark_is_not_relied_on_for_as_long_as_it_takes_to_take_it_away(
    process: Process, store: DynamoStore, clock: Clock, pool: str
) -> None:
    """Who reads it at the last moment, and is slow, is not overtaken by the sweep."""
    other = process()
    clock.now += 31 * MINUTE
    other.overview(pool)
    admit(other, pool, UUID)
    clock.now += 30 * MINUTE
    assert pool in store.unsettled_pools()
    store.settle(pool, held=False)
    assert is_marked(store, clock, pool)


def test_a_pool_of_the_version_before_is_swept_until_it_was_marked_for_an_hour(
    client: Any, store: DynamoStore, clock: Clock, pool: str
) -> None:
    client.put_item(TableName=TABLE, Item={"PK": {"S": keys.POOLS}, "SK": {"S": pool}})
    assert swept(store, pool)
    clock.now += 59 * MINUTE
    assert swept(store, pool)
    clock.now += MINUTE
    assert swept(store, pool)
    assert not is_marked(store, clock, pool)


def test_work_of_a_program_that_does_not_mark_is_found_within_the_hour(
    client: Any, store: DynamoStore, clock: Clock, idle: str
) -> None:
    client.put_item(TableName=TABLE, Item=items.ready_item(idle, values.place(UUID), 0))
    assert idle not in store.unsettled_pools()
    before = clock.now
    clock.turn_of(idle)
    assert clock.now - before <= 60 * MINUTE
    assert swept(store, idle)
    assert is_marked(store, clock, idle)


def test_a_deleted_pool_is_not_listed_again(
    process: Process, store: DynamoStore, idle: str
) -> None:
    stored = store.pool(idle)
    assert stored
    store.delete_pool(stored)
    process().add_run(values.run(idle, UUID))
    assert idle not in store.pool_names()


def written(client: Any) -> list[tuple[str, ...]]:
    """The keys of what is put from now on, and () for what is read."""
    found: list[tuple[str, ...]] = []

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        item = params.get("Item")
        found.append((item["PK"]["S"], item["SK"]["S"]) if item else ())

    client.meta.events.register("provide-client-params.dynamodb", note)
    return found
