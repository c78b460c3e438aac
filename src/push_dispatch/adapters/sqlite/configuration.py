"""How are pools, templates, deployments and attachments kept in the file?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from push_dispatch.adapters.dynamodb import items, keys
from push_dispatch.adapters.sqlite.database import (
    DEPLOYMENTS,
    LAST,
    Database,
    Transaction,
    key_of,
    number,
)
from push_dispatch.core.canonical import dumps
from push_dispatch.core.errors import Conflict, Refused
from push_dispatch.core.model import Pool, first_id_at
from push_dispatch.core.reasons import Reason

__all__ = ["Configuration"]

#: `?` is about now: behind it are runs whose ids do not begin with the time, which whoever submits
#: them enqueues.
_UNSETTLED = """
SELECT sk FROM items AS listed WHERE pk = 'POOLS' AND (
    EXISTS (
        SELECT 1 FROM items WHERE pk = 'POOL#' || listed.sk AND sk = 'LEDGER'
        AND json_type(item, '$.holders') IS NOT NULL
    ) OR EXISTS (
        SELECT 1 FROM items WHERE pk = 'POOL#' || listed.sk AND sk >= 'READY#' AND sk < 'READY$'
    ) OR EXISTS (
        SELECT 1 FROM items WHERE pk = 'POOL#' || listed.sk AND sk >= 'LANE#' AND sk < 'LANE$'
    ) OR EXISTS (
        SELECT 1 FROM items WHERE pk = 'RUNS#' || listed.sk AND sk < ? AND sk > coalesce((
            SELECT json_extract(item, '$.audited.S') FROM items
            WHERE pk = 'POOL#' || listed.sk AND sk = 'AUDIT'
        ), '')
    )
) ORDER BY sk
"""


class Configuration:
    """The part of the store that people declare."""

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        self._db = database
        self._clock = clock

    def create_pool(self, pool: Pool) -> None:
        item = items.pool_item(pool) | {"version": {"N": "1"}}
        with self._db.transaction() as tx:
            stored = tx.get(keys.pool(pool.name), keys.CONFIG)
            if stored is not None and stored != item:
                raise Refused(f"pool {pool.name!r} exists", reason=Reason.POOL_EXISTS)
            tx.put({"PK": {"S": keys.POOLS}, "SK": {"S": pool.name}})
            if stored is None:
                tx.put(item)
                tx.feed(None, item)

    def pool(self, name: str) -> Pool | None:
        item = self._db.get(keys.pool(name), keys.CONFIG)
        return items.read_pool(item) if item else None

    def pool_names(self) -> list[str]:
        return [item["SK"]["S"] for item in self._db.between(keys.POOLS, "", LAST)]

    def unsettled_pools(self) -> list[str]:
        until = first_id_at(self._clock() + 1000)
        return [name for (name,) in self._db.rows(_UNSETTLED, until)]

    def settle(self, pool: str, *, held: bool) -> None:
        """See `Store.settle`. The file is asked which pools are."""

    def save_pool(self, pool: Pool) -> Pool:
        item = items.pool_item(pool) | {"version": {"N": str(pool.version + 1)}}
        with self._db.transaction() as tx:
            stored = tx.get(keys.pool(pool.name), keys.CONFIG)
            if stored != item:
                if stored is None or number(stored, "version") != pool.version:
                    raise Conflict(f"pool {pool.name!r} was changed at the same time")
                tx.put(item)
                tx.feed(stored, item)
            _touch_ledger(tx, pool.name, pool.version + 1)
        return items.read_pool(item)

    def delete_pool(self, pool: Pool) -> None:
        with self._db.transaction() as tx:
            stored = tx.get(keys.pool(pool.name), keys.CONFIG)
            if stored is not None and number(stored, "version") != pool.version:
                raise Conflict(f"pool {pool.name!r} was changed at the same time")
            ledger = items.read_ledger(pool.name, tx.get(keys.pool(pool.name), keys.LEDGER))
            tx.execute("DELETE FROM items WHERE pk = ?", keys.pool(pool.name))
            # It goes on, so that the next pool of this name shares no version with this one.
            tx.put(items.ledger_item(ledger.of_deleted_pool()))
            tx.delete(keys.POOLS, pool.name)

    def put_template(self, pool: str, digest: str, template: Mapping[str, Any]) -> None:
        self._put(keys.pool(pool), keys.template(digest), document={"S": dumps(template)})

    def template(self, pool: str, digest: str) -> Mapping[str, Any] | None:
        item = self._db.get(keys.pool(pool), keys.template(digest))
        return items.read_json(item, "document") if item else None

    def put_deployment(self, name: str, document: Mapping[str, Any]) -> None:
        key = key_of(keys.DEPLOYMENTS, keys.deployment(name))
        with self._db.transaction() as tx:
            tx.work.add(DEPLOYMENTS)
            tx.put({**key, "document": {"S": dumps(document)}})

    def deployment(self, name: str) -> Mapping[str, Any] | None:
        item = self._db.get(keys.DEPLOYMENTS, keys.deployment(name))
        return items.read_json(item, "document") if item else None

    def deployments(self) -> dict[str, Mapping[str, Any]]:
        found = self._db.between(keys.DEPLOYMENTS, "", LAST)
        return {item["SK"]["S"]: items.read_document(item) for item in found}

    def delete_deployment(self, name: str) -> None:
        with self._db.transaction() as tx:
            tx.work.add(DEPLOYMENTS)
            tx.delete(keys.DEPLOYMENTS, keys.deployment(name))

    def put_attachment(self, pool: str, document: Mapping[str, Any]) -> None:
        self._put(keys.ATTACHMENTS, pool, document={"S": dumps(document)})

    def attachment(self, pool: str) -> Mapping[str, Any] | None:
        item = self._db.get(keys.ATTACHMENTS, pool)
        return items.read_document(item) if item else None

    def attachments(self) -> dict[str, Mapping[str, Any]]:
        found = self._db.between(keys.ATTACHMENTS, "", LAST)
        return {item["SK"]["S"]: items.read_document(item) for item in found}

    def delete_attachment(self, pool: str) -> None:
        with self._db.transaction() as tx:
            tx.delete(keys.ATTACHMENTS, pool)

    def _put(self, pk: str, sk: str, **attributes: Any) -> None:
        with self._db.transaction() as tx:
            tx.put({**key_of(pk, sk), **attributes})


def _touch_ledger(tx: Transaction, pool: str, configuration: int) -> None:
    """Move the ledger's version: what was decided under the old configuration is void."""
    key = key_of(keys.pool(pool), keys.LEDGER)
    ledger = tx.get(key["PK"]["S"], key["SK"]["S"]) or key
    newest = max(number(ledger, "configuration"), configuration)
    changed = {"version": number(ledger, "version") + 1, "configuration": newest}
    tx.put({**ledger, **{name: {"N": str(value)} for name, value in changed.items()}})
