"""How is one DynamoDB table read and written? Pages, batches, conditions, and what errors mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from push_dispatch.core.errors import Invalid, Unavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from push_dispatch.adapters.dynamodb.items import Item

__all__ = ["Lost", "Table", "errors", "key_of", "numbers"]

#: What BatchGetItem and BatchWriteItem take.
READ_BATCH = 100
_WRITE_BATCH = 25
_BATCH_TRIES = 8


class Table:
    """The calls of one table. Safe to share between threads. Everything raises Unavailable."""

    def __init__(self, client: DynamoDBClient, name: str, pause: Callable[[float], None]) -> None:
        self.client = client
        self.name = name
        self._pause = pause

    def get(self, partition: str, sort: str) -> Item | None:
        with errors():
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
        with errors():
            try:
                self.client.put_item(TableName=self.name, Item=item, **guard)
            except self.client.exceptions.ConditionalCheckFailedException as error:
                raise Lost(error.response.get("Item")) from None

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
            with errors():
                reply = self.client.query(**request)
            yield from reply["Items"]
            if "LastEvaluatedKey" not in reply:
                return
            request["ExclusiveStartKey"] = reply["LastEvaluatedKey"]
            left = None if left is None else left - len(reply["Items"])

    def get_all(self, wanted: Sequence[Mapping[str, Any]]) -> Iterator[Item]:
        left: Any = {self.name: {"Keys": wanted, "ConsistentRead": True}}
        for attempt in range(_BATCH_TRIES):
            with errors():
                reply = self.client.batch_get_item(RequestItems=left)
            yield from reply["Responses"].get(self.name, ())
            left = reply.get("UnprocessedKeys")
            if not left:
                return
            self._pause(0.02 * 2**attempt)
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
            with errors():
                reply = self.client.batch_write_item(RequestItems=left)
            left = reply.get("UnprocessedItems")
            if not left:
                return
            self._pause(0.02 * 2**attempt)
        raise Unavailable("the table does not take batch writes: it is throttling")


class Lost(Exception):
    """The condition did not hold; `stored` is the item that is there instead."""

    def __init__(self, stored: Any) -> None:
        self.stored: Mapping[str, Any] = stored or {}
        super().__init__()


def key_of(partition: str, sort: str) -> dict[str, Any]:
    return {"PK": {"S": partition}, "SK": {"S": sort}}


def numbers(**given: int) -> dict[str, Any]:
    return {":zero": {"N": "0"}} | {f":{k}": {"N": str(v)} for k, v in given.items()}


_TOO_LARGE = "Item size has exceeded the maximum allowed size"


@contextmanager
def errors() -> Iterator[None]:
    """Translate what the SDK raises into what the caller does next."""
    try:
        yield
    except ClientError as error:
        if _TOO_LARGE in str(error):
            raise Invalid(f"too large for the table: {error}", reason="run_too_large") from error
        raise Unavailable(f"DynamoDB: {error}") from error
    except BotoCoreError as error:
        raise Unavailable(f"DynamoDB: {error}") from error
