"""What does the DynamoDB store promise beyond the contract of every store?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from push_dispatch.adapters.dynamodb import items, keys
from push_dispatch.adapters.dynamodb.overviews import LIMIT
from push_dispatch.adapters.dynamodb.store import DynamoStore
from push_dispatch.core.errors import Conflict, Invalid, Misconfigured
from push_dispatch.core.events import Claim
from push_dispatch.core.lifecycle import end_malformed
from push_dispatch.core.model import DEFAULT_QUEUE, Pool, Ready, RunState
from push_dispatch.ports.store import LOG_DAYS, Store
from tests.contract.dynamo_faults import FaultContract
from tests.contract.store import values
from tests.contract.store.contract import StoreContract
from tests.contract.store.values import NOW

UUID = "0199c1f0-1111-7222-8333-444455556666"


class DynamoContract(FaultContract, StoreContract):
    """The contract, and what others may put into the table. A subclass provides `client` and
    `table`."""

    @pytest.fixture
    def client(self) -> Any:
        raise NotImplementedError

    @pytest.fixture
    def table(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    def store(self, client: Any, table: str) -> Store:
        return DynamoStore(client, table, sleep=lambda seconds: None)

    def test_lanes_before_a_ledger_are_read_once(
        self, store: Store, client: Any, pool: str, ids: Iterator[str]
    ) -> None:
        store.create_pool(Pool(pool, "process"))
        store.enqueue(pool, [values.place(next(ids), lane=f"{n:04d}") for n in range(60)], 0)
        counts: list[int] = []

        def count(parsed: dict[str, Any], **_: Any) -> None:
            counts.append(parsed["Count"])

        client.meta.events.register("after-call.dynamodb.Query", count)
        seen = [store.overview(pool) for _ in range(3)]
        client.meta.events.unregister("after-call.dynamodb.Query", count)
        assert seen[0] == seen[1] == seen[2]
        assert counts == [LIMIT, 1, 1]

    # -- items that we have not written --------------------------------------------------------

    def put(self, client: Any, table: str, pool: str, sort: str, **attributes: Any) -> None:
        item = {"PK": {"S": keys.runs(pool)}, "SK": {"S": sort}, **attributes}
        client.put_item(TableName=table, Item=item)

    def test_run_of_a_foreign_writer_has_defaults(
        self, store: Store, client: Any, table: str, pool: str
    ) -> None:
        self.put(client, table, pool, UUID, state={"S": "SCHEDULED"})
        run = store.run(pool, UUID)
        assert run is not None
        assert run == values.run(pool, UUID, due=0, submitted_at=0)
        assert run.queue == DEFAULT_QUEUE

    def test_run_of_a_foreign_writer_can_be_saved(
        self, store: Store, client: Any, table: str, pool: str
    ) -> None:
        self.put(client, table, pool, UUID, state={"S": "SCHEDULED"}, due={"N": "5"})
        run = store.run(pool, UUID)
        assert run is not None
        assert (run.due, run.rev) == (5, 0)
        claimed = replace(run, rev=1, message="claimed")
        store.save_run(claimed)
        with pytest.raises(Conflict):
            store.save_run(replace(run, rev=1, state=RunState.CANCELLED))
        assert store.run(pool, UUID) == claimed

    @pytest.mark.parametrize(
        "broken",
        [
            {"variables": {"S": "null"}},
            {"due": {"N": "1800000000000000"}},
            {"attempt": {"N": "-5"}},
            {"rev": {"S": "one"}},
            {"rev": {"N": "1.5"}, "stop": {"S": "x"}},
        ],
        ids=str,
    )
    def test_a_malformed_run_is_listed_and_mended_once(
        self, store: Store, client: Any, table: str, pool: str, broken: dict[str, Any]
    ) -> None:
        self.put(client, table, pool, UUID, **({"state": {"S": "SCHEDULED"}} | broken))
        run = store.run(pool, UUID)
        assert run is not None
        assert next(iter(broken)) in run.unreadable
        assert list(store.list_runs(pool)) == [run] == list(store.runs(pool, [UUID]).values())
        ended = end_malformed(run, 5)
        store.mend_run(ended)
        assert store.run(pool, UUID) == ended
        assert (ended.state, ended.reason) == (RunState.CRASHED, "invalid_input")
        with pytest.raises(Conflict):
            store.mend_run(ended)
        # From now on it is like any other.
        store.save_run(replace(ended, rev=ended.rev + 1, message="seen"))

    def test_a_malformed_run_that_was_corrected_meanwhile_stays_so(
        self, store: Store, client: Any, table: str, pool: str
    ) -> None:
        self.put(client, table, pool, UUID, state={"S": "SCHEDULED"}, due={"N": "-1"})
        run = store.run(pool, UUID)
        assert run is not None
        self.put(client, table, pool, UUID, state={"S": "SCHEDULED"}, due={"N": "5"})
        with pytest.raises(Conflict):
            store.mend_run(end_malformed(run, 5))

    def test_runs_with_the_same_order_and_time_have_places_of_their_own(
        self, store: Store, pool: str
    ) -> None:
        runs = [values.run(pool, uuid, due=5, order="batch-1") for uuid in (UUID, UUID[:-1] + "f")]
        assert runs[0].uuid != runs[1].uuid
        places = [Ready.of(run) for run in runs]
        store.enqueue(pool, places, 0)
        assert store.line(pool, DEFAULT_QUEUE, 10) == sorted(places, key=lambda p: p.run)
        store.dequeue(pool, places[:1])
        assert store.line(pool, DEFAULT_QUEUE, 10) == places[1:]

    def test_places_of_the_version_before_are_read_and_removed(
        self, store: Store, client: Any, table: str, pool: str
    ) -> None:
        place = Ready.of(values.run(pool, UUID, due=5, order="batch-1"))
        item = items.ready_item(pool, place, 0)
        item["SK"]["S"] = item["SK"]["S"].removesuffix(f"#{UUID}")
        client.put_item(TableName=table, Item=item)
        [read] = store.line(pool, DEFAULT_QUEUE, 10)
        assert read == place
        store.dequeue(pool, [read])
        assert store.line(pool, DEFAULT_QUEUE, 10) == []

    def test_a_malformed_place_is_removed_and_hides_no_other(
        self, store: Store, client: Any, table: str, pool: str
    ) -> None:
        place = Ready.of(values.run(pool, UUID, due=7))
        store.enqueue(pool, [place], 0)
        item = items.ready_item(pool, place, 0) | {"run": {"S": "nobody"}}
        item["SK"] = {"S": keys.ready_prefix(DEFAULT_QUEUE) + f"{5:013d}#x"}
        client.put_item(TableName=table, Item=item)
        store.line(pool, DEFAULT_QUEUE, 1)
        assert store.line(pool, DEFAULT_QUEUE, 1) == [place]

    def test_unknown_attributes_of_a_run_are_passed_over(
        self, store: Store, client: Any, table: str, pool: str
    ) -> None:
        self.put(client, table, pool, UUID, state={"S": "FAILED"}, colour={"S": "blue"})
        assert [run.state for run in store.list_runs(pool)] == [RunState.FAILED]

    @pytest.mark.parametrize(
        "fields",
        [
            {},
            {"attempt": {"N": "0"}},
            {"attempt": {"N": "0"}, "rev": {"S": "one"}},
            {"attempt": {"S": "0"}, "rev": {"N": "0"}},
        ],
    )
    def test_a_run_that_others_have_put_is_read_before_it_is_claimed(
        self, store: Store, client: Any, table: str, pool: str, fields: dict[str, Any]
    ) -> None:
        self.put(client, table, pool, UUID, state={"S": "SCHEDULED"}, **fields)
        claim = Claim(1, "ecs", "ecs", "0", "mine", NOW + 60_000)
        found = store.claim_run(pool, UUID, claim, NOW)
        assert found is not None
        assert found == store.run(pool, UUID)
        assert found.state is RunState.SCHEDULED

    @pytest.mark.parametrize("days", [0, 30])
    def test_a_run_that_has_ended_is_kept_for_as_long_as_somebody_says(
        self, client: Any, table: str, pool: str, days: int
    ) -> None:
        store = DynamoStore(client, table, retention_days=days)
        run = store.add_run(values.run(pool, UUID))
        running = replace(run, rev=run.rev + 1, message="running")
        ended = replace(running, rev=run.rev + 2, state=RunState.FAILED, ended_at=5_000_999)
        key = {"PK": {"S": keys.runs(pool)}, "SK": {"S": UUID}}
        expiries = []
        for after in (running, ended, ended):  # the last one as if its reply had been lost
            store.save_run(after)
            assert store.run(pool, UUID) == after
            expiries.append(client.get_item(TableName=table, Key=key)["Item"].get("expires_at"))
        expected = {"N": str(5_000 + days * 86_400)} if days else None
        assert expiries == [None, expected, expected]

    def test_what_is_no_run_is_not_listed(
        self, store: Store, client: Any, table: str, pool: str
    ) -> None:
        run = values.run(pool, UUID)
        store.add_run(run)
        self.put(client, table, pool, f"{UUID}#EVENT#1", state={"S": "RUNNING"})
        self.put(client, table, pool, "nonsense", state={"S": "RUNNING"})
        self.put(client, table, pool, UUID.upper(), state={"S": "RUNNING"})
        assert list(store.list_runs(pool)) == [run]

    def test_declared_pool_has_the_default_queue_and_can_be_changed(
        self, store: Store, client: Any, table: str, pool: str
    ) -> None:
        document = {"type": "ecs", "limit": 0, "queues": [{"name": "high", "priority": 1}]}
        item = {
            "PK": {"S": keys.pool(pool)},
            "SK": {"S": keys.CONFIG},
            "document": {"S": json.dumps(document)},
        }
        client.put_item(TableName=table, Item=item)
        declared = store.pool(pool)
        assert declared is not None
        assert declared.version == 0
        assert declared.limit == 0
        assert [queue.name for queue in declared.in_order] == ["high", DEFAULT_QUEUE]
        saved = store.save_pool(replace(declared, limit=2))
        assert saved.version == 1
        with pytest.raises(Conflict):
            store.save_pool(replace(declared, limit=3))

    # -- calls ---------------------------------------------------------------------------------

    def test_unknown_table_is_no_reason_to_try_later(self, client: Any, pool: str) -> None:
        store = DynamoStore(client, "there-is-no-such-table")
        with pytest.raises(Misconfigured, match="there-is-no-such-table does not exist") as absent:
            store.run(pool, UUID)
        assert absent.value.reason == "no_backend"
        with pytest.raises(Misconfigured):
            store.create_pool(Pool(pool, "ecs"))
        with pytest.raises(Misconfigured):
            store.enqueue(pool, [values.place(UUID)], values.NOW)

    def test_what_the_table_never_takes_is_no_reason_to_try_later(
        self, store: Store, client: Any, pool: str
    ) -> None:
        with pytest.raises(Invalid):
            store.put_deployment("x" * 1025, {})
        store.put_template(pool, "digest", {"fits": "x" * 300_000})
        with pytest.raises(Invalid) as large:
            store.put_template(pool, "digest", {"does not": "x" * 420_000})
        assert large.value.reason == "run_too_large"

    def test_a_log_expires_by_the_clock_that_was_handed_over(
        self, client: Any, table: str, pool: str
    ) -> None:
        DynamoStore(client, table, clock=lambda: 1_500).keep_log(pool, UUID, 1, "text")
        [item] = client.query(
            TableName=table,
            KeyConditionExpression="PK = :pk",
            ExpressionAttributeValues={":pk": {"S": keys.logs(pool)}},
        )["Items"]
        assert item["expires_at"] == {"N": str(1 + LOG_DAYS * 86_400)}

    def test_half_created_pool_can_be_created_again(
        self, store: DynamoStore, client: Any, table: str, pool: str
    ) -> None:
        store.list_pool(pool)
        assert store.pool(pool) is None
        assert self.created(store, pool).version == 1

    def test_creation_whose_reply_was_lost_is_no_refusal(self, store: Store, pool: str) -> None:
        store.create_pool(Pool(pool, "ecs", limit=2))
        store.create_pool(Pool(pool, "ecs", limit=2))
        assert store.pool(pool) == Pool(pool, "ecs", limit=2, version=1)
