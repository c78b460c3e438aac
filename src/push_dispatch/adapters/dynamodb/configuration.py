"""How are pools, templates, deployments and attachments kept in the table?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from push_dispatch.adapters.dynamodb import conditions, items, keys
from push_dispatch.adapters.dynamodb.ledgers import Ledgers
from push_dispatch.adapters.dynamodb.marks import Marks
from push_dispatch.adapters.dynamodb.table import Lost, Table, key_of, numbers
from push_dispatch.core.canonical import dumps
from push_dispatch.core.errors import Conflict, Refused
from push_dispatch.core.model import DELETED, Pool
from push_dispatch.core.reasons import Reason

__all__ = ["Configuration"]

#: Templates that a process keeps in memory.
_TEMPLATES = 100


class Configuration:
    """The part of the store that people declare."""

    def __init__(self, table: Table, ledgers: Ledgers, marks: Marks) -> None:
        self._table = table
        self._ledgers = ledgers
        self._marks = marks
        self._templates: dict[str, Mapping[str, Any]] = {}

    def create_pool(self, pool: Pool) -> None:
        version = self._ledgers.read(pool.name).version + 1
        item = items.pool_item(pool) | {"version": {"N": str(version)}}
        # Listed first: a crash in between leaves a name without a pool, which can be created
        # again, and not a pool that no sweep ever sees.
        self.list_pool(pool.name)
        try:
            self._table.put(item, conditions.ABSENT)
        except Lost as lost:
            # Our own put, answered by a retry inside the SDK, or somebody else's pool.
            if lost.stored != item:
                raise Refused(f"pool {pool.name!r} exists", reason=Reason.POOL_EXISTS) from None

    def _is_idle(self, pool: str) -> bool:
        raise NotImplementedError

    def list_pool(self, name: str) -> None:
        """Make sure that a pool that was declared by other means is listed. Idempotent."""
        self._marks.enlist(name)

    def pool(self, name: str) -> Pool | None:
        item = self._table.get(keys.pool(name), keys.CONFIG)
        return items.read_pool(item) if item else None

    def unsettled_pools(self) -> list[str]:
        return self._marks.unsettled(self._is_idle)

    def pool_names(self) -> list[str]:
        return [item["SK"]["S"] for item in self._table.query(keys.POOLS)]

    def save_pool(self, pool: Pool) -> Pool:
        item = items.pool_item(pool) | {"version": {"N": str(pool.version + 1)}}
        try:
            self._table.put(item, conditions.POOL_UNCHANGED, version=pool.version)
        except Lost as lost:
            if lost.stored != item:
                raise Conflict(f"pool {pool.name!r} was changed at the same time") from None
        # Only now the ledger: a pass that has read it before decides in vain, and one that reads
        # it from now on sees which configuration it needs at least.
        self._touch_ledger(pool.name, pool.version + 1)
        return items.read_pool(item)

    def delete_pool(self, pool: Pool) -> None:
        try:
            values = numbers(version=pool.version)
            key = (keys.pool(pool.name), keys.CONFIG)
            self._table.delete(*key, conditions.POOL_UNCHANGED, values)
        except Lost:
            if self.pool(pool.name) is not None:
                raise Conflict(f"pool {pool.name!r} was changed at the same time") from None
        # The ledger goes on: a pass that read it before, and sleeps, must lose against the next
        # pool of this name, too. Every change of the configuration has moved its version, so that
        # the next configuration can begin behind it.
        head = self._table.update(
            keys.pool(pool.name),
            keys.LEDGER,
            {"one": 1, "deleted": DELETED},
            UpdateExpression="ADD version :one SET configuration = :deleted "
            "REMOVE holders, #names, starts, counted_starts, paced",
            ExpressionAttributeNames={"#names": "names"},
            ReturnValues="UPDATED_NEW",
        )
        rest = [i["SK"]["S"] for i in self._table.query(keys.pool(pool.name), names=("PK", "SK"))]
        self._ledgers.forget(pool.name, int(head["version"]["N"]), rest)
        rest = [sort for sort in rest if sort != keys.LEDGER and not sort.startswith(keys.BASES)]
        self._table.delete_all([(keys.pool(pool.name), sort) for sort in rest])
        self._table.delete_all([(keys.POOLS, pool.name)])

    def put_template(self, pool: str, digest: str, template: Mapping[str, Any]) -> None:
        document = {"S": dumps(template)}
        self._table.put({**key_of(keys.pool(pool), keys.template(digest)), "document": document})

    def template(self, pool: str, digest: str) -> Mapping[str, Any] | None:
        """Kept in memory once it was read: its digest is its content's."""
        known = self._templates.get(digest)
        if known is None:
            item = self._table.get(keys.pool(pool), keys.template(digest))
            known = items.read_json(item, "document") if item else None
            if known is not None and len(self._templates) < _TEMPLATES:
                self._templates[digest] = known
        return known

    def put_deployment(self, name: str, document: Mapping[str, Any]) -> None:
        key = key_of(keys.DEPLOYMENTS, keys.deployment(name))
        self._table.put({**key, "document": {"S": dumps(document)}})

    def deployment(self, name: str) -> Mapping[str, Any] | None:
        item = self._table.get(keys.DEPLOYMENTS, keys.deployment(name))
        return items.read_document(item) if item else None

    def deployments(self) -> dict[str, Mapping[str, Any]]:
        found = self._table.query(keys.DEPLOYMENTS)
        return {item["SK"]["S"]: items.read_document(item) for item in found}

    def delete_deployment(self, name: str) -> None:
        self._table.delete_all([(keys.DEPLOYMENTS, keys.deployment(name))])

    def put_attachment(self, pool: str, document: Mapping[str, Any]) -> None:
        """See `Store.put_attachment`."""
        item = {**key_of(keys.ATTACHMENTS, pool), "document": {"S": dumps(document)}}
        self._table.put(item)

    def attachment(self, pool: str) -> Mapping[str, Any] | None:
        """See `Store.attachment`."""
        item = self._table.get(keys.ATTACHMENTS, pool)
        return items.read_document(item) if item else None

    def attachments(self) -> dict[str, Mapping[str, Any]]:
        """See `Store.attachments`."""
        found = self._table.query(keys.ATTACHMENTS)
        return {item["SK"]["S"]: items.read_document(item) for item in found}

    def delete_attachment(self, pool: str) -> None:
        """See `Store.delete_attachment`."""
        self._table.delete_all([(keys.ATTACHMENTS, pool)])

    def _touch_ledger(self, pool: str, configuration: int) -> None:
        """Move its version; and that of the configuration, unless it is newer already."""
        key = (keys.pool(pool), keys.LEDGER)
        try:
            self._table.update(
                *key,
                {"one": 1, "new": configuration},
                UpdateExpression="ADD version :one SET configuration = :new",
                ConditionExpression=conditions.CONFIGURATION_OLDER,
            )
        except Lost:
            self._table.update(*key, {"one": 1}, UpdateExpression="ADD version :one")
