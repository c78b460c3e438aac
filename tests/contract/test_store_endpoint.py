"""Does the DynamoDB store keep the promises where PUSH_DISPATCH_TEST_DYNAMODB_ENDPOINT points to?

Any endpoint will do: an emulator, or `https://dynamodb.REGION.amazonaws.com` with the usual AWS
settings of that region. A table of its own is made, and deleted afterwards.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests import ministack as stack
from tests.contract.dynamo_suite import DynamoContract

ENDPOINT = os.environ.get("PUSH_DISPATCH_TEST_DYNAMODB_ENDPOINT", "")
if not ENDPOINT:
    pytest.skip("PUSH_DISPATCH_TEST_DYNAMODB_ENDPOINT is not set", allow_module_level=True)


@pytest.fixture(scope="module")
def own_table() -> Iterator[tuple[Any, str]]:
    name = f"push-dispatch-contract-{uuid.uuid4().hex[:8]}"
    client = stack.table(ENDPOINT, name)
    yield client, name
    client.delete_table(TableName=name)


class TestDynamoStoreOnEndpoint(DynamoContract):
    @pytest.fixture
    def client(self, own_table: tuple[Any, str]) -> Any:
        return own_table[0]

    @pytest.fixture
    def table(self, own_table: tuple[Any, str]) -> str:
        return own_table[1]
