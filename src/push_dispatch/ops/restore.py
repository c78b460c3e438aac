"""How does a system come back from a copy of its table? Item by item, into the table that it has.

Point-in-time recovery restores into another table, which no function knows. What is in it is
copied in an order in which nothing starts before everything is there: dispatch leaves runs alone
whose pool has no configuration, and configurations come last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from push_dispatch.adapters.dynamodb import keys
from push_dispatch.adapters.dynamodb.store import DynamoStore
from push_dispatch.control.known import pools_of
from push_dispatch.core.deployment import active_schedules, from_document
from push_dispatch.core.errors import Invalid, Refused, Unavailable
from push_dispatch.core.reasons import Reason
from push_dispatch.engine.recount import put_right, recount
from push_dispatch.ops.account import Account
from push_dispatch.ports import Ports

__all__ = ["Restored", "restore"]

_BATCH = 25
#: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
_TRANSACTION = 100
_TRIES = 10

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back."""

    items: int
    pools: int
    deployments: int


def restore(
    ports: Ports,
    account: Account,
    source: str,
    target: str,
    *,
    tell: Callable[[int], None],
    pause: Callable[[float], None],
) -> Restored:
    """Copy everything from table `source` into `target`, the system's own, which must have no
    pools, and have the deployments' schedules fire; `tell` of the items so far, `pause` for some
    seconds while the table throttles.

    Called again after a failure, it begins anew and does no harm: until the pools come, last of
    all and fifty at once, nothing starts. What ran when the copy was made is looked at by the next
    sweeps, and ends as what its platform says. Raises Invalid, Refused (`pool_exists`,
    `schedules_unknown`) before anything is copied, and Unavailable; lets the SDK's errors pass.
    """
    if source == target:
        raise Invalid(f"{source!r} is the system's own table: name the one that was restored")
    if names := ports.store.pool_names():
        raise Refused(
            f"table {target!r} has pools: {', '.join(names)}; restore into that of a new system",
            reason=Reason.POOL_EXISTS,
        )
    _sync(ports, _deployments(account, source))
    last: list[Item] = []
    copied = 0
    for page in _pages(account, source):
        last += [_unsettled(item) for item in page if _starts_a_pool(item)]
        first = [item for item in page if not _starts_a_pool(item)]
        _write(account, target, first, pause)
        copied += len(first)
        tell(copied)
    _write_together(account, target, last)
    _put_right(ports)
    deployments = ports.store.deployments()
    return Restored(copied + len(last), len(ports.store.pool_names()), len(deployments))


def _starts_a_pool(item: Item) -> bool:
    return bool(item["PK"]["S"] == keys.POOLS or item["SK"]["S"] == keys.CONFIG)


def _unsettled(item: Item) -> Item:
    """Without the marks of the list: they are as old as the copy."""
    listed = item["PK"]["S"] == keys.POOLS
    return {name: item[name] for name in ("PK", "SK")} if listed else item


def _deployments(account: Account, table: str) -> dict[str, Mapping[str, Any]]:
    return DynamoStore(account.client("dynamodb"), table).deployments()


def _sync(ports: Ports, deployments: Mapping[str, Mapping[str, Any]]) -> None:
    """The schedules are not in the table. First of all, as somebody has to say where they are; what
    they ask for until the pools are there is refused, and kept as every refused request."""
    for name, document in deployments.items():
        deployment = from_document(name, document)
        ports.schedules.sync(name, active_schedules(deployment), ())


def _put_right(ports: Ports) -> None:
    """The copy was made in the middle of whatever was going on."""
    for pool, _ in pools_of(ports):
        put_right(ports, recount(ports, pool, every_run=True, settled_seconds=0))


def _pages(account: Account, table: str) -> Iterator[list[Item]]:
    pages = account.client("dynamodb").get_paginator("scan")
    for page in pages.paginate(TableName=table, ConsistentRead=True):
        yield page["Items"]


def _write(
    account: Account, table: str, wanted: Sequence[Item], pause: Callable[[float], None]
) -> None:
    dynamodb = account.client("dynamodb")
    for start in range(0, len(wanted), _BATCH):
        left: Any = {
            table: [{"PutRequest": {"Item": item}} for item in wanted[start : start + _BATCH]]
        }
        for attempt in range(_TRIES):
            left = dynamodb.batch_write_item(RequestItems=left).get("UnprocessedItems")
            if not left:
                break
            pause(min(5.0, 0.05 * 2**attempt))
        else:
            raise Unavailable(f"table {table} does not take writes: it is throttling; begin again")


def _write_together(account: Account, table: str, wanted: Sequence[Item]) -> None:
    """All of them or none, a pool's name beside its configuration: with some, nobody could say
    whether they had begun to work."""
    together = sorted(wanted, key=_pool_of)
    for start in range(0, len(together), _TRANSACTION):
        account.client("dynamodb").transact_write_items(
            TransactItems=[
                {"Put": {"TableName": table, "Item": item}}
                for item in together[start : start + _TRANSACTION]
            ]
        )


def _pool_of(item: Item) -> str:
    listed = item["PK"]["S"] == keys.POOLS
    return str(item["SK"]["S"] if listed else keys.pool_of(item["PK"]["S"]))
