"""How is one DynamoDB table read and written? Pages, batches, conditions, and what errors mean."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from push_dispatch.adapters.aws import translated
from push_dispatch.core.errors import Unavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from push_dispatch.adapters.dynamodb.items import Item

__all__ = ["Lost", "Table", "key_of", "numbers"]

#: What BatchGetItem and BatchWriteItem take.
READ_BATCH = 100
_WRITE_BATCH = 25
#: Tries of a batch of which a throttled table leaves something over, some five seconds in all.
_BATCH_TRIES = 8
_FIRST_PAUSE_SECONDS = 0.02


class Table:
    """The calls of one table. Safe to share between threads.

    Everything raises Unavailable, Misconfigured (no such table, or no right to it), and Invalid for
    what the table will never take.
    """

    def __init__(self, client: DynamoDBClient, name: str, sleep: Callable[[float], None]) -> None:
        self.client = client
        self.name = name
        self._sleep = sleep

    def errors(self) -> AbstractContextManager[None]:
        """Translate what the SDK raises into what the caller does next."""
        return translated(f"the table {self.name}")

    def get(self, partition: str, sort: str) -> Item | None:
        with self.errors():
            reply = self.client.get_item(
                TableName=self.name, Key=key_of(partition, sort), ConsistentRead=True
            )
        return reply.get("Item")

    def put(self, item: Mapping[str, Any], condition: str | None = None, **values: int) -> None:
        """Put under a condition; raises Lost with what is stored instead if it does not hold."""
        self.put_under(item, condition, numbers(**values) if values else {})

    def put_under(
        self, item: Mapping[str, Any], condition: str | None, values: Mapping[str, Any]
    ) -> None:
        guard: dict[str, Any] = {}
        if condition is not None:
            guard["ConditionExpression"] = condition
            guard["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        if values:
            guard["ExpressionAttributeValues"] = values
        with self.errors():
            try:
                self.client.put_item(TableName=self.name, Item=item, **guard)
            except self.client.exceptions.ConditionalCheckFailedException as error:
                raise Lost(error.response.get("Item")) from None

    def delete(self, partition: str, sort: str, condition: str, values: Mapping[str, Any]) -> None:
        """Delete an item under a condition; raises Lost if it does not hold."""
        with self.errors():
            try:
                self.client.delete_item(
                    TableName=self.name,
                    Key=key_of(partition, sort),
                    ConditionExpression=condition,
                    ExpressionAttributeValues=values,
                )
            except self.client.exceptions.ConditionalCheckFailedException:
                raise Lost(None) from None

    def update(
        self,
        partition: str,
        sort: str,
        values: Mapping[str, str | int] | None = None,
        **arguments: Any,
    ) -> Mapping[str, Any]:
        """Change an item in place; returns what `ReturnValues` asks for. `arguments` are those of
        UpdateItem. Raises Lost if the condition does not hold, with what is stored if
        `ReturnValuesOnConditionCheckFailure` asks for it."""
        if values:
            arguments["ExpressionAttributeValues"] = {
                f":{k}": {"S": v} if isinstance(v, str) else {"N": str(v)}
                for k, v in values.items()
            }
        with self.errors():
            try:
                reply = self.client.update_item(
                    TableName=self.name, Key=key_of(partition, sort), **arguments
                )
            except self.client.exceptions.ConditionalCheckFailedException as error:
                raise Lost(error.response.get("Item")) from None
        return reply.get("Attributes", {})

    def query(
        self,
        partition: str,
        *,
        between: tuple[str, str] | None = None,
        limit: int | None = None,
        forward: bool = True,
        names: Sequence[str] = (),
    ) -> Iterator[Item]:
        """Every item of a partition, strongly consistent, page by page as the iterator goes."""
        request: dict[str, Any] = {
            "TableName": self.name,
            "KeyConditionExpression": "PK = :pk",
            "ExpressionAttributeValues": {":pk": {"S": partition}},
            "ConsistentRead": True,
            "ScanIndexForward": forward,
        }
        if between is not None:
            request["KeyConditionExpression"] += " AND SK BETWEEN :low AND :high"
            request["ExpressionAttributeValues"] |= {
                ":low": {"S": between[0]},
                ":high": {"S": between[1]},
            }
        if names:
            request["ProjectionExpression"] = ", ".join(names)
        left = limit
        while left is None or left > 0:
            if left is not None:
                request["Limit"] = left
            with self.errors():
                reply = self.client.query(**request)
            yield from reply["Items"]
            if "LastEvaluatedKey" not in reply:
                return
            request["ExclusiveStartKey"] = reply["LastEvaluatedKey"]
            left = None if left is None else left - len(reply["Items"])

    def get_all(self, wanted: Sequence[Mapping[str, Any]]) -> Iterator[Item]:
        left: Any = {self.name: {"Keys": wanted, "ConsistentRead": True}}
        for attempt in range(_BATCH_TRIES):
            with self.errors():
                reply = self.client.batch_get_item(RequestItems=left)
            yield from reply["Responses"].get(self.name, ())
            left = reply.get("UnprocessedKeys")
            if not left:
                return
            self._pause(attempt)
        raise Unavailable("the table does not answer batch reads: it is throttling")

    def delete_all(self, wanted: Sequence[tuple[str, str]]) -> None:
        unique = dict.fromkeys(wanted)
        self.write_all([{"DeleteRequest": {"Key": key_of(*key)}} for key in unique])

    def write_all(self, requests: Sequence[Any]) -> None:
        for start in range(0, len(requests), _WRITE_BATCH):
            self._write_batch(list(requests[start : start + _WRITE_BATCH]))

    def _write_batch(self, requests: list[Any]) -> None:
        left: Any = {self.name: requests}
        for attempt in range(_BATCH_TRIES):
            with self.errors():
                reply = self.client.batch_write_item(RequestItems=left)
            left = reply.get("UnprocessedItems")
            if not left:
                return
            self._pause(attempt)
        raise Unavailable("the table does not take batch writes: it is throttling")

    def _pause(self, attempt: int) -> None:
        longest = _FIRST_PAUSE_SECONDS * 2**attempt
        self._sleep(random.uniform(longest / 2, longest))  # noqa: S311 - no secret


class Lost(Exception):
    """The condition did not hold; `stored` is the item that is there instead."""

    def __init__(self, stored: Any) -> None:
        self.stored: Mapping[str, Any] = stored or {}
        super().__init__()


def key_of(partition: str, sort: str) -> dict[str, Any]:
    return {"PK": {"S": partition}, "SK": {"S": sort}}


def numbers(**given: int) -> dict[str, Any]:
    return {":zero": {"N": "0"}} | {f":{k}": {"N": str(v)} for k, v in given.items()}
