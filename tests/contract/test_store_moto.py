"""Does the DynamoDB store keep the promises on moto? One thread only: moto has races of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from push_dispatch.adapters.dynamodb.schema import create_table
from tests.contract.dynamo_suite import DynamoContract
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
