"""Does the DynamoDB store keep the promises on moto? One thread only: moto has races of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import boto3
import pytest
from moto import mock_aws

from push_dispatch.adapters.dynamodb.schema import create_table
from push_dispatch.adapters.dynamodb.store import DynamoStore
from push_dispatch.ports.store import Store
from tests.contract.dynamo_faults import FaultContract
from tests.contract.dynamo_suite import DynamoContract
from tests.contract.store.ledger import LedgerContract
from tests.contract.store.pools import PoolContract
from tests.ministack import PLAIN


@pytest.fixture(scope="module")
def moto_client() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1", config=PLAIN)
        create_table(client, "contract")
        yield client


class TestDynamoStoreOnMoto(DynamoContract):
    @pytest.fixture
    def client(self, moto_client: Any) -> Any:
        return moto_client

    @pytest.fixture
    def table(self) -> str:
        return "contract"


class TestLedgersWithBasesOnMoto(FaultContract, PoolContract, LedgerContract):
    """One slot that is held is enough for a base."""

    verbs: ClassVar = ("commit", "delete_pool")

    @pytest.fixture
    def client(self, moto_client: Any) -> Any:
        return moto_client

    @pytest.fixture
    def store(self, moto_client: Any) -> Store:
        return DynamoStore(moto_client, "contract", sleep=lambda _seconds: None, plain_bytes=0)
