"""Does the file survive what happens to processes, and do its queues and its feed lose nothing?"""

from __future__ import annotations

import gc
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from push_dispatch.adapters.sqlite.database import FEED, Database
from push_dispatch.adapters.sqlite.feed import Feed
from push_dispatch.adapters.sqlite.queues import DEAD, PLATFORMS, WAKES, Queues
from push_dispatch.adapters.sqlite.store import SqliteStore
from push_dispatch.core.errors import Unavailable
from push_dispatch.core.model import Pool, Ready, RunState
from push_dispatch.handlers.stream import STREAM_FILTERS, change_of
from push_dispatch.local.filters import passes, wanted
from push_dispatch.ports.messages import Push, Wake, decode
from tests.contract.store import values

UUID = "0199c1f0-1111-7222-8333-444455556666"
PUSH = Push(f"etl.{UUID}", 1, "process", "digest")


class Clock:
    now = 1_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "state.db")
    yield database
    database.close()


@pytest.fixture
def queues(database: Database, clock: Clock) -> Queues:
    return Queues(database, clock)


@pytest.fixture
def store(database: Database, clock: Clock) -> SqliteStore:
    return SqliteStore(database, clock, retention_days=1)


def bodies(queues: Queues, queue: str = PLATFORMS, **given: int) -> list[str]:
    options = {"hidden_seconds": 60, "max_receives": 5} | given
    return [message.body for message in queues.receive(queue, 10, **options)]


def test_the_file_is_its_owners(tmp_path: Path, database: Database, store: SqliteStore) -> None:
    store.create_pool(Pool("etl", "process"))
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    assert set(modes) == {"state.db", "state.db-wal", "state.db-shm"}
    assert set(modes.values()) == {0o600}


def test_who_opens_the_file_again_releases_no_lock_of_the_first(tmp_path: Path) -> None:
    """POSIX drops all locks of a process on a file with the first close of it. Without the lock,
    another process that closes its own connection deletes the log that is in use here."""
    file = tmp_path / "state.db"
    first, second = Database(file), Database(file)
    SqliteStore(first, Clock()).create_pool(Pool("etl", "process"))
    script = """if True:
        import sys
        from pathlib import Path
        from push_dispatch.adapters.sqlite.database import Database
        from push_dispatch.adapters.sqlite.store import SqliteStore
        from push_dispatch.bootstrap import now
        from push_dispatch.core.model import Pool, RunState
        database = Database(Path(sys.argv[1]))
        SqliteStore(database, now).create_pool(Pool(sys.argv[2], "process"))
        print("created", flush=True)
        sys.stdin.read()
        database.close()
    """
    known = ["etl"]
    for name in ("ml", "web"):
        with subprocess.Popen(
            [sys.executable, "-c", script, str(file), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "created\n"
            known.append(name)
            assert SqliteStore(first, Clock()).pool_names() == known
            assert SqliteStore(second, Clock()).pool_names() == known
            other.communicate()
    first.close()
    second.close()


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    file.write_text("x" * 10_000)
    with pytest.raises(Unavailable, match="state file"):
        Database(file)


def test_nothing_of_a_failed_transaction_stays(database: Database) -> None:
    item = {"PK": {"S": "a"}, "SK": {"S": "b"}}

    def fail() -> None:
        with database.transaction() as tx:
            tx.put(item)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert database.get("a", "b") is None


def test_a_writer_that_is_killed_leaves_whole_transactions(tmp_path: Path) -> None:
    """A run and its record in the feed are there together, whenever the kill comes."""
    script = """if True:
        import sys, uuid
        from pathlib import Path
        from push_dispatch.adapters.sqlite.database import FEED, Database
        from push_dispatch.adapters.sqlite.store import SqliteStore
        from push_dispatch.bootstrap import new_id, now
        from push_dispatch.core.model import Run
        store = SqliteStore(Database(Path(sys.argv[1])), now)
        while True:
            key = new_id()
            run = Run("etl", key, "default", due=0, submitted_at=0, order=key)
            store.add_run(run)
            print(run.uuid, flush=True)
    """
    file = tmp_path / "state.db"
    reported: list[str] = []
    for _ in range(3):
        writer = subprocess.Popen(
            [sys.executable, "-c", script, str(file)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        reported += [writer.stdout.readline().strip() for _ in range(20)]
        os.kill(writer.pid, signal.SIGKILL)
        reported += [line.strip() for line in writer.stdout]
        writer.wait()
        writer.stdout.close()
    database = Database(file)
    stored = [run.uuid for run in SqliteStore(database, Clock()).list_runs("etl")]
    fed = [record["dynamodb"]["Keys"]["SK"]["S"] for record in Feed(database).read(100_000)]
    assert set(reported) <= set(stored)
    assert sorted(stored) == sorted(fed)
    database.close()


def test_who_has_work_now_is_named(tmp_path: Path) -> None:
    pokes: list[frozenset[str]] = []
    database = Database(tmp_path / "state.db", pokes.append)
    store, queues = SqliteStore(database, Clock()), Queues(database, Clock())
    store.create_pool(Pool("etl", "process"))
    store.enqueue("etl", [values.place(UUID)], 0)
    store.pool("etl")
    queues.wake([Wake("etl")])
    assert pokes == [{FEED}, {WAKES}]
    database.close()


# -- queues ---------------------------------------------------------------------------------------


def test_a_message_is_visible_when_its_time_has_come(queues: Queues, clock: Clock) -> None:
    queues.send("process", [PUSH], delay_seconds=30)
    queues.send("process", [replace(PUSH, attempt=2)])
    assert queues.next_at(PLATFORMS) == clock.now
    assert [decode(body) for body in bodies(queues)] == [replace(PUSH, attempt=2)]
    clock.now += 29_999
    assert bodies(queues) == []
    clock.now += 1
    assert [decode(body) for body in bodies(queues)] == [PUSH]


def test_what_is_not_deleted_comes_again_and_then_is_a_dead_letter(
    queues: Queues, clock: Clock
) -> None:
    queues.wake([Wake("etl")])
    for receives in (1, 2):
        [message] = queues.receive(WAKES, 10, hidden_seconds=60, max_receives=2)
        assert message.receives == receives
        assert bodies(queues, WAKES) == []
        clock.now += 60_000
    assert bodies(queues, WAKES, max_receives=2) == []
    [dead] = bodies(queues, WAKES + DEAD)
    assert decode(dead) == Wake("etl")


def test_what_is_deleted_is_gone(queues: Queues, clock: Clock) -> None:
    queues.wake([Wake("etl"), Wake("ml")])
    received = queues.receive(WAKES, 10, hidden_seconds=60, max_receives=5)
    queues.delete(received[:1])
    clock.now += 60_000
    assert [decode(body) for body in bodies(queues, WAKES)] == [Wake("ml")]
    assert queues.next_at(PLATFORMS) is None


def test_what_a_killed_runtime_had_received_is_visible_again(queues: Queues, clock: Clock) -> None:
    queues.wake([Wake("etl")])
    queues.wake([Wake("ml")], delay_seconds=60)
    assert len(bodies(queues, WAKES)) == 1
    assert queues.release() == 1
    assert [decode(body) for body in bodies(queues, WAKES)] == [Wake("etl")]


def test_dead_letters_can_be_read_and_sent_again(queues: Queues, clock: Clock) -> None:
    queues.send("process", [PUSH])
    assert bodies(queues, max_receives=0) == []
    assert queues.waiting() == {PLATFORMS + DEAD: 1}
    assert [decode(m.body) for m in queues.bodies(PLATFORMS + DEAD, 10)] == [PUSH]
    assert queues.redrive(PLATFORMS) == 1
    assert queues.redrive(PLATFORMS) == 0
    assert [decode(body) for body in bodies(queues)] == [PUSH]


# -- the feed -------------------------------------------------------------------------------------


def test_the_feed_has_what_the_stream_delivers(database: Database, store: SqliteStore) -> None:
    store.create_pool(Pool("etl", "process"))
    run = store.add_run(values.run("etl", UUID))
    attempts = values.full_run("etl", UUID).attempts[:1]
    claimed = replace(run, rev=run.rev + 1, state=RunState.PENDING, attempt=1, attempts=attempts)
    store.save_run(claimed)
    feed = Feed(database)
    records = feed.read(10)
    changes = [change_of(record["dynamodb"]) for record in records]
    assert [(c.before, c.after) for c in changes if c] == [
        (None, None),
        (None, run),
        (run, claimed),
    ]
    assert [passes(STREAM_FILTERS, record) for record in records] == [True, True, False]
    feed.handled(records[1])
    assert feed.read(10) == records[2:]
    assert Feed(database).read(10) == records[2:]


def test_what_nobody_wants_is_not_fed_and_wakes_nobody(tmp_path: Path) -> None:
    pokes: list[frozenset[str]] = []
    with closing(Database(tmp_path / "state.db", pokes.append, wanted)) as database:
        store = SqliteStore(database, Clock())
        run = store.add_run(values.run("etl", UUID))
        pokes.clear()
        attempts = values.full_run("etl", UUID).attempts[:1]
        claimed = replace(
            run, rev=run.rev + 1, state=RunState.PENDING, attempt=1, attempts=attempts
        )
        store.save_run(claimed)
        assert pokes == []
        assert len(Feed(database).read(10)) == 1
        store.save_run(replace(claimed, rev=claimed.rev + 1, state=RunState.CANCELLING))
        assert pokes == [{FEED}]


def test_a_write_that_changes_nothing_is_not_fed(database: Database, store: SqliteStore) -> None:
    run = store.add_run(values.run("etl", UUID))
    store.add_run(run)
    assert len(Feed(database).read(10)) == 1


def test_a_pool_without_work_is_settled(store: SqliteStore, clock: Clock) -> None:
    """Whatever it has done before, and also if the ids of its runs do not begin with the time."""
    run = values.run("etl", UUID)
    clock.now = time_of(UUID) + 1
    store.create_pool(Pool("etl", "process"))
    store.create_pool(Pool("other", "process"))
    assert store.unsettled_pools() == []
    store.add_run(run)
    store.add_run(values.run("other", "e4c1f0aa-1111-8222-8333-444455556666"))
    assert store.unsettled_pools() == ["etl"]
    store.save_audited("etl", UUID)
    assert store.unsettled_pools() == []
    version = store.ledger("etl").version
    store.commit(values.ledger("etl", version + 1, values.holder(UUID)))
    store.enqueue("other", [Ready.of(run)], clock.now)
    assert store.unsettled_pools() == ["etl", "other"]
    store.commit(values.ledger("etl", version + 2))
    store.dequeue("other", [Ready.of(run)])
    assert store.unsettled_pools() == []


def time_of(uuid: str) -> int:
    """What a uuid7 begins with, in epoch milliseconds."""
    return int(uuid[:8] + uuid[9:13], 16)


def test_what_has_expired_is_deleted(store: SqliteStore, clock: Clock) -> None:
    run = store.add_run(values.run("etl", UUID))
    ended = replace(run, rev=run.rev + 1, state=RunState.FAILED, ended_at=clock.now)
    store.save_run(ended)
    clock.now += 86_399_000
    assert store.expire() == 0
    assert store.run("etl", UUID) == ended
    clock.now += 1_000
    assert store.expire() == 1
    assert store.run("etl", UUID) is None


def test_a_database_that_is_left_behind_is_closed(tmp_path: Path) -> None:
    database = Database(tmp_path / "state.db")
    connection = database._connection
    del database
    gc.collect()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")
