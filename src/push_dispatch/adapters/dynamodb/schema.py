"""What does the table look like? The one definition that local runtimes and tests create.

`template.yaml` and the Terraform module declare the same; a test compares them.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from push_dispatch.adapters.dynamodb import keys

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

__all__ = ["TABLE", "create_table"]

#: Arguments of CreateTable but for the name.
TABLE: dict[str, Any] = {
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [
        {"AttributeName": "PK", "KeyType": "HASH"},
        {"AttributeName": "SK", "KeyType": "RANGE"},
    ],
    "AttributeDefinitions": [
        {"AttributeName": "PK", "AttributeType": "S"},
        {"AttributeName": "SK", "AttributeType": "S"},
        {"AttributeName": "tick_pool", "AttributeType": "S"},
        {"AttributeName": "tick_at", "AttributeType": "N"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": keys.TICK_INDEX,
            "KeySchema": [
                {"AttributeName": "tick_pool", "KeyType": "HASH"},
                {"AttributeName": "tick_at", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
}


def create_table(client: DynamoDBClient, name: str) -> None:
    """Create the table if it does not exist and wait until it can be used."""
    with suppress(client.exceptions.ResourceInUseException):
        client.create_table(TableName=name, **TABLE)
    client.get_waiter("table_exists").wait(
        TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
